"""One value for a disordered crystal from the values of its arrangements, with both spreads.

The crystal holds many local arrangements; each ordered cell that was computed is one of them. A
value y of arrangement i (log10 of a conductivity, or an energy) is

    y_i = mu + u_i + e_i,    u_i ~ N(0, tau^2),    e_i ~ N(0, s_i^2),

with the known error s_i of its runs and an unknown spread tau between arrangements [1]_. With three
arrangements tau is hardly known, with one not at all: its prior is half a Student t distribution of
four degrees of freedom, scaled to the spread that other compounds showed, or to a stated guess.
Arrangements that only gave an upper bound enter by the probability of lying below it. The interval
is that of mu, integrated over tau on a grid; it does not shrink to nothing with long runs, but only
with more arrangements.

References
----------
.. [1] https://doi.org/10.1214/06-BA117A
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.special

from ssefw.analysis.line.bend import widened
from ssefw.analysis.line.collective import collective_conductivity, pooled_haven
from ssefw.documents import ArrheniusPoint, Conductivity, Estimate
from ssefw.errors import AnalysisError

__all__ = ["DEFAULT_SPREAD", "Mean", "mean_of_arrangements", "pool_conductivities"]

FloatArray = npt.NDArray[np.float64]

DEFAULT_SPREAD = 0.3
"""Standard deviation between arrangements of one compound, in decades of conductivity (a factor of
two), where nothing better is known. A guess, not a measurement."""

ENERGY_SPREAD = 0.05
"""The same for activation energies, eV: what a factor of two at 300 K and 1000 K is worth."""

TAIL = 4.0
"""Degrees of freedom of the prior: compounds of twice and three times the usual spread exist."""

WIDEST = 12.0
"""The grid of spreads reaches to so many times the scale of the prior or of the data."""


@dataclass(frozen=True)
class Mean:
    """Mean over arrangements with its interval, and the spread between them with its own."""

    value: float
    lower: float
    upper: float
    spread: float
    spread_lower: float
    spread_upper: float


def mean_of_arrangements(
    values: Sequence[float],
    errors: Sequence[float],
    *,
    bounds: Sequence[float] = (),
    scale: float = DEFAULT_SPREAD,
    level: float = 0.95,
) -> Mean:
    """Return the mean over arrangements of a quantity whose errors are normal.

    Parameters
    ----------
    values, errors
        Of each arrangement, and the standard deviation within its runs.
    bounds
        Upper bounds of arrangements that have no value.
    scale
        Of the spread between arrangements, before these are seen.
    level
        Of the intervals.

    Raises
    ------
    AnalysisError
        If no arrangement has a value.
    """
    if not values:
        raise AnalysisError("no arrangement has a value; there is no mean of them.")
    y, s = np.asarray(values, dtype=float), np.maximum(np.asarray(errors, dtype=float), 1e-6)
    b = np.asarray(bounds, dtype=float)
    reach = max(scale, float(np.ptp(np.concatenate([y, b]))))
    # Fine near zero, where the likelihood of agreeing arrangements lies.
    tau = WIDEST * reach * np.linspace(0.0, 1.0, 61) ** 2
    broad = 3.0 * reach + 6.0 * float(s.max())
    mu = np.linspace(min(y.min(), b.min(initial=np.inf)) - 3 * broad, y.max() + 3 * broad, 501)
    deviation = np.sqrt(tau[:, None] ** 2 + s[None, :] ** 2)
    log = np.zeros((len(tau), len(mu)))
    for i, value in enumerate(y):
        log -= 0.5 * ((value - mu[None, :]) / deviation[:, i, None]) ** 2
        log -= np.log(deviation[:, i, None])
    for bound in b:
        log += scipy.special.log_ndtr((bound - mu[None, :]) / np.maximum(tau, 1e-3)[:, None])
    log -= 0.5 * (TAIL + 1.0) * np.log1p((tau / scale) ** 2 / TAIL)[:, None]
    density = np.exp(log - log.max())
    tails = (0.5 - 0.5 * level, 0.5, 0.5 + 0.5 * level)
    of_mu = np.trapezoid(density, tau, axis=0)
    of_tau = np.trapezoid(density, mu, axis=1)
    lower, value, upper = _quantiles(mu, of_mu, tails)
    narrow, spread, wide = _quantiles(tau, of_tau, tails)
    return Mean(value, lower, upper, spread, narrow, wide)


def pool_conductivities(
    found: Sequence[Conductivity], *, scale: float = DEFAULT_SPREAD
) -> tuple[Conductivity, Estimate]:
    """Return one conductivity for the fits of arrangements, and the spread between these.

    `scale` is that of `mean_of_arrangements` in decades. The spread is one of log10 sigma.

    Raises
    ------
    AnalysisError
        If there is no fit.
    """
    if not found:
        raise AnalysisError("no arrangement has a conductivity.")
    first = found[0]
    level = first.conductivity.level
    logs = [_log(fit.statistics or fit.conductivity) for fit in found]
    pooled = _pooled(logs, scale=scale, unit="log10(S/cm)")
    statistics = _raised(pooled, "S/cm")
    # A bend would be that of the compound: it does not average out over its arrangements.
    bends = [fit.bend_decades for fit in found if fit.bend_decades is not None]
    bend = float(np.sqrt(np.mean(np.square(bends)))) if bends else 0.0
    conductivity = widened(statistics, bend * float(np.log(10.0)))
    haven = pooled_haven((fit.haven for fit in found), level=level)
    temperatures = sorted({point.temperature for fit in found for point in fit.points})
    spread = Estimate.undetermined(pooled.reason or "there is no value", unit="decades")
    values = [estimate for estimate in logs if estimate.kind == "value"]
    if len(values) > 1:
        mean = _mean(logs, scale=scale)
        spread = Estimate(
            value=mean.spread,
            lower=mean.spread_lower,
            upper=mean.spread_upper,
            level=level,
            unit="decades",
            method=f"between {len(values)} arrangements",
        )
    elif values:
        spread = Estimate.undetermined("only one arrangement has a value", unit="decades")
    return (
        first.model_copy(
            update={
                "conductivity": conductivity,
                "log10_conductivity": None
                if pooled.kind == "undetermined"
                else _log(conductivity).model_copy(update={"unit": "log10(S/cm)"}),
                "statistics": statistics,
                "haven": haven,
                "collective": collective_conductivity(conductivity, haven),
                "bend_decades": bend if conductivity.kind == "value" else None,
                "extrapolation": next(
                    (fit.extrapolation for fit in found if fit.extrapolation), None
                ),
                "activation_energy": _pooled(
                    [fit.activation_energy for fit in found], scale=ENERGY_SPREAD, unit="eV"
                ),
                "prefactor": _raised(
                    _pooled(
                        [_log(fit.prefactor) for fit in found],
                        scale=scale,
                        unit=f"log10({first.prefactor.unit})",
                    ),
                    first.prefactor.unit,
                ),
                "points": tuple(_point(found, temperature, scale) for temperature in temperatures),
                "curvature_p": None,
                "warnings": _warnings(found, len(values)),
            }
        ),
        spread,
    )


def _warnings(found: Sequence[Conductivity], n_values: int) -> tuple[str, ...]:
    own = list(dict.fromkeys(warning for fit in found for warning in fit.warnings))
    if n_values == 1:
        own.append(
            "one arrangement alone has a value: the interval is widened by a spread between "
            "arrangements that was not measured on this compound"
        )
    return tuple(own)


def _point(found: Sequence[Conductivity], temperature: float, scale: float) -> ArrheniusPoint:
    """Return the mean over arrangements at one temperature of the runs."""
    points = [point for fit in found for point in fit.points if point.temperature == temperature]
    used = [point for point in points if point.is_used]
    if not used:
        return points[0]
    mean = {
        name: _raised(
            _pooled([_log(getattr(point, name)) for point in used], scale=scale, unit="log10"),
            getattr(used[0], name).unit,
        )
        for name in ("diffusivity", "conductivity")
    }
    return ArrheniusPoint(temperature=temperature, is_used=True, **mean)


def _pooled(estimates: Sequence[Estimate], *, scale: float, unit: str) -> Estimate:
    values = [e for e in estimates if e.kind == "value"]
    bounds = [e for e in estimates if e.kind == "upper_bound" and e.upper is not None]
    level = estimates[0].level
    if values:
        mean = _mean(estimates, scale=scale)
        n = len(values) + len(bounds)
        return Estimate(
            value=mean.value,
            lower=mean.lower,
            upper=mean.upper,
            level=level,
            unit=unit,
            method=f"mean over {n} arrangements, spread between them included",
        )
    if bounds:
        highest = max(float(e.upper) for e in bounds if e.upper is not None)
        reason = bounds[0].reason or "no arrangement gave more than a bound"
        return Estimate.below(highest, unit=unit, reason=reason, level=level)
    return Estimate.undetermined(estimates[0].reason or "no arrangement has a value", unit=unit)


def _mean(estimates: Sequence[Estimate], *, scale: float) -> Mean:
    values = [e for e in estimates if e.kind == "value"]
    quantile = float(scipy.special.ndtri(0.5 + 0.5 * values[0].level))
    return mean_of_arrangements(
        [float(e.value or 0.0) for e in values],
        [(float(e.upper or 0.0) - float(e.lower or 0.0)) / (2.0 * quantile) for e in values],
        bounds=[
            float(e.upper) for e in estimates if e.kind == "upper_bound" and e.upper is not None
        ],
        scale=scale,
        level=values[0].level,
    )


def _log(estimate: Estimate) -> Estimate:
    if any(x is not None and x <= 0.0 for x in (estimate.value, estimate.lower, estimate.upper)):
        return Estimate.undetermined("an interval that reaches zero has no logarithm", unit="log10")
    return _mapped(estimate, np.log10, f"log10({estimate.unit})")


def _raised(estimate: Estimate, unit: str) -> Estimate:
    return _mapped(estimate, lambda x: 10.0**x, unit)


def _mapped(estimate: Estimate, function: object, unit: str) -> Estimate:
    numbers = {
        name: None if (x := getattr(estimate, name)) is None else float(function(x))  # type: ignore[operator]
        for name in ("value", "lower", "upper")
    }
    return estimate.model_copy(update={**numbers, "unit": unit})


def _quantiles(x: FloatArray, density: FloatArray, levels: tuple[float, ...]) -> list[float]:
    steps = np.diff(x) * 0.5 * (density[1:] + density[:-1])
    cumulated = np.concatenate([[0.0], np.cumsum(steps)])
    return [float(np.interp(level, cumulated / cumulated[-1], x)) for level in levels]
