"""Fit a NEP to labelled frames: Adam on errors of energy, force and stress, on one core."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from monty.json import MSONable

from ssefw.errors import DataError, EngineError
from ssefw.nep.angular import N_INVARIANTS
from ssefw.nep.basis import KNOTS, chebyshev_basis, spline_table
from ssefw.nep.frames import LabelledFrame, TrainingSet
from ssefw.nep.gradient import batch_gradient, weight_gradient
from ssefw.nep.loading import load_loops
from ssefw.nep.model import NEP
from ssefw.units import (
    AskedCount,
    AskedEnergy,
    AskedForce,
    AskedMembers,
    AskedSeed,
    Length,
    Limits,
    Pressure,
    Pure,
)

__all__ = ["FitErrors", "TrainingSettings", "errors_on", "fit", "new_model"]

FloatArray = npt.NDArray[np.float64]

Report = Callable[[int, "FitErrors"], None]


Cutoff = Annotated[Length, Limits("A", least=1, most=20)]
"""Below, no atom has a neighbor; beyond, each has thousands."""
Channels = Annotated[int, Limits("", least=1, most=100, whole=True)]
Rate = Annotated[Pure, Limits("", above=0, most=1)]


@dataclass(frozen=True)
class TrainingSettings(MSONable):
    """The form of a potential and how it is fitted.

    Attributes
    ----------
    radial_cutoff, angular_cutoff
        A. An angular one of 4.5 A holds the first shell of anions and cations round a lithium ion.
    n_radial, n_angular, functions
        Channels of each kind, and radial functions each is made of.
    neurons
        Of the hidden layer.
    steps, batch
        Steps of the optimizer, and frames each looks at.
    rate, last_rate
        Step length at first and at the end; it falls as a cosine.
    width_energy, width_force, width_stress
        What counts as an error of one: eV/atom, eV/A, eV/A^3. Energies are weighed low: a frame has
        one energy and hundreds of forces, and a narrow width (2 meV/atom) left the forces at twice
        the error after the same steps.
    seed
        Of first weights and the order of frames.
    """

    radial_cutoff: Cutoff = 6.0
    angular_cutoff: Cutoff = 4.5
    n_radial: Channels = 9
    n_angular: Channels = 6
    functions: Channels = 9
    neurons: Annotated[int, Limits("", least=1, most=1000, whole=True)] = 30
    steps: AskedCount = 6000
    batch: AskedMembers = 4
    rate: Rate = 0.02
    last_rate: Rate = 1e-5
    width_energy: AskedEnergy = 0.02
    width_force: AskedForce = 0.05
    width_stress: Annotated[Pressure, Limits("eV/A^3", above=0, most=1e3)] = 2e-3
    seed: AskedSeed = 0

    def refit(self, *, steps: int, seed: int) -> "TrainingSettings":
        """Return settings to go on from a fitted potential: fewer and shorter steps."""
        return replace(self, steps=steps, seed=seed, rate=0.3 * self.rate)


@dataclass(frozen=True)
class FitErrors:
    """Root mean square errors: eV/atom, eV/A, eV/A^3 (None where no frame has a stress)."""

    energy: float
    force: float
    stress: float | None


FIRST_OUTPUT = 0.02
"""Factor of the first output weights: the fit starts near a constant energy."""

DECAY = 1e-5
WARM_UP = 50
ADAM = (0.9, 0.999, 1e-8)

_Weights = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


def _weights(model: NEP) -> _Weights:
    return model.first, model.bias, model.last, model.radial, model.angular


def _functions(cutoff: float, size: int) -> tuple[FloatArray, float]:
    step = cutoff / (KNOTS - 2)
    values, slopes = chebyshev_basis(np.arange(KNOTS, dtype=np.float64) * step, cutoff, size)
    return spline_table(values, slopes, step), 1.0 / step


def new_model(frames: Sequence[LabelledFrame], settings: TrainingSettings) -> NEP:
    """Return a potential with first weights that suit the frames.

    Descriptors are scaled to a range of one over the frames, and the neurons of each element begin
    in the middle of what its atoms show.
    """
    species = tuple(sorted({symbol for frame in frames for symbol in frame.symbols}))
    n, rng = len(species), np.random.default_rng(settings.seed)
    d = settings.n_radial + N_INVARIANTS * settings.n_angular
    first = rng.normal(size=(n, settings.neurons, d)) / math.sqrt(d)
    bias = rng.normal(size=(n, settings.neurons)) * 0.5
    model = NEP(
        species=species,
        radial_cutoff=settings.radial_cutoff,
        angular_cutoff=settings.angular_cutoff,
        first=first,
        bias=bias,
        last=rng.normal(size=(n, settings.neurons)) * FIRST_OUTPUT / math.sqrt(settings.neurons),
        offset=-float(np.mean([frame.energy / len(frame.symbols) for frame in frames])),
        radial=rng.uniform(-1, 1, size=(n * n, settings.n_radial, settings.functions)),
        angular=rng.uniform(-1, 1, size=(n * n, settings.n_angular, settings.functions)),
        scale=np.ones(d),
        low=np.full((n, d), -np.inf),
        high=np.full((n, d), np.inf),
    )
    data = TrainingSet(frames, species, settings.radial_cutoff)
    seen = _descriptors(model, data, np.arange(0, data.n_frames, max(1, data.n_frames // 40)))
    together = np.concatenate(seen)
    width = together.max(axis=0) - together.min(axis=0)
    # A descriptor that is the same everywhere (a perfect crystal) keeps its size.
    scale = 1.0 / np.where(width > 1e-6, width, np.maximum(1.0, np.abs(together).max(axis=0)))
    for t, rows in enumerate(seen):
        if len(rows):
            inputs = (rows * scale) @ first[t].T
            spread = np.maximum(inputs.std(axis=0), 1e-3)
            first[t] *= (0.5 / spread)[:, None]
            bias[t] += (inputs * (0.5 / spread)).mean(axis=0)
    return replace(model, scale=scale)


def _descriptors(model: NEP, data: TrainingSet, which: npt.NDArray[np.int64]) -> list[FloatArray]:
    """Return the unscaled descriptors of the atoms of some frames, element by element."""
    load_loops()
    tables = (
        *_functions(model.radial_cutoff, model.radial.shape[2]),
        *_functions(model.angular_cutoff, model.angular.shape[2]),
    )
    rows: list[list[FloatArray]] = [[] for _ in model.species]
    weights = _weights(model)
    unused = [np.zeros_like(array) for array in weights]
    for frame in which:
        types, *pairs = data.pairs_of(int(frame))
        found = np.empty((len(types), model.n_descriptors))
        n_atoms = len(types)
        arguments: list[Any] = [types, *pairs, model.radial_cutoff, model.angular_cutoff]
        arguments += [*tables, *weights, 0.0, np.empty((n_atoms, 3)), np.empty((3, 3))]
        weight_gradient(*[*arguments, *unused, found])
        for t in range(len(rows)):
            rows[t].append(found[types == t])
    return [np.concatenate(part) for part in rows]


class _Loss:
    """Loss and gradient of one potential on one training set."""

    def __init__(self, model: NEP, data: TrainingSet, settings: TrainingSettings) -> None:
        load_loops()
        self._data = data
        self._form = (
            model.radial_cutoff,
            model.angular_cutoff,
            *_functions(model.radial_cutoff, model.radial.shape[2]),
            *_functions(model.angular_cutoff, model.angular.shape[2]),
        )
        self._scale = model.scale
        self._offset = model.offset
        self._widths = (settings.width_energy, settings.width_force, settings.width_stress)

    def __call__(
        self, weights: _Weights, frames: npt.NDArray[np.int64]
    ) -> tuple[list[FloatArray], FloatArray]:
        """Return the gradient a frame, and sums of squared errors with their counts."""
        data = self._data
        gradient = [np.zeros_like(array) for array in weights]
        squares = np.zeros(4)
        first, *others = weights
        arguments: list[Any] = [np.asarray(frames, dtype=np.int64)]
        arguments += [data.first_atom, data.types, data.start, data.index, data.vectors]
        arguments += [data.energies + self._offset * data.n_atoms, data.forces, data.stresses]
        arguments += [data.has_stress, data.volumes, *self._form, first * self._scale, *others]
        batch_gradient(*[*arguments, *self._widths, *gradient, squares])
        gradient[0] *= self._scale
        return [array / len(frames) for array in gradient], squares


def _errors(squares: FloatArray, n_frames: int) -> FitErrors:
    stress = math.sqrt(squares[2] / squares[3]) if squares[3] else None
    return FitErrors(
        energy=math.sqrt(squares[0] / n_frames),
        force=math.sqrt(squares[1] / n_frames),
        stress=stress,
    )


def errors_on(model: NEP, frames: Sequence[LabelledFrame]) -> FitErrors:
    """Return the errors of a potential on frames, such as those that were held back."""
    data = TrainingSet(frames, model.species, model.radial_cutoff)
    loss = _Loss(model, data, TrainingSettings())
    _, squares = loss(_weights(model), np.arange(data.n_frames))
    return _errors(squares, data.n_frames)


REPORT_EVERY = 500


def fit(
    frames: Sequence[LabelledFrame],
    settings: TrainingSettings | None = None,
    *,
    start: NEP | None = None,
    report: Report | None = None,
) -> NEP:
    """Fit a potential to frames.

    Parameters
    ----------
    frames
        At least one for each step's batch makes sense; a few hundred are usual.
    settings
        Form and schedule.
    start
        Go on from this potential, whose form stays; otherwise a new one is made.
    report
        Called every 500 steps with the step and the errors on what was looked at since.

    Raises
    ------
    DataError
        If frames are of no use.
    EngineError
        If the fit diverged.
    """
    settings = settings or TrainingSettings()
    if not frames:
        raise DataError("There are no frames to learn from.")
    model = start or new_model(frames, settings)
    data = TrainingSet(frames, model.species, model.radial_cutoff)
    loss = _Loss(model, data, settings)
    rng = np.random.default_rng([settings.seed, 1])
    weights = tuple(np.array(array) for array in _weights(model))
    mean = [np.zeros_like(array) for array in weights]
    square = [np.zeros_like(array) for array in weights]
    queue = np.empty(0, dtype=np.int64)
    gathered, n_gathered = np.zeros(4), 0
    for step in range(settings.steps):
        while len(queue) < settings.batch:
            queue = np.concatenate([queue, rng.permutation(data.n_frames)])
        now, queue = queue[: settings.batch], queue[settings.batch :]
        gradient, squares = loss(weights, now)  # type: ignore[arg-type]
        gathered, n_gathered = gathered + squares, n_gathered + len(now)
        rate = _rate(step, settings)
        for k, slopes in enumerate(gradient):
            mean[k] += (1 - ADAM[0]) * (slopes - mean[k])
            square[k] += (1 - ADAM[1]) * (slopes**2 - square[k])
            size = np.sqrt(square[k] / (1 - ADAM[1] ** (step + 1))) + ADAM[2]
            move = mean[k] / (1 - ADAM[0] ** (step + 1)) / size
            weights[k][...] -= rate * (move + DECAY * weights[k])
        if not np.isfinite(squares).all():
            raise EngineError(
                f"The fit diverged at step {step} of {settings.steps}. Lower the rate of "
                f"{settings.rate:g}, or look for exploded frames."
            )
        if (step + 1) % REPORT_EVERY == 0:
            if report is not None:
                report(step + 1, _errors(gathered, n_gathered))
            gathered, n_gathered = np.zeros(4), 0
    first, bias, last, radial, angular = weights
    return _with_range(
        replace(model, first=first, bias=bias, last=last, radial=radial, angular=angular), data
    )


def _rate(step: int, settings: TrainingSettings) -> float:
    fall = 0.5 * (1.0 + math.cos(math.pi * step / settings.steps))
    rate = settings.last_rate + (settings.rate - settings.last_rate) * fall
    return rate * min(1.0, (step + 1) / WARM_UP)


def _with_range(model: NEP, data: TrainingSet) -> NEP:
    """Return the potential with the range of descriptors that it has seen."""
    seen = _descriptors(model, data, np.arange(data.n_frames))
    if any(len(rows) == 0 for rows in seen):
        raise DataError("A species of the potential is in none of the frames.")
    low = np.array([(rows * model.scale).min(axis=0) for rows in seen])
    high = np.array([(rows * model.scale).max(axis=0) for rows in seen])
    return replace(model, low=low, high=high)
