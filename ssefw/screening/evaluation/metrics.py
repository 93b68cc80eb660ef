"""Measures of a classifier on held-out labels, with intervals, and what chance would give.

Intervals are 95 % bootstrap intervals over groups of near-duplicate compositions, not over rows:
members of one solid-solution series stand or fall together, and counting them as independent
would make every interval too narrow.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ssefw.documents import Estimate

__all__ = [
    "CUT",
    "METRICS",
    "N_BOOTSTRAP",
    "best_cut",
    "chance",
    "difference_with_intervals",
    "estimate_of",
    "expected_calibration_error",
    "measure",
    "measure_with_intervals",
    "number_of_groups",
    "reliability_curve",
    "resampled_rows",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TOP_SHARE = 0.1
N_BINS = 10
N_BOOTSTRAP = 1000
"""Draws of an interval: its ends are then those of the 25th of each side, good to a tenth of it."""

CUT = 0.5
"""Score from which a material is answered superionic, for measures of classes."""


def _counts(y: Ints, p: Floats) -> tuple[float, float, float, float]:
    said = p >= CUT
    is_one = y == 1
    return (
        float((said & is_one).sum()),
        float((said & ~is_one).sum()),
        float((~said & is_one).sum()),
        float((~said & ~is_one).sum()),
    )


def _accuracy(y: Ints, p: Floats) -> float:
    return float(((p >= CUT) == (y == 1)).mean())


def _balanced_accuracy(y: Ints, p: Floats) -> float:
    tp, fp, fn, tn = _counts(y, p)
    return _ratio(tp, tp + fn) / 2 + _ratio(tn, tn + fp) / 2


def _precision(y: Ints, p: Floats) -> float:
    tp, fp, _, _ = _counts(y, p)
    return _ratio(tp, tp + fp)


def _recall(y: Ints, p: Floats) -> float:
    tp, _, fn, _ = _counts(y, p)
    return _ratio(tp, tp + fn)


def _f1(y: Ints, p: Floats) -> float:
    tp, fp, fn, _ = _counts(y, p)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def _mcc(y: Ints, p: Floats) -> float:
    """Return Matthews' correlation coefficient; 0 where all answers or all labels are equal."""
    tp, fp, fn, tn = _counts(y, p)
    scale = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / float(np.sqrt(scale)) if scale else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _at_thresholds(y: Ints, p: Floats) -> tuple[Floats, Floats]:
    """Return true and false positives at each distinct score, highest first."""
    order = np.argsort(-p, kind="stable")
    sorted_p = p[order]
    last = np.append(np.flatnonzero(np.diff(sorted_p)), len(p) - 1)
    true = np.cumsum(y[order] == 1)[last].astype(float)
    return true, last + 1 - true


def _auc_pr(y: Ints, p: Floats) -> float:
    """Return the average precision: precision weighted with the gain in recall, no interpolation.

    NaN where there is one class only.
    """
    true, false = _at_thresholds(y, p)
    if true[-1] == 0 or false[-1] == 0:
        return float("nan")
    gain = np.diff(true, prepend=0.0) / true[-1]
    return float((gain * true / (true + false)).sum())


def _auc_roc(y: Ints, p: Floats) -> float:
    true, false = _at_thresholds(y, p)
    if true[-1] == 0 or false[-1] == 0:
        return float("nan")
    x, height = np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])
    return float(np.trapezoid(height, x))


def _brier(y: Ints, p: Floats) -> float:
    return float(np.mean((p - y) ** 2))


def _enrichment(y: Ints, p: Floats) -> float:
    """Share of positives among the best tenth, over their share in all.

    Rows with equal scores at the cut count in proportion, so a constant score gives 1.
    """
    k = max(1, round(TOP_SHARE * len(y)))
    cut = np.sort(p)[-k]
    above, at = p > cut, p == cut
    hits = float(y[above].sum()) + float(y[at].mean()) * (k - float(above.sum()))
    return _ratio(hits / k, float(y.mean()))


def expected_calibration_error(y: Ints, p: Floats) -> float:
    """Return the mean gap between predicted probability and share of positives, over ten bins."""
    return float(
        sum(n * abs(mean - share) for mean, share, n in reliability_curve(y, p)) / max(len(y), 1)
    )


def reliability_curve(y: Ints, p: Floats) -> list[tuple[float, float, int]]:
    """Return (mean prediction, share of positives, number) of each bin that is not empty."""
    bins = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    return [
        (float(p[bins == b].mean()), float(y[bins == b].mean()), int((bins == b).sum()))
        for b in range(N_BINS)
        if (bins == b).any()
    ]


METRICS: dict[str, Callable[[Ints, Floats], float]] = {
    "mcc": _mcc,
    "auc_pr": _auc_pr,
    "auc_roc": _auc_roc,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "brier": _brier,
    "ece": expected_calibration_error,
    "enrichment_top10": _enrichment,
}
"""Measures by name; each takes classes (n,) and probabilities (n,) and may be NaN."""


