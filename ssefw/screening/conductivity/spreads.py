"""What each label says of log10 of its conductivity, as a distribution.

A measured value is known to within what repeated measurements of a material differ by, a computed
one to within its own interval and what its kind may be off. A bound says only on which side of it
the value lies; on that side it is as the values of the set are (Efron's
redistribution, Proc. Fifth Berkeley Symp. 4, 831 (1967), with one step).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ssefw.data.labels.kinds import DOUBT
from ssefw.data.labels.sets import decades_of, log_conductivities
from ssefw.documents import Label
from ssefw.screening.evaluation.regression_metrics import bound_sides

__all__ = ["REPRODUCIBILITY", "grid_of", "spreads_of"]

Floats = npt.NDArray[np.float64]

REPRODUCIBILITY = 0.5
"""Decades; repeated measurements of one material in OBELiX differ by 0.4 to 0.6 (one standard
deviation), by preparation and density of the pellets more than by the measurement."""

STEP = 0.1
"""Decades between points of the grid, a fifth of what a label is known to."""

MARGIN = 4.0
"""Decades by which the grid exceeds the labels: eight times what a label is known to."""

BEYOND = 1.0
"""Decades beyond a bound where no value of the set lies on its side."""


def grid_of(log_sigma: Floats) -> Floats:
    """Return the points of log10 sigma on which distributions of these labels are kept."""
    first = np.floor(log_sigma.min() - MARGIN)
    last = np.ceil(log_sigma.max() + MARGIN)
    return np.asarray(np.linspace(first, last, round((last - first) / STEP) + 1))


def spreads_of(labels: Sequence[Label], grid: Floats) -> Floats:
    """Return for each label the share of its distribution below each point, shape (n, g)."""
    stated, side = log_conductivities(labels), bound_sides(labels)
    known_to = np.array([_decades(label) for label in labels])
    below: Floats = ndtr((grid[None] - stated[:, None]) / known_to[:, None])
    values = stated[side == 0]
    result = below.copy()
    for row in np.flatnonzero(side):
        allowed = side[row] * (stated[row] - values) > 0
        if allowed.any():
            result[row] = below[side == 0][allowed].mean(axis=0)
        else:
            middle = stated[row] - side[row] * BEYOND
            result[row] = ndtr((grid - middle) / REPRODUCIBILITY)
    return result


def _decades(label: Label) -> float:
    """Return the standard deviation in decades to which a label is known.

    The interval of a measured value is the range of its reports, which `REPRODUCIBILITY` is of.
    """
    if label.kind == "experiment":
        return REPRODUCIBILITY
    own = float(np.hypot(decades_of(label.conductivity), DOUBT[label.kind]))
    return max(REPRODUCIBILITY, own)
