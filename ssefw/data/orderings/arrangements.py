"""Whole atoms on the sites of a supercell: what an arrangement is, and what it costs.

A state gives each site that is not fixed a number: 0 for empty, else one more than the place of
its element in `elements`. The energy of a state is that of its point charges.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pymatgen.core import Lattice, Species, Structure

from ssefw.data.orderings.composition import WholeAtoms
from ssefw.data.orderings.radii import closest_distance
from ssefw.data.orderings.sites import DisorderedCell

__all__ = ["Arrangements"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Arrangements:
    """The arrangements of whole atoms on the sites of a supercell.

    Attributes
    ----------
    strictness
        By which radii two atoms are too close.
    """

    cell: DisorderedCell
    atoms: WholeAtoms
    strictness: str = "largest"

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """Elements, in the order of their numbers in a state."""
        return tuple(sorted(self.atoms.changes))

    @cached_property
    def free(self) -> IntArray:
        """Indices of the sites that are not always the same atom."""
        return np.flatnonzero(~self._is_fixed)

    @cached_property
    def groups(self) -> IntArray:
        """For each free site the kind of site it is of."""
        return self.cell.kinds[self.free]

    @cached_property
    def charges(self) -> FloatArray:
        """Charge of each number of a state: of nothing, and of each element."""
        return np.array([0.0, *(self.atoms.charges[element] for element in self.elements)])

    @cached_property
    def interaction(self) -> FloatArray:
        """Interaction (n, n) of unit charges on the free sites in eV; the energy is q M q + f q."""
        return np.ascontiguousarray(self._ewald[np.ix_(self.free, self.free)])

    @cached_property
    def field(self) -> FloatArray:
        """Energy of a unit charge on each free site in the potential of the fixed ones, eV."""
        fixed = np.flatnonzero(self._is_fixed)
        return 2.0 * np.asarray(self._ewald[np.ix_(self.free, fixed)] @ self._fixed_charges[fixed])

    @cached_property
    def closest(self) -> FloatArray:
        """Least distance between two atoms (numbers of a state), zero where one is nothing."""
        n = len(self.elements)
        found = np.zeros((n + 1, n + 1))
        for i, one in enumerate(self.elements):
            for j, other in enumerate(self.elements):
                found[i + 1, j + 1] = self._closest(one, other)
        return found

    @cached_property
    def neighbors(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Pairs of free sites that some atoms cannot fill at once: starts, sites and distances."""
        largest = float(self.closest.max())
        near = self._distances[np.ix_(self.free, self.free)] < largest
        np.fill_diagonal(near, val=False)
        rows, columns = np.nonzero(near)
        starts = np.searchsorted(rows, np.arange(len(self.free) + 1)).astype(np.int64)
        distances = self._distances[self.free[rows], self.free[columns]]
        return starts, columns.astype(np.int64), np.ascontiguousarray(distances)

    @cached_property
    def allowed(self) -> BoolArray:
        """Whether a number may sit on a free site: its kind, and no fixed atom too close."""
        found = np.zeros((len(self.free), len(self.elements) + 1), dtype=bool)
        found[:, 0] = True
        fixed = np.flatnonzero(self._is_fixed)
        names = [self._only_element(int(index)) for index in fixed]
        own = float(self._distances.diagonal().min())
        for number, element in enumerate(self.elements, start=1):
            in_kind = np.array([element in shares for shares in self.cell.occupancies])
            least = np.array([self._closest(element, name) for name in names])
            apart = self._distances[np.ix_(self.free, fixed)]
            is_far = (apart >= least).all(axis=1) & (own >= self._closest(element, element))
            found[:, number] = in_kind[self.groups] & is_far
        return found

    def energy(self, state: IntArray) -> float:
        """Return the electrostatic energy of a state, eV."""
        fixed = np.flatnonzero(self._is_fixed)
        own = self._fixed_charges[fixed]
        q = self.charges[state]
        constant = own @ self._ewald[np.ix_(fixed, fixed)] @ own
        return float(q @ self.interaction @ q + self.field @ q + constant)

    def structure(self, state: IntArray) -> Structure:
        """Return the crystal of a state, without charges, its atoms sorted by element."""
        numbers = self._all_numbers(state)
        there = np.flatnonzero(numbers)
        names = [self.elements[numbers[index] - 1] for index in there]
        order = np.argsort([Species(name).Z for name in names], kind="stable")
        return Structure(
            Lattice(self.cell.matrix),
            [names[index] for index in order],
            self.cell.frac_coords[there[order]],
        )

    def counts(self, group: int) -> Mapping[int, int]:
        """Return how many free sites of a kind have each number."""
        elements = {
            self.elements.index(element) + 1: count
            for element, count in self.atoms.counts[group].items()
            if count
        }
        n_sites = int((self.groups == group).sum())
        return {0: n_sites - sum(elements.values()), **elements}

    def permutations(self) -> IntArray:
        """Return how the symmetries of the averaged cell exchange the free sites."""
        place = np.full(len(self.cell.kinds), -1)
        place[self.free] = np.arange(len(self.free))
        found = place[self.cell.permutations()[:, self.free]]
        # Near-coincident sites may be mapped onto one: such an operation proves nothing.
        whole = np.sort(found, axis=1) == np.arange(len(self.free))
        return np.asarray(np.unique(found[whole.all(axis=1)], axis=0))

    def overlap(self) -> str:
        """Return which fixed atoms are too close, by the smallest radii; empty if none."""
        fixed = np.flatnonzero(self._is_fixed)
        names = [self._only_element(int(index)) for index in fixed]
        apart = self._distances[np.ix_(fixed, fixed)]
        kinds = {(one, other) for one in names for other in names}
        for one, other in sorted(kinds):
            least = closest_distance(one, other, charges=self.atoms.charges)
            pairs = np.ix_([n == one for n in names], [n == other for n in names])
            if (nearest := float(apart[pairs].min())) < least:
                return f"{one} and {other} of full occupancy are {nearest:.2f} A apart"
        return ""

    def _closest(self, one: str, other: str) -> float:
        charges, strictness = self.atoms.charges, self.strictness
        return closest_distance(one, other, charges=charges, strictness=strictness)

    @cached_property
    def _is_fixed(self) -> BoolArray:
        fixed = np.array([self.cell.is_fixed(kind) for kind in range(len(self.cell.occupancies))])
        return np.asarray(fixed[self.cell.kinds])

    @cached_property
    def _fixed_charges(self) -> FloatArray:
        found = np.zeros(len(self.cell.kinds))
        for index in map(int, np.flatnonzero(self._is_fixed)):
            found[index] = self.atoms.charges[self._only_element(index)]
        return found

    def _only_element(self, index: int) -> str:
        return str(next(iter(self.cell.occupancies[int(self.cell.kinds[index])])))

    def _all_numbers(self, state: IntArray) -> IntArray:
        numbers = np.zeros(len(self.cell.kinds), dtype=np.int64)
        for index in map(int, np.flatnonzero(self._is_fixed)):
            numbers[index] = self.elements.index(self._only_element(index)) + 1
        numbers[self.free] = state
        return numbers

    @cached_property
    def _distances(self) -> FloatArray:
        return self.cell.distances()

    @cached_property
    def _ewald(self) -> FloatArray:
        """The matrix of pymatgen for unit charges on all sites, in eV."""
        # A second to import, for disordered crystals alone.
        from pymatgen.analysis.ewald import EwaldSummation  # noqa: PLC0415

        unit = [Species("Na", 1)] * len(self.cell.kinds)
        sites = Structure(Lattice(self.cell.matrix), unit, self.cell.frac_coords)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that unit charges are not neutral
            matrix = np.asarray(EwaldSummation(sites).total_energy_matrix)
        # Two descriptions of one place are infinitely close, and never both filled.
        return np.asarray(np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0))
