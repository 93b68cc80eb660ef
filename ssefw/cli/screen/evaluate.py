"""``ssefw screen evaluate``: a model measured on labels."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.numbers import CONDUCTIVITY, SEED
from ssefw.cli.options import OUTPUT, json_option, print_json
from ssefw.cli.say import say
from ssefw.cli.screen.inputs import PATH, STRUCTURES, asked_labels
from ssefw.files import replacing

if TYPE_CHECKING:
    from ssefw.documents import Evaluation

__all__ = ["evaluate_command"]


@click.command(
    "evaluate",
    epilog="Example: ssefw screen evaluate m.model --labels test.csv --out result.json",
)
@click.argument("model", type=PATH)
@click.option("--labels", "label_set", required=True, metavar="SET", help="Labels: file or name.")
@STRUCTURES
@click.option("--pool", type=PATH, help="Labels without a structure take that of their row here.")
@click.option("-o", "--out", type=OUTPUT, help="Write the measures (.json).")
@click.option("--figure", type=OUTPUT, help="Draw precision-recall and reliability (.svg, .png).")
@click.option("--scatter", type=OUTPUT, help="Draw scores against conductivities (.svg, .png).")
@click.option("--seed", type=SEED, default=0, help="Seed of the intervals.")
@click.option("--threshold", type=CONDUCTIVITY, help="S/cm.  [default: the model's]")
@json_option
def evaluate_command(
    *,
    model: Path,
    label_set: str,
    structures: Path | None,
    pool: Path | None,
    out: Path | None,
    figure: Path | None,
    scatter: Path | None,
    seed: int,
    threshold: float | None,
    as_json: bool,
) -> None:
    """Measure a trained model on labels, beside what chance would give.

    Every row of a table counts, duplicates too. Says how many rows are near-duplicates of what
    the model was trained on.
    """
    from ssefw.data.dataset import dataset_of
    from ssefw.screening.base import NO_STRUCTURE, load_screener, usable_rows
    from ssefw.screening.evaluation.evaluate import evaluate_model, similar_to

    screener = load_screener(model)
    labels, _ = asked_labels(label_set, structures=structures, pool=pool)
    limit = threshold if threshold is not None else screener.trained_on["threshold"]
    data = dataset_of(labels, threshold=limit)
    left_out = len(labels.labels) - len(data)
    if left_out:
        say(f"{left_out} bounds do not decide the class and are left out", err=True)
    data, lacking = usable_rows(screener, data)
    result = evaluate_model(screener, data, seed=seed)
    if lacking:
        left_out = sum(lacking.values())
        share = len(data) / (len(data) + left_out)
        why = ", ".join(f"{count} labels have {what}" for what, count in lacking.items())
        say(
            f"{why} and are left out: the measures are of {share:.0%} of the labels",
            err=True,
        )
        record = result.record | {
            "without_structure": lacking.get(NO_STRUCTURE, 0),
            "left_out": lacking,
            "coverage": round(share, 4),
        }
        result = result.model_copy(update={"record": record})
    if out:
        with replacing(out) as draft:
            draft.write_text(json.dumps(_measures(result), indent=1) + "\n")
    if figure:
        from ssefw.report.figures.evaluation import draw_evaluation

        draw_evaluation(result, figure)
    if scatter:
        from ssefw.report.figures.screening import draw_conductivities

        scores = screener.score(data.materials)
        draw_conductivities(
            scores.probability,
            data.labels,
            scatter,
            threshold=limit,
            spread=scores.spread,
            similar=similar_to(data, screener.trained_on["formulas"]),
        )
    if as_json:
        print_json(_measures(result))
    else:
        _print_evaluation(result)
        _say_one_sided(result)


def _say_one_sided(result: "Evaluation") -> None:
    """Explain measures of classes that say nothing, beside those of order that may say a lot."""
    from ssefw.screening.evaluation.metrics import CUT

    yes, record = result.record["answered_superionic"], result.record
    cut = record.get("best_cut")
    if "mcc_best_cut" in result.metrics:
        best = result.metrics["mcc_best_cut"].value
        say(
            f"mcc_best_cut answers superionic from a score of {cut:.2f} on, which was best on the "
            f"labels learned from while they were held out: {best:.3f}, at {CUT:g} "
            f"{result.metrics['mcc'].value:.3f}",
            err=True,
        )
    elif cut is None:
        say(
            f"The model knows no best score to cut at, so that mcc is of {CUT:g} only: it was "
            "trained by an earlier version, or held out nothing. Train it again.",
            err=True,
        )
    if 0 < yes < result.n:
        return
    side, answer = ("at or above", "yes") if yes else ("below", "no")
    say(
        f"All {result.n} scores lie {side} {CUT:g} ({record['lowest_score']:.2f} to "
        f"{record['highest_score']:.2f}), so that every material is answered {answer!r}: mcc is "
        "then 0 by definition and says nothing of the order of the scores, which auc_pr measures. "
        "Rank by the score rather than cut at it.",
        err=True,
    )


def _measures(result: "Evaluation") -> dict[str, Any]:
    record = result.model_dump(mode="json", exclude={"metrics", "controls"})
    measures = {name: value.plain() for name, value in result.metrics.items()}
    controls = {
        kind: {name: value.plain() for name, value in values.items()}
        for kind, values in result.controls.items()
    }
    return {**measures, **record, "controls": controls}


def _print_evaluation(result: "Evaluation") -> None:
    from ssefw.cli.console import show_estimate
    from ssefw.cli.listing import Heading, Listing

    table = Listing(
        [
            Heading("measure"),
            Heading("value [95 %]"),
            Heading("constant score", 1),
            Heading("shuffled scores", 2),
        ],
        title=f"{result.screener} on {result.label_set}: {result.n} labels, "
        f"{result.n_positive} superionic at {result.threshold:g} S/cm",
    )
    for name, value in result.metrics.items():
        controls = [result.controls[kind].get(name) for kind in ("mean", "shuffled")]
        unit = f" ({value.unit})" if value.unit else ""
        table.add(
            name + unit,
            show_estimate(value, digits=3),
            *(show_estimate(c, digits=2) for c in controls),
        )
    table.show()
    seen = result.record.get("similar_to_training", 0)
    if seen:
        unseen = result.record.get("without_similar", {}).get("mcc")
        say(
            f"{seen} of {result.n} labels are within 5 % of a composition the model was trained on"
            + (f"; without them mcc is {unseen:.3f}" if unseen is not None else ""),
            err=True,
        )
