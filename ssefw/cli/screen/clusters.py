"""``ssefw screen descriptors`` and ``shortlist``: W of representations, and the best clusters."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.numbers import CLUSTERS, CONDUCTIVITY, COUNT, SEED
from ssefw.cli.options import (
    OUTPUT,
    core_count,
    json_option,
    print_json,
    quiet_option,
    workers_option,
)
from ssefw.cli.say import say
from ssefw.cli.screen.inputs import readable_rows
from ssefw.errors import DataError

if TYPE_CHECKING:
    from ssefw.data.materials import Material
    from ssefw.documents import Label
    from ssefw.screening.clustering.matching import LabeledPool
    from ssefw.screening.clustering.study import Study
    from ssefw.screening.clustering.ward import Tree

PATH = click.Path(path_type=Path)
LABELS = click.option(
    "--labels", "sets", multiple=True, required=True, metavar="SET", help="File or name; repeat."
)
STRUCTURES = click.option(
    "--structures", type=PATH, help="Zip or folder of CIFs named by the labels' ids."
)
CACHE = click.option("--cache", type=PATH, help="File that keeps descriptors for the next time.")
SPECIE = click.option("--specie", "mobile", default="Li", help="The ion that moves.")


@click.command(
    "descriptors",
    epilog="Example: ssefw screen descriptors pool.jsonl.gz --labels labels.csv --out table.csv "
    "--cache descriptors.sqlite",
)
@click.argument("pool", type=PATH)
@LABELS
@STRUCTURES
@click.option(
    "--descriptors", "wanted", default="soap,mxrd,density", help="Names with commas, or 'all'."
)
@click.option("--simplifications", default="all", help="Names with commas, or 'all'.")
@click.option("--deepest", type=CLUSTERS, default=300, help="Largest number of clusters.")
@click.option("--folds", type=COUNT, default=5, help="Parts of the labels to choose and test on.")
@click.option(
    "--split",
    type=click.Choice(["grouped", "random"]),
    default="grouped",
    help="Whether related materials stay on one side.",
)
@click.option("-o", "--out", type=OUTPUT, help="Write the table (.csv).")
@click.option("--figure", type=OUTPUT, help="Draw W of the best of each descriptor (.svg, .png).")
@click.option("--seed", type=SEED, default=0, help="Seed of controls and folds.")
@SPECIE
@CACHE
@workers_option
@quiet_option
@json_option
def descriptors_command(
    *,
    pool: Path,
    sets: tuple[str, ...],
    structures: Path | None,
    wanted: str,
    simplifications: str,
    deepest: int,
    folds: int,
    split: str,
    out: Path | None,
    figure: Path | None,
    seed: int,
    mobile: str,
    cache: Path | None,
    workers: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare representations by W, the spread of conductivities inside clusters.

    Small is good. All representations cluster the same rows. Chance stands beside: labels dealt to
    random clusters, and labels shuffled over the same clusters. At the end a representation is
    chosen on a part of the labels and measured on the rest.
    """
    import numpy as np

    from ssefw.cli.console import progress
    from ssefw.screening.clustering.representations import (
        FeatureCache,
        all_representations,
        represent,
    )
    from ssefw.screening.clustering.study import study

    chosen = all_representations(_descriptors(wanted), _simplifications(simplifications))
    labeled = _labeled(pool, sets, structures)
    with progress(quiet=quiet):
        features = represent(
            [material.structure for material in labeled.materials],
            chosen,
            mobile=mobile,
            cache=FeatureCache(cache),
            workers=workers or core_count(),
        )
    known = [
        (row, material.properties["bvse_barrier_ev"])
        for row, material in enumerate(labeled.materials)
        if isinstance(material.properties.get("bvse_barrier_ev"), float)
    ]
    energies = None
    if len(known) > 3:
        energies = (np.array([row for row, _ in known]), np.array([value for _, value in known]))
    found = study(
        features, labeled.rows, labeled.values, energies=energies, deepest=deepest, seed=seed
    )
    lines = _lines(found)
    if out:
        _write_table(lines, out)
    if figure:
        from ssefw.report.figures.clustering import draw_study

        draw_study(found, figure)
    say(
        f"{len(found.rows)} rows and {len(found.labels)} labels that every representation takes; "
        f"random clusters have W {found.mean(found.control):.1f}",
        err=True,
    )
    if as_json:
        for line in lines:
            print_json(line)
    else:
        _show(lines)
    if folds > 1:
        _say_choice(found, labeled, folds, split, seed)


def _say_choice(found: "Study", labeled: "LabeledPool", folds: int, split: str, seed: int) -> None:
    from ssefw.screening.clustering.grouping import framework_groups, grouped_folds, random_folds
    from ssefw.screening.clustering.study import choose

    if split == "grouped":
        groups = framework_groups(labeled)[found.labels]
        try:
            parts = grouped_folds(found.values, groups, k=folds, seed=seed)
        except DataError as error:
            # The table stands without a choice.
            say(f"no representation is chosen: {error}", err=True)
            return
        told = f"{len(set(groups.tolist()))} groups of related materials, each on one side"
    else:
        parts = random_folds(len(found.labels), k=folds, seed=seed)
        told = "at random, so that related materials are on both sides"
    choice = choose(found, parts)
    say(
        f"chosen on {folds - 1} of {folds} parts of the labels ({told}): "
        f"{', '.join(choice.picked)}; held-out labels are {choice.chosen:.2f} decades from their "
        f"cluster (best in hindsight, {choice.best_name}: {choice.best:.2f}; mean of all labels: "
        f"{choice.mean_of_training:.2f})",
        err=True,
    )


