"""``ssefw screen``: train a screening system, rank a pool, measure it on other labels."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli import complete
from ssefw.cli.numbers import CONDUCTIVITY, COUNT, COUNT_OR_NONE, SEED
from ssefw.cli.options import (
    OUTPUT,
    core_count,
    json_option,
    print_json,
    quiet_option,
    set_option,
    values_of,
    workers_option,
)
from ssefw.cli.say import say
from ssefw.cli.screen.descriptors import descriptors_command
from ssefw.cli.screen.evaluate import evaluate_command
from ssefw.cli.screen.inputs import PATH, STRUCTURES, asked_labels
from ssefw.cli.screen.patterns import patterns, votes_command
from ssefw.cli.screen.rank import rank_command
from ssefw.cli.screen.shortlist import shortlist_command
from ssefw.cli.screen.validate import validate_command
from ssefw.errors import DataError

if TYPE_CHECKING:
    from ssefw.data.materials import Material


@click.group()
def command() -> None:
    """Learn from known conductivities and order a pool by what was learned."""


command.add_command(rank_command)
command.add_command(evaluate_command)
command.add_command(validate_command)
command.add_command(descriptors_command)
command.add_command(shortlist_command)
command.add_command(patterns)
command.add_command(votes_command)


@command.command("train", epilog="Example: ssefw screen train --labels starter --out starter.model")
@click.option(
    "--system",
    default="conductivity",
    shell_complete=complete.systems,
    help="Screening system; see `screen systems`.",
)
@click.option("--labels", "label_set", required=True, metavar="SET", help="Labels: file or name.")
@STRUCTURES
@click.option("--pool", type=PATH, help="Materials without labels, for systems that learn of them.")
@click.option("-o", "--out", type=OUTPUT, required=True, help="Where to write the model.")
@click.option("--keep-duplicates", is_flag=True, help="Learn from every report of one material.")
@set_option("system", "cell=none")
@click.option(
    "--tune",
    type=COUNT_OR_NONE,
    default=0,
    help="Trials of a search of hyper-parameters.",
)
@click.option("--seed", type=SEED, default=0, help="Seed of everything random.")
@workers_option
@click.option(
    "--threshold",
    type=CONDUCTIVITY,
    default=1e-4,
    help="S/cm from which a material is superionic.",
)
@quiet_option
@json_option
def train(
    *,
    system: str,
    label_set: str,
    structures: Path | None,
    pool: Path | None,
    out: Path,
    options: tuple[str, ...],
    tune: int,
    seed: int,
    workers: int | None,
    threshold: float,
    keep_duplicates: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fit a screening system to labels and save it.

    Settings are given as --set cell=none --set folds=10; values are YAML.
    """
    from ssefw.cli.console import progress
    from ssefw.data.dataset import dataset_of
    from ssefw.data.labels.sets import merge_labels
    from ssefw.screening.base import make_screener, save_screener, usable_rows

    labels, unlabeled = asked_labels(label_set, structures=structures, pool=pool)
    if not keep_duplicates:
        labels = labels.model_copy(update={"labels": tuple(merge_labels(labels.labels))})
    settings = values_of(options) | {"seed": seed, "workers": workers or core_count()}
    screener = make_screener(system, settings)
    data = dataset_of(labels, threshold=threshold, undecided=screener.learns_from_bounds)
    data, left_out = usable_rows(screener, data)
    for what, count in left_out.items():
        say(f"{count} labels have {what} and are left out", err=True)
    with progress(quiet=quiet):
        if tune:
            screener = screener.tuned_on(data, trials=tune)
        screener.fit(data, pool=unlabeled)
    save_screener(screener, out)
    record = {
        "model": str(out),
        "system": system,
        "labels": len(data),
        "superionic": int((data.y == 1).sum()),
        "label_set": data.name,
        "label_version": data.version,
        "settings": screener.settings(),
    }
    if as_json:
        print_json(record)
    else:
        say(
            f"{system} learned from {record['labels']} labels of {data.name} "
            f"({record['superionic']} superionic), written to {out}"
        )


@command.command("explain", epilog="Example: ssefw screen explain m.model Li6PS5Cl")
@click.argument("model", type=PATH)
@click.argument("formula", required=False)
@click.option("--structure", type=PATH, help="Structure file, for systems that ask for one.")
@click.option("--top", type=COUNT, default=10, help="So many properties.")
@json_option
def explain(
    *, model: Path, formula: str | None, structure: Path | None, top: int, as_json: bool
) -> None:
    """Say which properties move the score of a material most, or of all labels without one."""
    from ssefw.screening.base import load_screener

    screener = load_screener(model)
    if formula is None and structure is None:
        found = screener.importances(top=2 * top)[:top]
        if not found:
            raise DataError(
                f"A model of {screener.name!r} like this one has no importances over all labels. "
                f"Give a formula: ssefw screen explain {model} Li6PS5Cl"
            )
        for name, weight in found:
            if as_json:
                print_json({"feature": name, "importance": weight})
            else:
                say(f"{weight:.4f}  {name}")
        return
    material = _asked(formula, structure)
    scores = screener.score([material])
    if scores.problems:
        raise DataError(scores.problems[0])
    reasons = screener.explain(material, top=top)
    if as_json:
        for reason in reasons:
            print_json(vars(reason))
        return

    from ssefw.cli.listing import Heading, Listing

    table = Listing(
        [
            Heading("property"),
            Heading("value", 1, "right"),
            Heading("median of labels", 2, "right"),
            Heading("adds to score", 0, "right"),
        ],
        title=f"{material.formula}: score {scores.probability[0]:.2f}",
    )
    for item in reasons:
        table.add(item.feature, f"{item.value:.4g}", f"{item.typical:.4g}", f"{item.effect:+.3f}")
    table.show()


def _asked(formula: str | None, structure: Path | None) -> "Material":
    from ssefw.data.materials import Material, material_from_candidate
    from ssefw.data.pools import read_pool

    if structure is None:
        return Material(name=str(formula), formula=str(formula))
    if formula is not None:
        raise click.UsageError("Give a formula or --structure, not both.")
    return material_from_candidate(read_pool(structure, strict=True).candidates[0])


@command.command("systems", epilog="Example: ssefw screen systems")
@json_option
def systems(*, as_json: bool) -> None:
    """List the screening systems that are installed."""
    from ssefw.screening.base import PAPERS, screener_class, screener_names

    for name in screener_names():
        if as_json:
            needs = screener_class(name).needs
            print_json({"system": name, "needs": needs, "is_of_a_paper": name in PAPERS})
        else:
            say(f"{name} (as published)" if name in PAPERS else name)
