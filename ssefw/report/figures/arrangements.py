"""The arrangements of a disordered crystal beside each other: how far apart their values are."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ssefw.documents import Estimate, Outcome
from ssefw.report.figures.campaign import STYLE, svg_text, temperature_color

__all__ = ["arrangements_figure", "arrangements_svg"]


def arrangements_figure(outcome: Outcome) -> Figure:
    """Draw the diffusivity of each arrangement at each temperature, and the band of their mean.

    Arrows are upper bounds; a temperature without a mean has no band.
    """
    figure = Figure(figsize=(4.3, 3.1), layout="constrained")
    axes = figure.add_subplot()
    means = {
        point.temperature: point.diffusivity
        for point in (outcome.conductivity.points if outcome.conductivity else ())
        if point.is_used
    }
    temperatures = sorted({d.temperature for a in outcome.arrangements for d in a.diffusivities})
    for number, temperature in enumerate(temperatures):
        color = temperature_color(temperature)
        mean = means.get(temperature)
        if mean is not None and mean.kind == "value" and mean.lower is not None:
            axes.axhspan(mean.lower, float(mean.upper or 0.0), color=color, alpha=0.15, lw=0)
            axes.axhline(float(mean.value or 0.0), color=color, lw=1)
        shift = 0.08 * (number - 0.5 * (len(temperatures) - 1))
        axes.plot([], [], "o", color=color, label=f"{temperature:g} K")
        for arrangement in outcome.arrangements:
            for run in arrangement.diffusivities:
                if run.temperature == temperature:
                    _mark(axes, arrangement.ordering.index + shift, run.tracer, color)
    axes.set_yscale("log")
    axes.set_xticks([arrangement.ordering.index for arrangement in outcome.arrangements])
    axes.set_xlim(-0.5, len(outcome.arrangements) - 0.5)
    axes.set_xlabel("arrangement")
    axes.set_ylabel("D* (cm²/s)")
    axes.legend(frameon=False, fontsize="small")
    return figure


def arrangements_svg(outcome: Outcome) -> str:
    """Return the figure as SVG text; empty where no arrangement has a value or a bound."""
    kinds = {d.tracer.kind for a in outcome.arrangements for d in a.diffusivities}
    if not kinds & {"value", "upper_bound"}:
        return ""
    with mpl.rc_context(STYLE):
        return svg_text(arrangements_figure(outcome))


def _mark(axes: Axes, x: float, tracer: Estimate, color: tuple[float, ...]) -> None:
    if tracer.kind == "value" and tracer.value is not None:
        error = np.array(
            [
                [tracer.value - float(tracer.lower or 0.0)],
                [float(tracer.upper or 0.0) - tracer.value],
            ]
        )
        axes.errorbar([x], [tracer.value], yerr=error, fmt="o", color=color, capsize=3)
    elif tracer.kind == "upper_bound" and tracer.upper is not None:
        axes.errorbar(
            [x], [tracer.upper], yerr=[0.4 * tracer.upper], uplims=True, fmt="_", color=color
        )
