"""The figure of an evaluation: how well scores mean what they say, beside the measures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ssefw.documents import Evaluation
from ssefw.errors import DataError
from ssefw.report.style import STYLE

__all__ = ["draw_evaluation"]

SHOWN = ("mcc", "auc_pr", "auc_roc", "accuracy", "precision", "recall", "f1")
ACCENT, GRAY = "#b42318", "#667085"


def draw_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Draw measures with intervals beside chance, and the reliability curve, to .svg, .png or .pdf.

    Raises
    ------
    DataError
        If the suffix is none of these.
    """
    if path.suffix not in {".svg", ".png", ".pdf"}:
        raise DataError(f"A figure is .svg, .png or .pdf, got {path.name!r}.")
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
        _measures(left, evaluation)
        _reliability(right, evaluation)
        figure.suptitle(
            f"{evaluation.screener} on {evaluation.label_set} ({evaluation.n} labels, "
            f"{evaluation.n_positive} superionic)",
            fontsize=9,
        )
        figure.savefig(path, dpi=150)


def _measures(axes: Any, evaluation: Evaluation) -> None:
    names = [name for name in SHOWN if evaluation.metrics[name].value is not None]
    for row, name in enumerate(names):
        value = evaluation.metrics[name]
        axes.plot([value.lower, value.upper], [row, row], color=ACCENT, lw=2)
        axes.plot([value.value], [row], "o", color=ACCENT, ms=5)
        by_chance = evaluation.controls["shuffled"][name]
        if by_chance.value is not None:
            axes.plot([by_chance.lower, by_chance.upper], [row, row], color=GRAY, lw=6, alpha=0.3)
    axes.set_yticks(range(len(names)), [name.replace("_", "-") for name in names])
    axes.invert_yaxis()
    axes.set_xlim(-0.3, 1.02)
    axes.set_xlabel("value, 95 % interval; gray: shuffled scores")


def _reliability(axes: Any, evaluation: Evaluation) -> None:
    axes.plot([0, 1], [0, 1], color=GRAY, lw=1, ls=":")
    mean = [point[0] for point in evaluation.reliability]
    share = [point[1] for point in evaluation.reliability]
    size = [8 + 4 * point[2] ** 0.5 * 3 for point in evaluation.reliability]
    axes.scatter(mean, share, s=size, color=ACCENT)
    axes.plot(mean, share, color=ACCENT, lw=1)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share that is superionic")
