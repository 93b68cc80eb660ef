"""Honest evaluation of any screener: on labels it has not seen, beside what chance would give.

Three questions, one record: how does a trained model do on other labels (`evaluate_model`), how
does a system do over splits of one label set (`cross_validate`), and how much better would it
look if its settings were chosen on the very fold it is tested on (`cross_validate_oracle`, the
protocol behind published leave-one-cluster-out numbers).
"""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.data.compositions import fractions, parse_formula
from ssefw.data.dataset import Dataset
from ssefw.data.splits import Split
from ssefw.documents import Estimate, Evaluation, Provenance
from ssefw.errors import DataError
from ssefw.screening.base import Scores, Screener
from ssefw.screening.conductivity.quantiles import asked_at, interval
from ssefw.screening.evaluation.metrics import (
    CUT,
    METRICS,
    N_BOOTSTRAP,
    best_cut,
    chance,
    estimate_of,
    measure,
    measure_with_intervals,
    reliability_curve,
    resampled_rows,
)
from ssefw.screening.evaluation.regression_metrics import Numbers, measure_numbers, numbers_of

__all__ = [
    "Predictions",
    "cross_validate",
    "cross_validate_oracle",
    "cuts_from_other_splits",
    "evaluate_model",
    "evaluate_predictions",
    "evaluation_of",
    "hold_out",
    "joined_predictions",
    "numbers_in",
    "predictions_of",
    "shuffled_labels",
    "similar_to",
]

Make = Callable[[], Any]
"""Makes a fresh screener, or a baseline: what has `fit` and `score`."""


@dataclass(frozen=True)
class Predictions:
    """What was said of held-out rows; a row may be held out more than once.

    Attributes
    ----------
    rows
        Row of the dataset, shape (m,).
    probability
        Shape (m,).
    split
        Number of the split it was held out in, shape (m,).
    log_sigma, lower, upper
        Of systems that predict the number: its log10 (S/cm) and the interval, shape (m,).
    """

    rows: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    split: npt.NDArray[np.int64]
    log_sigma: npt.NDArray[np.float64] | None = None
    lower: npt.NDArray[np.float64] | None = None
    upper: npt.NDArray[np.float64] | None = None


def cross_validate(make: Make, data: Dataset, splits: Sequence[Split]) -> Predictions:
    """Fit a fresh screener on each split's training side and score its test side."""
    return joined_predictions(
        [hold_out(make, data, split, number) for number, split in enumerate(splits)]
    )


def hold_out(make: Make, data: Dataset, split: Split, number: int = 0) -> Predictions:
    """Fit a fresh screener on the training side of one split and score its test side.

    Parameters
    ----------
    make
        Makes a screener that has learned nothing.
    data
        Labels and materials.
    split
        Which of them it learns from.
    number
        Of the split, for what is kept of it.

    Raises
    ------
    DataError
        If a row of the test side cannot be scored.
    """
    return predictions_of(_held_out_scores(make, data, split), rows=split.test, number=number)


def predictions_of(scores: Scores, *, rows: npt.NDArray[np.int64], number: int = 0) -> Predictions:
    """Return the scores of rows of a dataset as predictions of one split."""
    low, high = (None, None) if scores.quantiles is None else interval(scores.quantiles)
    return Predictions(
        rows=rows,
        probability=scores.probability,
        split=np.full(len(rows), number, dtype=np.int64),
        log_sigma=scores.log_sigma,
        lower=low,
        upper=high,
    )


def joined_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several splits as one."""

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    return Predictions(**{one.name: joined(one.name) for one in fields(Predictions)})


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
        trials = [_held_out_scores(make, data, split).probability for make in makers]
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


def _held_out_scores(make: Make, data: Dataset, split: Split) -> Scores:
    train, test = data.take(split.train), data.take(split.test)
    scores: Scores = make().fit(train).score(test.materials)
    _refuse_problems(scores.problems, test)
    return scores


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
        If a label cannot be scored, or the model knows one threshold only and it is another.
    """
    trained = screener.trained_on
    scores = screener.score(data.materials)
    _refuse_problems(scores.problems, data)
    if trained["threshold"] != data.threshold:
        if scores.quantiles is None:
            raise DataError(
                f"The model separates at {trained['threshold']:g} S/cm, the labels are divided at "
                f"{data.threshold:g} S/cm. Use --threshold {trained['threshold']:g}, or train a "
                "system that predicts the conductivity."
            )
        scores = asked_at(scores, data.threshold)
    seen = similar_to(data, trained["formulas"])
    predictions = predictions_of(scores, rows=np.arange(len(data)))
    result = evaluate_predictions(
        predictions, data, screener=screener, protocol="a trained model on labels", seed=seed
    )
    metrics, cut = dict(result.metrics), trained.get("best_cut")
    if cut is not None and trained["threshold"] == data.threshold:
        metrics["mcc_best_cut"] = _mcc_at(
            data.y,
            scores.probability,
            np.full(len(data), cut),
            draws=resampled_rows(data.groups, seed=seed, n=N_BOOTSTRAP),
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
        "best_cut": cut,
    }
    return result.model_copy(update={"record": record, "metrics": metrics})


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
    """Measure held-out predictions of a screener; see `evaluation_of`.

    Parameters
    ----------
    predictions
        Of labels that it had not seen.
    data
        Labels and materials.
    screener
        What is measured.
    protocol
        Name of the splits.
    seed
        Of the resampling.
    """
    return evaluation_of(
        predictions,
        data,
        name=screener.name,
        settings=screener.settings(),
        protocol=protocol,
        seed=seed,
    )


