"""The site energy on a periodic grid.

Each ion adds its tabulated radial function to the grid points inside its cut-off sphere, line by
line along the last axis: no pair is visited in vain, nothing is stored but the grid, and threads
own planes of the first axis.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from ssefw.bvse.potential import Framework, radial
from ssefw.errors import DataError

__all__ = ["SiteEnergyField", "compute_field", "grid_shape"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MAX_GRID_POINTS = 50_000_000

# Spacing of the radial table in squared distance (A^2): cubic Hermite pieces then err by less than
# 1e-6 eV a pair beyond 1.2 A.
_TABLE_STEP = 0.05

_WALL_ENERGY = 4320.0


@dataclass(frozen=True)
class SiteEnergyField:
    """Site energies on a grid that is periodic: point (i, j, k) has coordinates i/n1, j/n2, k/n3.

    Attributes
    ----------
    matrix
        Lattice vectors as rows, (3, 3), in angstrom.
    energies
        In eV, (n1, n2, n3). The end points that repeat the first plane are not stored.
    symbol, charge
        The mobile ion.
    """

    matrix: FloatArray
    energies: FloatArray
    symbol: str = "Li"
    charge: int = 1

    @property
    def minimum(self) -> float:
        """The lowest energy on the grid, in eV."""
        return float(self.energies.min())

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighboring grid points along each axis, in angstrom."""
        lengths = np.linalg.norm(self.matrix, axis=1) / self.energies.shape
        return float(lengths[0]), float(lengths[1]), float(lengths[2])


def grid_shape(matrix: FloatArray, *, resolution: float) -> tuple[int, int, int]:
    """Return the fewest points along each axis that lie at most `resolution` apart (angstrom).

    Raises
    ------
    DataError
        If the resolution is not positive, or needs too many points.
    """
    if not resolution > 0:
        raise DataError(f"The grid resolution must be positive, got {resolution} A.")
    lengths = np.linalg.norm(matrix, axis=1)
    counts = np.maximum(np.ceil(lengths / resolution - 1e-9), 4).astype(int)
    if np.prod(counts.astype(float)) > MAX_GRID_POINTS:
        shape = " x ".join(str(count) for count in counts)
        raise DataError(
            f"A resolution of {resolution} A makes a grid of {shape} points, more than "
            f"{MAX_GRID_POINTS:,}. Choose a coarser resolution or the primitive cell."
        )
    return int(counts[0]), int(counts[1]), int(counts[2])


def compute_field(
    framework: Framework,
    *,
    shape: tuple[int, int, int],
    threads: int = 1,
    has_walls: bool = False,
    operations: IntArray | None = None,
) -> SiteEnergyField:
    """Return the site energy on a grid of the given shape over the cell of the framework.

    Within 0.1 meV of `Framework.energies` wherever the energy is below 2 eV above the minimum.

    Parameters
    ----------
    framework
        What makes the energy.
    shape
        Points along each lattice vector.
    threads
        Threads that share the planes of the grid.
    has_walls
        Whether points within the covalent radius of a like-charged ion are shut, as CAVD does it.
    operations
        Symmetry of the grid (`grid_operations`): only one point of each equivalent set is summed,
        give or take the rest of its line.
    """
    energies = np.zeros(shape)
    whole = np.zeros((shape[0], shape[1], 2), dtype=np.int64)
    whole[..., 1] = shape[2]
    table = _radial_table(framework.terms, framework.starts, framework.cutoff, _TABLE_STEP)
    if has_walls:
        r = np.sqrt(np.arange(table.shape[2]) * _TABLE_STEP)
        table[:, 0] += _WALL_ENERGY * (r < framework.wall_radii[:, None])
    if operations is None:
        _accumulate(framework, table, energies, whole, threads=threads)
    else:
        sources = _first_equivalents(np.array(shape), operations)
        lines = _lines_to_sum(sources.reshape(shape))
        _accumulate(framework, table, energies, lines, threads=threads)
        energies = energies.ravel()[sources].reshape(shape)
    return SiteEnergyField(framework.matrix, energies, framework.symbol, framework.charge)


def _accumulate(
    framework: Framework,
    table: FloatArray,
    energies: FloatArray,
    lines: IntArray,
    *,
    threads: int,
) -> None:
    """Add all ions to the points lines[i, j, 0] <= k < lines[i, j, 1] of the grid."""
    # Axes turned so that the last lattice vector lies along x and the middle one in the xy plane.
    metric = framework.matrix @ framework.matrix.T
    turned = np.linalg.cholesky(metric[::-1, ::-1]).astype(np.float64)
    frac_coords = framework.frac_coords - np.floor(framework.frac_coords)

    def add_plane(plane: int) -> None:
        _add_plane(
            plane,
            energies,
            lines,
            turned,
            frac_coords,
            framework.kinds,
            table,
            1.0 / _TABLE_STEP,
            framework.cutoff,
        )

    planes = range(energies.shape[0])
    if threads == 1:
        for plane in planes:
            add_plane(plane)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add_plane, planes))


