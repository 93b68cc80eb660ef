"""Honest evaluation of any screener: on labels it has not seen, beside what chance would give.

Three questions, one record: how does a trained model do on other labels (`evaluate_model`), how
does a system do over splits of one label set (`cross_validate`), and how much better would it
look if its settings were chosen on the very fold it is tested on (`cross_validate_oracle`, the
protocol behind published leave-one-cluster-out numbers).
"""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.data.compositions import fractions, parse_formula
from ssefw.data.dataset import Dataset
from ssefw.data.splits import Split
from ssefw.documents import Evaluation, Provenance
from ssefw.errors import DataError
from ssefw.screening.base import Screener
from ssefw.screening.metrics import (
    CUT,
    chance,
    measure,
    measure_with_intervals,
    reliability_curve,
)

__all__ = [
    "Predictions",
    "cross_validate",
    "cross_validate_oracle",
    "evaluate_model",
    "evaluate_predictions",
    "shuffled_labels",
    "similar_to",
]

Make = Callable[[], Screener]


@dataclass(frozen=True)
class Predictions:
    """Probabilities of held-out rows; a row may be held out more than once.

    Attributes
    ----------
    rows
        Row of the dataset, shape (m,).
    probability
        Shape (m,).
    split
        Number of the split it was held out in, shape (m,).
    """

    rows: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    split: npt.NDArray[np.int64]


def cross_validate(make: Make, data: Dataset, splits: Sequence[Split]) -> Predictions:
    """Fit a fresh screener on each split's training side and score its test side."""
    parts = [_held_out_scores(make, data, split) for split in splits]
    return Predictions(
        rows=np.concatenate([split.test for split in splits]),
        probability=np.concatenate(parts),
        split=np.repeat(np.arange(len(splits)), [len(split.test) for split in splits]),
    )


def cross_validate_oracle(
    makers: Sequence[Make], data: Dataset, splits: Sequence[Split]
) -> Predictions:
    """Keep, for each split, the screener of `makers` that does best on the test side itself.

    Best is the largest area under precision-recall, or the smallest Brier score where the side has
    one class. This is how leave-one-cluster-out results are commonly published; it answers how
    good the settings could have been, and is not to be had on new materials.
    """
    kept = []
    for split in splits:
        trials = [_held_out_scores(make, data, split) for make in makers]
        y = data.y[split.test]
        quality = [measure(y, p) for p in trials]
        key = "auc_pr" if np.isfinite(quality[0]["auc_pr"]) else "brier"
        sign = 1 if key == "auc_pr" else -1
        kept.append(trials[int(np.argmax([sign * q[key] for q in quality]))])
    return Predictions(
        rows=np.concatenate([split.test for split in splits]),
        probability=np.concatenate(kept),
        split=np.repeat(np.arange(len(splits)), [len(split.test) for split in splits]),
    )


def _held_out_scores(make: Make, data: Dataset, split: Split) -> npt.NDArray[np.float64]:
    train, test = data.take(split.train), data.take(split.test)
    scores = make().fit(train).score(test.materials)
    _refuse_problems(scores.problems, test)
    return scores.probability


def _refuse_problems(problems: Any, data: Dataset) -> None:
    if problems:
        row, reason = next(iter(problems.items()))
        raise DataError(
            f"{len(problems)} of {len(data)} labels cannot be scored, the first being "
            f"{data.labels[row].formula}: {reason} A measure over the rest would flatter."
        )


def shuffled_labels(data: Dataset, *, seed: int = 0) -> Dataset:
    """Return the dataset with its classes dealt out anew: what is learned from it is chance."""
    rng = np.random.default_rng(seed)
    return replace(data, y=rng.permutation(data.y))


