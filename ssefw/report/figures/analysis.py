"""Figures of an analysis: MSD, Arrhenius plot, van Hove maps, ion density.

Each function draws one document or result and returns a matplotlib figure.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ssefw.analysis import DensityMap, VanHove, predict_conductivity
from ssefw.documents import Conductivity, Diffusivity, Estimate
from ssefw.report.style import STYLE
from ssefw.units import ANGSTROM2_PER_PS_TO_CM2_PER_S

__all__ = [
    "arrhenius_figure",
    "density_figure",
    "draw_arrhenius",
    "msd_figure",
    "van_hove_figure",
]

FloatArray = npt.NDArray[np.float64]

# Okabe and Ito's palette, which readers with any color vision tell apart.
MOBILE, FRAMEWORK, BOUND = "#0072B2", "#7f7f7f", "#D55E00"
ISOSURFACE = 0.05
ELEMENT_COLORS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#D55E00")


def msd_figure(found: Diffusivity) -> Figure:
    """Draw the MSD of the mobile ions and the framework, with the fit, its window and its band."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.1), layout="constrained")
        linear, logarithmic = figure.subplots(1, 2)
        times, msd = np.array(found.lag_times), np.array(found.msd)
        for axes in (linear, logarithmic):
            axes.plot(times, msd, color=MOBILE, lw=1.6, label=found.specie)
            if found.msd_framework:
                axes.plot(times, found.msd_framework, color=FRAMEWORK, lw=1.2, label="framework")
            _draw_slope(axes, found)
            axes.set_xlabel("lag time (ps)")
        linear.set_ylabel("mean squared displacement ($\\AA^2$)")
        linear.set_xlim(0, times.max(initial=1.0))
        linear.set_ylim(0, None)
        linear.legend(loc="upper left")
        logarithmic.set_xscale("log")
        logarithmic.set_yscale("log")
        _draw_slope_one(logarithmic, times, msd)
        figure.suptitle(_msd_title(found), fontsize=9)
    return figure


def _draw_slope(axes: Axes, found: Diffusivity) -> None:
    if found.fit_window is None:
        return
    first, last = found.fit_window
    axes.axvspan(first, last, color=MOBILE, alpha=0.10, lw=0, label="fit window")
    tracer = found.tracer
    if tracer.value is None:
        return
    times, msd = np.array(found.lag_times), np.array(found.msd)
    inside = (times >= first) & (times <= last)
    middle_time, middle = times[inside].mean(), msd[inside].mean()
    grid = np.geomspace(first, times[-1], 60)

    def line(diffusivity: float | None) -> FloatArray:
        slope = 6.0 * (diffusivity or 0.0) / ANGSTROM2_PER_PS_TO_CM2_PER_S
        return np.asarray(middle + slope * (grid - middle_time))

    # Two lines that cross in the window: the band is between the flat and the steep one.
    low, high = line(tracer.lower), line(tracer.upper)
    axes.fill_between(
        grid,
        np.minimum(low, high),
        np.maximum(low, high),
        color=BOUND,
        alpha=0.20,
        lw=0,
        label=f"{tracer.level:.0%} interval",
    )
    axes.plot(grid, line(tracer.value), color=BOUND, lw=1.0, ls="--", label="6Dt + c")


def _draw_slope_one(axes: Axes, times: FloatArray, msd: FloatArray) -> None:
    """Draw a guide of slope one above the end of the MSD."""
    if len(times) < 2 or msd[-1] <= 0:
        return
    ends = np.array([times[-1] / 6.0, times[-1]])
    above = 1.8 * (msd / times)[times >= ends[0]].max()
    axes.plot(ends, above * ends, color="black", lw=0.8)
    axes.text(ends[0], above * ends[0], "slope 1 ", ha="right", va="center", fontsize=8)


def _msd_title(found: Diffusivity) -> str:
    name = f"{found.specie}, {found.temperature:g} K"
    if found.tracer.kind == "undetermined":
        return f"{name}: {found.regime}, no diffusivity"
    sign = "<" if found.tracer.kind == "upper_bound" else "="
    return (
        f"{name}: D {sign} {_scientific(found.tracer)} cm$^2$/s ({found.tracer.level:.0%}), "
        f"{found.regime}, about {found.n_hops:.0f} hops in {found.duration:.4g} ps"
    )


