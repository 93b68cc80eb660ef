"""Dynamics of a student: whole chunks in one compiled loop."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ase import units

from ssefw.data import Chunk
from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.base import MDSettings
from ssefw.engines.students.excursions import Excursions
from ssefw.nep import NEP, MDState, Thermostat, advance, evaluate

__all__ = ["StudentDriver"]

FloatArray = npt.NDArray[np.float64]

CHAIN_LENGTH = 3
"""Links of the Nose-Hoover chain, as the dynamics of the other engines have."""


class StudentDriver:
    """Moves atoms by a NEP; see `ssefw.engines.ase.dynamics.Driver`.

    Parameters
    ----------
    model
        The potential.
    symbols, masses, positions, cell
        The atoms: amu and A.
    settings
        How they are moved.
    farthest
        Excess over the range of training beyond which a step is made up; see `Excursions`.
    """

    def __init__(
        self,
        model: NEP,
        *,
        symbols: Sequence[str],
        masses: FloatArray,
        positions: FloatArray,
        cell: FloatArray,
        settings: MDSettings,
        farthest: float,
    ) -> None:
        self._model = model
        self._types = model.types_of(list(symbols))
        self._masses = np.asarray(masses, dtype=np.float64)
        self._cell = np.asarray(cell, dtype=np.float64)
        self._settings = settings
        self._excursions = Excursions(farthest, settings.timestep)
        self._rng = np.random.default_rng(settings.seed)
        self._state = MDState(
            positions=np.array(positions, dtype=np.float64),
            momenta=draw_momenta(self._masses, temperature=settings.set_point(0), rng=self._rng),
            chain=np.zeros(CHAIN_LENGTH),
            chain_momenta=np.zeros(CHAIN_LENGTH),
        )

    def restore(self, last: Chunk) -> None:
        """Take up the state at the end of a chunk."""
        self._state = MDState(**{name: np.array(last.state[name]) for name in _STATE})
        self._rng.bit_generator.state = last.notes["rng"]
        self._excursions.restore(last)

    def begin(self) -> None:
        """Nothing to prepare: every chunk searches its neighbors anew."""

    def chunk(self, *, step: int, frame: int, segment: int, until: int) -> Chunk:
        """Return the next chunk, with its steps outside of the training; see `Driver.chunk`.

        Raises
        ------
        ValueError
            If atoms fly apart, or the run has left what the student was taught.
        """
        settings, state = self._settings, self._state
        length = min(settings.steps_per_frame * settings.frames_per_chunk, until - step)
        shape = (length, len(self._masses), 3)
        langevin = settings.thermostat == "langevin"
        first = (state.positions.copy(), self._temperature()) if step == 0 else None
        seen = advance(
            self._model,
            state,
            masses=self._masses,
            types=self._types,
            cell=self._cell,
            timestep=settings.timestep,
            thermostat=Thermostat(
                np.array([settings.set_point(step + k) for k in range(1, length + 1)]),
                settings.damping,
                self._rng.standard_normal(shape) if langevin else None,
            ),
            every=settings.steps_per_frame,
            first_frame_after=settings.steps_per_frame - step % settings.steps_per_frame,
            leash=self._excursions.leash(),
        )
        notes = self._excursions.notes(
            last_step=step + length,
            worst=seen.worst,
            outside=seen.outside,
            first=step + seen.first_outside,
            in_a_row=seen.in_a_row,
        )
        if seen.n_steps < length:
            raise ValueError("atoms fly apart")
        positions, energies, temperatures = seen.positions, seen.energies, seen.temperatures
        if first is not None:
            place, heat = first
            energy = evaluate(self._model, place, self._types, self._cell).energy
            positions = np.concatenate([place[None], positions])
            energies = np.concatenate([[energy], energies])
            temperatures = np.concatenate([[heat], temperatures])
        return Chunk(
            first_step=step,
            last_step=step + length,
            first_frame=frame,
            positions=positions,
            energies=energies,
            temperatures=temperatures,
            cell=self._cell,
            state={name: getattr(state, name).copy() for name in _STATE},
            notes={"rng": self._rng.bit_generator.state, "segment": segment, **notes},
        )

    def _temperature(self) -> float:
        twice_kinetic = float((self._state.momenta**2 / self._masses[:, None]).sum())
        return twice_kinetic / (max(1, 3 * len(self._masses) - 3) * units.kB)


_STATE = ("positions", "momenta", "chain", "chain_momenta")
