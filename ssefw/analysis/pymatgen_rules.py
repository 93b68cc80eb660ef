"""The definitions of pymatgen's DiffusionAnalyzer, for numbers that can be compared.

They take drift-free paths instead of Structures and give the same numbers. They are here for
comparison only: the fit runs over lags that may reach the length of the run, and its points are
correlated, so its residuals say nothing about its error (pymatgen-analysis-diffusion issue 449);
none is given.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ssefw.analysis.arrhenius import conductivity_per_diffusivity
from ssefw.analysis.msd import mean_squared_displacement
from ssefw.errors import AnalysisError
from ssefw.units import ANGSTROM2_PER_PS_TO_CM2_PER_S

__all__ = ["PymatgenNumbers", "as_pymatgen"]

FloatArray = npt.NDArray[np.float64]
Smoothing = Literal["max", "constant", False]

SMALLEST_SLOPE = 1e-15
"""To what pymatgen raises a negative slope, angstrom^2/fs."""


@dataclass(frozen=True)
class PymatgenNumbers:
    """What pymatgen's DiffusionAnalyzer calls by the same names.

    Attributes
    ----------
    dt
        Lags in fs, (n_lags,).
    msd, mscd
        Mean squared displacement, of an ion and of all together per ion, angstrom^2.
    diffusivity, chg_diffusivity
        In cm^2/s.
    diffusivity_components
        Along x, y and z in cm^2/s, (3,).
    conductivity, chg_conductivity
        In mS/cm.
    haven_ratio
        diffusivity / chg_diffusivity.
    """

    dt: FloatArray
    msd: FloatArray
    mscd: FloatArray
    diffusivity: float
    chg_diffusivity: float
    diffusivity_components: FloatArray
    conductivity: float
    chg_conductivity: float
    haven_ratio: float


def as_pymatgen(
    paths: FloatArray,
    *,
    timestep: float,
    temperature: float,
    volume: float,
    charge: float = 1.0,
    smoothed: Smoothing = "max",
    min_obs: int = 30,
    avg_nsteps: int = 1000,
) -> PymatgenNumbers:
    """Return diffusivity and conductivity by the rules of pymatgen's DiffusionAnalyzer.

    Parameters
    ----------
    paths
        Drift-free displacements of the mobile ions in angstrom, (n_frames, n_ions, 3).
    timestep
        Time between frames in fs.
    temperature, volume
        In K, and of the cell in angstrom^3.
    charge
        Of an ion in elementary charges.
    smoothed, min_obs, avg_nsteps
        As in pymatgen.
    """
    n_frames, n_ions, _ = paths.shape
    if smoothed == "max":
        lags = _lags_of_max(n_frames, n_ions, timestep=timestep, min_obs=min_obs)
        per_axis = np.stack(
            [mean_squared_displacement(paths[..., [a]])[lags] for a in range(3)], axis=1
        )
        mscd = mean_squared_displacement(paths.sum(axis=1, keepdims=True))[lags] / n_ions
    else:
        n_origins = avg_nsteps if smoothed == "constant" else 1
        if smoothed == "constant" and n_frames <= avg_nsteps:
            raise AnalysisError(
                f"{n_frames} frames are too few for an average over {avg_nsteps} origins."
            )
        lags = np.arange(n_frames - avg_nsteps if smoothed == "constant" else n_frames)
        per_axis, mscd = _first_origins(paths, lags, n_origins, is_absolute=smoothed is False)
    dt: FloatArray = lags.astype(np.float64) * timestep
    weights = np.asarray(1.0 / dt if smoothed == "max" else np.ones(len(dt)), dtype=np.float64)
    diffusivity = _diffusivity(per_axis.sum(axis=1), dt, weights)
    chg_diffusivity = _diffusivity(mscd, dt, weights)
    milli = 1000.0 * conductivity_per_diffusivity(
        temperature=temperature, n_mobile=n_ions, volume=volume, charge=charge
    )
    return PymatgenNumbers(
        dt=dt,
        msd=per_axis.sum(axis=1),
        mscd=mscd,
        diffusivity=diffusivity,
        chg_diffusivity=chg_diffusivity,
        diffusivity_components=np.array(
            [3.0 * _diffusivity(per_axis[:, a], dt, weights) for a in range(3)]
        ),
        conductivity=milli * diffusivity,
        chg_conductivity=milli * chg_diffusivity,
        haven_ratio=diffusivity / chg_diffusivity,
    )


def _lags_of_max(
    n_frames: int, n_ions: int, *, timestep: float, min_obs: int
) -> npt.NDArray[np.int64]:
    """Return about 200 lags from 1 ps to where `min_obs` independent pairs are left."""
    shortest = int(1000 / timestep)
    longest = min(n_ions * n_frames // min_obs, n_frames)
    if shortest >= longest:
        raise AnalysisError(
            f"{n_frames} frames of {n_ions} ions hold no lag between 1 ps and the one that leaves "
            f"{min_obs} observations."
        )
    return np.arange(shortest, longest, max(int((longest - shortest) / 200), 1), dtype=np.int64)


def _first_origins(
    paths: FloatArray, lags: npt.NDArray[np.int64], n_origins: int, *, is_absolute: bool
) -> tuple[FloatArray, FloatArray]:
    """Return squares over the first origins only, along each axis and of the sum of all ions."""
    per_axis = np.empty((len(lags), 3))
    collective = np.empty(len(lags))
    total = paths.sum(axis=1)
    for row, lag in enumerate(lags):
        moved = paths[lag : lag + n_origins]
        together = total[lag : lag + n_origins]
        if not is_absolute:
            moved = moved - paths[:n_origins]
            together = together - total[:n_origins]
        per_axis[row] = (moved**2).mean(axis=(0, 1))
        collective[row] = (together**2).sum(axis=1).mean() / paths.shape[1]
    return per_axis, collective


def _diffusivity(msd: FloatArray, dt: FloatArray, weights: FloatArray) -> float:
    """Return D in cm^2/s from a weighted line, a negative slope raised to almost zero."""
    slope, _ = np.polyfit(dt, msd, 1, w=np.sqrt(weights))
    return max(float(slope), SMALLEST_SLOPE) * 1000.0 / 6.0 * ANGSTROM2_PER_PS_TO_CM2_PER_S
