"""From diffusivities at several temperatures to a conductivity at one, with its interval.

Values enter by their own errors, as normal in ln D; an upper bound U at confidence c enters as what
it is, the probability of having seen nothing: exp(-kappa D / U) with kappa = -ln(1 - c). The line
is the maximum of the likelihood, intervals are likelihood-ratio intervals: for values alone exactly
weighted least squares with known errors (which, unlike a fit scaled by its residuals, covers the
truth as often as it says with three or four temperatures), and with bounds asymmetric or one-sided
as the data are. What no data in a window of temperatures can tell, that the barrier changes outside
of it, is added to the interval of the conductivity (`ssefw.analysis.line.bend`).

The conductivity is that of Nernst and Einstein, sigma = (n / V) (z e)^2 D / (k_B T).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ssefw.analysis.line.bend import bend_spread, extrapolation, widened
from ssefw.analysis.line.censored_line import CensoredLine, upper_limit
from ssefw.analysis.line.collective import collective_conductivity, pooled_haven
from ssefw.analysis.line.prefactor import hopping_prefactor, with_prior
from ssefw.documents import ArrheniusPoint, Conductivity, Diffusivity, Estimate
from ssefw.errors import AnalysisError
from ssefw.units import BOLTZMANN_EV_PER_K, ELEMENTARY_CHARGE_C

__all__ = [
    "CARRIER_CHARGES",
    "carrier_charge",
    "conductivity_per_diffusivity",
    "fit_conductivity",
    "predict_conductivity",
]

CARRIER_CHARGES = {
    "H": 1.0, "Li": 1.0, "Na": 1.0, "K": 1.0, "Rb": 1.0, "Cs": 1.0, "Ag": 1.0, "Cu": 1.0,
    "Mg": 2.0, "Ca": 2.0, "Zn": 2.0, "Al": 3.0,
    "F": -1.0, "Cl": -1.0, "Br": -1.0, "I": -1.0, "O": -2.0, "S": -2.0,
}  # fmt: skip
"""Charge of a mobile ion in elementary charges, where its element has one usual value."""

CURVATURE_LEVEL = 0.01
DENSITY_TOLERANCE = 0.1


def conductivity_per_diffusivity(
    *, temperature: float, n_mobile: int, volume: float, charge: float
) -> float:
    """Return sigma / D after Nernst and Einstein in (S/cm) / (cm^2/s).

    Parameters
    ----------
    temperature
        In K.
    n_mobile, volume
        Mobile ions in the cell, and its volume in angstrom^3.
    charge
        Of one ion, in elementary charges.
    """
    density = n_mobile / (volume * 1e-24)
    return density * charge**2 * ELEMENTARY_CHARGE_C / (BOLTZMANN_EV_PER_K * temperature)


def fit_conductivity(
    points: Sequence[Diffusivity],
    *,
    temperature: float = 300.0,
    form: Literal["sigma_t", "sigma"] = "sigma_t",
    level: float = 0.95,
    charge: float | None = None,
    kind: Literal["tracer", "charge"] = "tracer",
    prefactor_spread: float | None = None,
) -> Conductivity:
    """Extrapolate diffusivities to the conductivity at one temperature.

    Parameters
    ----------
    points
        One specie at one or more temperatures, in any order.
    temperature
        Where the conductivity is wanted, K.
    form
        Whether sigma*T (equivalently D) or sigma is taken as exp(-E_a / kT).
    level
        Confidence level of the intervals.
    charge
        Of the ion in elementary charges; by default the usual one of its element.
    kind
        Whether the tracer diffusivity enters (Nernst-Einstein conductivity) or the charge
        diffusivity.
    prefactor_spread
        With one, D0 is taken beforehand as that of free hops (`ssefw.analysis.line.prefactor`),
        known to so many decades (standard deviation).

    Returns
    -------
    conductivity
        A value with an interval from two values or more; an upper bound where only that follows:
        from bounds alone, or from one temperature, under the stated assumption that E_a >= 0.
        Undetermined with the reason if the points do not lie on a line, or nothing is left.

    Raises
    ------
    AnalysisError
        No point, points of different species, or an ion whose charge is not known.
    """
    _check_points(points, temperature=temperature, level=level)
    if prefactor_spread is not None and (form != "sigma_t" or not prefactor_spread > 0):
        raise AnalysisError(
            "a prior on the prefactor is one of D = D0 exp(-E_a / kT), of a positive number of "
            f"decades; got {prefactor_spread:g} for the form {form}."
        )
    specie = points[0].specie
    carrier = carrier_charge(specie, charge)
    ordered = sorted(points, key=lambda point: point.temperature)
    arrhenius_points = tuple(_point(point, charge=carrier, kind=kind) for point in ordered)
    pairs = zip(ordered, arrhenius_points, strict=True)
    base = next((given for given, point in pairs if point.is_used), ordered[0])
    to_conductivity = conductivity_per_diffusivity(
        temperature=temperature, n_mobile=base.n_mobile, volume=base.volume, charge=carrier
    )
    prior = None
    if prefactor_spread is not None:
        expected = hopping_prefactor(n_mobile=base.n_mobile, volume=base.volume)
        prior = _Prior(expected, prefactor_spread)
    fit = _fit(arrhenius_points, temperature=temperature, form=form, level=level, prior=prior)
    statistics = _scaled(fit.at_target, to_conductivity if form == "sigma_t" else 1.0)
    conductivity = widened(statistics, fit.bend)
    ratios = (p.haven for p in ordered if kind == "tracer" and p.tracer.kind == "value")
    haven = pooled_haven(ratios, level=level)
    decades = fit.bend / np.log(10.0) if conductivity.kind == "value" else None
    return Conductivity(
        specie=specie,
        temperature=temperature,
        conductivity=conductivity,
        log10_conductivity=_log10(conductivity),
        activation_energy=fit.energy,
        prefactor=fit.prefactor,
        points=arrhenius_points,
        form=form,
        carrier_charge=carrier,
        n_mobile=base.n_mobile,
        volume=base.volume,
        curvature_p=fit.curvature_p,
        statistics=statistics,
        bend_decades=decades,
        extrapolation=None
        if decades is None
        else extrapolation(
            coldest=min(p.temperature for p in arrhenius_points if p.diffusivity.kind == "value"),
            temperature=temperature,
            decades=decades,
        ),
        haven=haven,
        collective=collective_conductivity(conductivity, haven),
        prior_prefactor=prior.value if prior and fit.is_line else None,
        prior_decades=prior.decades if prior and fit.is_line else None,
        warnings=(
            *fit.warnings,
            *_density_warnings(ordered),
            *_melt_warnings(ordered, arrhenius_points),
        ),
    )


def predict_conductivity(fit: Conductivity, temperatures: Sequence[float]) -> list[Estimate]:
    """Return the conductivity in S/cm that the line of a fit gives at other temperatures.

    Empty if the fit has no line.
    """
    unit = "cm^2/s" if fit.form == "sigma_t" else "S/cm"
    entries = _entries(fit.points, fit.form)
    if len({t for t, e in entries if e.kind == "value"}) < 2:
        return []
    line = CensoredLine.of(entries)
    if fit.prior_prefactor is not None and fit.prior_decades is not None:
        line = with_prior(line, fit.prior_prefactor, spread=fit.prior_decades)
    level = fit.prefactor.level
    found = []
    for temperature in temperatures:
        x = 1.0 / (BOLTZMANN_EV_PER_K * temperature)
        straight = _interval(
            line.value_at(x, level),
            exponential=True,
            unit=unit,
            level=level,
            method="the fitted line",
        )
        estimate = widened(straight, bend_spread(line, x))
        factor = (
            conductivity_per_diffusivity(
                temperature=temperature,
                n_mobile=fit.n_mobile,
                volume=fit.volume,
                charge=fit.carrier_charge,
            )
            if fit.form == "sigma_t"
            else 1.0
        )
        found.append(_scaled(estimate, factor))
    return found


def _check_points(points: Sequence[Diffusivity], *, temperature: float, level: float) -> None:
    if not points:
        raise AnalysisError("there is no diffusivity to extrapolate from; give at least one.")
    species = sorted({point.specie for point in points})
    if len(species) > 1:
        raise AnalysisError(f"the diffusivities are of {', '.join(species)}; fit one at a time.")
    if not temperature > 0:
        raise AnalysisError(f"the temperature must be positive, got {temperature} K.")
    if not 0 < level < 1:
        raise AnalysisError(f"a confidence level lies between 0 and 1, got {level}.")


def carrier_charge(specie: str, charge: float | None = None) -> float:
    """Return the charge given, or the usual one of an element, in elementary charges."""
    if charge is not None:
        if charge == 0:
            raise AnalysisError("a carrier of charge 0 conducts nothing; give its charge in e.")
        return charge
    if specie not in CARRIER_CHARGES:
        raise AnalysisError(
            f"the charge of a mobile {specie} ion is not known; give charge= in elementary charges."
        )
    return CARRIER_CHARGES[specie]


def _point(point: Diffusivity, *, charge: float, kind: str) -> ArrheniusPoint:
    estimate = point.tracer if kind == "tracer" else point.charge
    if estimate is None:
        estimate = Estimate.undetermined("no charge diffusivity was computed", unit="cm^2/s")
    factor = conductivity_per_diffusivity(
        temperature=point.temperature,
        n_mobile=point.n_mobile,
        volume=point.volume,
        charge=charge,
    )
    used = estimate.kind in {"value", "upper_bound"}
    reason = "" if used else estimate.reason or point.reason or f"it is a {estimate.kind}"
    return ArrheniusPoint(
        temperature=point.temperature,
        diffusivity=estimate,
        conductivity=_scaled(estimate, factor, unit="S/cm"),
        is_used=used,
        reason=reason,
    )


def _scaled(estimate: Estimate, factor: float, *, unit: str = "S/cm") -> Estimate:
    def times(number: float | None) -> float | None:
        return None if number is None else number * factor

    return estimate.model_copy(
        update={
            "value": times(estimate.value),
            "lower": times(estimate.lower),
            "upper": times(estimate.upper),
            "unit": unit,
        }
    )


def _log10(estimate: Estimate) -> Estimate:
    def log(number: float | None) -> float | None:
        return None if number is None else float(np.log10(number))

    return estimate.model_copy(
        update={
            "value": log(estimate.value),
            "lower": log(estimate.lower),
            "upper": log(estimate.upper),
            "unit": "log10(S/cm)",
        }
    )


def _density_warnings(points: Sequence[Diffusivity]) -> list[str]:
    densities = [point.n_mobile / point.volume for point in points]
    if max(densities) > (1.0 + DENSITY_TOLERANCE) * min(densities):
        spread = max(densities) / min(densities) - 1
        warning = (
            f"carrier densities differ by {spread:.0%} between temperatures: are these runs of one "
            "material? The coldest one's is used"
        )
        return [warning]
    return []


def _melt_warnings(given: Sequence[Diffusivity], points: Sequence[ArrheniusPoint]) -> Iterator[str]:
    """Doubt what was fitted at or above a temperature at which the framework melted."""
    melted = min((d.temperature for d in given if d.regime == "melted"), default=np.inf)
    if above := [
        point.temperature for point in points if point.is_used and point.temperature >= melted
    ]:
        yield (
            f"the framework melted at {melted:g} K: what was taken from {above[0]:g} K is hardly "
            "that of a crystal, and the fit may be that of a liquid"
        )


class _Prior(NamedTuple):
    value: float
    decades: float


@dataclass(frozen=True)
class _Result:
    at_target: Estimate
    energy: Estimate
    prefactor: Estimate
    curvature_p: float | None = None
    warnings: tuple[str, ...] = ()
    bend: float = 0.0
    is_line: bool = False


def _fit(
    points: Sequence[ArrheniusPoint],
    *,
    temperature: float,
    form: str,
    level: float,
    prior: _Prior | None,
) -> _Result:
    unit = "cm^2/s" if form == "sigma_t" else "S/cm"
    entries = _entries(points, form)
    values = [(t, e) for t, e in entries if e.kind == "value"]
    if not entries:
        reason = "no temperature gave a diffusivity or a bound: " + "; ".join(
            f"{p.temperature:g} K: {p.reason}" for p in points
        )
        nothing = Estimate.undetermined(reason, unit=unit)
        return _Result(nothing, Estimate.undetermined(reason, unit="eV"), nothing)
    if len({t for t, _ in values}) < 2:
        return _monotone_bound(entries, temperature=temperature, level=level, unit=unit)
    line = CensoredLine.of(entries)
    if prior is not None:
        line = with_prior(line, prior.value, spread=prior.decades)
    x_target = 1.0 / (BOLTZMANN_EV_PER_K * temperature)
    n_values, n_bounds = len(values), len(entries) - len(values)
    method = (
        f"weighted fit to {n_values} values and {n_bounds} bounds, likelihood-ratio interval"
        if n_bounds
        else f"weighted fit to {n_values} values with their own errors"
    )
    if prior is not None:
        method += f", D0 taken beforehand as {prior.value:.2g} cm^2/s, {prior.decades:g} decades"
    energy = _interval(line.energy(level), exponential=False, unit="eV", level=level, method=method)
    prefactor = _interval(
        line.value_at(0.0, level), exponential=True, unit=unit, level=level, method=method
    )
    at_target = _interval(
        line.value_at(x_target, level), exponential=True, unit=unit, level=level, method=method
    )
    warnings = _line_warnings(energy, n_values, n_bounds)
    curvature_p = line.curvature_p()
    coldest = min(t for t, _ in values)
    if curvature_p is not None and curvature_p < CURVATURE_LEVEL and temperature < coldest:
        reason = (
            f"the points do not lie on a straight Arrhenius line (p = {curvature_p:.2g}): a line "
            f"drawn to {temperature:g} K would mean nothing. Leave out the phase that does not "
            "extend there, or run colder"
        )
        at_target = Estimate.undetermined(reason, unit=unit)
    bend = bend_spread(line, x_target)
    own = next((e for t, e in values if abs(t - temperature) < 1e-6), None)
    if own is not None and curvature_p is not None and curvature_p < CURVATURE_LEVEL:
        # What was simulated there needs no line, and this one does not hold.
        at_target, bend = own.model_copy(update={"unit": unit}), 0.0
        warnings.append(
            f"the points do not lie on a straight line (p = {curvature_p:.2g}): the value is that "
            f"of the run at {temperature:g} K alone"
        )
    return _Result(at_target, energy, prefactor, curvature_p, tuple(warnings), bend, is_line=True)


def _entries(points: Sequence[ArrheniusPoint], form: str) -> list[tuple[float, Estimate]]:
    return [
        (p.temperature, p.diffusivity if form == "sigma_t" else p.conductivity)
        for p in points
        if p.is_used
    ]


def _line_warnings(energy: Estimate, n_values: int, n_bounds: int) -> list[str]:
    warnings = []
    if n_values == 2 and not n_bounds:
        warnings.append(
            "two temperatures make a line whatever the truth: that it is Arrhenius is assumed"
        )
    if energy.value is not None and energy.value < 0:
        warnings.append(
            f"the activation energy is negative ({energy.value:.3f} eV): a transition, or noise"
        )
    return warnings


def _monotone_bound(
    entries: Sequence[tuple[float, Estimate]], *, temperature: float, level: float, unit: str
) -> _Result:
    """Bound the value at the target by those above it, as far as E_a >= 0 permits."""
    why = "fewer than two temperatures gave a value: no activation energy"
    nothing = Estimate.undetermined(why, unit=unit)
    energy = Estimate.undetermined(why, unit="eV")
    above = [(upper_limit(e, level), t) for t, e in entries if t >= temperature]
    exact = [e for t, e in entries if e.kind == "value" and abs(t - temperature) < 1e-6]
    if exact:
        return _Result(exact[0], energy, nothing)
    if not above:
        reason = f"{why}, and nothing was measured at or above {temperature:g} K"
        return _Result(Estimate.undetermined(reason, unit=unit), energy, nothing)
    bound, source = min(above)
    quantity = "D" if unit == "cm^2/s" else "sigma"
    reason = (
        f"{why}. Assuming E_a >= 0, {quantity} at {temperature:g} K is not above its upper limit "
        f"at {source:g} K"
    )
    return _Result(
        Estimate.below(bound, unit=unit, reason=reason, level=level),
        energy,
        nothing,
        warnings=(f"the bound rests on E_a >= 0 and on {source:g} K alone",),
    )


def _interval(
    numbers: tuple[float, float | None, float | None],
    *,
    exponential: bool,
    unit: str,
    level: float,
    method: str,
) -> Estimate:
    best, lower, upper = numbers
    if lower is None or upper is None:
        raise AnalysisError(
            "the likelihood of the Arrhenius line does not fall off within 60 units of ln D; the "
            "points are too uncertain to be fitted. Run longer."
        )
    low, mid, high = np.exp([lower, best, upper]) if exponential else (lower, best, upper)
    return Estimate(
        value=float(mid), lower=float(low), upper=float(high), level=level, unit=unit, method=method
    )
