"""How all figures look, and how one is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["STYLE", "pyplot_axes", "save_figure"]

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "mathtext.default": "regular",
}


def save_figure(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Write a figure as SVG and PNG beside each other; return the two paths."""
    stem = Path(stem)
    paths = (stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".png"))
    with rc_context(STYLE):
        for path in paths:
            figure.savefig(path, dpi=200)
    return paths


@contextmanager
def pyplot_axes(axes: Axes | None) -> Iterator[Axes]:
    """Give axes to draw into in our style: those given, else new ones that a notebook shows."""
    # pyplot chooses a display when it is imported, which files of figures do not need.
    from matplotlib import pyplot as plt  # noqa: PLC0415

    with rc_context(STYLE):
        yield plt.subplots(layout="constrained")[1] if axes is None else axes
