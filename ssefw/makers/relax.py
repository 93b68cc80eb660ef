"""Relaxation of a candidate, ordered first where its sites are partly occupied."""

from dataclasses import dataclass

from jobflow import CURRENT_JOB, Maker, Response, job
from pymatgen.core import Structure

from ssefw.data import order_structure
from ssefw.documents import RelaxResult
from ssefw.engines import Engine, settings_hash
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.makers.failures import WATCHED, failures_recorded
from ssefw.makers.replacement import continued_by
from ssefw.makers.site import computed_once, equip, run_folder

__all__ = ["RelaxMaker"]


@dataclass
class RelaxMaker(Maker):
    """Relax a structure with any engine.

    Attributes
    ----------
    fmax
        Largest force on any atom at the end, eV/A.
    relax_cell
        Whether the cell relaxes with the atoms.
    skip
        Whether the structure is taken as it is; its forces are computed all the same.
    """

    engine: Engine
    name: str = "relax"
    fmax: float = 0.05
    max_steps: int = 500
    relax_cell: bool = True
    skip: bool = False

    def key(self, structure: Structure) -> str:
        """Return the key of the result for a structure; one that exists is not computed again."""
        goal = (self.fmax, self.max_steps, self.relax_cell, self.skip)
        return settings_hash("relax", structure, self.engine, *goal)

    @job(output_schema=RelaxResult, config=WATCHED)
    def make(self, structure: Structure) -> RelaxResult | Response[RelaxResult]:
        """Return the relaxed structure; a job for the rest where time ran out first.

        Examples
        --------
        >>> from pymatgen.core import Lattice
        >>> from ssefw.engines.ase import AseEngine
        >>> copper = Structure(Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
        >>> engine = AseEngine(calculator="ase.calculators.emt.EMT")
        >>> RelaxMaker(engine=engine).make(copper).name
        'relax'
        """
        with failures_recorded():
            try:
                return computed_once(
                    self.key(structure), RelaxResult, lambda: self._relaxed(structure)
                )
            except InterruptionError:  # the engine kept what it had, and goes on from there
                return continued_by(self.make(structure))

    def _relaxed(self, structure: Structure) -> RelaxResult:
        ordered = order_structure(structure)
        equip(self.engine)
        if self.skip:
            return self._as_it_is(ordered)
        return self.engine.relax(
            ordered,
            fmax=self.fmax,
            max_steps=self.max_steps,
            relax_cell=self.relax_cell,
            directory=run_folder(f"relax-{CURRENT_JOB.job.uuid}"),
            stop=stop_check(),
        )

    def _as_it_is(self, structure: Structure) -> RelaxResult:
        found = self.engine.static(structure)
        return RelaxResult(
            structure=structure,
            energy=found.energy,
            energy_per_atom=found.energy_per_atom,
            converged=found.max_force <= self.fmax,
            n_steps=0,
            max_force=found.max_force,
            volume_change=0.0,
            band_gap=found.band_gap,
            magnetization=found.magnetization,
            wall_time=found.wall_time,
            provenance=found.provenance,
        )
