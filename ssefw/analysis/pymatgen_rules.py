"""The numbers of pymatgen's DiffusionAnalyzer, by that package itself, to be put beside ours.

It is given our continuous paths, takes the drift out of them as it always does, and fits as it
always does: over lags that may reach the length of the run, with the smoothing it calls "max". The
points of its fit are correlated, so that their residuals say nothing about the error of the slope
(pymatgen-analysis-diffusion issue 449): none is given here. A negative slope it raises to 1e-15
A^2/fs, and it extrapolates whatever it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pymatgen.analysis.diffusion.analyzer import (
    DiffusionAnalyzer,
    fit_arrhenius,
    get_extrapolated_conductivity,
)
from pymatgen.core import Structure

from ssefw.analysis.trajectory import Frames, slice_frames, unwrapped_paths
from ssefw.errors import AnalysisError

__all__ = ["PymatgenArrhenius", "PymatgenNumbers", "pymatgen_arrhenius", "pymatgen_numbers"]

MILLI = 1e-3


@dataclass(frozen=True)
class PymatgenNumbers:
    """What the DiffusionAnalyzer calls by the same names; conductivities in S/cm.

    Attributes
    ----------
    temperature
        In K.
    diffusivity, chg_diffusivity
        Of an ion, and of the charge, in cm^2/s.
    conductivity, chg_conductivity
        From these, in S/cm; with the number of valence electrons as the charge of the ion.
    haven_ratio
        diffusivity / chg_diffusivity.
    structure
        The first frame.
    """

    temperature: float
    diffusivity: float
    chg_diffusivity: float
    conductivity: float
    chg_conductivity: float
    haven_ratio: float
    structure: Structure = field(repr=False)


@dataclass(frozen=True)
class PymatgenArrhenius:
    """Its Arrhenius fit: activation energy in eV, conductivity in S/cm at a temperature in K."""

    temperature: float
    activation_energy: float
    conductivity: float


def pymatgen_numbers(
    frames: Frames, *, specie: str, temperature: float, equilibration: float = 0.0
) -> PymatgenNumbers:
    """Return diffusivity and conductivity of a run as pymatgen's DiffusionAnalyzer has them.

    Parameters
    ----------
    specie
        Element that diffuses.
    temperature
        Of the run, K.
    equilibration
        Time at the start that is left out, ps.

    Raises
    ------
    AnalysisError
        If it has no rule for such a run.
    """
    first = round(equilibration * 1000.0 / frames.timestep)
    used = slice_frames(frames, first=first) if first else frames
    if used.breaks:
        raise AnalysisError(
            f"The run has gaps ({len(used.breaks)}), which pymatgen's DiffusionAnalyzer does not "
            "know: give it one piece, or leave --rules out."
        )
    if used.is_specie(specie).all():
        raise AnalysisError(
            f"All atoms are {specie}; pymatgen's DiffusionAnalyzer needs a framework of others "
            "that is held still."
        )
    paths, _ = unwrapped_paths(used, reference="none")
    cells = used.lattice[None] if used.lattice.ndim == 2 else used.lattice
    structure = Structure(
        cells[0], list(used.species), used.positions[0], coords_are_cartesian=True
    )
    try:
        found = DiffusionAnalyzer(
            structure,
            paths.transpose(1, 0, 2),
            specie,
            temperature,
            time_step=used.timestep,  # type: ignore[arg-type]  # any number will do
            step_skip=1,
            smoothed="max",
            lattices=cells,
        )
    except ValueError as error:
        raise AnalysisError(
            f"{used.n_frames} frames of {int(used.is_specie(specie).sum())} ions are too few for "
            f"pymatgen's DiffusionAnalyzer ({error}); run longer, or leave --rules out."
        ) from error
    return PymatgenNumbers(
        temperature=temperature,
        diffusivity=float(found.diffusivity),
        chg_diffusivity=float(found.chg_diffusivity),
        conductivity=MILLI * float(found.conductivity),
        chg_conductivity=MILLI * float(found.chg_conductivity),
        haven_ratio=float(found.haven_ratio),
        structure=structure,
    )


def pymatgen_arrhenius(
    runs: Sequence[PymatgenNumbers], *, specie: str, temperature: float
) -> PymatgenArrhenius | None:
    """Return pymatgen's extrapolation to a temperature (K); None with fewer than two of them."""
    temperatures = [run.temperature for run in runs]
    if len(np.unique(temperatures)) < 2:
        return None
    diffusivities = [run.diffusivity for run in runs]
    energy, _, _ = fit_arrhenius(temperatures, diffusivities)
    conductivity = get_extrapolated_conductivity(
        temperatures, diffusivities, temperature, runs[0].structure, specie
    )
    return PymatgenArrhenius(temperature, float(energy), MILLI * float(conductivity))
