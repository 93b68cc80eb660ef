"""Figures of a potential that was taught: its errors round by round, and force beside force."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ssefw.documents import LearnedPotential, Parity
from ssefw.report.figures.campaign import STYLE, svg_text

__all__ = ["lesson_svg"]

LINE = "#1d4ed8"
LOST = "#c2410c"


def lesson_svg(potential: LearnedPotential) -> str:
    """Draw the error of forces against the number of labels, and, if on record, a parity plot."""
    has_parity = potential.parity is not None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6 if has_parity else 3.5, 2.7), layout="constrained")
        axes = figure.subplots(1, 2 if has_parity else 1, squeeze=False)[0]
        _draw_curve(axes[0], potential)
        if potential.parity is not None:
            _draw_parity(axes[1], potential.parity)
        return svg_text(figure)


def _draw_curve(axes: Axes, potential: LearnedPotential) -> None:
    """Draw the first fit and each round; hollow where an exploration of the round was lost."""
    labels = [one.labels for one in potential.rounds]
    counts = potential.n_labels - sum(labels) + np.cumsum([0, *labels])
    errors = [one.errors.force for one in potential.rounds]
    first = potential.first_errors
    before = first.force if first else (errors[0] if errors else potential.errors[0].force)
    errors = [before, *errors]
    axes.plot(counts, 1e3 * np.array(errors), "-", color=LINE, linewidth=1)
    for number, (count, error) in enumerate(zip(counts, errors, strict=True)):
        is_lost = number > 0 and any(potential.rounds[number - 1].lost)
        axes.plot(
            count, 1e3 * error, "o", markersize=5, color=LOST if is_lost else LINE,
            markerfacecolor="white" if is_lost else LINE,
        )  # fmt: skip
    axes.set_ylim(0, 1.25e3 * max(errors))
    axes.margins(x=0.1)
    axes.set_xlabel("labels")
    axes.set_ylabel("error of forces (meV/Å)")


def _draw_parity(axes: Axes, parity: Parity) -> None:
    theirs, ours = np.array(parity.teacher), np.array(parity.student)
    most = 1.05 * max(np.abs(theirs).max(initial=0.1), np.abs(ours).max(initial=0.1))
    axes.plot([-most, most], [-most, most], color="#98a2b3", linewidth=0.8)
    axes.plot(theirs, ours, ".", color=LINE, markersize=3, alpha=0.6)
    axes.set(xlim=(-most, most), ylim=(-most, most), aspect="equal")
    axes.set_xlabel("force by the teacher (eV/Å)")
    axes.set_ylabel("by what was taught (eV/Å)")
