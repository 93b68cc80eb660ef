"""How far a composition lies from all that a model has learned from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition
from scipy.spatial.distance import cdist

from ssefw.data.compositions import parse_formula
from ssefw.data.pettifor import cumulative_fractions

__all__ = ["KnownCompositions"]

CHUNK = 4096


class KnownCompositions:
    """The compositions of labels; distances are in units of their mean distance to their center."""

    def __init__(self, formulas: Sequence[str]) -> None:
        known = cumulative_fractions([parse_formula(formula) for formula in formulas])
        center = known.mean(axis=0)
        self._known = np.unique(known, axis=0)
        self._unit = float(np.abs(known - center).sum(axis=1).mean()) or 1.0

    @property
    def unit(self) -> float:
        """The mean distance of labels to their center, in steps of the Pettifor scale."""
        return self._unit

    def distances(self, compositions: Sequence[Composition]) -> npt.NDArray[np.float64]:
        """Return how far each is from the nearest label, shape (n,)."""
        if not compositions:
            return np.empty(0)
        shares = cumulative_fractions(compositions)
        nearest = [
            cdist(shares[start : start + CHUNK], self._known, "cityblock").min(axis=1)
            for start in range(0, len(shares), CHUNK)
        ]
        return np.asarray(np.concatenate(nearest) / self._unit)
