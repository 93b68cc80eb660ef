"""A pool with structures in which labels were found, and the options that ask for it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli.numbers import LEVEL
from ssefw.cli.say import say
from ssefw.cli.screen.inputs import PATH, readable_rows
from ssefw.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ssefw.documents import Label
    from ssefw.screening.clustering.matching import LabeledPool
    from ssefw.screening.clustering.representations import Features, Representation

__all__ = ["CACHE", "LABELS", "SECOND", "SECOND_WEIGHT", "SPECIE", "labeled_pool", "with_second"]

LABELS = click.option(
    "--labels", "sets", multiple=True, required=True, metavar="SET", help="File or name; repeat."
)
CACHE = click.option("--cache", type=PATH, help="File that keeps descriptors for the next time.")
SPECIE = click.option("--specie", "mobile", default="Li", help="The ion that moves.")
SECOND = click.option(
    "--second", help="A representation to mix in, for example mxrd-CAN (second order)."
)
SECOND_WEIGHT = click.option(
    "--second-weight", type=LEVEL, default=0.05, help="Its share of the total variance."
)


def labeled_pool(pool: Path, sets: tuple[str, ...], structures: Path | None) -> "LabeledPool":
    """Return the structures of a pool with the labels of several sets, and say what was found."""
    from ssefw.data.labels.sources import find_label_set
    from ssefw.screening.clustering.matching import label_pool

    labels: list[Label] = []
    for name in sets:
        found = find_label_set(name, structures=structures)
        labels += found.labels
        say(
            f"{len(found.labels)} labels of {found.name}, {len(found.rejects)} rows rejected",
            err=True,
        )
    materials = [material for material in readable_rows(pool) if material.build is not None]
    if not materials:
        raise DataError(f"No row of {pool} has a structure. Give a pool with structures.")
    labeled = label_pool(materials, labels)
    for how, number in sorted(labeled.counts.items()):
        say(f"labels {how}: {number}", err=True)
    return labeled


def with_second(
    features: "Mapping[Representation, Features]", second: "Representation", weight: float
) -> "dict[Representation, Features]":
    """Return every representation with a second one mixed in; the second alone is left out."""
    from ssefw.screening.clustering.study import mixed

    others = {name: own for name, own in features.items() if name != second}
    if not others:
        raise ConfigurationError(f"{second} cannot be mixed into itself. Name another as --second.")
    return {name: mixed(own, features[second], weight=weight) for name, own in others.items()}
