"""The numbers behind the figures of a candidate, as a page's own scripts draw them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ssefw import analysis
from ssefw.campaigns.running.watch import RunningMD
from ssefw.documents import Conductivity, Diffusivity, Estimate, Outcome
from ssefw.report.wording import estimate_words

__all__ = ["arrhenius_curves", "growth_curve", "msd_curves", "plain_point"]

LINE_POINTS = 40


def msd_curves(runs: Sequence[Diffusivity]) -> list[dict[str, Any]]:
    """Return the mean squared displacements of runs, and the lags at which the slope was fitted."""
    return [
        {
            "label": f"{run.temperature:g} K",
            "temperature": run.temperature,
            "x": list(run.lag_times),
            "y": list(run.msd),
            "framework": list(run.msd_framework),
            "fit": list(run.fit_window) if run.fit_window else None,
            "said": f"{run.regime}, D* {estimate_words(run.tracer)} cm²/s, {run.duration:.4g} ps",
        }
        for run in sorted(runs, key=lambda item: item.temperature)
    ]


def growth_curve(estimates: Sequence[Diffusivity], now: RunningMD | None) -> dict[str, Any]:
    """Return the diffusivity of a run over simulated time, and its displacements so far."""
    temperature = estimates[-1].temperature
    points = [point for found in estimates if (point := _grown(found)) is not None]
    curve: dict[str, Any] = {
        "label": f"{temperature:g} K",
        "temperature": temperature,
        "points": points,
    }
    (curve["msd"],) = msd_curves(estimates[-1:])
    if now is not None:
        curve["now"] = f"{now.done:.4g} of {now.total:.4g} ps"
        curve["target"] = now.total
    return curve


def _grown(found: Diffusivity) -> dict[str, Any] | None:
    estimate = found.tracer
    until = found.equilibration + found.duration
    point = plain_point(until, estimate)
    if point is None:
        return None
    return point | {
        "said": f"{found.temperature:g} K after {until:.4g} ps: {found.regime}, "
        f"D* {estimate_words(estimate)} cm²/s from {found.n_hops:.2g} hops",
    }


def arrhenius_curves(outcome: Outcome | None) -> dict[str, Any] | None:
    """Return conductivities over 1000/T with fitted lines and their bands; None without a fit."""
    fit = outcome.conductivity if outcome else None
    if outcome is None or fit is None:
        return None
    points = [
        _point(point.temperature, point.conductivity, is_used=point.is_used) for point in fit.points
    ]
    target = _point(fit.temperature, fit.conductivity, is_used=True)
    return {
        "points": [point for point in points if point is not None],
        "target": target,
        "lines": [line for line in map(_line, outcome.lines) if line],
    }


def plain_point(x: float, estimate: Estimate | None) -> dict[str, Any] | None:
    """Return an estimate at a place as figures draw it; None where nothing is known of it."""
    if estimate is None or estimate.kind == "undetermined":
        return None
    return {
        "x": x,
        "kind": estimate.kind,
        "y": estimate.value if estimate.kind == "value" else estimate.upper or estimate.lower,
        "lower": estimate.lower,
        "upper": estimate.upper,
    }


def _point(temperature: float, estimate: Estimate, *, is_used: bool) -> dict[str, Any] | None:
    point = plain_point(1000.0 / temperature, estimate)
    if point is None:
        return None
    said = f"{temperature:g} K: {estimate_words(estimate)} S/cm"
    return point | {"used": is_used, "said": said}


def _line(fit: Conductivity) -> list[list[float]]:
    """Return 1000/T, value, and both ends of the band of prediction along the line."""
    used = [point.temperature for point in fit.points if point.is_used]
    if not used:
        return []
    inverse = np.linspace(1.0 / max(used), 1.0 / min(fit.temperature, *used), LINE_POINTS)
    predicted = analysis.predict_conductivity(fit, [float(1.0 / x) for x in inverse])
    return [
        [1000.0 * float(x), float(e.value), float(e.lower), float(e.upper)]
        for x, e in zip(inverse, predicted, strict=False)
        if e.value is not None and e.lower is not None and e.upper is not None
    ]
