"""Outcomes and runs as a store hands them out: the stored documents, with what belongs to them."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from pydantic import PrivateAttr
from pymatgen.core import Structure
from pymatgen.core.trajectory import Trajectory as PymatgenTrajectory

from ssefw.api.plots import arrhenius_axes, msd_axes
from ssefw.api.records import Records, html_table
from ssefw.documents import Document, Outcome, Trajectory
from ssefw.documents.base import instance_method
from ssefw.errors import DataError, StoreError
from ssefw.report.rows import flat
from ssefw.report.training_frames import Frame, frames_of
from ssefw.store.frames.trajectories import TrajectoryStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FoundOutcome", "FoundTrajectory"]

SAME_TEMPERATURE = 0.5
"""K; temperatures of runs are round numbers, and people type them."""


class FoundTrajectory(Trajectory):
    """A run of molecular dynamics, whose frames are read from the store when they are asked for."""

    _store: TrajectoryStore = PrivateAttr()

    @classmethod
    def of(cls, ledger: Trajectory, store: TrajectoryStore) -> "FoundTrajectory":
        """Return a stored ledger with the store of its frames."""
        return cls.model_construct(**dict(ledger) | {"_store": store})

    def frames(
        self, *, first: int | None = None, last: int | None = None, stride: int = 1
    ) -> Iterator[Atoms]:
        """Yield frames as ASE's Atoms, a few hundred in memory at a time.

        Positions are unwrapped. Each has its potential energy (eV) as a calculator's result, and in
        ``info`` its ``time_ps`` and ``temperature_k``.

        Parameters
        ----------
        first, last
            Frames `first` to `last` (exclusive) of the run; the first behind equilibration, and
            the end, if None.
        stride
            Every so many frames.

        Raises
        ------
        DataError
            If there is no such frame.
        """
        return map(_atoms, self._chosen(first, last, stride))

    def to_ase(
        self, *, first: int | None = None, last: int | None = None, stride: int = 1
    ) -> list[Atoms]:
        """Return all frames that `frames` yields."""
        return list(self.frames(first=first, last=last, stride=stride))

    def to_pymatgen(
        self, *, first: int | None = None, last: int | None = None, stride: int = 1
    ) -> PymatgenTrajectory:
        """Return the frames that `frames` yields as pymatgen's Trajectory, time step in fs."""
        chosen = list(self._chosen(first, last, stride))
        cells = np.array([frame.cell for frame in chosen])
        is_constant = bool((cells == cells[0]).all())
        frac_coords = [np.linalg.solve(frame.cell.T, frame.positions.T).T for frame in chosen]
        return PymatgenTrajectory(
            species=list(self.structure.species),
            coords=np.array(frac_coords),
            lattice=cells[0] if is_constant else cells,
            constant_lattice=is_constant,
            time_step=stride * self.steps_per_frame * self.timestep,
            frame_properties=[{"energy": frame.energy} for frame in chosen],
        )

    def __repr__(self) -> str:
        formula = self.structure.composition.reduced_formula
        return f"<run of {formula} at {self.temperature:g} K, {self.n_frames} frames>"

    def _chosen(self, first: int | None, last: int | None, stride: int) -> Iterator[Frame]:
        return frames_of(self, self._store, first=first, last=last, stride=stride)

    @instance_method
    def as_dict(self) -> dict[str, Any]:
        """Return the record as it is stored."""
        return _plain(self, Trajectory).as_dict()

    def __reduce__(self) -> tuple[Callable[..., Document], tuple[type, dict[str, Any]]]:
        """Go to another process as the plain document: a store does not travel."""
        return _made, (Trajectory, dict(self))


