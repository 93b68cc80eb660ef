"""Powder X-ray diffraction of the full structure as a vector over 2 theta, sites mixed or not.

Kinematic sticks: structure factors from atomic form factors (De Graef and McHenry, Structure of
Materials, 2012, chapters 11 and 12; the parameters are pymatgen's), Lorentz-polarization factor, no
temperature factors. A site that several species share scatters as their mean by occupancy. XRDMatch
scales a pattern to a maximum of 1 and sets everything under 0.1 to zero.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numba
import numpy as np
import numpy.typing as npt
from pymatgen.core import Element, Structure
from scipy.ndimage import gaussian_filter1d

from ssefw.errors import ConfigurationError, DataError

__all__ = ["WAVELENGTHS", "PatternGrid", "bin_patterns", "xrd_pattern", "xrd_patterns"]

WAVELENGTHS = {
    "CuKa": 1.54184,
    "CuKa1": 1.54056,
    "CuKa2": 1.54439,
    "CoKa": 1.79026,
    "CrKa": 2.29100,
    "FeKa": 1.93735,
    "MoKa": 0.71073,
    "AgKa": 0.560885,
}
"""Angstrom."""

FORM_FACTOR_SCALE = 41.78214  # angstrom^2: f(s) = Z - 41.78214 s^2 sum_i a_i exp(-b_i s^2)
FWHM_PER_SIGMA = 2.3548200450309493


@dataclass(frozen=True)
class PatternGrid:
    """At which angles a pattern is sampled, and how; the default is XRDMatch's vector.

    Attributes
    ----------
    start, stop, step
        2 theta in degrees; both ends are points of the grid.
    wavelength
        Name of a line (see `WAVELENGTHS`) or angstrom.
    floor
        Values under this share of the maximum become zero.
    fwhm
        Full width at half maximum of Gaussian peaks in degrees; 0 is sticks.
    """

    start: float = 0.0
    stop: float = 90.0
    step: float = 0.02
    wavelength: str | float = "CuKa"
    floor: float = 0.1
    fwhm: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.start < self.stop <= 180 and 0 < self.step < self.stop - self.start):
            raise ConfigurationError(
                f"A pattern goes from 0 to 180 degrees at most, in steps: got {self.start:g} to "
                f"{self.stop:g} by {self.step:g}."
            )
        if isinstance(self.wavelength, str) and self.wavelength not in WAVELENGTHS:
            raise ConfigurationError(
                f"Unknown wavelength {self.wavelength!r}. Known: {', '.join(sorted(WAVELENGTHS))}; "
                "or give angstrom."
            )
        if not (0 <= self.floor < 1 and self.fwhm >= 0 and self.angstrom > 0):
            raise ConfigurationError(
                "A pattern needs a floor from 0 to below 1, a width of 0 or more and a positive "
                f"wavelength; got {self.floor:g}, {self.fwhm:g} and {self.angstrom:g}."
            )

    @property
    def angstrom(self) -> float:
        """The wavelength in angstrom."""
        if isinstance(self.wavelength, str):
            return WAVELENGTHS[self.wavelength]
        return float(self.wavelength)

    @property
    def size(self) -> int:
        """Number of points."""
        return round((self.stop - self.start) / self.step) + 1

    @property
    def angles(self) -> npt.NDArray[np.float64]:
        """2 theta of each point in degrees, shape (size,)."""
        return np.asarray(self.start + self.step * np.arange(self.size), dtype=np.float64)


def xrd_patterns(
    structures: Iterable[Structure], grid: PatternGrid | None = None
) -> npt.NDArray[np.float32]:
    """Return the pattern of each structure, shape (n, grid.size); each has a maximum of 1.

    Raises
    ------
    DataError
        As `xrd_pattern`.
    """
    grid = grid or PatternGrid()
    rows = [xrd_pattern(structure, grid).astype(np.float32) for structure in structures]
    return np.array(rows, dtype=np.float32).reshape(len(rows), grid.size)


def xrd_pattern(structure: Structure, grid: PatternGrid | None = None) -> npt.NDArray[np.float64]:
    """Return the powder pattern of a structure, shape (grid.size,), with a maximum of 1.

    Reflections that fall on one point of the grid add up.

    Raises
    ------
    DataError
        If an element has no form factor, or no reflection lies on the grid.
    """
    grid = grid or PatternGrid()
    symbols, element, occupancy, coords = _scatterers(structure)
    lattice = structure.lattice
    radius = 2 * np.sin(np.radians(grid.stop) / 2) / grid.angstrom
    limits = np.floor(radius * np.array(lattice.abc)).astype(np.int64)
    numbers, parameters = _form_factors()
    sticks = np.zeros(grid.size)
    _add_reflections(
        sticks,
        np.ascontiguousarray(lattice.reciprocal_lattice_crystallographic.matrix),
        limits,
        float(radius),
        grid.angstrom,
        grid.start,
        grid.step,
        coords,
        element,
        occupancy,
        np.array([numbers[symbol] for symbol in symbols]),
        np.array([parameters[symbol] for symbol in symbols]),
    )
    if grid.fwhm:
        sigma = grid.fwhm / FWHM_PER_SIGMA / grid.step
        sticks = gaussian_filter1d(sticks, sigma, mode="constant")
    highest = sticks.max()
    if not highest > 0:
        raise DataError(
            f"{structure.composition.reduced_formula} has no reflection between {grid.start:g} and "
            f"{grid.stop:g} degrees 2 theta at {grid.angstrom:g} angstrom, so it has no pattern. "
            "Check its cell, or take a shorter wavelength."
        )
    pattern: npt.NDArray[np.float64] = sticks / highest
    pattern[pattern < grid.floor] = 0.0
    return pattern


def bin_patterns(patterns: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """Return the largest value of every `width` points, shape (n, ceil(size / width)).

    The maximum keeps a stick as high as it was, wherever in its bin it stands.
    """
    if width == 1:
        return patterns
    n, size = patterns.shape
    padded = np.pad(patterns, ((0, 0), (0, -size % width)))
    return np.asarray(padded.reshape(n, -1, width).max(axis=2), dtype=np.float32)


def _scatterers(
    structure: Structure,
) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return elements, and for each species of each site its element, occupancy and place."""
    known, _ = _form_factors()
    symbols: dict[str, int] = {}
    element: list[int] = []
    occupancy: list[float] = []
    coords: list[npt.NDArray[np.float64]] = []
    for site in structure:
        for species, amount in site.species.items():
            symbol = str(species.symbol)
            if symbol not in known:
                raise DataError(
                    f"{structure.composition.reduced_formula} holds {symbol!r}, for which there is "
                    "no X-ray form factor. Replace or leave out that species."
                )
            element.append(symbols.setdefault(symbol, len(symbols)))
            occupancy.append(float(amount))
            coords.append(site.frac_coords)
    if not coords:
        raise DataError("A structure without atoms has no diffraction pattern. Leave it out.")
    return list(symbols), np.array(element), np.array(occupancy), np.array(coords, dtype=float)


