"""Band gaps that a pool does not state, from compositions whose gap is known.

A forest of extremely randomized trees on the 145 descriptors learns the gap and whether it reaches
a limit. Each chemical system is also predicted by trees that have not seen it. By these
predictions the forest is called sure where it was right 19 times of 20; elsewhere it says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition

from ssefw.data.materials import Material, read_materials
from ssefw.errors import DataError
from ssefw.screening.features import composition_features, features_where_possible

__all__ = ["GapTable", "PredictedGaps", "read_gaps"]

FEWEST = 100
"""Known gaps; of fewer no share of 19 in 20 can be told from luck."""
SURE = 0.95
TREES = 100
FOLDS = 5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PredictedGaps:
    """What is said of some compositions.

    Attributes
    ----------
    value
        Gap in eV, shape (n,).
    reaches
        1 where it surely reaches the limit, 0 where it surely does not, -1 elsewhere, shape (n,).
    error
        Mean absolute error in eV for chemical systems that were held out.
    problems
        Why nothing can be said of a composition, empty where something can.
    """

    value: Floats
    reaches: npt.NDArray[np.int64]
    error: float
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Forest:
    trees: Any
    surely: tuple[float, float]
    error: float


class GapTable:
    """Compositions with their gaps in eV; what is learned for a limit is kept.

    Parameters
    ----------
    compositions, gaps
        Of the materials that are known, shape (n,).

    Raises
    ------
    DataError
        If fewer than 100 are given.
    """

    def __init__(self, compositions: Sequence[Composition], gaps: Sequence[float]) -> None:
        if len(gaps) < FEWEST:
            raise DataError(
                f"{len(gaps)} materials with a known band gap, at least {FEWEST} are needed to "
                "predict others."
            )
        self._compositions = list(compositions)
        self._gaps = np.asarray(gaps, dtype=float)
        self._learn = cache(self._learned)

    def predict(self, compositions: Sequence[Composition], *, at_least: float) -> PredictedGaps:
        """Return the gaps of compositions, and which surely reach a limit in eV."""
        found = self._learn(at_least)
        features, problems = features_where_possible(compositions)
        answers = np.full((len(problems), 2), np.nan)
        good = [row for row, problem in enumerate(problems) if not problem]
        if good:
            answers[good] = found.trees.predict(features[good])
        low, high = found.surely
        reaches = np.full(len(answers), -1, dtype=np.int64)
        reaches[answers[:, 1] >= high] = 1
        reaches[answers[:, 1] <= low] = 0
        return PredictedGaps(answers[:, 0], reaches, found.error, problems)

    def held_out(self, at_least: float) -> tuple[Floats, Floats]:
        """Return gap and share of trees at the limit, of trees that miss the chemical system.

        Shapes (n,); parts of the chemical systems are held out in turn.
        """
        from sklearn.model_selection import GroupKFold  # noqa: PLC0415  a second to import

        features, wanted = self._known(at_least)
        systems = ["-".join(sorted(c.get_el_amt_dict())) for c in self._compositions]
        folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
        answers = np.zeros_like(wanted)
        for train, test in folds.split(features, groups=systems):
            answers[test] = _grown(features[train], wanted[train]).predict(features[test])
        return answers[:, 0], answers[:, 1]

    def _learned(self, at_least: float) -> _Forest:
        value, share = self.held_out(at_least)
        surely = surely_outside(share, self._gaps >= at_least)
        error = float(np.abs(value - self._gaps).mean())
        return _Forest(_grown(*self._known(at_least)), surely, error)

    def _known(self, at_least: float) -> tuple[Floats, Floats]:
        wanted = np.column_stack([self._gaps, self._gaps >= at_least])
        return composition_features(self._compositions), wanted


def surely_outside(share: Floats, reaches: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the shares at or below and at or above which 19 of 20 answers are right.

    Infinite where no share is that sure.
    """
    low, high = -_surely_above(-share, ~reaches), _surely_above(share, reaches)
    # Where nearly all answers are right, both could reach across the middle.
    return min(low, 0.5), max(high, 0.5)


def _surely_above(share: Floats, is_right: npt.NDArray[np.bool_]) -> float:
    order = np.argsort(-share, kind="stable")
    ranked = share[order]
    right = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    # Equal shares are called alike, so only the last of them can be the cut.
    ends = np.append(ranked[1:] < ranked[:-1], True)
    enough = np.arange(1, len(order) + 1) >= round(1 / (1 - SURE))
    good = np.flatnonzero(ends & enough & (right >= SURE))
    return float(ranked[good[-1]]) if len(good) else float("inf")


def _grown(features: Floats, wanted: Floats) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor  # noqa: PLC0415  a second to import

    # Leaves of two: a share of trees that is 0 or 1 by one label alone is not sure.
    trees = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features="sqrt", random_state=0)
    return trees.fit(features, wanted)


def read_gaps(path: Path) -> GapTable:
    """Read the materials of a pool that states gaps (``band_gap``, in eV).

    Compositions that have no descriptors, such as those with noble gases, are left out.

    Raises
    ------
    DataError
        If fewer than 100 do.
    """
    known = [
        row for row in read_materials(path) if isinstance(row, Material) and _gap(row) is not None
    ]
    _, problems = features_where_possible([row.composition for row in known])
    kept = [row for row, problem in zip(known, problems, strict=True) if not problem]
    try:
        return GapTable([row.composition for row in kept], [_gap(row) or 0.0 for row in kept])
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _gap(row: Material) -> float | None:
    value = row.properties.get("band_gap_ev")
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None
