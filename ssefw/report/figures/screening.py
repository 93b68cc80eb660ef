"""Figures of what a screen says: against measured conductivity, and over a pool."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ssefw.documents import Label, RankedCandidate
from ssefw.errors import DataError
from ssefw.report.style import STYLE

__all__ = ["draw_conductivities", "draw_pool"]

ORDERED, DISORDERED, GRAY = "#175cd3", "#b42318", "#667085"


def draw_conductivities(
    probability: npt.NDArray[np.float64],
    labels: Sequence[Label],
    path: Path,
    *,
    threshold: float,
    spread: npt.NDArray[np.float64] | None = None,
    similar: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Draw the probability of being superionic against the measured conductivity.

    Labels that state only a bound are left out. What is remembered and what is predicted look
    different: near-duplicates of the training compositions are drawn hollow.

    Parameters
    ----------
    probability
        Of each label, shape (n,).
    threshold
        S/cm at which the classes part.
    spread
        Standard deviation over members, shape (n,).
    similar
        Which labels the model has seen in nearly the same composition, shape (n,).

    Raises
    ------
    DataError
        If the suffix is not .svg, .png or .pdf, or no label has a value.
    """
    rows = [k for k, label in enumerate(labels) if label.conductivity.value]
    if not rows:
        raise DataError("No label states a conductivity, so there is nothing to draw against.")
    sigma = np.log10([labels[k].conductivity.value or np.nan for k in rows])
    with mpl.rc_context(STYLE):
        figure, (axes,) = _figure(path, 1)
        said = probability[rows]
        right = (sigma >= np.log10(threshold)) == (said >= 0.5)
        seen = np.zeros(len(rows), dtype=bool) if similar is None else similar[rows]
        if spread is not None:
            low, high = (np.clip(said + k * spread[rows], 0, 1) for k in (-1, 1))
            axes.vlines(sigma, low, high, color=GRAY, alpha=0.25, lw=0.6)
        for color, verdict, here in ((ORDERED, "right", right), (DISORDERED, "wrong", ~right)):
            for known, note in ((False, ""), (True, ", composition known")):
                some = here & (seen == known)
                if some.any():
                    axes.scatter(
                        sigma[some],
                        said[some],
                        s=11,
                        facecolor="none" if known else color,
                        edgecolor=color,
                        lw=0.7,
                        label=f"{verdict}{note} ({some.sum()})",
                    )
        axes.axvline(np.log10(threshold), color=GRAY, lw=0.8, ls=":")
        axes.axhline(0.5, color=GRAY, lw=0.8, ls=":")
        axes.set_ylim(-0.02, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel(r"log$_{10}$ σ (S/cm), measured")
        axes.set_ylabel("probability of being superionic")
        axes.legend(frameon=False, loc="upper left", handletextpad=0.2)
        figure.savefig(path, dpi=150)


def draw_pool(
    entries: Sequence[RankedCandidate], is_disordered: Mapping[str, bool], path: Path
) -> None:
    """Draw how many materials have which probability, and how far they lie from all labels.

    Parameters
    ----------
    is_disordered
        By the `source` of an entry; entries without a structure are not in it.

    Raises
    ------
    DataError
        If the suffix is not .svg, .png or .pdf, or there is nothing to draw.
    """
    if not entries:
        raise DataError("The ranking is empty, so there is nothing to draw.")
    with mpl.rc_context(STYLE):
        figure, (left, right) = _figure(path, 2)
        kinds = {
            "ordered": (ORDERED, [e for e in entries if is_disordered.get(e.source) is False]),
            "disordered": (DISORDERED, [e for e in entries if is_disordered.get(e.source)]),
            "no structure": (GRAY, [e for e in entries if e.source not in is_disordered]),
        }
        kinds = {name: pair for name, pair in kinds.items() if pair[1]}
        for name, (color, group) in kinds.items():
            # Not stacked: heights on a logarithmic scale do not add up.
            left.hist(
                [e.score for e in group],
                bins=np.linspace(0, 1, 21),
                histtype="stepfilled",
                facecolor=(color, 0.25),
                edgecolor=color,
                label=f"{name} ({len(group)})",
            )
        left.set_yscale("log")
        left.set_xlim(0, 1)
        left.set_xlabel("probability of being superionic")
        left.set_ylabel("materials")
        left.legend(frameon=False)
        placed = [e for e in entries if e.distance is not None]
        points = right.scatter(
            [e.distance for e in placed],
            [e.score for e in placed],
            c=[e.spread or 0.0 for e in placed],
            s=8,
            cmap="viridis_r",
            vmin=0,
        )
        figure.colorbar(points, ax=right, label="spread of the members")
        right.axhline(0.5, color=GRAY, lw=0.8, ls=":")
        right.set_ylim(-0.02, 1.02)
        right.set_xlabel("distance to the nearest label")
        right.set_ylabel("probability of being superionic")
        figure.savefig(path, dpi=150)


def _figure(path: Path, columns: int) -> tuple[Figure, Any]:
    if path.suffix not in {".svg", ".png", ".pdf"}:
        raise DataError(f"A figure is .svg, .png or .pdf, got {path.name!r}.")
    figure = Figure(figsize=(3.6 * columns, 3.2), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]
