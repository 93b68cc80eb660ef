"""Figures of a candidate as SVG text: displacement against time, conductivity against 1/T."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ssefw.documents import Conductivity, Diffusivity, Estimate
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["arrhenius_svg", "msd_svg"]

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#667085",
    "axes.labelcolor": "#344054",
    "xtick.color": "#667085",
    "ytick.color": "#667085",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "ssefw",
}
COLD, HOT = 600.0, 1500.0
ACCENT = "#b42318"


@contextmanager
def _axes(width: float = 4.3, height: float = 3.1) -> Iterator[tuple[Figure, Axes]]:
    # A Figure of its own, not pyplot's: no global state, no display.
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _color(temperature: float) -> tuple[float, ...]:
    share = np.clip((temperature - COLD) / (HOT - COLD), 0.0, 1.0)
    return tuple(mpl.colormaps["plasma"](0.1 + 0.75 * float(share)))


def msd_svg(diffusivities: Sequence[Diffusivity]) -> str:
    """Draw the mean squared displacement of the mobile ion at each temperature.

    Thick where the slope was fitted; the framework is dotted. Both axes are logarithmic, so that a
    diffusing ion is a line of slope one, and a vibrating one is flat.
    """
    with _axes() as (figure, axes):
        for run in sorted(diffusivities, key=lambda d: -d.temperature):
            lags, msd = np.array(run.lag_times), np.array(run.msd)
            seen = (lags > 0) & (msd > 0)
            if not seen.any():
                continue
            color = _color(run.temperature)
            axes.plot(lags[seen], msd[seen], color=color, lw=1.1, label=f"{run.temperature:g} K")
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
        axes.set_xlabel("time lag (ps)")
        axes.set_ylabel("mean squared displacement (Å²)")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", handlelength=1.2)
        return _svg(figure)


def _slope_one(axes: Axes) -> None:
    """Draw a guide of slope one through the upper middle of the axes."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    x = np.array([np.sqrt(left * right), right * 0.8])
    y = x / x[-1] * high * 0.7
    if y[0] > low:
        axes.plot(x, y, color="#98a2b3", lw=0.8, ls="--")
        axes.annotate("∝ t", (x[0], y[0]), color="#98a2b3", ha="right", va="bottom", fontsize=8)


def arrhenius_svg(conductivity: Conductivity) -> str:
    """Draw sigma T against 1000/T with intervals, bounds, the fit and its value at 300 K."""
    with _axes() as (figure, axes):
        for point in conductivity.points:
            _draw(
                axes,
                1000.0 / point.temperature,
                point.conductivity,
                scale=point.temperature,
                color=_color(point.temperature) if point.is_used else "#98a2b3",
                marker="o" if point.is_used else "x",
            )
        wanted = conductivity.temperature
        _draw(
            axes,
            1000.0 / wanted,
            conductivity.conductivity,
            scale=wanted,
            color=ACCENT,
            marker="D",
            label=f"{wanted:g} K",
        )
        _draw_line(axes, conductivity)
        axes.set_yscale("log")
        axes.set_xlabel("1000 / T (1/K)")
        axes.set_ylabel("σT (S K/cm)")
        _temperature_axis(axes, [*(point.temperature for point in conductivity.points), wanted])
        return _svg(figure)


def _draw(
    axes: Axes,
    x: float,
    estimate: Estimate,
    *,
    scale: float,
    color: str | tuple[float, ...],
    marker: str,
    label: str | None = None,
) -> None:
    if estimate.kind == "value":
        value, lower, upper = (
            scale * (number or 0.0) for number in (estimate.value, estimate.lower, estimate.upper)
        )
        axes.errorbar(
            x,
            value,
            yerr=[[value - lower], [upper - value]],
            fmt=marker,
            color=color,
            ms=5,
            capsize=2.5,
            lw=1.2,
            label=label,
        )
    elif estimate.kind == "upper_bound" and estimate.upper is not None:
        top = scale * estimate.upper
        axes.annotate(
            "",
            xy=(x, top / 6.0),
            xytext=(x, top),
            arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.2},
        )
        axes.plot(x, top, marker="_", color=color, ms=9, mew=1.6, label=label)
        axes.plot(x, top / 6.0, alpha=0.0)  # so that the arrow is within the limits


def _draw_line(axes: Axes, conductivity: Conductivity) -> None:
    """Draw the fitted exponential from the hottest point to the temperature asked for."""
    energy, sigma = conductivity.activation_energy, conductivity.conductivity
    if energy.kind != "value" or sigma.kind != "value" or not energy.value or not sigma.value:
        return
    used = [point.temperature for point in conductivity.points if point.is_used]
    inverse = np.linspace(1.0 / max(used), 1.0 / min(conductivity.temperature, *used), 50)
    at = conductivity.temperature
    line = sigma.value * at * np.exp(-energy.value / BOLTZMANN_EV_PER_K * (inverse - 1.0 / at))
    hot = inverse <= 1.0 / min(used)
    axes.plot(1000.0 * inverse[hot], line[hot], color="#344054", lw=1.1)
    axes.plot(1000.0 * inverse[~hot], line[~hot], color="#344054", lw=1.1, ls="--")


def _temperature_axis(axes: Axes, temperatures: Iterable[float]) -> None:
    top = axes.secondary_xaxis("top")
    marks = sorted(set(temperatures))
    top.set_xticks([1000.0 / mark for mark in marks], [f"{mark:g} K" for mark in marks])
    top.tick_params(labelsize=7.5, colors="#667085")
    top.spines["top"].set_visible(False)