@cache
def _form_factors() -> tuple[dict[str, float], dict[str, npt.NDArray[np.float64]]]:
    """Return atomic numbers and form-factor parameters (4, 2) by element.

    They are read as data: importing pymatgen's calculator would load matplotlib.
    """
    text = files("pymatgen.analysis.diffraction").joinpath("atomic_scattering_params.json")
    table: dict[str, list[list[float]]] = json.loads(text.read_text())
    numbers = {symbol: float(Element(symbol).Z) for symbol in table}
    return numbers, {symbol: np.array(values) for symbol, values in table.items()}


@numba.njit(cache=True)
def _form_factor(number: float, parameters: npt.NDArray[np.float64], s2: float) -> float:
    total = 0.0
    for term in range(len(parameters)):
        total += parameters[term, 0] * np.exp(-parameters[term, 1] * s2)
    return number - FORM_FACTOR_SCALE * s2 * total


@numba.njit(cache=True)
def _structure_factor_squared(
    plane: npt.NDArray[np.complex128],
    phases: npt.NDArray[np.complex128],
    form: npt.NDArray[np.float64],
    element: npt.NDArray[np.int64],
    occupancy: npt.NDArray[np.float64],
) -> float:
    real, imaginary = 0.0, 0.0
    for site in range(len(element)):
        weight = form[element[site]] * occupancy[site]
        phase = plane[site] * phases[site]
        real += weight * phase.real
        imaginary += weight * phase.imag
    return real * real + imaginary * imaginary


@numba.njit(cache=True)
def _add_reflections(  # noqa: C901, PLR0917 - a loop over h, k, l on the flat arrays of numba
    sticks: npt.NDArray[np.float64],
    reciprocal: npt.NDArray[np.float64],
    limits: npt.NDArray[np.int64],
    radius: float,
    wavelength: float,
    start: float,
    step: float,
    coords: npt.NDArray[np.float64],
    element: npt.NDArray[np.int64],
    occupancy: npt.NDArray[np.float64],
    numbers: npt.NDArray[np.float64],
    parameters: npt.NDArray[np.float64],
) -> None:
    """Add the intensity of each reflection in the sphere to the nearest point of the grid.

    Form factors are real, so hkl and -h-k-l are equal: half of them is computed, and the factor of
    two drops out when the pattern is scaled.
    """
    n_sites, n_elements = len(element), len(numbers)
    tables = []
    for axis in range(3):
        table = np.empty((2 * limits[axis] + 1, n_sites), dtype=np.complex128)
        for index in range(-limits[axis], limits[axis] + 1):
            for site in range(n_sites):
                angle = 2 * np.pi * index * coords[site, axis]
                table[index + limits[axis], site] = complex(np.cos(angle), np.sin(angle))
        tables.append(table)
    form = np.empty(n_elements)
    for h in range(limits[0] + 1):
        for k in range(-limits[1] if h > 0 else 0, limits[1] + 1):
            plane = tables[0][h + limits[0]] * tables[1][k + limits[1]]
            for index_l in range(-limits[2] if h > 0 or k > 0 else 1, limits[2] + 1):
                g2 = 0.0
                for axis in range(3):
                    component = (
                        h * reciprocal[0, axis]
                        + k * reciprocal[1, axis]
                        + index_l * reciprocal[2, axis]
                    )
                    g2 += component * component
                if g2 > radius * radius:
                    continue
                sine = 0.5 * wavelength * np.sqrt(g2)
                if sine >= 1.0:
                    continue
                theta = np.arcsin(sine)
                point = int(np.rint((np.degrees(2 * theta) - start) / step))
                if point < 0 or point >= len(sticks):
                    continue
                for kind in range(n_elements):
                    form[kind] = _form_factor(numbers[kind], parameters[kind], g2 / 4)
                phases = tables[2][index_l + limits[2]]
                square = _structure_factor_squared(plane, phases, form, element, occupancy)
                cosine = np.cos(2 * theta)
                lorentz = (1 + cosine * cosine) / (sine * sine * np.cos(theta))
                sticks[point] += square * lorentz
