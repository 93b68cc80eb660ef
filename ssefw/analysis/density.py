"""Where mobile ions are: their mean density on a grid, and files for VESTA."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers

from ssefw.analysis.trajectory import Frames, Reference, fractional_paths
from ssefw.errors import AnalysisError

__all__ = ["DensityMap", "density_map", "write_chgcar", "write_cube"]

FloatArray = npt.NDArray[np.float64]

BOHR = 0.529177210903


@dataclass(frozen=True)
class DensityMap:
    """The time-averaged number density of ions in a cell.

    Attributes
    ----------
    density
        Ions per angstrom^3 in each voxel, (n_a, n_b, n_c); voxel (i, j, k) is centered on the
        fractional position ((i + 1/2) / n_a, ...).
    lattice
        Mean cell vectors as rows in angstrom, (3, 3).
    specie
        The element.
    framework
        Symbols and mean fractional coordinates, (n, 3), of all other atoms.
    """

    density: FloatArray
    lattice: FloatArray
    specie: str
    framework: tuple[tuple[str, ...], FloatArray]


def density_map(
    frames: Frames,
    *,
    specie: str = "Li",
    spacing: float = 0.2,
    reference: Reference = "framework",
) -> DensityMap:
    """Return the mean density of a species, drift removed.

    Parameters
    ----------
    spacing
        Largest edge of a voxel in angstrom.
    reference
        What is held still.
    """
    if not spacing > 0:
        raise AnalysisError(f"the spacing of the grid must be positive, got {spacing} angstrom.")
    mobile = frames.is_specie(specie)
    lattice = frames.mean_lattice
    shape = np.ceil(np.linalg.norm(lattice, axis=1) / spacing).astype(np.int64)
    frac = fractional_paths(frames, specie=specie, reference=reference)
    counts = _count_voxels(frac, np.flatnonzero(mobile), shape)
    voxel = frames.volume / counts.size
    symbols = tuple(s for s, is_mobile in zip(frames.species, mobile, strict=True) if not is_mobile)
    return DensityMap(
        density=counts / (frames.n_frames * voxel),
        lattice=lattice,
        specie=specie,
        framework=(symbols, frac[:, ~mobile].mean(axis=0) % 1.0),
    )


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _count_voxels(frac, atoms, shape):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    counts = np.zeros((shape[0], shape[1], shape[2]), dtype=np.int64)
    for t in range(len(frac)):
        for atom in atoms:
            x = frac[t, atom, 0] - np.floor(frac[t, atom, 0])
            y = frac[t, atom, 1] - np.floor(frac[t, atom, 1])
            z = frac[t, atom, 2] - np.floor(frac[t, atom, 2])
            # A coordinate just below zero folds to exactly one.
            i = min(int(x * shape[0]), shape[0] - 1)
            j = min(int(y * shape[1]), shape[1] - 1)
            k = min(int(z * shape[2]), shape[2] - 1)
            counts[i, j, k] += 1
    return counts


def write_cube(density: DensityMap, path: str | Path) -> None:
    """Write a Gaussian cube file: lengths in bohr, density in ions per bohr^3.

    A cube gives values at points; the origin is the center of the first voxel.
    """
    symbols, frac = density.framework
    shape = density.density.shape
    steps = density.lattice / np.array(shape)[:, None] / BOHR
    origin = 0.5 * steps.sum(axis=0)
    atoms = frac @ density.lattice / BOHR
    rows = [f"Density of {density.specie}", "ions per bohr^3, written by ssefw"]
    rows.append(f"{len(symbols):5d}" + "".join(f"{x:12.6f}" for x in origin))
    rows += [
        f"{n:5d}" + "".join(f"{x:12.6f}" for x in v) for n, v in zip(shape, steps, strict=True)
    ]
    for symbol, place in zip(symbols, atoms, strict=True):
        number = atomic_numbers[symbol]
        rows.append(f"{number:5d}{number:12.6f}" + "".join(f"{x:12.6f}" for x in place))
    values = density.density.reshape(-1, shape[2]) * BOHR**3
    rows += [row for line in values for row in _numbers(line, "%13.5E", 6)]
    Path(path).write_text("\n".join(rows) + "\n")


def write_chgcar(density: DensityMap, path: str | Path) -> None:
    """Write a CHGCAR, which VESTA, pymatgen and ASE read: density times the cell volume.

    A CHGCAR gives values at the points (i / n_a, ...), so atoms are moved by half a voxel with the
    grid: only the picture matters, in which nothing moves.
    """
    symbols, frac = density.framework
    shape = density.density.shape
    order = sorted(range(len(symbols)), key=lambda k: symbols[k])
    kinds = sorted(set(symbols))
    volume = abs(np.linalg.det(density.lattice))
    rows = [f"Density of {density.specie}", "1.0"]
    rows += ["".join(f"{x:14.8f}" for x in row) for row in density.lattice]
    rows.append(" ".join(kinds))
    rows.append(" ".join(str(symbols.count(kind)) for kind in kinds))
    rows.append("Direct")
    shifted = (frac - 0.5 / np.array(shape)) % 1.0
    rows += ["".join(f"{x:12.8f}" for x in shifted[k]) for k in order]
    rows += ["", " ".join(str(n) for n in shape)]
    rows += _numbers((density.density * volume).ravel(order="F"), "%18.11E", 5)
    Path(path).write_text("\n".join(rows) + "\n")


def _numbers(values: Sequence[float] | FloatArray, form: str, per_row: int) -> Iterator[str]:
    full = " ".join([form] * per_row)
    numbers = np.asarray(values).tolist()
    for begin in range(0, len(numbers), per_row):
        row = numbers[begin : begin + per_row]
        yield (full if len(row) == per_row else " ".join([form] * len(row))) % tuple(row)
