"""Figures of a candidate as SVG text: displacement against time, conductivity against 1/T."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ssefw.documents import Conductivity, Diffusivity
from ssefw.report.figures.analysis import arrhenius_figure
from ssefw.report.style import STYLE as BASE_STYLE

__all__ = ["arrhenius_svg", "draw_msds", "msd_svg", "svg_text", "temperature_color"]

STYLE: dict[Any, Any] = BASE_STYLE | {
    "axes.edgecolor": "#667085",
    "axes.labelcolor": "#344054",
    "xtick.color": "#667085",
    "ytick.color": "#667085",
    "svg.hashsalt": "ssefw",
}
COLD, HOT = 300.0, 1500.0
FEW_DECADES = 50.0
LABEL_POINTS = 9.5
"""Between two labels, for a font of 8 points."""


@contextmanager
def _axes(width: float = 4.3, height: float = 3.1) -> Iterator[tuple[Figure, Axes]]:
    # A Figure of its own, not pyplot's: no global state, no display.
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def svg_text(figure: Figure) -> str:
    """Return a figure as SVG, the same for the same figure."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]


_BLUE_TO_RED = LinearSegmentedColormap.from_list(
    "blue to red", ["#17419c", "#2b8fce", "#7e57b0", "#d0466b", "#a50f15"]
)
"""Dark enough on white throughout; neighbors of 300 K differ."""


def temperature_color(temperature: float) -> tuple[float, ...]:
    """Return the color of a temperature (K)."""
    share = np.clip((temperature - COLD) / (HOT - COLD), 0.0, 1.0)
    return tuple(_BLUE_TO_RED(float(share)))


def msd_svg(diffusivities: Sequence[Diffusivity]) -> str:
    """Draw the mean squared displacement of the mobile ion at each temperature, as `draw_msds`."""
    with _axes() as (figure, axes):
        draw_msds(axes, diffusivities)
        return svg_text(figure)


def draw_msds(axes: Axes, diffusivities: Sequence[Diffusivity]) -> None:
    """Draw the mean squared displacement of the mobile ion at each temperature into axes.

    Thick where the slope was fitted; the framework is dotted. Both axes are logarithmic, so that a
    diffusing ion is a line of slope one, and a vibrating one is flat.
    """
    ends = []
    for run in sorted(diffusivities, key=lambda d: -d.temperature):
        lags, msd = np.array(run.lag_times), np.array(run.msd)
        seen = (lags > 0) & (msd > 0)
        if not seen.any():
            continue
        color = temperature_color(run.temperature)
        axes.plot(lags[seen], msd[seen], color=color, lw=1.1)
        ends.append((f"{run.temperature:g} K", lags[seen][-1], msd[seen][-1], color))
        if run.fit_window is not None and run.tracer.kind == "value":
            first, last = run.fit_window
            fitted = seen & (lags >= first) & (lags <= last)
            axes.plot(lags[fitted], msd[fitted], color=color, lw=3.2, solid_capstyle="butt")
        if len(run.msd_framework) == len(lags):
            framework = np.array(run.msd_framework)
            shown = seen & (framework > 0)
            axes.plot(lags[shown], framework[shown], color=color, lw=0.9, ls=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _slope_one(axes)
    _label_ticks(axes.xaxis, *axes.get_xlim())
    _label_ticks(axes.yaxis, *axes.get_ylim())
    axes.set_xlabel("time lag (ps)")
    axes.set_ylabel("mean squared displacement (Å²)")
    _label_ends(axes, ends)


def _label_ends(axes: Axes, ends: Sequence[tuple[str, float, float, tuple[float, ...]]]) -> None:
    """Write what lines are called at their ends, from the lowest up, none upon another."""
    low, high = np.log10(axes.get_ylim())
    height = axes.get_window_extent().height / axes.figure.dpi * 72.0
    apart = LABEL_POINTS / max(height, 1.0) * (high - low)
    last = -np.inf
    # Of several runs at a temperature the highest is labeled.
    highest = {end[0]: end for end in sorted(ends, key=lambda end: end[2])}
    for text, x, y, color in sorted(highest.values(), key=lambda end: end[2]):
        last = max(float(np.log10(y)), last + apart)
        axes.annotate(
            text, (x, 10.0**last), (4, 0), textcoords="offset points", color=color, va="center",
            fontsize=8, annotation_clip=False,
        )  # fmt: skip


def _slope_one(axes: Axes) -> None:
    """Draw a guide of slope one in the upper left of the axes."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    x = np.array([left * (right / left) ** 0.06, left * (right / left) ** 0.35])
    y = x / x[-1] * high * 0.8
    if y[0] > low:
        axes.plot(x, y, color="#98a2b3", lw=0.8, ls="--", zorder=1)
        axes.annotate("∝ t", (x[1], y[1]), color="#98a2b3", va="center", fontsize=8)


def _label_ticks(axis: Axis, low: float, high: float) -> None:
    """Label 2 and 5 between the decades where there are few of these, and nothing else."""
    labeled = {"2", "5"} if high < FEW_DECADES * low else set()
    axis.set_minor_formatter(
        FuncFormatter(lambda x, _: f"{x:g}" if f"{x:.0e}"[0] in labeled else "")
    )


def arrhenius_svg(conductivity: Conductivity, lines: Sequence[Conductivity] = ()) -> str:
    """Draw the conductivities, the fit with its prediction band, and the value asked for."""
    with mpl.rc_context(STYLE):
        return svg_text(arrhenius_figure(conductivity, lines))
