"""Figures of a band: energy along the path with its spline, and the path in the cell."""

import io
import itertools

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]
from pymatgen.core import Structure
from scipy.interpolate import CubicSpline

from ssefw.documents import Barrier, NebPath
from ssefw.errors import AnalysisError
from ssefw.report.style import STYLE

__all__ = ["band_figure", "barriers_svg"]

FloatArray = npt.NDArray[np.float64]

PATH = "#c2410c"
PUSHED = "#0f766e"
OTHER = "#667085"
NEAR = 4.0
"""Atoms farther than this (A) from the path are drawn pale."""


def band_figure(band: NebPath) -> Figure:
    """Draw a band: its energy and, where the structures are known, the way of the ion.

    Raises
    ------
    AnalysisError
        If the band has no energies.
    """
    if len(band.energies) < 3:
        raise AnalysisError(f"There is no band to draw: {band.reason or band.status}")
    mover = _mover(band)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6 if mover is not None else 4.2, 3.3), layout="constrained")
        if mover is None:
            _draw_energies(figure.add_subplot(), band)
            return figure
        grid = figure.add_gridspec(1, 2, width_ratios=(1.15, 1.0))
        _draw_energies(figure.add_subplot(grid[0]), band)
        axes = figure.add_subplot(grid[1], projection="3d")
        assert isinstance(axes, Axes3D)
        _draw_cell(axes, band, mover)
        return figure


def barriers_svg(barrier: Barrier) -> str:
    """Draw the energies of all bands of a crystal over the share of their way, as SVG text."""
    with mpl.rc_context(STYLE | {"svg.hashsalt": "ssefw"}):
        figure = Figure(figsize=(4.3, 3.1), layout="constrained")
        axes = figure.add_subplot()
        colors = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, max(1, len(barrier.bands))))
        for band, color in zip(barrier.bands, colors, strict=True):
            if band.forward is None:
                continue
            share = np.array(band.lengths) / band.lengths[-1]
            energies = np.array(band.energies) - band.energies[0]
            fine = np.linspace(0.0, 1.0, 200)
            label = f"{band.hop.length:.2f} Å" if band.hop else ""
            axes.plot(fine, _spline(share, energies)(fine), color=color, linewidth=1.4)
            axes.plot(share, energies, "o", color=color, markersize=4, label=label)
        axes.axhline(0.0, color=OTHER, linewidth=0.6)
        axes.set(xlabel="share of the way", ylabel="energy (eV)", xlim=(-0.02, 1.02))
        if any(band.hop and band.forward is not None for band in barrier.bands):
            axes.legend(title="hop", title_fontsize=8)
        text = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _spline(along: FloatArray, energies: FloatArray) -> CubicSpline:
    """Return the curve through the images; both ends are minima, so that it is level there."""
    return CubicSpline(along, energies, bc_type="clamped")


def _draw_energies(axes: Axes, band: NebPath) -> None:
    along = np.array(band.lengths)
    energies = np.array(band.energies) - band.energies[0]
    fine = np.linspace(along[0], along[-1], 400)
    axes.plot(fine, _spline(along, energies)(fine), color=PATH, linewidth=1.5, label="spline")
    top = int(energies.argmax())
    plain = [k for k in range(len(along)) if not (band.climbed and k == top)]
    axes.plot(along[plain], energies[plain], "o", color=PATH, markersize=5, label="images")
    if band.climbed:
        axes.plot(along[top], energies[top], "^", color=PATH, markersize=7, label="climbing image")
    axes.axhline(0.0, color=OTHER, linewidth=0.6)
    height = max(float(energies.max()), 1e-3)
    if band.forward is None or band.reverse is None or band.saddle is None:
        axes.set_title(f"{band.status}: no barrier", color=OTHER)
    else:
        axes.axhline(band.forward, color=OTHER, linewidth=0.6, linestyle=":")
        axes.set_title(f"{band.forward:.3f} eV forward, {band.reverse:.3f} eV back")
        height = max(height, band.forward)
    lowest = min(0.0, float(energies.min()))
    axes.set(
        xlabel="distance along the path, all atoms (Å)",
        ylabel="energy (eV)",
        ylim=(lowest - 0.06 * height, 1.12 * height),
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.1))