def best_cut(y: Ints, p: Floats) -> float:
    """Return the score from which answering superionic gives the largest MCC on these labels.

    Midway between two scores; of equally good cuts the one nearest to `CUT`. With one class only
    there is nothing to choose by, and `CUT` stays.
    """
    levels = np.unique(p)
    middles = (levels[1:] + levels[:-1]) / 2
    if len(set(y.tolist())) < 2 or not len(middles):
        return CUT
    said = p[None] >= middles[:, None]
    is_one = y == 1
    tp, fp = (said & is_one).sum(axis=1), (said & ~is_one).sum(axis=1)
    n, ones = len(y), is_one.sum()
    fn, tn = ones - tp, n - ones - fp
    scale = np.sqrt((tp + fp).astype(float) * (tp + fn) * (tn + fp) * (tn + fn))
    quality = (tp * tn - fp * fn) / scale
    best = middles[quality >= quality.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - CUT))])


def measure(y: Ints, p: Floats) -> dict[str, float]:
    """Return every measure; NaN where it has no meaning (one class, nothing predicted positive)."""
    return {name: function(y, p) for name, function in METRICS.items()}


def measure_with_intervals(
    y: Ints, p: Floats, *, groups: Sequence[int] | Ints, seed: int = 0, n: int = N_BOOTSTRAP
) -> dict[str, Estimate]:
    """Return every measure with its 95 % interval over resampled groups of rows.

    Parameters
    ----------
    y
        Classes.
    p
        Scores, between 0 and 1.
    groups
        Of each row; a group is drawn as a whole.
    seed
        Of the resampling.
    n
        How often it is drawn.
    """
    drawn: dict[str, list[float]] = {name: [] for name in METRICS}
    for rows in resampled_rows(groups, seed=seed, n=n):
        for name, value in measure(y[rows], p[rows]).items():
            drawn[name].append(value)
    method = f"bootstrap of {number_of_groups(groups)} groups of near-duplicates, {n} draws"
    return {
        name: estimate_of(value, np.array(drawn[name]), method)
        for name, value in measure(y, p).items()
    }


def difference_with_intervals(
    y: Ints,
    p: Floats,
    other: Floats,
    *,
    groups: Sequence[int] | Ints,
    names: Sequence[str] = ("auc_pr", "mcc", "brier"),
    seed: int = 0,
    n: int = N_BOOTSTRAP,
) -> dict[str, Estimate]:
    """Return how much each measure of `p` exceeds that of `other`, with 95 % intervals.

    Both are measured on the same resampled groups, so what makes both easy or hard cancels: an
    interval without zero tells two models apart where their own intervals overlap.

    Parameters
    ----------
    other
        Probabilities of the same rows by another model, shape (n,).
    """
    drawn: dict[str, list[float]] = {name: [] for name in names}
    for rows in resampled_rows(groups, seed=seed, n=n):
        for name in names:
            drawn[name].append(
                METRICS[name](y[rows], p[rows]) - METRICS[name](y[rows], other[rows])
            )
    method = f"paired bootstrap of {number_of_groups(groups)} groups, {n} draws"
    return {
        name: estimate_of(
            METRICS[name](y, p) - METRICS[name](y, other), np.array(drawn[name]), method
        )
        for name in names
    }


def resampled_rows(
    groups: Sequence[int] | Ints, *, seed: int, n: int = N_BOOTSTRAP
) -> Iterator[Ints]:
    """Yield the rows of as many groups as there are, drawn with replacement."""
    rng = np.random.default_rng(seed)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(group == k) for k in range(group.max() + 1)]
    for _ in range(n):
        yield np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])


def number_of_groups(groups: Sequence[int] | Ints) -> int:
    """Return how many groups of near-duplicates there are."""
    return len(np.unique(np.asarray(groups)))


def estimate_of(value: float, drawn: Floats, method: str, *, unit: str = "") -> Estimate:
    """Return a measure with the middle 95 % of its draws as the interval.

    Parameters
    ----------
    value
        The measure.
    drawn
        What it was over resampled rows.
    method
        How these were drawn, in words.
    unit
        Of it.
    """
    known = drawn[np.isfinite(drawn)]
    if not np.isfinite(value):
        return Estimate.undetermined("one class only, or nothing predicted positive", unit=unit)
    if len(known) < len(drawn) / 2:
        known = np.array([value])
        method += "; too few draws have a value for an interval"
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(
        value=value, lower=min(low, value), upper=max(high, value), unit=unit, method=method
    )


def chance(y: Ints, p: Floats, *, seed: int = 0, n: int = 200) -> dict[str, dict[str, Estimate]]:
    """Return what a constant score, and the same scores in random order, would have given.

    ``mean`` says the share of positives for every material; ``shuffled`` deals the scores out
    anew, and its interval is where 95 % of `n` such deals lie: a measure inside it is chance.

    Parameters
    ----------
    y
        Classes.
    p
        Scores, between 0 and 1.
    seed
        Of the dealing.
    n
        How often scores are dealt.
    """
    rng = np.random.default_rng(seed)
    drawn = [measure(y, rng.permutation(p)) for _ in range(n)]
    shuffled = {
        name: estimate_of(
            _mean_of_known([d[name] for d in drawn]) if np.isfinite(p).all() else float("nan"),
            np.array([d[name] for d in drawn]),
            f"{n} random orders of the scores",
        )
        for name in METRICS
    }
    constant = measure(y, np.full(len(y), y.mean()))
    return {
        "mean": {
            name: estimate_of(value, np.array([value]), "a constant score")
            for name, value in constant.items()
        },
        "shuffled": shuffled,
    }


def _mean_of_known(values: list[float]) -> float:
    """Return the mean of the finite values; NaN without any, as where no row is called positive."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