def _scientific(estimate: Estimate) -> str:
    """Return the number with its interval: one common power of ten, or each its own where wide."""
    top = estimate.upper if estimate.value is None else estimate.value
    if top is None or top <= 0:
        return "0"
    numbers = [number for number in (top, estimate.lower, estimate.upper) if number is not None]
    if max(numbers) > 10.0 * min(numbers):
        shown, factor = [_short(number) for number in numbers], ""
    else:
        power = int(np.floor(np.log10(top)))
        shown = [f"{number / 10.0**power:.2f}" for number in numbers]
        factor = f" $\\times$ 10$^{{{power}}}$"
    body = f"{shown[0]} [{shown[1]}, {shown[2]}]" if estimate.value is not None else shown[0]
    return body + factor


def _short(number: float) -> str:
    """Return two digits of a number, with a power of ten where it is far from one."""
    if number <= 0.0 or 0.01 <= number < 100.0:
        return f"{number:.2g}"
    power = int(np.floor(np.log10(number)))
    return f"{number / 10.0**power:.1f}$\\times$10$^{{{power}}}$"


def arrhenius_figure(fit: Conductivity, lines: Sequence[Conductivity] = ()) -> Figure:
    """Draw conductivities over 1000/T: values, bounds, excluded points, the line and its band.

    The `lines` of arrangements (`Outcome.lines`) are drawn in the place of one of their means.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        draw_arrhenius(figure.subplots(), fit, lines)
    return figure


def draw_arrhenius(axes: Axes, fit: Conductivity, lines: Sequence[Conductivity] = ()) -> None:
    """Draw what `arrhenius_figure` shows into axes."""
    drawn = lines or (fit,)
    for line in drawn:
        _draw_line(axes, line, alpha=0.18 / len(drawn))
    for point in fit.points:
        _draw_point(axes, point.temperature, point.conductivity, is_used=point.is_used)
    target = fit.conductivity
    _draw_point(axes, fit.temperature, target, is_used=True, marker="D", color=BOUND)
    axes.set_yscale("log")
    axes.set_xlabel("1000 K / T")
    axes.set_ylabel("conductivity (S cm$^{-1}$)")
    temperatures = sorted({fit.temperature, *(p.temperature for p in fit.points)})
    axes.margins(x=0.06)
    axes.grid(axis="y", lw=0.3, alpha=0.6)
    _mark_temperatures(axes, temperatures)
    y, side = (0.04, "bottom") if _falls(fit) else (0.96, "top")
    axes.text(0.03, y, _arrhenius_note(fit), transform=axes.transAxes, va=side)


def _falls(fit: Conductivity) -> bool:
    """Whether the lower left corner is free, or the upper: a bound for the cold may be highest."""
    seen = [(p.temperature, _height(p.conductivity)) for p in fit.points]
    hot = [height for _, height in sorted(seen, key=lambda at: -at[0]) if height is not None]
    cold = _height(fit.conductivity)
    return not hot or cold is None or hot[0] >= cold


def _height(estimate: Estimate) -> float | None:
    return estimate.upper if estimate.value is None else estimate.value


def _draw_line(axes: Axes, fit: Conductivity, *, alpha: float) -> None:
    used = [p.temperature for p in fit.points if p.is_used]
    if not used:
        return
    grid = 1.0 / np.linspace(1.0 / max(used), 1.0 / min(fit.temperature, *used), 60)
    predicted = predict_conductivity(fit, [float(t) for t in grid])
    if not predicted:
        return
    x = 1000.0 / grid
    color = MOBILE if fit.conductivity.kind == "value" else FRAMEWORK
    lower = [float(e.lower or 0.0) for e in predicted]
    upper = [float(e.upper or 0.0) for e in predicted]
    axes.plot(x, [float(e.value or 0.0) for e in predicted], color=color, lw=1.2)
    axes.fill_between(x, lower, upper, color=color, alpha=alpha, lw=0)


def _draw_point(
    axes: Axes,
    temperature: float,
    estimate: Estimate,
    *,
    is_used: bool,
    marker: str = "o",
    color: str = MOBILE,
) -> None:
    x = 1000.0 / temperature
    if estimate.value is not None and estimate.lower is not None and estimate.upper is not None:
        errors = [[estimate.value - estimate.lower], [estimate.upper - estimate.value]]
        fill = color if is_used else "white"
        axes.errorbar(
            x, estimate.value, errors, fmt=marker, ms=5, color=color, mfc=fill, capsize=2, lw=1
        )
    elif estimate.kind == "upper_bound" and estimate.upper is not None:
        axes.annotate(
            "",
            (x, 0.45 * estimate.upper),
            (x, estimate.upper),
            arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.0},
        )
        axes.plot(x, estimate.upper, marker="_", ms=9, color=color)
        axes.update_datalim([(x, 0.42 * estimate.upper)])  # an annotation claims no room itself
        axes.autoscale_view()
    elif not is_used or estimate.kind == "undetermined":
        axes.axvline(x, color=FRAMEWORK, lw=0.8, ls=":")


def _mark_temperatures(axes: Axes, temperatures: Sequence[float]) -> None:
    above = axes.secondary_xaxis("top")
    # A temperature whose label would touch the one before is left out, the coldest first drawn.
    marks: list[float] = []
    room = 0.07 * (1000.0 / min(temperatures) - 1000.0 / max(temperatures))
    for temperature in temperatures:
        if not marks or marks[-1] - 1000.0 / temperature > room:
            marks.append(1000.0 / temperature)
    above.xaxis.set_major_locator(FixedLocator(marks))
    above.xaxis.set_minor_locator(NullLocator())
    above.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{1000.0 / x:.0f}"))
    above.tick_params(labelsize=7)
    above.set_xlabel("T (K)")


def _arrhenius_note(fit: Conductivity) -> str:
    energy = fit.activation_energy
    lines = []
    if energy.value is not None and energy.lower is not None and energy.upper is not None:
        lines.append(f"$E_a$ = {energy.value:.3f} [{energy.lower:.3f}, {energy.upper:.3f}] eV")
    target = fit.conductivity
    name = f"$\\sigma$({fit.temperature:g} K)"
    if target.kind == "undetermined":
        lines.append(f"{name} undetermined")
    else:
        sign = "<" if target.kind == "upper_bound" else "="
        lines.append(f"{name} {sign} {_scientific(target)} S/cm")
    return "\n".join(lines)


def van_hove_figure(result: VanHove, *, specie: str = "") -> Figure:
    """Draw the self and the distinct part over time and distance."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.4, 2.9), layout="constrained")
        panels = figure.subplots(1, 2)
        parts = (
            (result.self_part, "$4\\pi r^2 G_s$ ($\\AA^{-1}$)", 1.0, "viridis"),
            (result.distinct_part, "$G_d$", 4.0, "viridis"),
        )
        for axes, (values, label, most, colors) in zip(panels, parts, strict=True):
            mesh = axes.pcolormesh(
                _edges(result.times),
                _edges(result.radii, first=0.0),
                values.T,
                cmap=colors,
                vmin=0.0,
                vmax=most,
                rasterized=True,
            )
            axes.set_xlim(result.times[0], result.times[-1])
            axes.set_xlabel("time (ps)")
            axes.set_ylabel("r ($\\AA$)")
            end = "max" if values.max() > most else "neither"
            figure.colorbar(mesh, ax=axes, label=label, extend=end)
        if specie:
            figure.suptitle(f"van Hove functions of {specie}", fontsize=9)
    return figure


