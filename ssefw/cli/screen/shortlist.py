"""``ssefw screen shortlist``: what lies in clusters with conductors, or next to these."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.numbers import CONDUCTIVITY, COUNT
from ssefw.cli.options import (
    OUTPUT,
    core_count,
    json_option,
    print_json,
    quiet_option,
    workers_option,
)
from ssefw.cli.say import say
from ssefw.cli.screen.inputs import PATH, STRUCTURES
from ssefw.cli.screen.labeled_pool import (
    CACHE,
    LABELS,
    SECOND,
    SECOND_WEIGHT,
    SPECIE,
    labeled_pool,
    with_second,
)

if TYPE_CHECKING:
    from ssefw.data.materials import Material
    from ssefw.screening.clustering.ward import Tree


@click.command(
    "shortlist",
    epilog="Example: ssefw screen shortlist pool.jsonl.gz --labels labels.csv --preset "
    "laskowski2023 --pool-out selected.jsonl",
)
@click.argument("pool", type=PATH)
@LABELS
@STRUCTURES
@click.option("--representation", default="soap-CAN", help="Descriptor and simplification.")
@SECOND
@SECOND_WEIGHT
@click.option("--depth", type=COUNT, default=241, help="Number of clusters.")
@click.option("--high", type=CONDUCTIVITY, default=1e-5, help="S/cm from which a label is high.")
@click.option("--preset", help="Filters of a paper, for example laskowski2023.")
@click.option("--gaps", type=PATH, help="A pool that states band gaps; others are predicted by it.")
@click.option("-o", "--out", type=OUTPUT, help="Write the shortlist (.csv).")
@click.option("--pool-out", type=OUTPUT, help="Write the structures as a pool (.jsonl).")
@click.option("--figure", type=OUTPUT, help="Draw the tree above the labels (.svg, .png).")
@SPECIE
@CACHE
@workers_option
@quiet_option
@json_option
def shortlist_command(
    *,
    pool: Path,
    sets: tuple[str, ...],
    structures: Path | None,
    representation: str,
    second: str | None,
    second_weight: float,
    depth: int,
    high: float,
    preset: str | None,
    gaps: Path | None,
    out: Path | None,
    pool_out: Path | None,
    figure: Path | None,
    mobile: str,
    cache: Path | None,
    workers: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """List what lies in clusters with conductors, or in the clusters nearest to those.

    The file of --pool-out is a pool that a campaign file names under 'pool'.
    """
    import math

    import numpy as np

    from ssefw.cli.console import progress
    from ssefw.files.tables import write_table
    from ssefw.screening.clustering.representations import FeatureCache, Representation, represent
    from ssefw.screening.clustering.shortlist import shortlist
    from ssefw.screening.clustering.ward import build_tree

    chosen = Representation.parse(representation)
    mixed_in = [Representation.parse(second)] if second else []
    labeled = labeled_pool(pool, sets, structures)
    with progress(quiet=quiet):
        found = represent(
            [material.structure for material in labeled.materials],
            [chosen, *mixed_in],
            mobile=mobile,
            cache=FeatureCache(cache),
            workers=workers or core_count(),
        )
    for other in mixed_in:
        found = with_second(found, other, second_weight)
    features = found[chosen]
    if features.problems:
        say(f"{len(features.problems)} materials have no {chosen}", err=True)
    kept = np.flatnonzero(features.usable)
    place = np.cumsum(features.usable) - 1
    known = features.usable[labeled.rows]
    rows, values = place[labeled.rows[known]], labeled.values[known]
    tree = build_tree(features.values[kept])
    limit = math.log10(high)
    depth = min(depth, len(kept))
    picks = shortlist(tree, features.values[kept], rows, values, depth=depth, threshold=limit)
    say(
        f"{len(picks.rows)} of {len(kept)} materials lie in {len(picks.holding)} clusters with a "
        f"label of {high:g} S/cm or more, or in {len(picks.nearest)} nearest to those",
        err=True,
    )
    _say_enrichment(tree, rows, values, limit)
    if figure:
        from ssefw.report.figures.clustering import draw_tree

        draw_tree(tree, rows, values, figure, depth=depth, threshold=limit)
    picked = [labeled.materials[row] for row in kept[picks.rows]]
    reasons = {id(one): reason for one, reason in zip(picked, picks.reasons, strict=True)}
    picked = _filtered(picked, preset, gaps)
    lines = [
        {
            "name": one.name,
            "formula": one.formula,
            "cluster": reasons[id(one)],
            **_plain(one.properties),
        }
        for one in picked
    ]
    if out:
        write_table(out, lines)
    if pool_out:
        _write_pool(picked, pool_out)
    for line in lines:
        if as_json:
            print_json(line)
        else:
            say(f"{line['name']}\t{line['formula']}\t{line['cluster']}")


def _say_enrichment(tree: "Tree", rows: Any, values: Any, limit: float) -> None:
    from ssefw.screening.clustering.shortlist import enrichment

    depths = [depth for depth in (9, 17) if depth <= tree.n]
    if not depths or not 0 < (values >= limit).sum() < len(values):
        return
    for one in enrichment(tree, rows, values, depths=depths, threshold=limit):
        say(
            f"at {one.depth} clusters one with {one.share_of_rows:.1%} of materials holds "
            f"{one.share_of_high:.0%} of the high labels (chance: p = {one.p_value:.3f})",
            err=True,
        )


def _filtered(
    materials: "list[Material]", preset: str | None, gaps: Path | None
) -> "list[Material]":
    if preset is None:
        return materials
    from ssefw.screening.filters.cascade import preset_filters
    from ssefw.screening.filters.gaps import read_gaps

    outcome = preset_filters(preset, gaps=read_gaps(gaps) if gaps else None).run(materials)
    for step in outcome.steps:
        say(
            f"{step.name}: {step.n_in} -> {step.n_passed} ({step.n_undetermined} undetermined)",
            err=True,
        )
    return outcome.passed


def _write_pool(materials: "list[Material]", path: Path) -> None:
    import json

    from ssefw.files import replacing

    with replacing(path) as draft, draft.open("w") as stream:
        for one in materials:
            record = {"structure": one.structure.as_dict(), "name": one.name}
            stream.write(json.dumps(record | _plain(one.properties), default=float) + "\n")


def _plain(properties: Any) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if isinstance(value, int | float | str)}
