"""How many whole atoms of each element sit on each kind of site of a neutral supercell.

An integer program: the composition nearest to the reported one that is neutral and fits the sites.
The framework is rounded first and the mobile ion takes up the charge; only where that would change
the crystal too much does the framework change as well, as little as will do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.optimize

from ssefw.data.orderings.charges import OxidationStates
from ssefw.data.orderings.sites import DisorderedCell

__all__ = ["WholeAtoms", "least_error", "round_composition"]

FloatArray = npt.NDArray[np.float64]

FRAMEWORK_FIRST = 100.0
"""Weight of an atom of the framework against one of the mobile ion: more than any charge."""

KIND_WEIGHT = 0.01
"""Weight of an atom on another kind of site: it decides only among equal compositions."""

UNLISTED_WEIGHT = 0.5
"""Weight of an atom on a site that the file does not list: listed sites are filled first."""

SOLVER_SECONDS = 2.0
"""A few milliseconds are usual; what takes this long is no nearer for waiting."""


@dataclass(frozen=True)
class WholeAtoms:
    """Whole atoms on the sites of a supercell.

    Attributes
    ----------
    n_cells
        Cells in the supercell.
    counts
        Atoms of each element on the sites of each kind.
    charges
        Charge of each element; a mean for the one of mixed valence.
    changes
        Atoms of each element more (or less) than reported, in the supercell.
    error
        Share of the atoms that are of another element than reported: half the sum of the changes
        of the atomic fractions, whatever their sign.
    """

    n_cells: int
    counts: tuple[Mapping[str, int], ...]
    charges: Mapping[str, float]
    changes: Mapping[str, float]
    error: float

    @property
    def n_atoms(self) -> int:
        """Atoms in the supercell."""
        return sum(sum(count.values()) for count in self.counts)

    @property
    def keeps_elements(self) -> bool:
        """Whether each element of the crystal has an atom."""
        there = {element for count in self.counts for element, n in count.items() if n}
        return there == self.changes.keys()


def round_composition(
    cell: DisorderedCell, states: OxidationStates, *, n_cells: int, mobile: str, limit: float
) -> WholeAtoms | None:
    """Return the neutral composition of `n_cells` cells; None where there is none.

    Where the mobile ion alone would change the crystal by more than `limit`, the framework changes
    as little as keeps it within. Where nothing does, the error is larger.

    Parameters
    ----------
    cell
        The disordered one.
    states
        Oxidation states of its elements.
    n_cells
        How many of it make the supercell.
    mobile
        The ion that may change first.
    limit
        Error of the composition up to which it alone does.
    """
    program = _Program(cell, states, n_cells=n_cells, mobile=mobile)
    found = program.atoms()
    if found is None or found.error <= limit:
        return found
    return program.atoms(limit=limit) or found


def least_error(
    cell: DisorderedCell, states: OxidationStates, *, mobile: str, limit: float
) -> float:
    """Return the error that neutrality alone asks for, however large the cell; infinite if none.

    That is of the mobile ion alone where it is within `limit`, and otherwise the least there is.

    Parameters
    ----------
    cell
        The disordered one.
    states
        Oxidation states of its elements.
    mobile
        The ion that may change first.
    limit
        Error of the composition up to which it alone does.
    """
    program = _Program(cell, states, n_cells=1, mobile=mobile)
    solved = program.solve(whole=False)
    if solved is None:
        return float("inf")
    if program.error(solved) > limit:
        solved = program.solve(whole=False, nearest=True)
    return float("inf") if solved is None else program.error(solved)


class _Program:
    """The unknowns are atoms of each element on each kind of site.

    After them come their deviations from what is reported, those of the atoms of each element and
    of its share of all atoms, and the electrons that the atoms of mixed valence lack beyond their
    lowest state.
    """

    def __init__(
        self, cell: DisorderedCell, states: OxidationStates, *, n_cells: int, mobile: str
    ) -> None:
        self.n_cells, self.mobile, self.states = n_cells, mobile, states
        self.n_kinds = len(cell.occupancies)
        self.elements = sorted(cell.amounts)
        self.pairs = [(k, e) for k, shares in enumerate(cell.occupancies) for e in sorted(shares)]
        sites = cell.counts * n_cells
        self.most = np.array([float(sites[kind]) for kind, _ in self.pairs])
        self.least = np.array([cell.least_filled(k) * sites[k] for k, _ in self.pairs])
        self.reported = np.array([cell.occupancies[k][e] * sites[k] for k, e in self.pairs])
        self.unlisted = self.reported == 0.0
        self.totals = np.array([cell.amounts[e] * n_cells for e in self.elements])
        in_kind = [[float(k == kind) for k, _ in self.pairs] for kind in range(self.n_kinds)]
        self.of_kind, self.sites = np.array(in_kind), sites.astype(float)
        self.of_element = np.array(
            [[float(e == name) for _, e in self.pairs] for name in self.elements]
        )

    def solve(
        self, *, whole: bool, nearest: bool = False, limit: float | None = None
    ) -> FloatArray | None:
        """Return the unknowns, or None.

        Parameters
        ----------
        whole
            Whole atoms, not fractions of them.
        nearest
            The shares of the elements as near as can be; else the framework first.
        limit
            The largest error.
        """
        n_pairs, n_elements, mixed = len(self.pairs), len(self.elements), self.states.mixed
        size = 2 * n_pairs + 2 * n_elements + 1
        first = np.array([1.0 if e == self.mobile else FRAMEWORK_FIRST for e in self.elements])
        weights = np.concatenate([(1.0 - nearest) * first, np.full(n_elements, float(nearest))])
        kinds = np.where(self.unlisted, UNLISTED_WEIGHT, KIND_WEIGHT)
        cost = np.concatenate([np.zeros(n_pairs), kinds, weights, [0.0]])
        lower, upper = np.zeros(size), np.full(size, np.inf)
        lower[:n_pairs], upper[:n_pairs] = self.least, self.most
        upper[-1] = 0.0 if mixed is None else np.inf
        integrality = np.zeros(size)
        integrality[:n_pairs] = integrality[-1] = float(whole)

        eye, ones = np.eye(n_pairs), np.eye(n_elements)
        # Deviations from the reported share of all atoms that there are, as `error` has it.
        shares = self.of_element - np.outer(self.totals / self.totals.sum(), np.ones(n_pairs))
        most_error = 0.5 if limit is None else limit
        charge = [float(self.states.lowest[e]) for _, e in self.pairs]
        span = [-float(self.states.highest[e] - self.states.lowest[e]) for _, e in self.pairs]
        nothing, anything = np.full(n_elements, -np.inf), np.full(n_elements, np.inf)
        rows = [
            (self._row(self.of_kind), np.zeros(self.n_kinds), self.sites),
            (self._row(eye, pairs=-eye), np.full(n_pairs, -np.inf), self.reported),
            (self._row(eye, pairs=eye), self.reported, np.full(n_pairs, np.inf)),
            (self._row(self.of_element, elements=-ones), nothing, self.totals),
            (self._row(self.of_element, elements=ones), self.totals, anything),
            (self._row(shares, shares=-ones), nothing, np.zeros(n_elements)),
            (self._row(shares, shares=ones), np.zeros(n_elements), anything),
            (
                self._row(np.full((1, n_pairs), -2.0 * most_error), shares=ones.sum(0)[None, :]),
                np.array([-np.inf]),
                np.array([np.inf if limit is None else 0.0]),
            ),
            (self._row(np.array([span]), last=1.0), np.array([-np.inf]), np.zeros(1)),
            (self._row(np.array([charge]), last=1.0), np.zeros(1), np.zeros(1)),
        ]
        solved = scipy.optimize.milp(
            cost,
            integrality=integrality,
            bounds=scipy.optimize.Bounds(lower, upper),
            constraints=scipy.optimize.LinearConstraint(
                np.vstack([row for row, _, _ in rows]),
                np.concatenate([least for _, least, _ in rows]),
                np.concatenate([most for _, _, most in rows]),
            ),
            options={"time_limit": SOLVER_SECONDS},
        )
        return None if solved.x is None else np.asarray(solved.x)

    def atoms(self, *, limit: float | None = None) -> WholeAtoms | None:
        solved = self.solve(whole=True, limit=limit)
        if solved is None:
            return None
        numbers = np.rint(solved)
        counts: list[dict[str, int]] = [{} for _ in range(self.n_kinds)]
        for (kind, element), number in zip(self.pairs, numbers, strict=False):
            counts[kind][element] = int(number)
        totals = self.of_element @ numbers[: len(self.pairs)]
        charges = {e: float(self.states.lowest[e]) for e in self.elements}
        mixed = self.states.mixed
        if mixed is not None and totals[self.elements.index(mixed)]:
            charges[mixed] += float(numbers[-1] / totals[self.elements.index(mixed)])
        changes = dict(zip(self.elements, (totals - self.totals).tolist(), strict=True))
        return WholeAtoms(self.n_cells, tuple(counts), charges, changes, self.error(numbers))

    def error(self, numbers: FloatArray) -> float:
        totals = self.of_element @ numbers[: len(self.pairs)]
        shares = totals / max(totals.sum(), 1.0)
        return 0.5 * float(np.abs(shares - self.totals / self.totals.sum()).sum())

    def _row(
        self,
        atoms: FloatArray,
        *,
        pairs: FloatArray | None = None,
        elements: FloatArray | None = None,
        shares: FloatArray | None = None,
        last: float = 0.0,
    ) -> FloatArray:
        n_rows, n_pairs, n_elements = len(atoms), len(self.pairs), len(self.elements)
        return np.hstack(
            [
                atoms,
                np.zeros((n_rows, n_pairs)) if pairs is None else pairs,
                np.zeros((n_rows, n_elements)) if elements is None else elements,
                np.zeros((n_rows, n_elements)) if shares is None else shares,
                np.full((n_rows, 1), last),
            ]
        )