class FoundOutcome(Outcome):
    """What became of a candidate, with its structure and its runs from the store."""

    _store: TrajectoryStore = PrivateAttr()

    @classmethod
    def of(cls, outcome: Outcome, store: TrajectoryStore) -> "FoundOutcome":
        """Return a stored outcome with the store of its frames."""
        return cls.model_construct(**dict(outcome) | {"_store": store})

    @property
    def structure(self) -> Structure:
        """The relaxed crystal, or the cell that was simulated where nothing was relaxed.

        Raises
        ------
        DataError
            If there is neither.
        """
        if self.relaxed is not None:
            return self.relaxed.structure
        for run in self.trajectories:
            return run.structure
        raise DataError(
            f"{self.formula} ({self.candidate_id}) was neither relaxed nor simulated: "
            f"{self.reason or self.status}."
        )

    @property
    def trajectories(self) -> Records[FoundTrajectory]:
        """Its runs, coldest first."""
        runs = (self._run(key) for key in self.trajectory_keys)
        ordered = sorted(runs, key=lambda run: run.temperature)
        return Records(FoundTrajectory, ordered, name="trajectories")

    def trajectory(self, temperature: float, *, arrangement: int | None = None) -> FoundTrajectory:
        """Return the run at a temperature (K); frames are read when they are asked for.

        Parameters
        ----------
        arrangement
            Index of the ordered cell, where the crystal is disordered.

        Raises
        ------
        DataError
            If there is none; the message has those there are.
        """
        own = {
            item.ordering.index: item.trajectory_keys
            for item in self.arrangements
            if arrangement in {None, item.ordering.index}
        }
        keys = self.trajectory_keys if arrangement is None else own.get(arrangement, ())
        runs = [self._run(key) for key in keys]
        found = [run for run in runs if abs(run.temperature - temperature) < SAME_TEMPERATURE]
        if not found:
            there = ", ".join(f"{t:g} K" for t in sorted({run.temperature for run in runs}))
            raise DataError(
                f"{self.formula} has no run at {temperature:g} K; it has "
                f"{f'runs at {there}' if there else 'no run'}."
            )
        if len(found) > 1 and len(own) > 1:
            raise DataError(
                f"{self.formula} has {len(found)} runs at {temperature:g} K, of different "
                f"arrangements: name one with arrangement={min(own)} to {max(own)}."
            )
        return max(found, key=lambda run: run.n_steps)

    def _run(self, key: str) -> FoundTrajectory:
        ledger = self._store.ledger(key)
        if ledger is None:
            raise StoreError(f"The run {key} of {self.formula} is not in the store any more.")
        return FoundTrajectory.of(ledger, self._store)

    def plot_arrhenius(self, ax: "Axes | None" = None) -> "Axes":
        """Draw conductivities over 1000/T, with the fit and its interval, and return the axes.

        Raises
        ------
        DataError
            If the outcome has no conductivity.
        """
        if self.conductivity is None:
            raise DataError(f"{self.formula} has no conductivity: {self.reason or self.status}.")
        return arrhenius_axes(self.conductivity, ax, self.lines)

    def plot_msd(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the mean squared displacement at each temperature, and return the axes.

        Raises
        ------
        DataError
            If the outcome has no run that was analyzed.
        """
        if not self.diffusivities:
            raise DataError(f"{self.formula} has no diffusivity: {self.reason or self.status}.")
        return msd_axes(self.diffusivities, ax)

    @instance_method
    def as_dict(self) -> dict[str, Any]:
        """Return the record as it is stored."""
        return _plain(self, Outcome).as_dict()

    def __reduce__(self) -> tuple[Callable[..., Document], tuple[type, dict[str, Any]]]:
        """Go to another process as the plain document: a store does not travel."""
        return _made, (Outcome, dict(self))

    def __repr__(self) -> str:
        return f"<outcome of {self.formula} ({self.candidate_id}): {self.status}>"

    def _repr_html_(self) -> str:
        said = {name: value for name, value in flat(self).items() if value not in {None, ""}}
        facts = html_table([{"": name, self.formula: value} for name, value in said.items()])
        if self.conductivity is None:
            return facts
        from ssefw.report.figures.campaign import arrhenius_svg  # noqa: PLC0415 - slow to import

        return f"{facts}{arrhenius_svg(self.conductivity, self.lines)}"


def _atoms(frame: Frame) -> Atoms:
    ledger = frame.ledger
    atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell, pbc=True)
    atoms.info["time_ps"] = frame.number * ledger.steps_per_frame * ledger.timestep / 1000.0
    atoms.info["temperature_k"] = frame.temperature
    atoms.calc = SinglePointCalculator(atoms, energy=frame.energy)
    return atoms


def _plain(found: Document, kind: type[Document]) -> Document:
    return _made(kind, dict(found))


def _made(kind: type[Document], fields: Mapping[str, Any]) -> Document:
    return kind.model_construct(**fields)
