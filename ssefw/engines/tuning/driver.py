"""Dynamics of a tuned potential, which tell how far they leave what it was taught."""

from ase import Atoms

from ssefw.data import Chunk
from ssefw.engines.ase.dynamics import AseDriver
from ssefw.engines.base import MDSettings
from ssefw.engines.potentials.tuned import TunedCalculator
from ssefw.engines.students.excursions import Excursions

__all__ = ["TunedDriver"]


class TunedDriver(AseDriver):
    """Moves atoms by a tuned potential; see `ssefw.engines.ase.dynamics.Driver`.

    Parameters
    ----------
    atoms
        Without a calculator.
    calculator
        The potential.
    settings
        How they are moved.
    farthest
        Excess over the range of training beyond which what the correction adds to a step is made
        up; see `Excursions`.
    """

    def __init__(
        self,
        atoms: Atoms,
        calculator: TunedCalculator,
        settings: MDSettings,
        *,
        farthest: float,
    ) -> None:
        atoms.calc = calculator
        calculator.reset()
        super().__init__(atoms, settings)
        self._calculator = calculator
        self._excursions = Excursions(farthest, settings.timestep)

    def restore(self, last: Chunk) -> None:
        """Take up the state at the end of a chunk."""
        super().restore(last)
        self._excursions.restore(last)

    def chunk(self, *, step: int, frame: int, segment: int, until: int) -> Chunk:
        """Return the next chunk, with its steps outside of the training; see `Driver.chunk`.

        Raises
        ------
        ValueError
            If the run has left what the potential was taught.
        """
        seen: list[float] = []
        self._calculator.excesses = seen
        chunk = super().chunk(step=step, frame=frame, segment=segment, until=until)
        chunk.notes.update(self._excursions.of_steps(seen, first_step=step + 1))
        return chunk
