"""What a straight Arrhenius line leaves out: that the barrier may change outside its window.

Activation energies of conductors change with temperature, where the sublattice of the mobile ion
orders or another path takes over [1]_. Points in a window of high temperatures seldom show it, and
an extrapolation from them takes the barrier as constant. Here the change is taken as normal with
mean zero and a stated spread, linear in 1/kT. It enters the interval beside the statistics, in
quadrature, and leaves the value as it is. It does not shrink with longer runs but with colder ones.

Leaving out the hottest or the coldest temperature and fitting again does not do this:
`benchmarks/intervals.py --line 400` compares both.

References
----------
.. [1] https://doi.org/10.1016/j.mtphys.2021.100463: two quasi-linear regimes in
   Li0.33La0.56TiO3, Li3YCl6 and Li7P3S11
"""

from typing import Literal

import numpy as np
import scipy.special

from ssefw.analysis.line.censored_line import CensoredLine
from ssefw.documents import Conductivity, Estimate
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["ENERGY_CHANGE", "bend_spread", "extrapolation", "remark", "widened"]

ENERGY_CHANGE = 0.1
"""Standard deviation of the change of an activation energy between 1000 K and 300 K, in eV. A
guess, not a measurement: the size of what is known of single compounds."""

_PER_X = ENERGY_CHANGE * BOLTZMANN_EV_PER_K / (1.0 / 300.0 - 1.0 / 1000.0)
"""The same for a change of 1/kT by 1/eV."""

DIRECT = 100.0
"""A run so many kelvin above the temperature that is asked for counts as a simulation of it."""
SHORT, LONG = 0.2, 0.5
"""Standard deviations from a bend, in decades: factors of 2.5 and 10 at 95 %."""


def bend_spread(line: CensoredLine, x: float) -> float:
    """Return the standard deviation of ln y of a fitted line at x = 1/kT that a bend stands for.

    A barrier that changes by b per unit of 1/kT adds b (x_i - x)^2 / 2 to each ln y_i, and to the
    line at x what the weights of the fit make of it. A prior on the prefactor is one of the
    straight line through the middle c of the window, which such a barrier moves by
    b (x^2 - c^2) / 2 at infinite temperature.
    """
    design = np.column_stack([np.ones_like(line.x), line.x - x])
    weighted = design / line.spread[:, None] ** 2
    weights = np.linalg.solve(design.T @ weighted, weighted.T)[0]
    moved = (line.x - x) ** 2
    if line.has_prior:
        moved[-1] = x**2 - line.x[:-1].mean() ** 2
    return float(0.5 * _PER_X * abs(weights @ moved))


def widened(estimate: Estimate, spread: float) -> Estimate:
    """Return an estimate of a positive number with another standard deviation in its logarithm."""
    if estimate.value is None or estimate.lower is None or estimate.upper is None or not spread:
        return estimate
    extra = float(scipy.special.ndtri(0.5 + 0.5 * estimate.level)) * spread
    below = np.hypot(np.log(estimate.value / estimate.lower), extra)
    above = np.hypot(np.log(estimate.upper / estimate.value), extra)
    return estimate.model_copy(
        update={
            "lower": float(estimate.value * np.exp(-below)),
            "upper": float(estimate.value * np.exp(above)),
            "method": f"{estimate.method}; the barrier may change by {ENERGY_CHANGE} eV between "
            "1000 K and 300 K",
        }
    )


def extrapolation(
    *, coldest: float, temperature: float, decades: float
) -> Literal["direct", "short", "long", "very long"]:
    """Return how far a temperature (K) lies from the coldest run, by what a bend would do to it.

    Parameters
    ----------
    coldest
        At which a diffusivity was determined, K.
    temperature
        Where the conductivity is given, K.
    decades
        Standard deviation that a bend adds to its logarithm to base ten.
    """
    if coldest <= temperature + DIRECT:
        return "direct"
    if decades <= SHORT:
        return "short"
    return "long" if decades <= LONG else "very long"


def remark(fit: Conductivity) -> str:
    """Return in a sentence how far a conductivity is extrapolated; empty where it is no value."""
    alone = fit.statistics
    if fit.extrapolation is None or alone is None or alone.lower is None or alone.upper is None:
        return ""
    coldest = min(p.temperature for p in fit.points if p.diffusivity.kind == "value")
    if fit.extrapolation == "direct":
        return f"Simulated down to {coldest:g} K: hardly an extrapolation."
    return (
        f"A {fit.extrapolation} extrapolation, from {coldest:g} K. The runs alone give "
        f"{alone.lower:.2g} to {alone.upper:.2g} S/cm; the rest of the interval is there because "
        f"the barrier may change by {ENERGY_CHANGE} eV between 1000 K and 300 K."
    )
