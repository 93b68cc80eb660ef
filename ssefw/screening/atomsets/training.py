"""Training of an ensemble of networks, each stopped early on labels of its own.

A member learns from its side of an inner split and stops where the loss on the other side was
least. Rows that a caller holds out to report on are in neither.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from ssefw.screening.atomsets.network import (
    AtomSetBatch,
    NetworkConfig,
    Parameters,
    initial_parameters,
    logits,
)
from ssefw.screening.atomsets.sources import WeightedSet
from ssefw.screening.evaluation.metrics import METRICS

__all__ = ["Start", "Trained", "feature_scale", "one_thread", "train_networks"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
CYCLE_EPOCHS = 10


@dataclass(frozen=True)
class Trained:
    """An ensemble after training.

    Attributes
    ----------
    parameters
        Those of the best epoch of each member.
    best_epoch
        Shape (members,).
    loss
        What stops a member, at that epoch: validation loss, or the negative area under
        precision-recall; shape (members,).
    curve
        The same at each epoch, shape (epochs, members).
    """

    parameters: Parameters
    best_epoch: npt.NDArray[np.int64]
    loss: Floats
    curve: Floats


@dataclass(frozen=True)
class Start:
    """A network that was trained on another task, to go on with.

    Attributes
    ----------
    parameters
        Of one member, shape (1, ...) each, without the last layer.
    center, scale
        Of the site vectors it was trained on, shape (d,).
    """

    parameters: Parameters
    center: Floats
    scale: Floats


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: these matrices are too small to share, and sums repeat."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def feature_scale(sets: Sequence[WeightedSet]) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each component over all sites, shape (d,) each."""
    vectors = np.concatenate([one.vectors for one in sets])
    scale = vectors.std(axis=0)
    return vectors.mean(axis=0), np.where(scale > 1e-8, scale, 1.0)


@one_thread()
def train_networks(
    batch: AtomSetBatch,
    y: Floats,
    learns: Bools,
    config: NetworkConfig,
    *,
    seed: int,
    start: Start | None = None,
    regression: bool = False,
    watch: Callable[[int, float], bool] | None = None,
) -> Trained:
    """Train one network for each row of `learns`.

    Parameters
    ----------
    y
        Class 1 or 0, or the value to be reproduced, shape (n,).
    learns
        Which materials a member learns from, shape (members, n); it is stopped by the others, or
        trained for all epochs where there are none.
    start
        Its parameters replace the random ones where name and shape agree; `batch` must be scaled
        as it states.
    watch
        Called with epoch and mean best loss; training ends when it returns True.
    """
    generator = torch.Generator().manual_seed(seed)
    members = len(learns)
    parameters = initial_parameters(
        config, width=batch.vectors.shape[1], members=members, generator=generator
    )
    _take_over(parameters, start)
    for value in parameters.values():
        value.requires_grad_()
    mask = torch.from_numpy(learns)
    target = torch.from_numpy(y).float()
    values = list(parameters.values())
    advance = _stepper(values, config, per_epoch=-(-batch.size // config.batch))
    best = {name: value.detach().clone() for name, value in parameters.items()}
    best_loss = torch.full((members,), torch.inf)
    best_epoch = torch.zeros(members, dtype=torch.int64)
    curve: list[Tensor] = []
    for epoch in range(1, config.epochs + 1):
        order = torch.randperm(batch.size, generator=generator)
        for rows in order.split(config.batch):
            part = batch.take(rows)
            out = logits(parameters, part, config, generator=generator)
            aim = target[rows]
            if not regression:
                aim = aim + config.smoothing * (0.5 - aim)
            each = _losses(out, aim, regression=regression)
            used = mask[:, rows]
            # Means over a member's own rows, summed over members: none feels the others.
            loss = ((each * used).sum(1) / used.sum(1).clamp(min=1)).sum()
            loss = loss + _penalty(parameters, config)
            for value in values:
                value.grad = None
            loss.backward()
            advance()
        now = _validation(parameters, batch, target, mask, config, regression=regression)
        curve.append(now)
        # A member without rows to stop it goes on to the end, and its last epoch counts.
        better = (now < best_loss) | mask.all(1)
        best_loss = torch.where(better, now, best_loss)
        best_epoch[better] = epoch
        for name, value in parameters.items():
            best[name][better] = value.detach()[better]
        if (epoch - best_epoch >= config.patience).all():
            break
        if watch is not None and watch(epoch, float(best_loss.mean())):
            break
    return Trained(
        parameters=best,
        best_epoch=best_epoch.numpy(),
        loss=best_loss.double().numpy(),
        curve=torch.stack(curve).double().numpy(),
    )


def _stepper(
    values: list[Tensor], config: NetworkConfig, *, per_epoch: int
) -> Callable[[], object]:
    """Return what changes the parameters once their gradients are there."""
    if config.optimizer == "adam":
        return torch.optim.Adam(values, lr=config.rate).step
    # What only a paper asks for is read when it is asked for.
    from ssefw.screening.papers.lamb import LookaheadLamb, triangular2  # noqa: PLC0415

    lamb, steps = LookaheadLamb(values), count()
    half = CYCLE_EPOCHS * per_epoch
    return lambda: lamb.step(
        triangular2(next(steps), low=config.rate, high=config.rate_max, half_cycle=half)
    )


def _losses(out: Tensor, target: Tensor, *, regression: bool) -> Tensor:
    wide = target.expand(len(out), -1)
    if regression:
        return mse_loss(out, wide, reduction="none")
    return binary_cross_entropy_with_logits(out, wide, reduction="none")


def _penalty(parameters: Parameters, config: NetworkConfig) -> Tensor:
    total = torch.zeros(())
    for name, value in parameters.items():
        if name.startswith("site") and name.endswith("weight"):
            total = total + config.l2 * value.pow(2).sum()
        elif name.startswith("whole") and name.endswith("weight"):
            total = total + config.l2_final * value.pow(2).sum()
    return total


def _validation(
    parameters: Parameters,
    batch: AtomSetBatch,
    target: Tensor,
    mask: Tensor,
    config: NetworkConfig,
    *,
    regression: bool,
) -> Tensor:
    """Return what stops each member, of the rows it does not learn from, shape (members,)."""
    with torch.no_grad():
        out = logits(parameters, batch, config)
    rest = ~mask
    each = _losses(out, target, regression=regression)
    loss = (each * rest).sum(1) / rest.sum(1).clamp(min=1)
    if config.stop == "auc_pr" and not regression:
        area = _areas(out, target, rest)
        # A side of one class has no area, at no epoch: its loss stands in throughout.
        loss = torch.where(area.isfinite(), -area, loss)
    return loss


def _areas(out: Tensor, target: Tensor, rest: Tensor) -> Tensor:
    """Return each member's area under precision-recall on the rows of `rest`, shape (members,)."""
    y, scores = target.long().numpy(), out.double().numpy()
    return torch.tensor(
        [
            METRICS["auc_pr"](y[side], one[side]) if side.any() else np.nan
            for one, side in zip(scores, rest.numpy(), strict=True)
        ]
    ).float()


def _take_over(parameters: Parameters, start: Start | None) -> None:
    for name, value in (start.parameters if start else {}).items():
        own = parameters.get(name)
        if own is not None and own.shape[1:] == value.shape[1:]:
            own.copy_(value.expand_as(own))
