"""Figures in axes of a notebook, or in axes that are given."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ssefw.documents import Conductivity, Diffusivity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["arrhenius_axes", "msd_axes"]

# matplotlib takes half a second to import, which those do not pay who draw nothing.


def arrhenius_axes(
    fit: Conductivity, ax: "Axes | None", lines: Sequence[Conductivity] = ()
) -> "Axes":
    """Draw conductivities over 1000/T, with the fit and its interval."""
    from ssefw.report.figures.analysis import draw_arrhenius  # noqa: PLC0415
    from ssefw.report.style import pyplot_axes  # noqa: PLC0415

    with pyplot_axes(ax) as axes:
        draw_arrhenius(axes, fit, lines)
    return axes


def msd_axes(diffusivities: Sequence[Diffusivity], ax: "Axes | None") -> "Axes":
    """Draw the mean squared displacement at each temperature."""
    from ssefw.report.figures.campaign import draw_msds  # noqa: PLC0415
    from ssefw.report.style import pyplot_axes  # noqa: PLC0415

    with pyplot_axes(ax) as axes:
        draw_msds(axes, diffusivities)
    return axes