def _edges(centers: FloatArray, *, first: float | None = None) -> FloatArray:
    if len(centers) < 2:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    middle = 0.5 * (centers[1:] + centers[:-1])
    begin = centers[0] - (middle[0] - centers[0]) if first is None else first
    return np.concatenate([[begin], middle, [2.0 * centers[-1] - middle[-1]]])


def density_figure(result: DensityMap, *, depth: float = 1.0) -> Figure:
    """Draw slabs of the density through its maximum, in the plane of each pair of cell vectors.

    Parameters
    ----------
    depth
        Thickness of a slab in angstrom: the density is averaged over it, and atoms of the framework
        within it are drawn.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.2), layout="constrained")
        panels = figure.subplots(1, 3)
        top = float(result.density.max())
        norm = LogNorm(vmin=max(1e-3 * top, 1e-12), vmax=max(top, 1e-11))
        peak = np.unravel_index(int(result.density.argmax()), result.density.shape)
        mesh = None
        for axes, normal in zip(panels, (2, 0, 1), strict=True):
            mesh = _draw_slab(
                axes, result, normal=normal, index=int(peak[normal]), depth=depth, norm=norm
            )
        if mesh is not None:
            figure.colorbar(
                mesh, ax=panels, label=f"{result.specie} density ($\\AA^{{-3}}$)", shrink=0.85
            )
        handles = {
            label: handle
            for axes in panels
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if handles:
            figure.legend(
                handles.values(), handles.keys(), loc="outside lower left", ncols=len(handles)
            )
        figure.suptitle(
            f"{result.specie}, averaged over {depth:g} $\\AA$; the line is the isosurface at "
            f"{ISOSURFACE:.0%} of the maximum",
            fontsize=9,
        )
    return figure


def _draw_slab(
    axes: Axes, result: DensityMap, *, normal: int, index: int, depth: float, norm: LogNorm
) -> QuadMesh:
    first, second = (normal + 1) % 3, (normal + 2) % 3
    shape = result.density.shape
    volume = abs(np.linalg.det(result.lattice))
    area = float(np.linalg.norm(np.cross(result.lattice[first], result.lattice[second])))
    thickness = volume / area / shape[normal]
    half = max(round(0.5 * depth / thickness - 0.5), 0)
    layers = np.arange(index - half, index + half + 1) % shape[normal]
    moved = np.moveaxis(result.density, (first, second, normal), (0, 1, 2))
    slab = moved[:, :, layers].mean(axis=2)
    along, across = _plane(result.lattice[first], result.lattice[second])
    u, v = np.meshgrid(
        np.linspace(0, 1, shape[first] + 1), np.linspace(0, 1, shape[second] + 1), indexing="ij"
    )
    mesh = axes.pcolormesh(
        u * along[0] + v * across[0],
        u * along[1] + v * across[1],
        np.ma.masked_less(slab, float(norm.vmin or 0.0)),
        cmap="magma_r",
        norm=norm,
        rasterized=True,
    )
    centers = [(np.arange(shape[k]) + 0.5) / shape[k] for k in (first, second)]
    u, v = np.meshgrid(*centers, indexing="ij")
    axes.contour(
        u * along[0] + v * across[0],
        u * along[1] + v * across[1],
        slab,
        levels=[ISOSURFACE * float(norm.vmax or 1.0)],
        colors="black",
        linewidths=0.5,
    )
    symbols, places = result.framework
    height = (index + 0.5) / shape[normal]
    distance = places[:, normal] - height
    near = np.abs(distance - np.rint(distance)) * shape[normal] * thickness < max(depth, 1.0)
    for color, symbol in zip(ELEMENT_COLORS, sorted(set(symbols)), strict=False):
        mine = near & np.array([s == symbol for s in symbols])
        if not mine.any():
            continue
        xy = places[mine][:, [first]] * along + places[mine][:, [second]] * across
        axes.scatter(
            xy[:, 0], xy[:, 1], s=26, color=color, edgecolors="black", linewidths=0.5, label=symbol
        )
    names = "abc"
    axes.set_aspect("equal")
    axes.set_title(f"{names[first]}{names[second]} plane at {names[normal]} = {height:.2f}")
    axes.set_xlabel("$\\AA$")
    return mesh


def _plane(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two cell vectors in coordinates of their plane, the first along x."""
    length = float(np.linalg.norm(first))
    projection = float(first @ second) / length
    height = float(np.linalg.norm(np.cross(first, second))) / length
    return np.array([length, 0.0]), np.array([projection, height])
