"""Predicted conductivities of several systems as one.

Quantiles are averaged (Vincent averaging, Lichtendahl et al., Management Science 59, 1594 (2013),
https://doi.org/10.1287/mnsc.1120.1667): systems that say the same of different values then give
one hump between them and not two.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ssefw.screening.conductivity.quantiles import SHARES

__all__ = ["mean_of", "pooled"]

Floats = npt.NDArray[np.float64]


def pooled(parts: Sequence[Floats]) -> Floats:
    """Return the mean of the quantiles of some systems, each of shape (n, len(SHARES)).

    A row that one system cannot predict (NaN) rests on the others.
    """
    stacked = np.stack(parts)
    known = np.isfinite(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def mean_of(quantiles: Floats) -> Floats:
    """Return the mean of distributions, shape (n,); beyond the outermost quantiles lies no more."""
    outer = SHARES[0] * quantiles[:, 0] + (1 - SHARES[-1]) * quantiles[:, -1]
    return np.asarray(np.trapezoid(quantiles, SHARES, axis=1) + outer)