@click.command(
    "shortlist",
    epilog="Example: ssefw screen shortlist pool.jsonl.gz --labels labels.csv --preset "
    "laskowski2023 --pool-out selected.jsonl",
)
@click.argument("pool", type=PATH)
@LABELS
@STRUCTURES
@click.option("--representation", default="soap-CAN", help="Descriptor and simplification.")
@click.option("--depth", type=COUNT, default=241, help="Number of clusters.")
@click.option("--high", type=CONDUCTIVITY, default=1e-5, help="S/cm from which a label is high.")
@click.option("--preset", help="Filters of a paper, for example laskowski2023.")
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
    depth: int,
    high: float,
    preset: str | None,
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
    from ssefw.screening.clustering.representations import FeatureCache, Representation, represent
    from ssefw.screening.clustering.shortlist import shortlist
    from ssefw.screening.clustering.ward import build_tree

    chosen = Representation.parse(representation)
    labeled = _labeled(pool, sets, structures)
    with progress(quiet=quiet):
        features = represent(
            [material.structure for material in labeled.materials],
            [chosen],
            mobile=mobile,
            cache=FeatureCache(cache),
            workers=workers or core_count(),
        )[chosen]
    if features.problems:
        say(f"{len(features.problems)} materials have no {chosen}", err=True)
    kept = np.flatnonzero(features.usable)
    place = np.cumsum(features.usable) - 1
    known = features.usable[labeled.rows]
    rows, values = place[labeled.rows[known]], labeled.values[known]
    tree = build_tree(features.values[kept])
    limit = math.log10(high)
    depth = min(depth, len(kept))
    found = shortlist(tree, features.values[kept], rows, values, depth=depth, threshold=limit)
    say(
        f"{len(found.rows)} of {len(kept)} materials lie in {len(found.holding)} clusters with a "
        f"label of {high:g} S/cm or more, or in {len(found.nearest)} nearest to those",
        err=True,
    )
    _say_enrichment(tree, rows, values, limit)
    if figure:
        from ssefw.report.figures.clustering import draw_tree

        draw_tree(tree, rows, values, figure, depth=depth, threshold=limit)
    picked = [labeled.materials[row] for row in kept[found.rows]]
    reasons = {id(one): reason for one, reason in zip(picked, found.reasons, strict=True)}
    picked = _filtered(picked, preset)
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
        _write_table(lines, out)
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


def _filtered(materials: "list[Material]", preset: str | None) -> "list[Material]":
    if preset is None:
        return materials
    from ssefw.screening.cascade import preset_filters

    outcome = preset_filters(preset).run(materials)
    for step in outcome.steps:
        say(
            f"{step.name}: {step.n_in} -> {step.n_passed} ({step.n_undetermined} undetermined)",
            err=True,
        )
    return outcome.passed


def _write_table(lines: list[dict[str, Any]], path: Path) -> None:
    from ssefw.files.tables import write_table

    write_table(path, lines)


def _write_pool(materials: "list[Material]", path: Path) -> None:
    import json

    with path.open("w") as stream:
        for one in materials:
            record = {"structure": one.structure.as_dict(), "name": one.name}
            stream.write(json.dumps(record | _plain(one.properties), default=float) + "\n")


def _labeled(pool: Path, sets: tuple[str, ...], structures: Path | None) -> "LabeledPool":
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


def _descriptors(text: str) -> list[str]:
    from ssefw.screening.features.descriptors import DESCRIPTORS, descriptor

    if text == "all":
        return list(DESCRIPTORS)
    return [descriptor(name.strip()).name for name in text.split(",")]


def _simplifications(text: str) -> list[str]:
    from ssefw.screening.features.simplify import SIMPLIFICATIONS

    return list(SIMPLIFICATIONS) if text == "all" else [name.strip() for name in text.split(",")]


def _plain(properties: Any) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if isinstance(value, int | float | str)}


def _lines(found: "Study") -> list[dict[str, Any]]:
    from ssefw.screening.features.descriptors import descriptor

    lines = []
    for number, entry in enumerate(found.entries, start=1):
        took_part = len(entry.w) > 0
        lines.append(
            {
                "rank": number if took_part else "",
                "descriptor": descriptor(entry.representation.descriptor).title,
                "simplification": entry.representation.simplification,
                "w_mean": round(found.mean(entry.w), 3) if took_part else "",
                "w_shuffled": round(found.mean(entry.shuffled), 3) if took_part else "",
                "w_energy": round(found.mean(entry.w_energy), 3) if len(entry.w_energy) else "",
                "failed": entry.n_failed,
                "first_problem": entry.first_problem,
            }
        )
    return lines


def _show(lines: list[dict[str, Any]]) -> None:
    from ssefw.cli.listing import Heading, Listing

    numbers = [
        Heading("W sigma", 0, "right"), Heading("shuffled", 1, "right"),
        Heading("W Ea (eV2)", 2, "right"), Heading("failed", 3, "right"),
    ]  # fmt: skip
    table = Listing(
        [Heading("#", 0, "right"), Heading("descriptor"), Heading("of"), *numbers],
        caption="W: mean over 2 to 50 clusters; small is good",
    )
    for line in lines:
        table.add(*list(line.values())[:-1])
    table.show()