def _mover(band: NebPath) -> int | None:
    """Return the atom that hops: the one known, else the one that goes farthest."""
    if not band.structures:
        return None
    if band.mover is not None:
        return band.mover
    frac = band.structures[-1].frac_coords - band.structures[0].frac_coords
    away = band.structures[0].lattice.get_cartesian_coords(frac - np.rint(frac))
    return int(np.linalg.norm(away, axis=1).argmax())


def _pushed(band: NebPath, mover: int) -> list[int]:
    """Return the other atoms of its kind that go as far as at least half of its way."""
    start, end = band.structures[0], band.structures[-1]
    frac = end.frac_coords - start.frac_coords
    moved = np.linalg.norm(start.lattice.get_cartesian_coords(frac - np.rint(frac)), axis=1)
    return [
        k
        for k, site in enumerate(start)
        if k != mover and site.specie == start[mover].specie and moved[k] > moved[mover] / 2
    ]


def _draw_cell(axes: Axes3D, band: NebPath, mover: int) -> None:
    """Draw the cell around the middle of the way, so that the way does not leave it."""
    start = band.structures[0]
    way = _unwrapped(band.structures, mover)
    middle = way.mean(axis=0)
    lattice = start.lattice
    frac = start.frac_coords - lattice.get_fractional_coords(middle)
    atoms = middle + lattice.get_cartesian_coords(frac - np.rint(frac))
    pushed = _pushed(band, mover)
    others = [k for k in range(len(start)) if k != mover and k not in pushed]
    distances = np.linalg.norm(atoms[:, None] - way[None], axis=2).min(axis=1)
    symbols = [site.specie.symbol for site in start]
    for symbol in dict.fromkeys(symbols):
        number = atomic_numbers[symbol]
        for near in (True, False):
            chosen = [
                k for k in others if symbols[k] == symbol and bool(distances[k] < NEAR) is near
            ]
            axes.scatter(
                *atoms[chosen].T,
                s=90.0 * covalent_radii[number] ** 2 * (1.0 if near else 0.35),
                color=jmol_colors[number],
                edgecolors="#555555",
                linewidths=0.4 if near else 0.2,
                alpha=0.95 if near else 0.25,
                depthshade=False,
                label=symbol if near and chosen else None,
            )
    ways = [(way, PATH, f"way of {symbols[mover]}")]
    for k in pushed:
        other = _unwrapped(band.structures, k)
        ways.append((other + atoms[k] - other[0], PUSHED, f"way of pushed {symbols[k]}"))
    for points, color, label in ways:
        axes.plot(*points.T, color=color, linewidth=1.6, zorder=10)
        axes.scatter(
            *points.T, s=26, color=color, edgecolors="white", linewidths=0.5, depthshade=False,
            zorder=11, label=label,
        )  # fmt: skip
    _draw_box(axes, lattice.matrix, middle)
    axes.set_axis_off()
    axes.set_box_aspect(np.ptp(_corners(lattice.matrix), axis=0), zoom=1.3)
    axes.view_init(elev=18.0, azim=_azimuth(way))
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0.04),
        ncols=4,
        handletextpad=0.2,
        columnspacing=1.0,
    )


def _azimuth(way: FloatArray) -> float:
    """Return a direction to look from in which the way is not seen end on."""
    along = way[-1] - way[0]
    return float(np.degrees(np.arctan2(along[1], along[0]))) + 68.0


def _unwrapped(structures: tuple[Structure, ...], mover: int) -> FloatArray:
    points = [structures[0].cart_coords[mover]]
    for before, after in itertools.pairwise(structures):
        frac = after.frac_coords[mover] - before.frac_coords[mover]
        points.append(points[-1] + before.lattice.get_cartesian_coords(frac - np.rint(frac)))
    return np.array(points)


def _corners(matrix: FloatArray) -> FloatArray:
    corners: FloatArray = (np.array(list(np.ndindex(2, 2, 2))) - 0.5) @ matrix
    return corners


def _draw_box(axes: Axes3D, matrix: FloatArray, center: FloatArray) -> None:
    index = np.array(list(np.ndindex(2, 2, 2)))
    corners = center + _corners(matrix)
    for i in range(8):
        for j in range(i):
            if np.abs(index[i] - index[j]).sum() == 1:
                axes.plot(*corners[[i, j]].T, color="#98a2b3", linewidth=0.7)
