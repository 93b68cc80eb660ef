"""Figures of clustering: W of representations as half-violins, and a tree above its labels."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from ssefw.errors import DataError
from ssefw.report.style import STYLE
from ssefw.screening.clustering.study import Study
from ssefw.screening.clustering.ward import Tree, cut
from ssefw.screening.features.descriptors import descriptor

__all__ = ["draw_study", "draw_tree"]

ACCENT, GRAY, BLUE = "#b42318", "#667085", "#175cd3"
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def draw_study(found: Study, path: Path) -> None:
    """Draw W over the first 50 depths of each descriptor's best simplification, sorted by mean."""
    _check(path)
    inside = (found.depths >= 2) & (found.depths <= 50)
    shown: dict[str, tuple[str, FloatArray]] = {}
    for entry in found.entries:
        one = entry.representation
        if len(entry.w) and one.descriptor not in shown:
            title = f"{descriptor(one.descriptor).title}\n{one.simplification}"
            shown[one.descriptor] = (title, entry.w[inside])
    columns = [*shown.values(), ("Control\nrandom", found.control[inside])]
    columns.sort(key=lambda column: float(column[1].mean()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(4.0, 0.48 * len(columns) + 1), 3.8), layout="constrained")
        axes = figure.subplots()
        axes.axhline(float(found.control[inside].mean()), color=GRAY, lw=0.7, ls=":")
        for place, (title, w) in enumerate(columns):
            _half_violin(axes, place, w, GRAY if title.startswith("Control") else ACCENT)
        axes.set_xticks(
            range(len(columns)), [title for title, _ in columns], rotation=60, ha="right"
        )
        axes.set_ylabel("$W_\\sigma$ (decades²)")
        axes.set_title(f"{len(found.labels)} labels in {len(found.rows)} structures, 2-50 clusters")
        figure.savefig(path, dpi=150)


def draw_tree(
    tree: Tree,
    rows: IntArray,
    values: FloatArray,
    path: Path,
    *,
    depth: int = 241,
    threshold: float = -5.0,
) -> None:
    """Draw the top of a tree above the labels of its clusters, high ones apart.

    A cluster is as wide as it has rows, so that shares of the pool are seen as lengths.

    Parameters
    ----------
    rows, values
        Labeled leaves and log10 of sigma (S/cm).
    """
    _check(path)
    names = cut(tree, [depth])[0]
    order = _order_of_clusters(tree, depth)
    size = np.array([(names == name).sum() for name in order])
    middle_of = np.cumsum(size) - size / 2
    number = {name: place for place, name in enumerate(order)}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.6), layout="constrained")
        top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[2.0, 1.2, 0.8])
        _branches(top, tree, depth, dict(zip(order, middle_of.tolist(), strict=True)))
        top.set_ylabel("distance")
        top.set_title(f"{tree.n} structures in {depth} clusters, {len(rows)} with labels")
        here = np.array([number[names[row]] for row in rows])
        high = values >= threshold
        middle.plot(
            middle_of[here[~high]], values[~high], ".", color=GRAY, ms=3, label=_below(threshold)
        )
        middle.plot(
            middle_of[here[high]], values[high], ".", color=ACCENT, ms=4, label=_from(threshold)
        )
        middle.axhline(threshold, color=GRAY, lw=0.7, ls=":")
        middle.set_ylabel("lg σ (S/cm)")
        middle.legend(loc="lower left", ncols=2, borderpad=0, handletextpad=0.1)
        held = np.bincount(here[high], minlength=len(order))
        bottom.bar(middle_of, 100 * held / size, width=size, color=ACCENT, edgecolor=ACCENT, lw=0.3)
        bottom.set_ylabel("high labels in\n100 structures")
        bottom.set_xlabel("structures in the order of the tree")
        bottom.set_xlim(0, tree.n)
        figure.savefig(path, dpi=150)


def _below(threshold: float) -> str:
    return f"below {10**threshold:.0e} S/cm".replace("e-0", "e-")


def _from(threshold: float) -> str:
    return f"from {10**threshold:.0e} S/cm".replace("e-0", "e-")


def _check(path: Path) -> None:
    if path.suffix not in {".svg", ".png", ".pdf"}:
        raise DataError(f"A figure is .svg, .png or .pdf, got {path.name!r}.")


def _half_violin(axes: Any, place: int, w: FloatArray, color: str) -> None:
    axes.plot(np.full(len(w), place - 0.12), w, ".", color=color, ms=2.5, alpha=0.6)
    axes.plot([place - 0.3, place + 0.35], [w.mean()] * 2, color=color, lw=1)
    if np.ptp(w) > 0:
        margin = 0.15 * np.ptp(w)
        grid = np.linspace(w.min() - margin, w.max() + margin, 150)
        density = gaussian_kde(w)(grid)
        axes.fill_betweenx(
            grid, place, place + 0.4 * density / density.max(), color=color, alpha=0.35, lw=0
        )


def _order_of_clusters(tree: Tree, depth: int) -> list[int]:
    """Return the clusters of a depth from left to right, children beside each other."""
    first = tree.n + (tree.n - depth)
    order, waiting = [], [2 * tree.n - 2]
    while waiting:
        node = waiting.pop()
        if node < first:
            order.append(node)
        else:
            waiting += [int(child) for child in tree.pairs[node - tree.n]]
    return order


def _branches(axes: Any, tree: Tree, depth: int, place: dict[int, float]) -> None:
    x = dict(place)
    floor = float(tree.heights[tree.n - depth - 1]) if depth < tree.n else 0.0
    y = dict.fromkeys(place, floor)
    for merge in range(tree.n - depth, tree.n - 1):
        one, other = (int(child) for child in tree.pairs[merge])
        height = float(tree.heights[merge])
        axes.plot(
            [x[one], x[one], x[other], x[other]],
            [y[one], height, height, y[other]],
            color=BLUE,
            lw=0.6,
        )
        x[tree.n + merge], y[tree.n + merge] = (x[one] + x[other]) / 2, height
    if floor > 0:
        axes.set_yscale("log")
    axes.set_ylim(bottom=floor)
