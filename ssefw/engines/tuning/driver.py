"""Dynamics of a tuned potential, which tell how far they leave what it was taught."""

from ase import Atoms

from ssefw.data import Chunk
from ssefw.engines.ase.dynamics import AseDriver
from ssefw.engines.base import MDSettings
from ssefw.engines.potentials.tuned import TunedCalculator

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
        Excess over the range of training beyond which a run ends, since what the correction then
        adds is made up.
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
        self._farthest = farthest

    def chunk(self, *, step: int, frame: int, segment: int, until: int) -> Chunk:
        """Return the next chunk, with the largest excess over the training; see `Driver.chunk`.

        Raises
        ------
        ValueError
            If the run leaves what the potential was taught.
        """
        self._calculator.largest_excess = 0.0
        chunk = super().chunk(step=step, frame=frame, segment=segment, until=until)
        excess = self._calculator.largest_excess
        if excess > self._farthest:
            raise ValueError(
                f"surroundings of an atom lie {excess:.1f} ranges of training outside of it "
                f"(limit {self._farthest:g}); add frames of this temperature to those it learns"
            )
        chunk.notes["excess"] = excess
        return chunk
