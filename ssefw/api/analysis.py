"""Trajectory files that are analyzed from Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ssefw.analysis import fit_conductivity
from ssefw.analysis.readers import told_temperatures
from ssefw.analysis.runs import analyze_run, group_runs
from ssefw.api.checked import checked
from ssefw.api.plots import arrhenius_axes, msd_axes
from ssefw.api.records import Records
from ssefw.documents import Conductivity, Diffusivity
from ssefw.units import (
    AskedCharge,
    AskedCount,
    AskedHop,
    AskedLevel,
    AskedStart,
    AskedTemperature,
    AskedTimeFs,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Analysis", "analyze"]


@dataclass(frozen=True, repr=False)
class Analysis:
    """What runs at one or several temperatures say of an ion.

    Attributes
    ----------
    diffusivities
        Of each run, coldest first.
    conductivity
        From their Arrhenius fit.
    """

    diffusivities: Records[Diffusivity]
    conductivity: Conductivity

    def plot_arrhenius(self, ax: "Axes | None" = None) -> "Axes":
        """Draw conductivities over 1000/T, with the fit and its interval, and return the axes."""
        return arrhenius_axes(self.conductivity, ax)

    def plot_msd(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the mean squared displacement at each temperature, and return the axes."""
        return msd_axes(self.diffusivities, ax)

    def __repr__(self) -> str:
        fit = self.conductivity
        return (
            f"<{fit.specie} in {len(self.diffusivities)} runs: {fit.conductivity} at "
            f"{fit.temperature:g} K>"
        )

    def _repr_html_(self) -> str:
        fit = self.conductivity
        said = f"<p>σ({fit.temperature:g} K): {fit.conductivity}; E_a: {fit.activation_energy}</p>"
        return self.diffusivities._repr_html_() + said


@checked
def analyze(
    *files: str | Path,
    specie: str = "Li",
    temperature: AskedTemperature | Sequence[AskedTemperature] | None = None,
    timestep: AskedTimeFs | None = None,
    stride: AskedCount | None = None,
    equilibration: AskedStart = 0.0,
    level: AskedLevel = 0.95,
    target: AskedTemperature = 300.0,
    form: Literal["sigma_t", "sigma"] = "sigma_t",
    charge: AskedCharge | None = None,
    hop_distance: AskedHop | None = None,
    prefactor_spread: float | None = None,
    file_format: str | None = None,
    types: Sequence[str] = (),
) -> Analysis:
    """Find diffusivity and conductivity, with intervals, from trajectory files.

    What ``ssefw analyze`` does.

    Parameters
    ----------
    files
        XDATCAR, vasprun.xml, ASE's .traj, extended XYZ, LAMMPS dumps or output of pw.x, plain or
        compressed.
    specie
        Element that diffuses.
    temperature
        Of the runs, K: one for all files, which then are segments of one run, or one for each; what
        the files tell if None.
    timestep, stride
        Time step (fs) and steps between frames, where the files do not tell.
    equilibration
        How much of each run is left out, ps.
    level
        Confidence level of intervals and bounds.
    target
        Temperature (K) of the conductivity.
    form
        What is a pure exponential in 1/T.
    charge
        Of the ion, e; the usual one if None.
    hop_distance
        By which hops are counted, A; from the structure if None.
    prefactor_spread
        Decades of a prior on the prefactor, if one is wanted.
    file_format, types
        Of files whose format is not recognized, and the elements of types of LAMMPS.

    Raises
    ------
    DataError
        If the files cannot be read, or contradict what is given.
    """
    paths = [Path(file) for file in files]
    if temperature is None:
        temperatures = told_temperatures(paths, file_format=file_format, types=types)
    else:
        is_one = isinstance(temperature, int | float)
        temperatures = (temperature,) if is_one else tuple(temperature)  # type: ignore[arg-type, assignment]
    found = [
        analyze_run(
            run, specie=specie, timestep=timestep, stride=stride, equilibration=equilibration,
            level=level, hop_distance=hop_distance, file_format=file_format, types=types,
        )[1]
        for run in group_runs(paths, temperatures)
    ]  # fmt: skip
    fit = fit_conductivity(
        found, temperature=target, form=form, level=level, charge=charge,
        prefactor_spread=prefactor_spread,
    )  # fmt: skip
    return Analysis(Records(Diffusivity, found, name="diffusivities"), fit)