def evaluate_model(screener: Screener, data: Dataset, *, seed: int = 0) -> Evaluation:
    """Score labels with a trained model and measure how it did.

    The record says how many of the labels are near-duplicates of what the model was trained on:
    on those it remembers rather than predicts.

    Raises
    ------
    DataError
        If a label cannot be scored, or the model was trained at another threshold.
    """
    trained = screener.trained_on
    if trained["threshold"] != data.threshold:
        raise DataError(
            f"The model separates at {trained['threshold']:g} S/cm, the labels are divided at "
            f"{data.threshold:g} S/cm. Use --threshold {trained['threshold']:g}."
        )
    scores = screener.score(data.materials)
    _refuse_problems(scores.problems, data)
    seen = similar_to(data, trained["formulas"])
    predictions = Predictions(
        rows=np.arange(len(data)),
        probability=scores.probability,
        split=np.zeros(len(data), dtype=np.int64),
    )
    result = evaluate_predictions(
        predictions, data, screener=screener, protocol="a trained model on labels", seed=seed
    )
    unseen = {}
    if 0 < seen.sum() < len(data):
        fresh = ~seen
        unseen = {
            name: value
            for name, value in measure(data.y[fresh], scores.probability[fresh]).items()
            if np.isfinite(value)
        }
    record = {
        **result.record,
        "trained_on": trained["label_set"],
        "trained_on_version": trained["label_version"],
        "answered_superionic": int((scores.probability >= CUT).sum()),
        "lowest_score": float(scores.probability.min()),
        "highest_score": float(scores.probability.max()),
        "similar_to_training": int(seen.sum()),
        "without_similar": unseen,
    }
    return result.model_copy(update={"record": record})


def similar_to(data: Dataset, formulas: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which labels lie within 5 % of one of these compositions, shape (n,)."""
    known: dict[tuple[str, ...], list[list[float]]] = {}
    for formula in set(formulas):
        share = fractions(parse_formula(formula))
        known.setdefault(tuple(share), []).append(list(share.values()))
    result = np.zeros(len(data), dtype=bool)
    for row, material in enumerate(data.materials):
        share = fractions(material.composition)
        if tuple(share) in known:
            gap = np.abs(np.array(known[tuple(share)]) - np.array(list(share.values())))
            result[row] = bool((gap.max(axis=1) <= 0.05 + 1e-12).any())
    return result


def evaluate_predictions(
    predictions: Predictions, data: Dataset, *, screener: Screener, protocol: str, seed: int = 0
) -> Evaluation:
    """Measure held-out probabilities, with intervals, controls and the reliability curve.

    A row that was held out more than once counts with its mean probability; the record keeps mean
    and standard deviation of each measure over the splits, as the papers state them.
    """
    rows = np.unique(predictions.rows)
    total = np.bincount(predictions.rows, weights=predictions.probability, minlength=len(data))
    probability = total[rows] / np.bincount(predictions.rows, minlength=len(data))[rows]
    y = data.y[rows]
    return Evaluation(
        screener=screener.name,
        label_set=data.name,
        label_version=data.version,
        protocol=protocol,
        threshold=data.threshold,
        n=len(rows),
        n_positive=int(y.sum()),
        metrics=measure_with_intervals(y, probability, groups=data.groups[rows], seed=seed),
        controls=chance(y, probability, seed=seed),
        reliability=tuple(reliability_curve(y, probability)),
        record={
            "settings": screener.settings(),
            "seed": seed,
            "groups": len(set(data.groups[rows].tolist())),
            "splits": _over_splits(predictions, data),
        },
        provenance=Provenance(
            engine=f"screen:{screener.name}",
            versions={
                "ssefw": version("ssefw"),
                "scikit-learn": version("scikit-learn"),
                "numpy": version("numpy"),
                "python": platform.python_version(),
            },
        ),
    )


def _over_splits(predictions: Predictions, data: Dataset) -> dict[str, Any]:
    """Return number of splits and, for several, mean and standard deviation of each measure."""
    numbers = np.unique(predictions.split)
    if len(numbers) < 2:
        return {"n": len(numbers)}
    each = []
    for number in numbers:
        here = predictions.split == number
        each.append(measure(data.y[predictions.rows[here]], predictions.probability[here]))
    result: dict[str, Any] = {"n": len(numbers)}
    for name in each[0]:
        values = np.array([one[name] for one in each])
        values = values[np.isfinite(values)]
        if len(values):
            result[name] = {
                "mean": float(values.mean()),
                "std": float(values.std()),
                "n": len(values),
            }
    return result
