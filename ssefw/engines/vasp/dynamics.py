"""Dynamics as runs of VASP one after the other, each a segment of the ledger."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from ase import units
from pymatgen.io.vasp.sets import VaspInputSet

from ssefw.documents import EndReason
from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.base import MDSettings
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import StopCheck
from ssefw.engines.vasp.harvest import RunStart, start_point
from ssefw.engines.vasp.inputs import VaspCell, dynamics_tags, poscar_text
from ssefw.engines.vasp.leg import Leg, LegPlan, latest_legs, pack_closed_legs
from ssefw.engines.vasp.policy import dynamics_handlers
from ssefw.engines.vasp.single import write_inputs
from ssefw.errors import EngineError
from ssefw.settings import Settings

__all__ = ["VaspDynamics", "first_poscar", "leg_tags"]

STEPS_PER_LEG = 5000
"""Ionic steps of one run of VASP; a longer one makes files that no parser likes to read."""

MAX_SETBACKS = 5
"""Corrections and deaths of VASP that one call works through."""


class InputSets(Protocol):
    """Gives the input set for tags and corrections, after its checks."""

    def __call__(self, tags: Mapping[str, Any], **corrections: Any) -> VaspInputSet: ...


@dataclass(frozen=True, kw_only=True)
class VaspDynamics:
    """Dynamics in a run directory, from wherever they stand.

    Attributes
    ----------
    inputs
        What makes the input set of a run of VASP.
    potcar_spec
        Write ``POTCAR.spec`` in place of POTCAR.
    """

    run: RunDirectory
    cell: VaspCell
    settings: MDSettings
    inputs: InputSets
    site: Settings
    potcar_spec: bool

    def advance(self, *, until: int, stop: StopCheck) -> EndReason:
        """Run VASP until step `until` of the trajectory, or until `stop` asks to stop.

        VASP evaluates the step it continues from once more; that step is not recorded twice.

        Raises
        ------
        EngineError
            If VASP fails again and again.
        """
        with self.run.lock():
            corrections = self._recover()
            handlers = dynamics_handlers()  # kept, since they climb ladders of remedies
            setbacks = 0
            while True:
                start = self._start()
                if start.last_step >= until:
                    pack_closed_legs(self.run)
                    return "complete"
                if (asked := stop()) is not None:
                    return asked
                pack_closed_legs(self.run)
                leg = self._begin(start=start, until=until, corrections=corrections)
                reason = leg.go(start, stop, self.site, handlers)
                if reason in {"walltime", "preempted"}:
                    return reason
                corrections = leg.corrections
                setbacks += reason != "complete"
                if setbacks > MAX_SETBACKS:
                    raise EngineError(
                        f"VASP failed {setbacks} times, the last time so: {leg.events[-1]}",
                        directory=leg.folder,
                    )

    def _start(self) -> RunStart:
        return start_point(self.run, self.cell, _velocities(self.cell, self.settings))

    def _recover(self) -> dict[str, Any]:
        """Gather what a killed process left, and return the corrections in force."""
        for folder in reversed(latest_legs(self.run)):
            leg = Leg.open(self.run, folder, self.cell, self.settings)
            if leg is not None:
                start = self._start()
                if not leg.closed and leg.first_step > start.last_step + 1:
                    leg.abandon(f"it follows a step that is lost, {leg.first_step}")
                elif not leg.closed:
                    leg.recover(start)
                return leg.corrections
        return {}

    def _begin(self, *, start: RunStart, until: int, corrections: Mapping[str, Any]) -> Leg:
        """Write the input files of the next leg, and its line on the ledger."""
        run, cell, settings = self.run, self.cell, self.settings
        begin, end, last = _stretch(settings, start.last_step, until)
        tags = dynamics_tags(settings, cell, steps=last - start.step + 1, begin=begin, end=end)
        vasp_set = self.inputs(tags, **corrections)
        folder = run.path / f"vasp-{len(latest_legs(run)):04d}"
        frac = start.positions @ np.linalg.inv(cell.structure.lattice.matrix)
        poscar = start.poscar or poscar_text(cell, frac_coords=frac, velocities=start.velocities)
        write_inputs(folder, vasp_set, potcar_spec=self.potcar_spec, poscar=poscar)
        newest = run.last_chunk()
        segment = 0 if newest is None else newest.notes["segment"] + 1
        run.begin_segment(segment, velocities="drawn" if start.is_new else "continued")
        plan = LegPlan(start=start, until=last, set_points=(begin, end), corrections=corrections)
        return Leg.begin(run, folder, cell, settings, plan=plan, segment=segment)


def first_poscar(cell: VaspCell, settings: MDSettings) -> str:
    """Return POSCAR of a new run, with the velocities that are drawn for it."""
    velocities = _velocities(cell, settings)
    return poscar_text(cell, frac_coords=cell.structure.frac_coords, velocities=velocities)


def leg_tags(
    settings: MDSettings, cell: VaspCell, *, steps: int
) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield first step, last step and tags of each run of VASP that `steps` steps are made of.

    All but the first start from what VASP left: CONTCAR with velocities and thermostat.
    """
    first = 0
    while True:
        begin, end, last = _stretch(settings, first, steps)
        length = last - first + 1
        yield first, last, dynamics_tags(settings, cell, steps=length, begin=begin, end=end)
        if last >= steps:
            return
        first = last


def _stretch(settings: MDSettings, first: int, until: int) -> tuple[float, float, int]:
    """Return the set points at both ends of the next leg, and its last step."""
    last = min(until, first + STEPS_PER_LEG)
    if first < settings.heating_steps:
        last = min(last, settings.heating_steps)
    return settings.set_point(first), settings.set_point(last), last


def _velocities(cell: VaspCell, settings: MDSettings) -> npt.NDArray[np.float64]:
    """Draw the velocities (A/fs) of a new run, VASP's order."""
    masses = cell.to_given_order(cell.masses)
    rng = np.random.default_rng(settings.seed)
    momenta = draw_momenta(masses, temperature=settings.set_point(0), rng=rng)
    velocities = momenta / masses[:, None] * units.fs
    return cell.to_vasp_order(velocities)
