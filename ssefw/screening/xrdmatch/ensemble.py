"""Ten members that vote, each taught by another draw of labels and of unlabeled patterns.

A member sees ten labels of each class and 80 % of the unlabeled patterns. It is a network, or a
support vector machine that leaves unlabeled patterns aside. Members are independent: they train in
as many processes as there are, each on one core, which makes the result the same for any number of
processes.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.parallel import delayed, run_tasks
from ssefw.screening.xrdmatch.augment import AUGMENTATIONS, make_augmentation
from ssefw.screening.xrdmatch.checkpoints import fingerprint, read_checkpoint, write_checkpoint
from ssefw.screening.xrdmatch.machine import fit_machine, machine_probabilities
from ssefw.screening.xrdmatch.networks import make_network
from ssefw.screening.xrdmatch.training import (
    METHODS,
    Method,
    Trainer,
    TrainingSettings,
    training_device,
)

__all__ = [
    "MODELS",
    "EnsembleSettings",
    "Member",
    "check_patterns",
    "compare_methods",
    "ensemble_probabilities",
    "member_probabilities",
    "train_member",
    "train_members",
]

logger = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]
Patterns = npt.NDArray[np.float32]
MODELS = ("networks", "svm")
SAVE_EVERY = 100
CHUNK = 256


@dataclass(frozen=True)
class EnsembleSettings:
    """What members are, how they differ, and the grid their patterns lie on.

    Attributes
    ----------
    model
        ``networks`` or ``svm``; `training` and `augmentation` are of networks.
    per_class
        Labels of each class that a member learns from.
    unlabeled_share
        Of the unlabeled patterns, for each member.
    start, step
        First 2 theta and spacing of the points in degrees.
    """

    training: TrainingSettings
    model: str = "networks"
    members: int = 10
    per_class: int = 10
    unlabeled_share: float = 0.8
    augmentation: Any = "paper"
    seed: int = 0
    start: float = 0.0
    step: float = 0.5

    def __post_init__(self) -> None:
        if self.members < 1 or self.per_class < 1:
            raise ConfigurationError(
                f"An ensemble needs one member and one label of each class at least, got "
                f"{self.members} and {self.per_class}."
            )
        if not 0 < self.unlabeled_share <= 1:
            raise ConfigurationError(
                "unlabeled_share is the share of unlabeled patterns that a member sees, above 0 "
                f"and up to 1, got {self.unlabeled_share:g}."
            )
        if self.model not in MODELS:
            raise ConfigurationError(
                f"Unknown model {self.model!r} of a member. Known: {', '.join(MODELS)}."
            )
        if self.augmentation not in AUGMENTATIONS:
            raise ConfigurationError(
                f"Unknown augmentation {self.augmentation!r}. Known: {', '.join(AUGMENTATIONS)}."
            )


@dataclass(frozen=True)
class Member:
    """A trained network or machine.

    Attributes
    ----------
    weights
        Arrays by name.
    rows
        Labels that it learned from.
    accepted
        Share of unlabeled patterns that counted as labels in the last ten iterations.
    """

    weights: Arrays
    rows: npt.NDArray[np.int64]
    accepted: float


def check_patterns(patterns: Patterns, *, size: int | None = None) -> None:
    """Refuse what is no set of powder patterns.

    Raises
    ------
    DataError
        If the array is not (n, points), a value is negative or not a number, a pattern has no
        peak, or its length is not `size`.
    """
    if patterns.ndim != 2:
        raise DataError(f"Patterns come as an array (n, points), got the shape {patterns.shape}.")
    if size is not None and patterns.shape[1] != size:
        raise DataError(
            f"The patterns have {patterns.shape[1]} points, the others have {size}. Sample all on "
            "one grid of 2 theta."
        )
    good = np.isfinite(patterns).all(axis=1) & (patterns >= 0).all(axis=1)
    if not good.all():
        raise DataError(
            f"Pattern {int(np.argmin(good))} has a negative intensity or one that is no number. "
            "Subtract the background and leave out broken patterns."
        )
    empty = ~(patterns > 0).any(axis=1)
    if empty.any():
        raise DataError(f"Pattern {int(np.argmax(empty))} is empty: no peak. Leave it out.")


def train_members(
    patterns: Patterns,
    y: npt.NDArray[np.int64],
    unlabeled: Patterns,
    settings: EnsembleSettings,
    *,
    workers: int = 1,
    checkpoints: Path | None = None,
) -> list[Member]:
    """Train all members; with a folder of checkpoints, go on where an earlier call stopped.

    Parameters
    ----------
    patterns, y
        Labeled patterns, shape (n, points), and classes 0 or 1, shape (n,).
    unlabeled
        Shape (m, points). If there is none, the labeled patterns serve, their classes hidden.
    workers
        Processes. With a GPU, one.

    Raises
    ------
    DataError
        If patterns are unusable, or a class has fewer labels than a member learns from.
    """
    check_patterns(patterns)
    _check_classes(y, settings.per_class)
    if len(unlabeled):
        check_patterns(unlabeled, size=patterns.shape[1])
    else:
        unlabeled = patterns
    if workers > 1 and settings.model == "networks" and training_device() != "cpu":
        logger.warning("members share one GPU and train one after another")
        workers = 1
    tasks = (
        delayed(train_member)(
            patterns, y, unlabeled, settings, number=number, checkpoints=checkpoints
        )
        for number in range(settings.members)
    )
    members = []
    for member in run_tasks(tasks, workers=workers, total=settings.members):
        members.append(member)
        logger.info("member %d of %d is trained", len(members), settings.members)
    return members


def compare_methods(
    patterns: Patterns,
    y: npt.NDArray[np.int64],
    unlabeled: Patterns,
    held_out: Patterns,
    settings: EnsembleSettings,
    *,
    methods: Sequence[Method] = METHODS,
    workers: int = 1,
) -> dict[Method, npt.NDArray[np.float64]]:
    """Train an ensemble by each method on the same draws of labels, and score held-out patterns.

    Returns the probability of class 1 by each member, shape (members, n), for each method.

    Parameters
    ----------
    patterns, y
        Of the labels, and their classes.
    unlabeled
        Patterns without label.
    held_out
        Patterns that are scored.
    settings
        Of the ensemble.
    methods
        Which are trained.
    workers
        Processes.
    """
    check_patterns(held_out, size=patterns.shape[1])
    found = {}
    for method in methods:
        training = replace(settings.training, method=method)
        members = train_members(
            patterns, y, unlabeled, replace(settings, training=training), workers=workers
        )
        weights = [member.weights for member in members]
        found[method] = member_probabilities(weights, held_out, network=training.network)
    return found


def _check_classes(y: npt.NDArray[np.int64], per_class: int) -> None:
    counts = [int((y == kind).sum()) for kind in (0, 1)]
    if min(counts) == 0:
        kind = "superionic" if counts[0] == 0 else "not superionic"
        raise DataError(
            f"All {len(y)} labels are {kind}, so there is nothing to tell apart. Add labels of the "
            "other class or choose another threshold."
        )
    if min(counts) < per_class:
        raise DataError(
            f"Each member learns from {per_class} labels of each class, and there are {counts[1]} "
            f"superionic and {counts[0]} others with a pattern. Add labels, or set "
            f"per_class={min(counts)}."
        )


def train_member(
    patterns: Patterns,
    y: npt.NDArray[np.int64],
    unlabeled: Patterns,
    settings: EnsembleSettings,
    *,
    number: int,
    checkpoints: Path | None = None,
) -> Member:
    """Train one member on its own draw; see `train_members`."""
    rng = np.random.default_rng([settings.seed, number])
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero(y == kind), settings.per_class, replace=False)
            for kind in (0, 1)
        ]
    )
    if settings.model == "svm":
        return Member(fit_machine(patterns[rows], y[rows], step=settings.step), rows, 0.0)
    seed = int(rng.integers(2**31))
    n_seen = max(1, round(settings.unlabeled_share * len(unlabeled)))
    seen = np.sort(rng.choice(len(unlabeled), n_seen, replace=False))
    data = (patterns[rows], y[rows].astype(np.int64), unlabeled[seen])
    augmentation = make_augmentation(
        settings.augmentation,
        start=settings.start,
        step=settings.step,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trainer = Trainer(
            *data,
            settings=settings.training,
            augmentation=augmentation,
            seed=seed,
            device=training_device(),
        )
        accepted = _train(trainer, number, data, checkpoints, settings)
    finally:
        torch.set_num_threads(threads)
    return Member(trainer.weights(), rows, accepted)


def _train(
    trainer: Trainer,
    number: int,
    data: Sequence[npt.NDArray[Any]],
    checkpoints: Path | None,
    settings: EnsembleSettings,
) -> float:
    """Run to the end and return the last accepted share, saving on the way if asked to."""
    path = None if checkpoints is None else checkpoints / f"member-{number:02d}.npz"
    accepted = 0.0
    owner = ""
    if path is not None:
        owner = fingerprint({**asdict(settings), "number": number}, data)
        saved = read_checkpoint(path, belongs_to=owner)
        if saved is not None:
            accepted = float(saved.pop("accepted"))
            trainer.resume(saved)
            logger.info("member %d goes on at iteration %d", number, trainer.iteration)
    for report in trainer.run():
        accepted = report.accepted
        done = report.iteration == settings.training.iterations
        if report.iteration % SAVE_EVERY == 0 or done:
            logger.info(
                "member %d: iteration %d of %d, loss %.3f, accepted %.2f",
                number,
                report.iteration,
                settings.training.iterations,
                report.loss,
                accepted,
            )
            if path is not None:
                arrays = {**trainer.snapshot(), "accepted": np.array(accepted)}
                write_checkpoint(path, arrays, belongs_to=owner)
    return accepted


def ensemble_probabilities(
    members: Sequence[Arrays], patterns: Patterns, settings: EnsembleSettings
) -> npt.NDArray[np.float64]:
    """Return what each member of an ensemble says of class 1, shape (members, n)."""
    if settings.model == "svm":
        return machine_probabilities(members, patterns, step=settings.step)
    return member_probabilities(members, patterns, network=settings.training.network)


def member_probabilities(
    members: Sequence[Arrays], patterns: Patterns, *, network: str
) -> npt.NDArray[np.float64]:
    """Return the probability of class 1 by each network, shape (members, n).

    In double precision, so that a score does not depend on which other patterns are asked about.
    """
    n, size = patterns.shape
    result = np.empty((len(members), n))
    with torch.random.fork_rng(devices=[]):  # making a network draws weights
        model = make_network(network, size)
    for row, weights in enumerate(members):
        model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        model.double().eval()
        with torch.no_grad():
            for first in range(0, n, CHUNK):
                part = torch.from_numpy(patterns[first : first + CHUNK]).double()
                share = torch.softmax(model(part), dim=1)[:, 1]
                result[row, first : first + CHUNK] = share.numpy()
    return result
