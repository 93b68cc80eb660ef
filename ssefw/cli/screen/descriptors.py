"""``ssefw screen descriptors``: W of representations, beside chance."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.numbers import CLUSTERS, COUNT, SEED
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
from ssefw.errors import DataError

if TYPE_CHECKING:
    from ssefw.screening.clustering.matching import LabeledPool
    from ssefw.screening.clustering.study import Study


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
@SECOND
@SECOND_WEIGHT
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
    second: str | None,
    second_weight: float,
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
    from ssefw.files.tables import write_table
    from ssefw.screening.clustering.representations import (
        FeatureCache,
        Representation,
        all_representations,
        represent,
    )
    from ssefw.screening.clustering.study import study

    chosen = all_representations(_descriptors(wanted), _simplifications(simplifications))
    mixed_in = Representation.parse(second) if second else None
    labeled = labeled_pool(pool, sets, structures)
    with progress(quiet=quiet):
        features = represent(
            [material.structure for material in labeled.materials],
            list(dict.fromkeys([*chosen, *([mixed_in] if mixed_in else [])])),
            mobile=mobile,
            cache=FeatureCache(cache),
            workers=workers or core_count(),
        )
    if mixed_in:
        features = with_second(features, mixed_in, second_weight)
        say(f"{mixed_in} is mixed in, with {second_weight:.0%} of the variance", err=True)
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
        write_table(out, lines)
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


def _descriptors(text: str) -> list[str]:
    from ssefw.screening.features.descriptors import DESCRIPTORS, descriptor

    if text == "all":
        return list(DESCRIPTORS)
    return [descriptor(name.strip()).name for name in text.split(",")]


def _simplifications(text: str) -> list[str]:
    from ssefw.screening.features.simplify import SIMPLIFICATIONS

    return list(SIMPLIFICATIONS) if text == "all" else [name.strip() for name in text.split(",")]


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
