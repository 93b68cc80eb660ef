"""The figure of a validation: the measures of all systems beside each other, with intervals."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ssefw.documents import Evaluation
from ssefw.errors import DataError
from ssefw.report.style import STYLE
from ssefw.screening.baselines import BASELINES

__all__ = ["draw_validation"]

PANELS = {
    "auc_pr": "AUC-PR",
    "mcc": "MCC",
    "mae": "MAE (decades)",
    "coverage": "90 % intervals hold",
}
ACCENT, GRAY = "#b42318", "#667085"


def draw_validation(evaluations: Mapping[str, Evaluation], path: Path) -> None:
    """Draw a panel for each measure that any system has, to .svg, .png or .pdf.

    Raises
    ------
    DataError
        If the suffix is none of these.
    """
    if path.suffix not in {".svg", ".png", ".pdf"}:
        raise DataError(f"A figure is .svg, .png or .pdf, got {path.name!r}.")
    shown = [name for name in PANELS if any(name in one.metrics for one in evaluations.values())]
    first = next(iter(evaluations.values()))
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(1.6 + 1.9 * len(shown), 1.1 + 0.28 * len(evaluations)), layout="constrained"
        )
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, shown, strict=True):
            _draw(axes, evaluations, name)
        panels[0].set_yticks(range(len(evaluations)), list(evaluations))
        panels[0].invert_yaxis()
        figure.suptitle(
            f"{first.label_set}: {first.n} labels, {first.n_positive} superionic; {first.protocol}",
            fontsize=9,
        )
        figure.savefig(path, dpi=150)


def _draw(axes: Any, evaluations: Mapping[str, Evaluation], name: str) -> None:
    for row, (contestant, evaluation) in enumerate(evaluations.items()):
        value = evaluation.metrics.get(name)
        if value is None or value.value is None:
            continue
        color = GRAY if contestant in BASELINES else ACCENT
        axes.plot([value.lower, value.upper], [row, row], color=color, lw=2)
        axes.plot([value.value], [row], "o", color=color, ms=4)
    if name == "coverage":
        axes.axvline(0.9, color=GRAY, lw=1, ls=":")
    axes.set_xlabel(PANELS[name])
