"""A support vector machine on smoothed patterns: the plain member beside the networks.

Where peaks lie tells more than how high they are, and how finely to look is not known beforehand:
blurred by 8 degrees a pattern says how large the cell is, by half a degree which structure type it
is. The machine sees each pattern at five widths at once, every view scaled to length 1, so that no
width has to be chosen on a handful of labels. Its kernel is Gaussian with scikit-learn's width and
C = 1, nothing tuned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.svm import SVC

from ssefw.screening.xrdmatch.similarity import directions

__all__ = ["fit_machine", "machine_probabilities", "views"]

WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0)  # degrees
Arrays = dict[str, npt.NDArray[Any]]
Patterns = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def views(patterns: Patterns, *, step: float) -> Floats:
    """Return patterns smoothed by five widths, side by side; shape (n, 5 points).

    `step` is the grid's in degrees.
    """
    return np.hstack([directions(patterns, step=step, fwhm=width) for width in WIDTHS])


def fit_machine(patterns: Patterns, y: npt.NDArray[np.int64], *, step: float) -> Arrays:
    """Return a machine that tells class 1 from 0, as arrays.

    Parameters
    ----------
    patterns, y
        Shape (n, points), and classes 0 or 1 of which both occur, shape (n,).
    """
    seen = views(patterns, step=step)
    gamma = 1.0 / (seen.shape[1] * float(seen.var()))
    fitted = SVC(C=1.0, gamma=gamma).fit(seen, y)
    return {
        "patterns": patterns[fitted.support_],
        "weights": np.asarray(fitted.dual_coef_[0], dtype=np.float64),
        "shift": np.asarray(fitted.intercept_[0]),
        "gamma": np.array(gamma),
    }


def machine_probabilities(
    machines: Sequence[Mapping[str, npt.NDArray[Any]]], patterns: Patterns, *, step: float
) -> Floats:
    """Return the logistic function of each machine's margin, shape (machines, n).

    0.5 is the border between the classes. It is no share of hits until it is calibrated.
    """
    asked = views(patterns, step=step)
    result = np.empty((len(machines), len(patterns)))
    for row, machine in zip(result, machines, strict=True):
        known = views(machine["patterns"], step=step)
        overlap = asked @ known.T
        apart = (asked**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * overlap
        margin = np.exp(-machine["gamma"] * apart) @ machine["weights"] + machine["shift"]
        row[:] = 1.0 / (1.0 + np.exp(-margin))
    return result
