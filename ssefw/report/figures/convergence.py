"""The figure of a convergence: what the energy still changes, by cutoff and by k-points."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ssefw.documents import Convergence, ConvergencePoint
from ssefw.report.style import STYLE

__all__ = ["convergence_figure"]

LINE = "#1d4ed8"
CHOSEN = "#c2410c"
FLOOR = 1e-2
"""Differences (meV/atom) below this are drawn here: the axis is logarithmic."""


def convergence_figure(found: Convergence) -> Figure:
    """Draw the distance of each energy from that of the finest setting, both series."""
    series = [(found.cutoffs, found.ecutwfc, "cutoff of wavefunctions (Ry)", False)]
    if found.spacings:
        series.append((found.spacings, found.kspacing, "distance of k-points (1/Å)", True))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.8 * len(series), 3.0), layout="constrained")
        grid = figure.add_gridspec(1, len(series))
        for column, (points, chosen, label, falls) in enumerate(series):
            axes = figure.add_subplot(grid[column])
            _draw(axes, points, chosen, tolerance=1e3 * found.tolerance)
            axes.set_xlabel(label)
            if falls:
                axes.invert_xaxis()
        figure.axes[0].set_ylabel("distance from the finest (meV/atom)")
    return figure


def _draw(
    axes: Axes, points: Sequence[ConvergencePoint], chosen: float, *, tolerance: float
) -> None:
    settings = np.array([point.setting for point in points])
    energies = np.array([point.energy_per_atom for point in points])
    away = np.maximum(1e3 * np.abs(energies - energies[-1]), FLOOR)
    axes.semilogy(settings[:-1], away[:-1], "o-", color=LINE, markersize=4)
    axes.axhspan(FLOOR / 2, tolerance, color="#667085", alpha=0.12, linewidth=0)
    axes.axvline(settings[-1], color="#667085", linewidth=0.8, linestyle=":")
    axes.annotate(
        "finest", (settings[-1], 1.0), xycoords=("data", "axes fraction"), rotation=90,
        ha="right", va="top", fontsize=8, color="#667085",
    )  # fmt: skip
    index = int(np.argmin(np.abs(settings - chosen)))
    axes.plot(settings[index], away[index], "o", color=CHOSEN, markersize=7, zorder=5)
    axes.set_title(f"{chosen:g} is within {tolerance:g} meV/atom")
    axes.set_ylim(FLOOR / 2, max(3 * tolerance, 2 * float(away.max())))
