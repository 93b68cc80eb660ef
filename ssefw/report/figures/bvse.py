"""Figures of a site-energy landscape: a slice through the bottleneck, and energy along the path."""

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ssefw.bvse import LandscapeResult, route
from ssefw.bvse.landscape import Landscape, Link
from ssefw.bvse.paths import Step
from ssefw.errors import AnalysisError
from ssefw.report.style import STYLE

__all__ = ["barrier_figure"]

FloatArray = npt.NDArray[np.float64]

PATH, IONS, SITE = "#D55E00", "#333333", "#0072B2"
DIMENSIONS = ("1D", "2D", "3D")
# The color scale ends this far above the barrier: what lies higher is wall.
WALL = 0.6
SLICE_POINTS = 240


def barrier_figure(result: LandscapeResult) -> Figure:
    """Draw the site energy on the plane of the lowest percolating path, and along that path.

    Left: energy above the most stable site on the plane that fits the path best; the path, the
    stable sites and the ions of the framework within 1 A of the plane. Right: energy along the
    path through the crystal, with the three percolation barriers.

    Raises
    ------
    AnalysisError
        When nothing percolates, so that there is no path to draw.
    """
    landscape = result.landscape
    if not landscape.bottlenecks:
        raise AnalysisError(
            f"No path of {landscape.framework.symbol} percolates in "
            f"{result.structure.composition.reduced_formula}; there is nothing to draw."
        )
    points, energies, sites = percolating_path(landscape)
    with rc_context(STYLE):
        figure = Figure(figsize=(8.2, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.05, 1.0])
        _draw_slice(left, landscape, points)
        _draw_profile(right, landscape, points, energies, sites)
        formula = result.structure.composition.reduced_formula
        figure.suptitle(f"{landscape.framework.symbol} in {formula}", fontsize=10)
    return figure


def percolating_path(landscape: Landscape) -> tuple[FloatArray, FloatArray, list[int]]:
    """Return points, energies and site positions of the lowest path to a periodic image.

    Energies are above the most stable site; the last are indices of the points that are sites.
    """
    steps = _loop(landscape, landscape.bottlenecks[0])
    matrix = landscape.framework.matrix
    points: list[FloatArray] = []
    energies: list[FloatArray] = []
    sites = [0]
    for number, step in enumerate(steps):
        skip = 1 if number else 0
        points.append((step.hop.cart_points + np.array(step.cell) @ matrix)[skip:])
        energies.append(step.hop.energies[skip:] - landscape.minimum)
        sites.append(sites[-1] + len(step.hop.energies) - 1)
    return np.vstack(points), np.concatenate(energies), sites


def _loop(landscape: Landscape, bottleneck: Link) -> tuple[Step, ...]:
    """Return the route from a site beside the bottleneck to its lowest periodic image."""
    images = [(i, j, k) for i, j, k in np.ndindex(3, 3, 3) if (i, j, k) > (1, 1, 1)]
    found: list[tuple[float, int, tuple[Step, ...]]] = []
    for image in images:
        cell = (image[0] - 1, image[1] - 1, image[2] - 1)
        try:
            steps = route(landscape, bottleneck.start, bottleneck.start, image=cell)
        except AnalysisError:
            continue
        found.append((max(step.hop.energy for step in steps), len(steps), steps))
    if not found:
        raise AnalysisError("The percolating path leaves the neighboring cells; it is not drawn.")
    return min(found, key=lambda entry: (round(entry[0], 4), entry[1]))[2]


def _draw_slice(axes: Axes, landscape: Landscape, points: FloatArray) -> None:
    framework = landscape.framework
    center = points.mean(axis=0)
    _, _, axes_of_path = np.linalg.svd(points - center)
    across, up, normal = axes_of_path
    flat = (points - center) @ np.array([across, up]).T
    half = np.maximum(np.abs(flat).max(axis=0) + 1.5, 3.0)
    x = np.linspace(-half[0], half[0], SLICE_POINTS)
    y = np.linspace(-half[1], half[1], max(int(SLICE_POINTS * half[1] / half[0]), 20))
    grid = center + x[None, :, None] * across + y[:, None, None] * up
    top = max(value for value in landscape.thresholds if np.isfinite(value)) + WALL
    energies = framework.energies(grid.reshape(-1, 3)).reshape(len(y), len(x)) - landscape.minimum
    levels = np.linspace(0.0, top, 25)
    shown = axes.contourf(x, y, np.minimum(energies, top), levels=levels, cmap="YlGnBu_r")
    axes.contour(x, y, energies, levels=[landscape.thresholds.one], colors="white", linewidths=0.7)
    axes.plot(*flat.T, color=PATH, linewidth=1.6, label="path")
    for positions, color, marker, name in (
        (
            _near_plane(framework.frac_coords, framework.matrix, grid, normal),
            IONS,
            "o",
            "framework",
        ),
        (_near_plane(landscape.frac_sites, framework.matrix, grid, normal), SITE, "D", "site"),
    ):
        plane = (positions - center) @ np.array([across, up]).T
        inside = (np.abs(plane) < half).all(axis=1)
        axes.plot(
            *plane[inside].T,
            marker,
            color=color,
            markersize=4,
            markeredgecolor="white",
            markeredgewidth=0.5,
            label=name,
        )
    axes.set(xlabel="along the path (Å)", ylabel="across (Å)", aspect="equal")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    bar = axes.figure.colorbar(shown, ax=axes, shrink=0.85, ticks=np.arange(0.0, top, 0.2))
    bar.set_label("energy above the minimum (eV)")


def _near_plane(
    frac: FloatArray, matrix: FloatArray, grid: FloatArray, normal: FloatArray
) -> FloatArray:
    """Return Cartesian images of points that lie within 1 A of the drawn plane."""
    corners = grid[[0, 0, -1, -1], [0, -1, 0, -1]] @ np.linalg.inv(matrix)
    low, high = np.floor(corners.min(axis=0)) - 1, np.ceil(corners.max(axis=0)) + 1
    ranges = [np.arange(one, other + 1) for one, other in zip(low, high, strict=True)]
    cells = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    positions: FloatArray = ((frac + cells) @ matrix).reshape(-1, 3)
    distances = np.abs((positions - grid[0, 0]) @ normal)
    near: FloatArray = positions[distances < 1.0]
    return near


def _draw_profile(
    axes: Axes, landscape: Landscape, points: FloatArray, energies: FloatArray, sites: list[int]
) -> None:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    axes.plot(along, energies, color=PATH, linewidth=1.6)
    axes.plot(along[sites], energies[sites], "D", color=SITE, markersize=4)
    previous = -np.inf
    for name, value in zip(DIMENSIONS, landscape.thresholds, strict=True):
        if not np.isfinite(value):
            continue
        axes.axhline(value, color="#888888", linewidth=0.7, linestyle=":")
        same = value - previous < 0.002
        if same:
            labels = axes.texts[-1]
            labels.set_text(labels.get_text().replace(" ", f"/{name} ", 1))
            continue
        axes.annotate(
            f"{name} {value:.3f} eV",
            (1.0, value),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
        previous = value
    highest = max(value for value in landscape.thresholds if np.isfinite(value))
    axes.set(
        xlabel="distance along the path (Å)",
        ylabel="energy above the minimum (eV)",
        xlim=(0.0, along[-1]),
        ylim=(-0.03 * highest, 1.15 * highest),
    )
    axes.spines[["top", "right"]].set_visible(False)
