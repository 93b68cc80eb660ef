"""LAMB with Lookahead, and the triangular-2 cyclic learning rate, for ensembles of networks.

Every parameter has a leading axis over members; norms are taken for each member apart, so that a
member is trained as if it were alone.

You et al. (2020), https://arxiv.org/abs/1904.00962; Zhang et al. (2019),
https://arxiv.org/abs/1907.08610; Smith (2017), https://arxiv.org/abs/1506.01186
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["LookaheadLamb", "triangular2"]

SYNC_PERIOD = 6
SLOW_STEP = 0.5


def triangular2(step: int, *, low: float, high: float, half_cycle: int) -> float:
    """Return the rate at a step: up and down between two rates, the height halved every cycle.

    Parameters
    ----------
    step
        From 0.
    low, high
        The rates.
    half_cycle
        Steps from one to the other.
    """
    cycle = step // (2 * half_cycle)
    x = abs(step / half_cycle - 2 * cycle - 1)
    return low + (high - low) * max(0.0, 1.0 - x) / 2.0**cycle


class LookaheadLamb:
    """LAMB whose result is drawn halfway back every six steps.

    Parameters
    ----------
    parameters
        Tensors with a gradient, members along the first axis.
    """

    def __init__(
        self, parameters: Sequence[Tensor], *, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        self.parameters = list(parameters)
        self.betas = betas
        self._first = [torch.zeros_like(p) for p in self.parameters]
        self._second = [torch.zeros_like(p) for p in self.parameters]
        self._slow = [p.detach().clone() for p in self.parameters]
        self._steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the parameters by their gradients."""
        self._steps += 1
        one, two = self.betas
        for p, first, second in zip(self.parameters, self._first, self._second, strict=True):
            if p.grad is None:
                continue
            first.mul_(one).add_(p.grad, alpha=1 - one)
            second.mul_(two).addcmul_(p.grad, p.grad, value=1 - two)
            update = first / (1 - one**self._steps)
            update = update / ((second / (1 - two**self._steps)).sqrt() + 1e-6)
            size, change = _norm(p), _norm(update)
            trust = torch.where((size > 0) & (change > 0), size / change, torch.ones_like(size))
            p.sub_(rate * trust * update)
        if self._steps % SYNC_PERIOD == 0:
            for p, slow in zip(self.parameters, self._slow, strict=True):
                slow.add_(p - slow, alpha=SLOW_STEP)
                p.copy_(slow)


def _norm(x: Tensor) -> Tensor:
    """Return the norm of each member's part, with axes kept."""
    axes = tuple(range(1, x.ndim))
    return x.pow(2).sum(axes, keepdim=True).sqrt()
