"""A straight line through uncertain values and upper bounds, by maximum likelihood.

ln y = a - E (x - x0) with x = 1 / kT. A value is normal in ln y with its own error. An upper bound
U at confidence c stands for having seen nothing where kappa = -ln(1 - c) events would have been
expected at y = U; its likelihood is exp(-kappa y / U). The log-likelihood is concave, so Newton's
method finds its maximum and the profiles from which intervals are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.optimize
import scipy.special

from ssefw.documents import Estimate
from ssefw.errors import AnalysisError
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["CensoredLine", "log_spread", "upper_limit"]

FloatArray = npt.NDArray[np.float64]

FARTHEST = 2000.0
MAX_STEP = 3.0


def log_spread(estimate: Estimate) -> float:
    """Return the standard error of ln y that an interval stands for."""
    assert estimate.lower is not None
    assert estimate.upper is not None
    z = float(scipy.special.ndtri(0.5 + 0.5 * estimate.level))
    if not 0 < estimate.lower < estimate.upper:
        raise AnalysisError(
            f"the interval [{estimate.lower}, {estimate.upper}] has no width above zero; a fit "
            "weighted by errors needs one at each temperature."
        )
    return float(np.log(estimate.upper / estimate.lower) / (2.0 * z))


def upper_limit(estimate: Estimate, level: float) -> float:
    """Return the one-sided upper limit of a value, or the bound itself brought to `level`."""
    if estimate.kind == "value":
        assert estimate.value is not None
        z = float(scipy.special.ndtri(level))
        return float(estimate.value * np.exp(z * log_spread(estimate)))
    assert estimate.upper is not None
    return float(estimate.upper * np.log1p(-level) / np.log1p(-estimate.level))


@dataclass(frozen=True)
class CensoredLine:
    """Values and bounds to which a line is fitted.

    Attributes
    ----------
    x, y, spread
        1/kT in 1/eV, ln y and its standard error of the values, (n,).
    bound_x, bound_y, kappa
        1/kT, ln U and -ln(1 - confidence) of the bounds, (m,).
    has_prior
        Whether the last of the values, at x = 0, was not measured.
    """

    x: FloatArray
    y: FloatArray
    spread: FloatArray
    bound_x: FloatArray
    bound_y: FloatArray
    kappa: FloatArray
    has_prior: bool = False

    @classmethod
    def of(cls, entries: Sequence[tuple[float, Estimate]]) -> Self:
        """Build from (temperature in K, estimate) of values and upper bounds."""
        values = [(t, e) for t, e in entries if e.kind == "value"]
        bounds = [(t, e) for t, e in entries if e.kind == "upper_bound"]
        return cls(
            x=np.array([1.0 / (BOLTZMANN_EV_PER_K * t) for t, _ in values]),
            y=np.log(np.array([e.value for _, e in values], dtype=float)),
            spread=np.array([log_spread(e) for _, e in values]),
            bound_x=np.array([1.0 / (BOLTZMANN_EV_PER_K * t) for t, _ in bounds]),
            bound_y=np.log(np.array([e.upper for _, e in bounds], dtype=float)),
            kappa=np.array([-np.log1p(-e.level) for _, e in bounds]),
        )

    def with_value_at_zero(self, y: float, *, spread: float) -> Self:
        """Return this line with a value at x = 0 that is known beforehand."""
        return replace(
            self,
            x=np.append(self.x, 0.0),
            y=np.append(self.y, y),
            spread=np.append(self.spread, spread),
            has_prior=True,
        )

    @property
    def n_measured(self) -> int:
        """The number of values that were measured."""
        return len(self.x) - self.has_prior

    def value_at(self, x: float, level: float) -> tuple[float, float | None, float | None]:
        """Return ln y at x = 1/kT with the ends of its likelihood-ratio interval."""
        ones = np.ones_like(self.x), np.ones_like(self.bound_x)
        return self._profiled(ones, (-(self.x - x), -(self.bound_x - x)), level)

    def energy(self, level: float) -> tuple[float, float | None, float | None]:
        """Return the activation energy in eV with the ends of its interval."""
        center = float(self.x.mean())
        along = -(self.x - center), -(self.bound_x - center)
        return self._profiled(along, (np.ones_like(self.x), np.ones_like(self.bound_x)), level)

    def curvature_p(self) -> float | None:
        """Return the p-value of a straight line against a parabola, from the values alone."""
        measured = self.x[: self.n_measured]
        if len(np.unique(measured)) < 3:
            return None
        x = (measured - measured.mean()) / np.ptp(measured)
        y, spread = self.y[: len(x)], self.spread[: len(x)]
        chi2 = []
        for degree in (1, 2):
            design = np.vander(x, degree + 1) / spread[:, None]
            solution = np.linalg.lstsq(design, y / spread, rcond=None)[0]
            chi2.append(float(((y / spread - design @ solution) ** 2).sum()))
        return float(scipy.special.chdtrc(1, max(chi2[0] - chi2[1], 0.0)))

    def _profiled(
        self,
        of_wanted: tuple[FloatArray, FloatArray],
        of_other: tuple[FloatArray, FloatArray],
        level: float,
    ) -> tuple[float, float | None, float | None]:
        """Maximize over both parameters, then find where the profile of the first has fallen."""
        design = np.column_stack([of_wanted[0], of_other[0]])
        bounds = np.column_stack([of_wanted[1], of_other[1]])
        start: FloatArray = scipy.linalg.lstsq(design / self.spread[:, None], self.y / self.spread)[
            0
        ]
        best = self._maximize(start, design, bounds)
        peak = self._log_likelihood(best, design, bounds)
        drop = 0.5 * float(2.0 * scipy.special.gammaincinv(0.5, level))
        scale = float(np.sqrt(np.linalg.inv(design.T @ (design / self.spread[:, None] ** 2))[0, 0]))

        def fallen(wanted: float) -> float:
            other = self._maximize(
                np.array([best[1]]),
                design[:, 1:],
                bounds[:, 1:],
                offset=(design[:, 0] * wanted, bounds[:, 0] * wanted),
            )
            at = np.array([wanted, other[0]])
            return peak - self._log_likelihood(at, design, bounds) - drop

        value = float(best[0])
        return value, self._edge(fallen, value, -scale), self._edge(fallen, value, scale)

    @staticmethod
    def _edge(fallen, best: float, step: float) -> float | None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        inner, reach = best, step
        while abs(reach) < FARTHEST * abs(step):
            outer = best + reach
            if fallen(outer) > 0:
                return float(scipy.optimize.brentq(fallen, inner, outer, xtol=1e-12, rtol=1e-12))
            inner, reach = outer, 2.0 * reach
        return None

    def _log_likelihood(self, at: FloatArray, design: FloatArray, bounds: FloatArray) -> float:
        residual = (self.y - design @ at) / self.spread
        with np.errstate(over="ignore"):
            missed = self.kappa * np.exp(bounds @ at - self.bound_y)
        return float(-0.5 * (residual**2).sum() - missed.sum())

    def _maximize(
        self,
        start: FloatArray,
        design: FloatArray,
        bounds: FloatArray,
        offset: tuple[FloatArray, FloatArray] | None = None,
    ) -> FloatArray:
        """Find the maximum by Newton steps, shortened so that no bound moves by more than e^3."""
        y, bound_y = self.y, self.bound_y
        if offset is not None:
            y, bound_y = y - offset[0], bound_y - offset[1]
        weight = 1.0 / self.spread**2
        at = np.array(start, dtype=float)
        for _ in range(500):
            missed = self.kappa * np.exp(np.minimum(bounds @ at - bound_y, 500.0))
            gradient = design.T @ (weight * (y - design @ at)) - bounds.T @ missed
            hessian = (design.T * weight) @ design + (bounds.T * missed) @ bounds
            step = np.linalg.solve(hessian, gradient)
            change = np.abs(bounds @ step).max(initial=0.0)
            if change > MAX_STEP:
                step *= MAX_STEP / change
            at = at + step
            if np.abs(step).max() < 1e-12 * (1.0 + np.abs(at).max()):
                break
        return at
