"""How long a run must be: as long as a paper's, or until its diffusivity is known well enough."""

from dataclasses import dataclass

from ssefw.documents import Diffusivity, Document
from ssefw.units import Cm2PerS, Fraction, TimePs

__all__ = ["LengthPolicy", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """Whether a run goes on, and why or why not."""

    goes_on: bool
    reason: str


class LengthPolicy(Document):
    """Continue a run until its diffusivity is known, or until that is not worth more.

    Attributes
    ----------
    relative_error
        Enough is an interval whose half-width is at most this share of the value.
    max_length
        The run ends here in any case.
    step
        It is continued by so much at a time.
    enough_bound
        An upper bound on D as low as this is as good as a value.
    """

    relative_error: Fraction
    max_length: TimePs
    step: TimePs
    enough_bound: Cm2PerS | None = None

    def judge(self, found: Diffusivity, *, length: float) -> Verdict:
        """Decide from the diffusivity of a run that is `length` ps long so far."""
        if found.regime == "melted":
            return Verdict(goes_on=False, reason="the framework melted")
        error = relative_error(found)
        if error is not None and error <= self.relative_error:
            return Verdict(
                goes_on=False,
                reason=f"relative error {error:.2g}, at most {self.relative_error:g} wanted",
            )
        bound = found.tracer.upper if found.tracer.kind == "upper_bound" else None
        if bound is not None and self.enough_bound is not None and bound <= self.enough_bound:
            return Verdict(
                goes_on=False,
                reason=f"D below {bound:.2g} cm^2/s, which is low enough",
            )
        if length >= self.max_length - 1e-9:
            state = found.regime if error is None else f"relative error {error:.2g}"
            return Verdict(
                goes_on=False, reason=f"{self.max_length:g} ps, the most allowed; {state}"
            )
        return Verdict(goes_on=True, reason="")


def relative_error(found: Diffusivity) -> float | None:
    """Return the half-width of the interval of D over its value; None without a value."""
    tracer = found.tracer
    if tracer.kind != "value" or not tracer.value or tracer.upper is None or tracer.lower is None:
        return None
    return (tracer.upper - tracer.lower) / (2.0 * tracer.value)
