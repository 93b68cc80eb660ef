"""How long a run takes to settle: the frames at its start whose potential energy is another.

A relaxed crystal is where forces vanish, not where ions are at 300 K. Until they are, the potential
energy drifts, and hops that lead there would count as diffusion.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Settling", "find_settling"]

FloatArray = npt.NDArray[np.float64]

BLOCKS = 100
"""Means of so many blocks are compared: the start is found to a hundredth of the run."""
FEWEST_FRAMES = 200
"""Below this a run is too short to tell a start from its fluctuations."""
BLOCKS_OF_REST = 10
"""So many long blocks of what is kept tell how far means of blocks scatter."""
CLEAR = 4.0
"""Standard errors between the energies of start and rest. Of stationary series that remember for a
fiftieth of the run 1 to 2 % lie further apart, for a twentieth 2 to 8 %."""
LONGEST = 0.5
"""Share of a run that is left out at most."""


@dataclass(frozen=True)
class Settling:
    """What to leave out at the start of a run.

    Attributes
    ----------
    n_frames
        So many frames; 0 where the energies of the start are those of the rest.
    is_over
        Whether the run settled well before half of it was over.
    """

    n_frames: int = 0
    is_over: bool = True


def find_settling(energies: FloatArray) -> Settling:
    """Return how many frames to leave out for their potential energy.

    The start is chosen that makes the standard error of the mean of the rest smallest (MSER, White,
    doi:10.1177/003754979706900601), and left out where its own mean differs clearly.
    """
    if len(energies) < FEWEST_FRAMES or not np.isfinite(energies).all():
        return Settling()
    size = len(energies) // BLOCKS
    n_blocks = len(energies) // size
    odd = len(energies) - n_blocks * size
    means = np.asarray(energies[odd:], dtype=np.float64).reshape(n_blocks, size).mean(axis=1)
    means = means - means.mean()
    left = n_blocks - np.arange(n_blocks)
    of_rest = np.cumsum(means[::-1])[::-1] / left
    squares = np.cumsum(means[::-1] ** 2)[::-1] / left
    most = int(LONGEST * n_blocks)
    first = int(np.argmin(((squares - of_rest**2) / left)[: most + 1]))
    if first == 0 or not _differs(means[:first], means[first:]):
        return Settling()
    return Settling(n_frames=odd + first * size, is_over=first < most)


def _differs(start: FloatArray, rest: FloatArray) -> bool:
    each = len(rest) // BLOCKS_OF_REST
    last = rest[len(rest) - BLOCKS_OF_REST * each :]
    long = last.reshape(BLOCKS_OF_REST, each).mean(axis=1)
    variance = float(long.var(ddof=1))
    error = np.sqrt(variance / BLOCKS_OF_REST + variance * each / len(start))
    return bool(abs(start.mean() - rest.mean()) > CLEAR * error)
