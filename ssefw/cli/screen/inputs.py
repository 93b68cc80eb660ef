"""What the commands of screening read: labels, and the materials of a pool."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.data.materials import Material
    from ssefw.documents import LabelSet

__all__ = ["PATH", "STRUCTURES", "asked_labels", "readable_rows"]

PATH = click.Path(path_type=Path)
STRUCTURES = click.option(
    "--structures", type=PATH, help="Zip or folder of CIFs named by the labels' ids."
)


def asked_labels(
    label_set: str, *, structures: Path | None, pool: Path | None
) -> "tuple[LabelSet, list[Material]]":
    """Return labels, with the structures of a pool where they have none, and the pool."""
    from ssefw.data.labels.sources import find_label_set

    labels = find_label_set(label_set, structures=structures)
    for source, reason in labels.rejects:
        say(f"rejected {source}: {reason}", err=True)
    materials = readable_rows(pool) if pool else []
    if materials:
        from ssefw.screening.clustering.matching import with_structures

        labels = with_structures(labels, materials)
    return labels, materials


def readable_rows(pool: Path) -> "list[Material]":
    """Return the rows of a pool that can be read, each name once; say how many cannot."""
    from ssefw.data.materials import merge_materials, read_materials
    from ssefw.data.pools import Reject

    rows = list(read_materials(pool))
    rejected = sum(isinstance(row, Reject) for row in rows)
    if rejected:
        say(f"{rejected} rows of the pool cannot be read", err=True)
    return merge_materials(row for row in rows if not isinstance(row, Reject))[0]