def evaluation_of(
    predictions: Predictions,
    data: Dataset,
    *,
    name: str,
    settings: Mapping[str, Any],
    protocol: str,
    seed: int = 0,
    draws: int = N_BOOTSTRAP,
) -> Evaluation:
    """Measure held-out predictions, with intervals, controls and the reliability curve.

    A row that was held out more than once counts each time: the mean of what several models say of
    it would be an ensemble that nobody has. Its group is drawn with all of them, so that intervals
    do not narrow by repeating. The record keeps mean and standard deviation of each measure over
    the splits, as the papers state them.

    Parameters
    ----------
    name, settings
        Of the system that made the predictions.
    protocol
        How the rows were chosen, in words.
    draws
        Of groups, for the intervals.
    """
    rows = predictions.rows
    y, probability, groups = data.y[rows], predictions.probability, data.groups[rows]
    metrics = measure_with_intervals(y, probability, groups=groups, seed=seed, n=draws)
    cuts = cuts_from_other_splits(predictions, data)
    if cuts is not None:
        metrics["mcc_best_cut"] = _mcc_at(
            y, probability, cuts, draws=resampled_rows(groups, seed=seed, n=draws)
        )
    if predictions.log_sigma is not None:
        numbers = numbers_in(predictions, data)
        metrics |= measure_numbers(numbers, groups=groups, seed=seed, n=draws)
    held_out = np.unique(rows)
    return Evaluation(
        screener=name,
        label_set=data.name,
        label_version=data.version,
        protocol=protocol,
        threshold=data.threshold,
        n=len(held_out),
        n_positive=int(data.y[held_out].sum()),
        metrics=metrics,
        controls=chance(y, probability, seed=seed),
        reliability=tuple(reliability_curve(y, probability)),
        record={
            "settings": dict(settings),
            "seed": seed,
            "groups": len(set(groups.tolist())),
            "splits": _over_splits(predictions, data),
            "best_cut": None if cuts is None else float(np.median(cuts)),
        },
        provenance=Provenance(
            engine=f"screen:{name}",
            versions={
                "ssefw": version("ssefw"),
                "scikit-learn": version("scikit-learn"),
                "numpy": version("numpy"),
                "python": platform.python_version(),
            },
        ),
    )


def numbers_in(predictions: Predictions, data: Dataset) -> Numbers:
    """Return what the labels state of log10 of sigma beside what was predicted of it."""
    if predictions.log_sigma is None:
        raise ValueError("these predictions are of classes only")
    labels = [data.labels[row] for row in predictions.rows]
    return numbers_of(labels, predictions.log_sigma, predictions.lower, predictions.upper)


def cuts_from_other_splits(
    predictions: Predictions, data: Dataset
) -> npt.NDArray[np.float64] | None:
    """Return for each prediction the cut that is best on rows its model has learned from.

    Of these rows the predictions are taken that were made when they were held out themselves, in
    other splits. None with a single split, where there are no such predictions.
    """
    numbers = np.unique(predictions.split)
    if len(numbers) < 2:
        return None
    cuts = np.empty(len(predictions.rows))
    for number in numbers:
        here = predictions.split == number
        learned = ~here & ~np.isin(predictions.rows, predictions.rows[here])
        cuts[here] = best_cut(data.y[predictions.rows[learned]], predictions.probability[learned])
    return cuts


def _mcc_at(
    y: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float64],
    cuts: npt.NDArray[np.float64],
    *,
    draws: Iterable[npt.NDArray[np.int64]],
) -> Estimate:
    said = (probability >= cuts).astype(float)
    drawn = [METRICS["mcc"](y[rows], said[rows]) for rows in draws]
    method = f"cut of each split chosen on the rows learned from; {len(drawn)} draws of groups"
    return estimate_of(METRICS["mcc"](y, said), np.array(drawn), method)


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
