"""Random changes of powder patterns that leave the material what it is, many rows at once.

The *weak* change is a rigid shift; the *strong* one scales peaks, weakens or removes some, and
shifts further. The definitions and numbers are those of XRDMatch's supporting information (section
1.2); they follow Oviedo et al. 2019, https://doi.org/10.1038/s41524-019-0196-x. The program of
the authors (``code``) does something else: half of the rows stay as they are, shifts go to the
right only, and a strong change cuts or widens a gap between peaks. `strain` is the physical shift:
every spacing grows by one factor, so that peaks at high angles move most.

Patterns have the shape (n, points). A peak is a run of points above zero, so that sticks and broad
peaks are treated alike. All randomness comes from torch's generator.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ssefw.errors import ConfigurationError

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "eliminate_peaks",
    "make_augmentation",
    "scale_peaks",
    "shift",
    "strain",
]

AUGMENTATIONS = ("paper", "code", "strain")
WEAK_SHIFT, STRONG_SHIFT = 3.0, 6.0  # degrees: 150 and 300 points of 0.02
SCALED_SHARE, SCALE_RANGE = 1.0, 0.12  # W_s and epsilon
ELIMINATED_SHARE = 0.12  # W_e
WEAK_STRAIN, STRONG_STRAIN = 0.01, 0.03


@dataclass(frozen=True)
class Augmentation:
    """A weak and a strong change; each maps patterns (n, points) to patterns of that shape."""

    weak: Callable[[Tensor], Tensor]
    strong: Callable[[Tensor], Tensor]


def make_augmentation(
    kind: Literal["paper", "code", "strain"], *, start: float, step: float
) -> Augmentation:
    """Return the weak and the strong change for patterns on a grid.

    Parameters
    ----------
    kind
        ``paper``, ``code`` (what the authors' program does), or ``strain``: as ``paper``, with
        lattice strains of 1 and 3 % in place of rigid shifts.
    start, step
        First 2 theta and spacing of the points in degrees.

    Raises
    ------
    ConfigurationError
        If there is no such kind.
    """
    near, far = round(WEAK_SHIFT / step), round(STRONG_SHIFT / step)

    def by_strain(patterns: Tensor, most: float) -> Tensor:
        return strain(patterns, most=most, start=start, step=step)

    if kind == "paper":
        return Augmentation(
            weak=lambda rows: shift(rows, most=near),
            strong=lambda rows: shift(eliminate_peaks(scale_peaks(rows)), most=far),
        )
    if kind == "strain":
        return Augmentation(
            weak=lambda rows: by_strain(rows, WEAK_STRAIN),
            strong=lambda rows: by_strain(eliminate_peaks(scale_peaks(rows)), STRONG_STRAIN),
        )
    if kind == "code":
        return Augmentation(
            weak=lambda rows: _half(rows, lambda r: shift(r, most=near, least=round(1.0 / step))),
            strong=lambda rows: _as_the_code(rows, most=round(10.0 / step)),
        )
    raise ConfigurationError(f"Unknown augmentation {kind!r}. Known: {', '.join(AUGMENTATIONS)}.")


def shift(patterns: Tensor, *, most: int, least: int | None = None) -> Tensor:
    """Move each row by a random number of points between `least` and `most`; zeros move in.

    `least` is -`most` by default; positive is towards high angles.
    """
    n = len(patterns)
    low = -most if least is None else least
    return shift_by(patterns, torch.randint(low, most + 1, (n,), device=patterns.device))


def shift_by(patterns: Tensor, points: Tensor) -> Tensor:
    """Move each row by its own number of points, shape (n,); zeros move in."""
    n, size = patterns.shape
    reach = int(points.abs().max()) if n else 0
    padded = torch.nn.functional.pad(patterns, (reach, reach))
    windows = padded.unfold(1, size, 1)
    return windows[torch.arange(n, device=patterns.device), reach - points]


def strain(patterns: Tensor, *, most: float, start: float, step: float) -> Tensor:
    """Stretch every spacing of a row by one random factor within 1 +- `most`.

    A peak goes to sin(theta) / (1 + strain); what meets on one point adds up, what leaves the grid
    is lost.

    Parameters
    ----------
    start, step
        First 2 theta and spacing of the points in degrees.
    """
    n, size = patterns.shape
    factor = 1 + most * (2 * torch.rand(n, 1, device=patterns.device) - 1)
    theta = torch.deg2rad((start + step * torch.arange(size, device=patterns.device)) / 2)
    sine = torch.sin(theta)[None] / factor
    moved = torch.rad2deg(2 * torch.asin(sine.clamp(max=1.0)))
    target = ((moved - start) / step).round().long()
    inside = (sine < 1) & (target >= 0) & (target < size)
    rows = torch.where(inside, patterns, 0.0)
    return torch.zeros_like(patterns).scatter_add_(1, target.clamp(0, size - 1), rows)


def scale_peaks(
    patterns: Tensor, *, share: float = SCALED_SHARE, width: float = SCALE_RANGE
) -> Tensor:
    """Enhance a share of the peaks: A' = A u + A with u from 1 - `width` to 1 + `width`."""
    number, size = _peak_numbers(patterns), patterns.shape[1]
    rand = torch.rand(2, len(patterns), size, device=patterns.device)
    added = torch.where(rand[0] < share, 1 + width * (2 * rand[1] - 1), 0.0)
    return patterns * (1 + added.gather(1, number))


def eliminate_peaks(patterns: Tensor, *, share: float = ELIMINATED_SHARE) -> Tensor:
    """Weaken a share of the peaks by a factor from 0 to 1, half of them to nothing."""
    number, size = _peak_numbers(patterns), patterns.shape[1]
    rand = torch.rand(3, len(patterns), size, device=patterns.device)
    left = torch.where(rand[1] < 0.5, 0.0, rand[2])
    factor = torch.where(rand[0] < share, left, 1.0)
    return patterns * factor.gather(1, number)


def _peak_numbers(patterns: Tensor) -> Tensor:
    """Return to which peak of its row a point belongs, shape (n, points)."""
    above = patterns > 0
    first = above.clone()
    first[:, 1:] &= ~above[:, :-1]
    return (first.cumsum(1) - 1).clamp(min=0)


def _half(patterns: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    chosen = torch.rand(len(patterns), 1, device=patterns.device) < 0.5
    return torch.where(chosen, change(patterns), patterns)


def _as_the_code(patterns: Tensor, *, most: int) -> Tensor:
    """Apply each of three changes to half of the rows, as the authors' program does.

    Up to 15 % of the points above zero grow by a factor from 1 to 3; up to 15 % vanish; up to
    `most` points are taken out of, or put into, a gap between peaks.
    """

    def scaled(rows: Tensor) -> Tensor:
        share = 0.15 * torch.rand(len(rows), 1, device=rows.device)
        rand = torch.rand(2, *rows.shape, device=rows.device)
        return torch.where(rand[0] < share, rows * (1 + 2 * rand[1]), rows)

    def thinned(rows: Tensor) -> Tensor:
        share = 0.15 * torch.rand(len(rows), 1, device=rows.device)
        return torch.where(torch.rand_like(rows) < share, 0.0, rows)

    def moved(rows: Tensor) -> Tensor:
        return _change_gap(rows, most=most)

    for change in (scaled, thinned, moved):
        patterns = _half(patterns, change)
    return patterns


def _change_gap(patterns: Tensor, *, most: int) -> Tensor:
    """Move what lies above a random empty point; no peak crosses that point."""
    n, size = patterns.shape
    empty = (patterns <= 0).float()
    empty[:, 0] += 1e-6  # a row without an empty point still has one to choose
    cut = torch.multinomial(empty, 1)
    place = torch.arange(size, device=patterns.device)[None]
    above = place >= cut
    # To the left a peak may move as far as the gap below it is wide.
    last_below = torch.where((patterns > 0) & ~above, place, -1).amax(1)
    first_above = torch.where((patterns > 0) & above, place, size).amin(1)
    points = torch.randint(-most, most + 1, (n,), device=patterns.device)
    points = torch.maximum(points, last_below + 1 - first_above)
    return torch.where(above, 0.0, patterns) + shift_by(torch.where(above, patterns, 0.0), points)
