"""How many whole atoms of each element sit on each kind of site of a neutral supercell.

An integer program: the composition nearest to the reported one that is neutral and fits the sites.
The framework is rounded first and the mobile ion takes up the charge; only where that would change
the crystal too much are all elements alike, and the atomic fractions as near as can be.
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

    `limit` is the error beyond which the framework may change as freely as the mobile ion.
    """
    program = _Program(cell, states, n_cells=n_cells, mobile=mobile)
    found = program.atoms(framework_first=True)
    if found is not None and found.error <= limit:
        return found
    freer = program.atoms(framework_first=False)
    return freer if freer is not None and (found is None or freer.error < found.error) else found


def least_error(
    cell: DisorderedCell, states: OxidationStates, *, mobile: str, limit: float
) -> float:
    """Return the error that neutrality alone asks for, however large the cell; infinite if none."""
    program = _Program(cell, states, n_cells=1, mobile=mobile)
    errors = []
    for framework_first in (True, False):
        solved = program.solve(framework_first=framework_first, whole=False)
        errors.append(np.inf if solved is None else program.error(solved))
        if errors[-1] <= limit:
            break
    return float(min(errors))


class _Program:
    """The unknowns are atoms of each element on each kind of site.

    After them come their deviations, those of each element, and the electrons that the atoms of
    mixed valence lack beyond their lowest state.
    """

    def __init__(
        self, cell: DisorderedCell, states: OxidationStates, *, n_cells: int, mobile: str
    ) -> None:
        self.n_cells, self.mobile, self.states = n_cells, mobile, states
        self.n_kinds = len(cell.occupancies)
        self.elements = sorted(cell.amounts)
        self.pairs = [(k, e) for k, shares in enumerate(cell.occupancies) for e in sorted(shares)]
        sites = cell.counts * n_cells
        self.fixed = np.array([cell.is_fixed(kind) for kind, _ in self.pairs])
        self.most = np.array([float(sites[kind]) for kind, _ in self.pairs])
        self.reported = np.array([cell.occupancies[k][e] * sites[k] for k, e in self.pairs])
        self.totals = np.array([cell.amounts[e] * n_cells for e in self.elements])
        in_kind = [[float(k == kind) for k, _ in self.pairs] for kind in range(self.n_kinds)]
        self.of_kind, self.sites = np.array(in_kind), sites.astype(float)
        self.of_element = np.array(
            [[float(e == name) for _, e in self.pairs] for name in self.elements]
        )

    def solve(self, *, framework_first: bool, whole: bool) -> FloatArray | None:
        n_pairs, n_elements, mixed = len(self.pairs), len(self.elements), self.states.mixed
        size = 2 * n_pairs + n_elements + 1
        framework = FRAMEWORK_FIRST if framework_first else 1.0
        weights = [1.0 if e == self.mobile else framework for e in self.elements]
        cost = np.concatenate([np.zeros(n_pairs), np.full(n_pairs, KIND_WEIGHT), weights, [0.0]])
        lower, upper = np.zeros(size), np.full(size, np.inf)
        lower[:n_pairs] = np.where(self.fixed, self.most, 0.0)
        upper[:n_pairs] = self.most
        upper[-1] = 0.0 if mixed is None else np.inf
        integrality = np.zeros(size)
        integrality[:n_pairs] = integrality[-1] = float(whole)

        eye, ones = np.eye(n_pairs), np.eye(n_elements)
        of_element, totals = self.of_element, self.totals
        if not framework_first:
            # Deviations from the reported share of all atoms that there are, as `error` has it.
            of_element = of_element - np.outer(totals / totals.sum(), np.ones(n_pairs))
            totals = np.zeros(n_elements)
        charge = [float(self.states.lowest[e]) for _, e in self.pairs]
        span = [-float(self.states.highest[e] - self.states.lowest[e]) for _, e in self.pairs]
        rows = scipy.optimize.LinearConstraint(
            np.vstack(
                [
                    self._row(self.of_kind),
                    self._row(eye, pairs=-eye),
                    self._row(eye, pairs=eye),
                    self._row(of_element, elements=-ones),
                    self._row(of_element, elements=ones),
                    self._row(np.array([span]), last=1.0),
                    self._row(np.array([charge]), last=1.0),
                ]
            ),
            np.concatenate(
                [
                    np.zeros(self.n_kinds),
                    np.full(n_pairs, -np.inf),
                    self.reported,
                    np.full(n_elements, -np.inf),
                    totals,
                    [-np.inf, 0.0],
                ]
            ),
            np.concatenate(
                [
                    self.sites,
                    self.reported,
                    np.full(n_pairs, np.inf),
                    totals,
                    np.full(n_elements, np.inf),
                    [0.0, 0.0],
                ]
            ),
        )
        solved = scipy.optimize.milp(
            cost,
            integrality=integrality,
            bounds=scipy.optimize.Bounds(lower, upper),
            constraints=rows,
            options={"time_limit": SOLVER_SECONDS},
        )
        return None if solved.x is None else np.asarray(solved.x)

    def atoms(self, *, framework_first: bool) -> WholeAtoms | None:
        solved = self.solve(framework_first=framework_first, whole=True)
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
        last: float = 0.0,
    ) -> FloatArray:
        n_rows, n_pairs, n_elements = len(atoms), len(self.pairs), len(self.elements)
        return np.hstack(
            [
                atoms,
                np.zeros((n_rows, n_pairs)) if pairs is None else pairs,
                np.zeros((n_rows, n_elements)) if elements is None else elements,
                np.full((n_rows, 1), last),
            ]
        )
