"""``ssefw screen validate``: systems and baselines on labels that are held out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli import complete
from ssefw.cli.numbers import CONDUCTIVITY, COUNT, FOLDS, LEVEL, SEED
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
from ssefw.cli.screen.inputs import PATH, STRUCTURES, asked_labels
from ssefw.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ssefw.data.dataset import Dataset
    from ssefw.documents import Estimate
    from ssefw.screening.evaluation.validation import Contestant, Trial, Validation

__all__ = ["validate_command"]

EVERY = "all"


@click.command(
    "validate",
    epilog="Example: ssefw screen validate --labels obelix_train.csv --kind families --repeats 3",
)
@click.option("--labels", "label_set", required=True, metavar="SET", help="Labels: file or name.")
@STRUCTURES
@click.option("--pool", type=PATH, help="Labels without a structure take that of their row here.")
@click.option(
    "--system",
    "systems",
    multiple=True,
    shell_complete=complete.systems,
    help="System to measure, or 'all' but papers'; may repeat.  [default: that of screen train]",
)
@click.option(
    "--member",
    "members",
    multiple=True,
    help="Classifier of the system composition alone, or 'all'; may be repeated.",
)
@set_option("systems, or of one of them", "composition.n_splits=10")
@click.option(
    "--kind",
    default="groups",
    metavar="KIND",
    help="What is held out: groups, families, family, clusters, plain, random, years, or a folder "
    "of published folds.  [default: groups]",
)
@click.option("-k", "folds", type=FOLDS, default=5, help="Folds of groups, families and plain.")
@click.option("--repeats", type=COUNT, help="Deals of folds, or random splits.  [default: 1, 100]")
@click.option("--share", type=LEVEL, default=0.2, help="Held out by random and years.")
@click.option("--keep-duplicates", is_flag=True, help="Take every report of one material.")
@click.option("--no-baselines", is_flag=True, help="Leave out what a system must beat.")
@click.option("--threshold", type=CONDUCTIVITY, default=1e-4, help="S/cm from which superionic.")
@click.option("--seed", type=SEED, default=0, help="Seed of splits, systems and intervals.")
@click.option("-o", "--out", type=OUTPUT, help="Write all measures (.json).")
@click.option("--figure", type=OUTPUT, help="Draw the measures with intervals (.svg, .png).")
@workers_option
@quiet_option
@json_option
def validate_command(
    *,
    label_set: str,
    structures: Path | None,
    pool: Path | None,
    systems: tuple[str, ...],
    members: tuple[str, ...],
    options: tuple[str, ...],
    kind: str,
    folds: int,
    repeats: int | None,
    share: float,
    keep_duplicates: bool,
    no_baselines: bool,
    threshold: float,
    seed: int,
    out: Path | None,
    figure: Path | None,
    workers: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    r"""Measure systems on labels that are held out, beside baselines on the same splits.

    \b
    groups    k folds; near-duplicate compositions are held out together
    families  k folds; families that the labels state (OBELiX) are held out together
    family    each family that the labels state is held out once
    clusters  each cluster of compositions is held out once (needs umap-learn)
    plain     k random folds, near-duplicates on both sides
    random    random splits, near-duplicates on both sides
    years     learned from before a year, tested from it on
    """
    from ssefw.data.dataset import dataset_of
    from ssefw.data.labels.sets import merge_labels
    from ssefw.data.split_protocols import SplitOptions, protocol_splits
    from ssefw.screening.evaluation.validation import baselines, compared, trials

    labels, _ = asked_labels(label_set, structures=structures, pool=pool)
    if not keep_duplicates:
        labels = labels.model_copy(update={"labels": tuple(merge_labels(labels.labels))})
    settings = values_of(options) | {"seed": seed}
    contestants = _contestants(systems, members, settings)
    data = _rows_for_all(dataset_of(labels, threshold=threshold), contestants)
    if not no_baselines:
        contestants += baselines()
    often = repeats if repeats is not None else 100 if kind == "random" else 1
    asked = SplitOptions(folds=folds, repeats=often, share=share, seed=seed)
    protocol, splits = protocol_splits(kind, data, asked)
    running = trials(contestants, data, splits, workers=workers or core_count())
    found = list(_with_progress(running, len(contestants) * len(splits), quiet=quiet))
    result = compared(found, contestants, data, protocol=protocol, seed=seed)
    if out:
        with replacing(out) as draft:
            draft.write_text(json.dumps(list(_records(result)), indent=1) + "\n")
    if figure:
        from ssefw.report.figures.validation import draw_validation

        draw_validation(result.evaluations, figure)
    for name, reason in result.failures.items():
        say(f"{name} is left out: {reason}", err=True)
    if as_json:
        for record in _records(result):
            print_json(record)
    else:
        _print_validation(result)
        _explain_cuts(result)


def _contestants(
    systems: tuple[str, ...], members: tuple[str, ...], settings: dict[str, Any]
) -> "list[Contestant]":
    from ssefw.screening.base import DEFAULT, PAPERS, screener_names
    from ssefw.screening.classifiers import CLASSIFIERS
    from ssefw.screening.evaluation.validation import system

    def settings_of(name: str) -> dict[str, Any]:
        own = {key.removeprefix(f"{name}."): value for key, value in settings.items()}
        return {key: value for key, value in own.items() if "." not in key}

    named = list(systems) or ([] if members else [DEFAULT])
    if EVERY in named:
        named = [name for name in screener_names() if name not in PAPERS]
    kinds = list(CLASSIFIERS) if EVERY in members else list(members)
    of_members = settings_of("composition")
    return [system(name, settings_of(name)) for name in named] + [
        system("composition", of_members | {"members": [kind]}, called=f"composition: {kind}")
        for kind in kinds
    ]


def _rows_for_all(data: "Dataset", contestants: "list[Contestant]") -> "Dataset":
    """Return the labels that all contestants can be measured on."""
    from ssefw.screening.base import usable_rows

    for contestant in contestants:
        data, left_out = usable_rows(contestant.make(), data)
        for what, count in left_out.items():
            say(
                f"{count} labels have {what}, so that {contestant.name} cannot use them; they are "
                "left out for all",
                err=True,
            )
    return data


def _with_progress(items: "Iterable[Trial]", total: int, *, quiet: bool) -> "Iterator[Trial]":
    from rich.progress import track

    from ssefw.cli.console import errors

    screen = errors()
    hidden = quiet or not screen.is_terminal
    yield from track(items, "splits", total=total, console=screen, transient=True, disable=hidden)


def _records(result: "Validation") -> "Iterator[dict[str, Any]]":
    for name, evaluation in result.evaluations.items():
        record = evaluation.model_dump(mode="json", exclude={"metrics", "controls", "screener"})
        yield {
            "contestant": name,
            "system": evaluation.screener,
            **{key: value.plain() for key, value in evaluation.metrics.items()},
            "difference_to": result.reference,
            "differences": {
                key: value.plain() for key, value in result.differences.get(name, {}).items()
            },
            "controls": {
                kind: {key: value.plain() for key, value in values.items()}
                for kind, values in evaluation.controls.items()
            },
            "seconds": round(result.seconds[name], 2),
            **record,
        }


COLUMNS = {
    "auc_pr": "AUC-PR",
    "mcc": "MCC",
    "mcc_best_cut": "best cut",
    "brier": "Brier",
    "mae": "MAE",
    "spearman": "Spearman",
    "coverage": "90 % hold",
}
"""Measures of the table; all others, and all intervals, are in the JSON."""
WITH_INTERVALS = ("auc_pr", "mcc", "mae")


def _print_validation(result: "Validation") -> None:
    from ssefw.cli.listing import Heading, Listing

    first = next(iter(result.evaluations.values()))
    shown = [
        name for name in COLUMNS if any(name in one.metrics for one in result.evaluations.values())
    ]
    table = Listing(
        [
            Heading("system"),
            *(Heading(COLUMNS[name], k, "right") for k, name in enumerate(shown)),
            Heading("s", len(shown), "right"),
        ],
        title=f"{first.label_set}: {first.n} labels, {first.n_positive} superionic at "
        f"{first.threshold:g} S/cm; {result.protocol}",
        caption="95 % intervals over groups of near-duplicates. Best cut: MCC at the score that is "
        "best on the labels learned from. MAE: decades, bounds at themselves.",
    )
    compared = [name for name in ("auc_pr", "mae") if name in shown]
    for name, evaluation in result.evaluations.items():
        other = result.differences.get(name, {})
        less = [
            f"{COLUMNS[key]} less {result.reference}'s: {difference}"
            for key in compared
            if (difference := _signed(other.get(key)))
        ]
        table.add(
            name,
            *(_shown(evaluation.metrics.get(key), name=key) for key in shown),
            f"{result.seconds[name]:.0f}",
            notes=["; ".join(less)],
        )
    table.show()


def _shown(estimate: "Estimate | None", *, name: str) -> str:
    if estimate is None or estimate.value is None:
        return "–"
    if name not in WITH_INTERVALS:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.lower:.2f}, {estimate.upper:.2f}]"


def _signed(estimate: "Estimate | None") -> str:
    if estimate is None or estimate.value is None:
        return ""
    return f"{estimate.value:+.3f} [{estimate.lower:+.2f}, {estimate.upper:+.2f}]"


GAIN = 0.1
"""Of MCC by another cut than 0.5, from which it is worth a word."""


def _explain_cuts(result: "Validation") -> None:
    """Explain an MCC that says little beside an order that says a lot."""
    for name, evaluation in result.evaluations.items():
        best = evaluation.metrics.get("mcc_best_cut")
        mcc, order = evaluation.metrics["mcc"].value, evaluation.metrics["auc_roc"].value
        if best is None or best.value is None or mcc is None or best.value < mcc + GAIN:
            continue
        say(
            f"{name}: mcc is {mcc:.2f} beside an auc_roc of {order:.2f}. mcc answers superionic "
            "from a score of 0.5 on, where few or no scores of this system lie on one side; "
            "auc_roc and auc_pr ask for the order only. From the cut "
            f"{evaluation.record['best_cut']:.2f} on, chosen on the labels learned from, mcc is "
            f"{best.value:.2f}.",
            err=True,
        )
