"""What ions that move together conduct: the Haven ratio of all runs, carried to the conductivity.

Nernst and Einstein count ions that move alone. Where one pushes the next, charge goes faster than
the ions: the conductivity is that of the tracer over the Haven ratio H = D* / D_sigma. A run
knows H far worse than D*, since a cell has many ions and one collective displacement; the runs of a
fit are pooled, taken as of one H.
"""

from collections.abc import Iterable

import numpy as np
from scipy.stats import norm

from ssefw.documents import Estimate

__all__ = ["collective_conductivity", "pooled_haven"]


def pooled_haven(ratios: Iterable[Estimate | None], *, level: float) -> Estimate | None:
    """Return one Haven ratio for those of several runs, None where none has one.

    The mean of ln H weighted by the runs' errors. Where the runs differ by more than these, the
    interval is wider by as much.
    """
    pairs = [
        (np.log(ratio.value), np.log(ratio.upper / ratio.lower) / (2.0 * _quantile(ratio.level)))
        for ratio in ratios
        if ratio is not None and ratio.value and ratio.lower and ratio.upper
    ]
    if not pairs:
        return None
    logs, errors = np.array(pairs).T
    weights = 1.0 / errors**2
    mean = float(weights @ logs / weights.sum())
    scatter = float(weights @ (logs - mean) ** 2) / max(len(pairs) - 1, 1)
    half = _quantile(level) * np.sqrt(max(scatter, 1.0) / weights.sum())
    return Estimate(
        value=float(np.exp(mean)),
        lower=float(np.exp(mean - half)),
        upper=float(np.exp(mean + half)),
        level=level,
        unit="",
        method=f"weighted mean of ln H of {len(pairs)}",
    )


def collective_conductivity(tracer: Estimate, haven: Estimate | None) -> Estimate | None:
    """Return the conductivity of the tracer over the Haven ratio, with both intervals in it."""
    if haven is None or tracer.kind != "value":
        return None
    value, ratio = _known(tracer), _known(haven)
    below = np.hypot(value[1] - value[0], ratio[2] - ratio[1])
    above = np.hypot(value[2] - value[1], ratio[1] - ratio[0])
    middle = value[1] - ratio[1]
    return tracer.model_copy(
        update={
            "value": float(np.exp(middle)),
            "lower": float(np.exp(middle - below)),
            "upper": float(np.exp(middle + above)),
            "method": f"{tracer.method}; over the Haven ratio",
        }
    )


def _known(estimate: Estimate) -> tuple[float, float, float]:
    numbers = (estimate.lower, estimate.value, estimate.upper)
    lower, value, upper = (float(np.log(x)) for x in numbers if x is not None)
    return lower, value, upper


def _quantile(level: float) -> float:
    return float(norm.ppf(0.5 + 0.5 * level))
