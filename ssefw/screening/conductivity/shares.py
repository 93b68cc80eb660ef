"""What labels say together of a material: each by the share that the kernel gives it, corrected."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ssefw.screening.conductivity.kernel import LabelKernel
from ssefw.screening.conductivity.quantiles import SHARES
from ssefw.screening.conductivity.recalibration import NoveltyCorrection, Recalibration

__all__ = ["KernelFit", "held_out_shares_below", "quantiles_of", "rising"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def rising(below: Floats) -> Floats:
    """Return distributions that rise from 0 to 1, where negative shares let them not."""
    return np.clip(np.maximum.accumulate(below, axis=1), 0.0, 1.0)


@dataclass(frozen=True)
class KernelFit:
    """A kernel over some of the labels, and the correction of what it says.

    Attributes
    ----------
    rows
        Which of the labels it knows.
    """

    kernel: LabelKernel
    correction: NoveltyCorrection
    rows: Ints

    def below(self, features: Floats, spreads: Floats, distance: Floats) -> tuple[Floats, Floats]:
        """Return the corrected share below each point of the grid, shape (n, g).

        Beside it, how many labels each row rests on, shape (n,): one over the sum of the squares
        of their shares.
        """
        shares, own = self.kernel.shares(features), spreads[self.rows]
        below = self.correction.share(rising(shares @ own), own.mean(axis=0), distance)
        return below, 1.0 / (shares**2).sum(axis=1)

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """Return all that `of_arrays` reads, each name with a prefix."""
        one = self.correction
        named = {
            "points": self.kernel.points,
            "shift": self.kernel.shift,
            "scale": self.kernel.scale,
            "length": np.array(self.kernel.length),
            "predicted": one.near.predicted,
            "near": one.near.held,
            "far": one.far.held,
            "distances": np.array([one.nearby, one.distant]),
            "trusts": np.array([one.trust_near, one.trust_far]),
            "rows": self.rows,
        }
        return {prefix + name: array for name, array in named.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> Self:
        """Take over what `arrays` returned."""
        own = {
            name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)
        }
        kernel = LabelKernel.of_points(
            own["points"], own["shift"], own["scale"], length=float(own["length"])
        )
        near, far = (Recalibration(own["predicted"], own[name]) for name in ("near", "far"))
        numbers = [float(value) for value in (*own["distances"], *own["trusts"])]
        return cls(kernel, NoveltyCorrection(near, far, *numbers), own["rows"].astype(np.int64))


def held_out_shares_below(
    below: Floats, grid: Floats, stated: Floats, side: Ints
) -> tuple[Floats, Floats]:
    """Return between which shares of its predicted distribution each label fell.

    Parameters
    ----------
    below
        Predicted share below each point of the grid, shape (n, g).
    stated, side
        log10 of the value or bound, and 0, 1 or -1 for a value, an upper and a lower bound.
    """
    at = np.array([np.interp(x, grid, row) for x, row in zip(stated, below, strict=True)])
    return np.where(side == 1, 0.0, at), np.where(side == -1, 1.0, at)


def quantiles_of(below: Floats, grid: Floats) -> Floats:
    """Return log10 sigma at each of `SHARES`, shape (n, len(SHARES))."""
    # Strictly rising, so that a share is reached at one point only.
    tilt = np.linspace(0.0, 1e-9, len(grid))
    return np.array([np.interp(SHARES, row + tilt, grid) for row in below]).reshape(-1, len(SHARES))
