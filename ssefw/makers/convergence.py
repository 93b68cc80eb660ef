"""Cutoffs and k-points of a structure, as a job."""

from dataclasses import dataclass

from jobflow import Maker, Response, job
from pymatgen.core import Structure

from ssefw.documents import Convergence
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.convergence import CUTOFFS, SPACINGS, converge
from ssefw.engines.stopping import InterruptionError
from ssefw.makers.failures import WATCHED, failures_recorded
from ssefw.makers.replacement import continued_by

__all__ = ["ConvergenceMaker"]


@dataclass
class ConvergenceMaker(Maker):
    """Find the coarsest cutoff and k-points with which the energy of a structure is converged.

    Single points that were computed are not computed again: a job that was killed or ran out of
    time goes on.

    Attributes
    ----------
    tolerance
        eV/atom.
    cutoffs, spacings
        What is tried: Ry, rising, and 1/A, falling.
    """

    engine: EspressoEngine
    tolerance: float = 1e-3
    cutoffs: tuple[float, ...] = CUTOFFS
    spacings: tuple[float, ...] = SPACINGS
    name: str = "converge"

    @job(output_schema=Convergence, config=WATCHED)
    def make(self, structure: Structure) -> Convergence | Response[Convergence]:
        """Return what was found, and the energies it rests on."""
        with failures_recorded():
            try:
                return converge(
                    self.engine,
                    structure,
                    tolerance=self.tolerance,
                    cutoffs=self.cutoffs,
                    spacings=self.spacings,
                )
            except InterruptionError:
                return continued_by(self.make(structure))
