"""The mean pressure of dynamics at constant volume, and the volume at which it would vanish.

The pressure of atoms at a temperature is that of their motion, N k T / V, less the mean stress.
Frames of a run that follow one another are alike, so that the error is taken from blocks of time.
Where the pressure vanishes follows from the bulk modulus B, with d ln V = P / B.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from ssefw.documents import Estimate, PressurePoint
from ssefw.errors import AnalysisError
from ssefw.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_PER_A3

__all__ = ["kinetic_pressure", "mean_pressure", "modulus_of", "pressure_free", "value_and_ends"]

BLOCKS = 8
"""Of a few ps each block is longer than a vibration and the memory of a thermostat; with fewer
blocks Student's t grows faster than their memory fades."""

SOFTEST, HARDEST = 0.2, 1.2
"""A bulk modulus from the pressures at two volumes, over that of frames strained as they are: ions
that may give way make a crystal softer, and noise is what lies outside."""

SUPPOSED = 0.6
"""The same before there is a second volume: it is 1 in copper, 0.5 in Li6PS5Cl and 0.4 in LGPS."""

FARTHEST_STEP = 0.06
"""In ln V: what lies farther is gone to in two steps."""


def value_and_ends(estimate: Estimate) -> tuple[float, float, float]:
    """Return value, lower and upper end of an estimate that has them."""
    value, lower, upper = estimate.value, estimate.lower, estimate.upper
    if value is None or lower is None or upper is None:
        raise ValueError(f"{estimate} is no value")
    return value, lower, upper


def kinetic_pressure(n_atoms: int, *, volume: float, temperature: float) -> float:
    """Return the pressure (GPa) of the motion of atoms at rest as a whole.

    Parameters
    ----------
    n_atoms
        In the cell.
    volume
        Of the cell, A^3.
    temperature
        In K.
    """
    energy = (n_atoms - 1) * BOLTZMANN_EV_PER_K * temperature
    return energy / volume * GPA_PER_EV_PER_A3


def mean_pressure(pressures: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean of pressures that followed one another (GPa), its interval from blocks.

    Raises
    ------
    AnalysisError
        If there are fewer than two for each block.
    """
    series = np.asarray(pressures, dtype=np.float64)
    if len(series) < 2 * BLOCKS:
        raise AnalysisError(
            f"{len(series)} pressures are too few for a mean with an error; run longer, so that "
            f"there are {2 * BLOCKS}."
        )
    size = len(series) // BLOCKS
    blocks = series[len(series) - BLOCKS * size :].reshape(BLOCKS, size).mean(axis=1)
    mean = float(blocks.mean())
    error = float(blocks.std(ddof=1)) / math.sqrt(BLOCKS)
    half = float(stdtrit(BLOCKS - 1, 0.5 + 0.5 * level)) * error
    return Estimate(
        value=mean,
        lower=mean - half,
        upper=mean + half,
        level=level,
        unit="GPa",
        method=f"mean of {BLOCKS} blocks of {size} frames, Student's t",
    )


def modulus_of(points: Sequence[PressurePoint]) -> float:
    """Return the bulk modulus (GPa) at the last of some volumes.

    With two volumes from their pressures, within what the modulus of strained frames permits; with
    one a share of that itself, which is an upper bound.
    """
    last = points[-1]
    before = points[-2] if len(points) > 1 else last
    if before.ratio == last.ratio:
        return SUPPOSED * last.affine_modulus
    fall = value_and_ends(before.pressure)[0] - value_and_ends(last.pressure)[0]
    found = fall / math.log(last.ratio / before.ratio)
    return float(np.clip(found, SOFTEST * last.affine_modulus, HARDEST * last.affine_modulus))


def pressure_free(points: Sequence[PressurePoint]) -> Estimate:
    """Return the volume without pressure over that of the relaxed cell, as the last point says.

    The error is that of its pressure. It lies at most `FARTHEST_STEP` away.
    """
    last, modulus = points[-1], modulus_of(points)
    steps = np.clip(
        np.array(value_and_ends(last.pressure)) / modulus, -FARTHEST_STEP, FARTHEST_STEP
    )
    value, lower, upper = (last.ratio * np.exp(steps)).tolist()
    return Estimate(
        value=value,
        lower=lower,
        upper=upper,
        level=last.pressure.level,
        unit="",
        method=f"pressure over a bulk modulus of {modulus:.3g} GPa",
    )