@njit(cache=True, nogil=True)
def _first_equivalents(shape: IntArray, operations: IntArray) -> npt.NDArray[np.int32]:
    """Return for each point the first point, in order of the grid, that it is equivalent to."""
    n1, n2, n3 = shape[0], shape[1], shape[2]
    sources = np.full(n1 * n2 * n3, -1, dtype=np.int32)
    node = 0
    for i in range(n1):
        for j in range(n2):
            for k in range(n3):
                if sources[node] < 0:
                    for number in range(len(operations)):
                        op = operations[number]
                        x = (op[0, 0] * i + op[0, 1] * j + op[0, 2] * k + op[0, 3]) % n1
                        y = (op[1, 0] * i + op[1, 1] * j + op[1, 2] * k + op[1, 3]) % n2
                        z = (op[2, 0] * i + op[2, 1] * j + op[2, 2] * k + op[2, 3]) % n3
                        sources[(x * n2 + y) * n3 + z] = node
                node += 1
    return sources


@njit(cache=True, nogil=True)
def _lines_to_sum(sources: npt.NDArray[np.int32]) -> IntArray:
    """Return for each line of the grid the stretch (first, last + 1) that holds all its sources."""
    n1, n2, n3 = sources.shape
    lines = np.zeros((n1, n2, 2), dtype=np.int64)
    for i in range(n1):
        for j in range(n2):
            for k in range(n3):
                if sources[i, j, k] == (i * n2 + j) * n3 + k:
                    if lines[i, j, 1] == 0:
                        lines[i, j, 0] = k
                    lines[i, j, 1] = k + 1
    return lines


@njit(cache=True, nogil=True)
def _radial_table(terms: FloatArray, starts: IntArray, cutoff: float, step: float) -> FloatArray:
    """Return cubic pieces (kind, power, piece) of the pair energy in squared distance."""
    n_pieces = int(cutoff * cutoff / step) + 3
    table = np.zeros((len(starts) - 1, 4, n_pieces))
    for kind in range(len(starts) - 1):
        first, last = starts[kind], starts[kind + 1]
        shift = radial(cutoff, terms, first, last)[0]
        for piece in range(n_pieces - 2):
            ends = np.empty(4)
            for side in range(2):
                r = np.sqrt((piece + side) * step)
                value, slope, _ = radial(r, terms, first, last)
                ends[2 * side] = value - shift
                ends[2 * side + 1] = slope * step / (2.0 * r) if r > 0 else 0.0
            rise = ends[2] - ends[0]
            table[kind, 0, piece] = ends[0]
            table[kind, 1, piece] = ends[1]
            table[kind, 2, piece] = 3.0 * rise - 2.0 * ends[1] - ends[3]
            table[kind, 3, piece] = ends[1] + ends[3] - 2.0 * rise
    return table


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _add_line(  # noqa: PLR0917 (compiled)
    row: FloatArray, first: int, last: int, x: float, dx: float, rest: float, pieces: FloatArray
) -> None:
    """Add a radial function along a line; `rest` and x in units of the table's step."""
    for k in range(first, last):
        along = x + (k - first) * dx
        q = rest + along * along
        piece = np.uint32(q)
        t = q - piece
        row[k] += ((pieces[3, piece] * t + pieces[2, piece]) * t + pieces[1, piece]) * t + pieces[
            0, piece
        ]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_plane(  # noqa: PLR0917 (compiled)
    plane: int,
    energies: FloatArray,
    lines: IntArray,
    turned: FloatArray,
    frac_coords: FloatArray,
    kinds: IntArray,
    table: FloatArray,
    inverse_step: float,
    cutoff: float,
) -> None:
    n1, n2, n3 = energies.shape
    c1 = turned[0, 0]
    b1, b2 = turned[1, 0], turned[1, 1]
    a1, a2, a3 = turned[2, 0], turned[2, 1], turned[2, 2]
    root = np.sqrt(inverse_step)
    dx = c1 / n3
    for ion in range(len(frac_coords)):
        f1, f2, f3 = frac_coords[ion]
        pieces = table[kinds[ion]]
        base = plane / n1 - f1
        for cell in range(int(np.ceil(-cutoff / a3 - base)), int(np.floor(cutoff / a3 - base)) + 1):
            u = base + cell
            rest1 = cutoff * cutoff - (a3 * u) ** 2
            half = np.sqrt(max(rest1, 0.0))
            j_first = int(np.ceil(((-half - a2 * u) / b2 + f2) * n2))
            j_last = int(np.floor(((half - a2 * u) / b2 + f2) * n2))
            for unwrapped_j in range(j_first, j_last + 1):
                j = unwrapped_j % n2
                low, high = lines[plane, j, 0], lines[plane, j, 1]
                if low >= high:
                    continue
                v = unwrapped_j / n2 - f2
                y = b2 * v + a2 * u
                rest2 = rest1 - y * y
                if rest2 <= 0.0:
                    continue
                half_line = np.sqrt(rest2)
                offset = b1 * v + a1 * u - c1 * f3
                k_first = int(np.ceil((-half_line - offset) / dx))
                k_last = int(np.floor((half_line - offset) / dx))
                rest = (cutoff * cutoff - rest2) * inverse_step
                unwrapped = k_first
                while unwrapped <= k_last:
                    k = unwrapped % n3
                    length = min(n3 - k, k_last - unwrapped + 1)
                    start, stop = max(k, low), min(k + length, high)
                    if start < stop:
                        x = offset + (unwrapped + start - k) * dx
                        _add_line(
                            energies[plane, j],
                            start,
                            stop,
                            x * root,
                            dx * root,
                            rest,
                            pieces,
                        )
                    unwrapped += length
