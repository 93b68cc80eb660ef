"""The logarithmic axis on which the conductivities of many candidates are seen together."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ssefw.documents import Estimate

__all__ = ["SigmaAxis"]


@dataclass(frozen=True)
class SigmaAxis:
    """The logarithmic axis of the strip that shows all conductivities together.

    Attributes
    ----------
    low, high
        Its ends, log10 of S/cm.
    """

    low: int
    high: int

    @classmethod
    def around(cls, estimates: Iterable[Estimate | None]) -> "SigmaAxis":
        """Return an axis on which all estimates have room."""
        numbers = [
            number
            for estimate in estimates
            if estimate is not None
            for number in (estimate.value, estimate.lower, estimate.upper)
            if number
        ]
        if not numbers:
            return cls(-8, 0)
        logs = np.log10(numbers)
        return cls(max(-16, int(np.floor(logs.min())) - 1), max(0, int(np.ceil(logs.max()))))

    def at(self, number: float) -> float:
        """Return the place of a conductivity in percent of the axis."""
        share = (np.log10(number) - self.low) / (self.high - self.low)
        return float(np.clip(100.0 * share, 0.0, 100.0))

    @property
    def ticks(self) -> list[tuple[float, int]]:
        """Place in percent and exponent of each tick."""
        step = max(1, (self.high - self.low) // 5)
        exponents = range(self.low, self.high + 1, step)
        return [(100.0 * (e - self.low) / (self.high - self.low), e) for e in exponents]
