"""Figures of the pattern screen: patterns beside their nearest conductors, votes, augmentations."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from ssefw.errors import DataError
from ssefw.report.style import STYLE

__all__ = ["draw_augmentations", "draw_similar", "draw_votes"]

ACCENT, GRAY = "#b42318", "#667085"
COLUMNS = 3
Floats = npt.NDArray[Any]


def draw_similar(
    titles: Sequence[tuple[str, str]],
    patterns: Floats,
    conductors: Floats,
    *,
    angles: Floats,
    path: Path,
) -> None:
    """Draw each pattern upwards and that of its nearest labeled conductor downwards.

    Parameters
    ----------
    titles
        What to write above and below each.
    patterns, conductors
        Intensities from 0 to 1, shape (n, points).
    angles
        2 theta in degrees, shape (points,).
    """
    columns = min(COLUMNS, len(titles))
    rows = -(-len(titles) // columns)
    shown = angles[((patterns > 0) | (conductors > 0)).any(axis=0)]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.9 * columns, 0.8 + 1.35 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (above, below), own, other in zip(
            grid.flat, titles, patterns, conductors, strict=False
        ):
            axes.vlines(angles[own > 0], 0, own[own > 0], color=ACCENT, lw=1.0)
            axes.vlines(angles[other > 0], 0, -other[other > 0], color=GRAY, lw=1.0)
            axes.axhline(0, color="black", lw=0.4)
            for text, height, color in ((above, 0.98, ACCENT), (below, 0.02, GRAY)):
                axes.text(
                    0.99,
                    height,
                    _subscripts(text),
                    color=color,
                    fontsize=7,
                    transform=axes.transAxes,
                    ha="right",
                    va="top" if height > 0.5 else "bottom",
                )
            axes.spines["left"].set_visible(False)
            axes.set_yticks([])
            axes.set_ylim(-1.3, 1.3)
        grid[0, 0].set_xlim(max(shown.min() - 3, 0), shown.max() + 3)
        for axes in list(grid.flat)[len(titles) :]:
            axes.set_axis_off()
        figure.suptitle(
            "candidates (up, red) and the labeled conductors of most similar pattern (down, gray)",
            fontsize=8,
        )
        figure.supxlabel("2θ (degrees)", fontsize=9)
        _save(figure, path)


def _subscripts(text: str) -> str:
    """Write the numbers of formulas in a text as subscripts: those after a letter or bracket."""
    return re.sub(r"(?<=[A-Za-z)])(\d+(?:\.\d+)?)", r"$_{\1}$", text)


def draw_votes(
    y: npt.NDArray[np.int64], votes: npt.NDArray[np.int64], *, n_votes: int, path: Path
) -> None:
    """Draw the confusion of the majority vote, and how many votes each class got.

    Parameters
    ----------
    y
        Class of each material, 1 superionic, shape (n,).
    votes
        Members that say superionic, shape (n,), of `n_votes`.
    """
    names = ("other", "superionic")
    said = 2 * votes >= n_votes
    counts = np.array([[np.sum((y == k) & (said == s)) for s in (0, 1)] for k in (0, 1)])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
        rows = counts.sum(axis=1)
        left.imshow(counts / rows.clip(1)[:, None], cmap="Reds", vmin=0, vmax=1.4)
        for row in (0, 1):
            for column in (0, 1):
                share = 100 * counts[row, column] / max(rows[row], 1)
                text = f"{counts[row, column]}\n{share:.0f} %"
                left.text(column, row, text, ha="center", va="center")
        left.set_xticks((0, 1), names)
        left.set_yticks((0, 1), names)
        left.set_xlabel("majority vote")
        left.set_ylabel("label")
        left.spines[:].set_visible(False)
        left.tick_params(length=0)
        edges = np.arange(n_votes + 2) - 0.5
        for kind, color in ((0, GRAY), (1, ACCENT)):
            share = np.histogram(votes[y == kind], bins=edges)[0] / max(np.sum(y == kind), 1)
            right.bar(
                np.arange(n_votes + 1) + 0.4 * kind - 0.2,
                share,
                0.4,
                color=color,
                label=f"{names[kind]} ({np.sum(y == kind)})",
            )
        right.axvline(n_votes / 2 - 0.5, color="black", lw=0.6, ls=":")
        right.set_xlabel(f"votes for superionic, of {n_votes}")
        right.set_ylabel("share of the class")
        right.set_xticks(range(n_votes + 1) if n_votes <= 12 else range(0, n_votes + 1, 10))
        right.legend(title="label", loc="upper center")
        _save(figure, path)


def draw_augmentations(
    pattern: Floats, changed: Mapping[str, Floats], *, angles: Floats, path: Path
) -> None:
    """Draw a pattern, and rows of changed ones below it.

    Parameters
    ----------
    pattern
        Shape (points,).
    changed
        Name of a change, and what it made of the pattern at several draws, shape (k, points).
    """
    lines = [("pattern", pattern)]
    lines += [(name, row) for name, rows in changed.items() for row in rows]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.5 + 0.55 * len(lines)), layout="constrained")
        grid = figure.subplots(len(lines), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, row) in zip(grid, lines, strict=True):
            axes.vlines(angles[pattern > 0], 0, pattern[pattern > 0], color=GRAY, lw=0.6, alpha=0.5)
            axes.vlines(angles[row > 0], 0, row[row > 0], color=ACCENT, lw=0.9)
            axes.set_ylim(0, 2.2)
            axes.set_yticks([])
            axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
        grid[-1].set_xlabel("2θ (degrees)")
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    if path.suffix not in {".svg", ".png", ".pdf"}:
        raise DataError(f"A figure is .svg, .png or .pdf, got {path.name!r}.")
    figure.savefig(path, dpi=150)
