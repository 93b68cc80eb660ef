"""The fourth system: networks that learn from few labeled and many unlabeled powder patterns.

Ten networks, each taught by another ten labels of each class and 80 % of the unlabeled patterns of
a pool, vote on the calculated powder pattern of a material. Beside the vote stand the members' mean
probability and the labeled conductor whose pattern is nearest.

A member saw as many conductors as others, so what it says is no share of hits. The score is the
members' mean, calibrated on labels of which a member had not seen a near-duplicate; votes and
`mean_probability` are the members' own.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.errors import DataError
from ssefw.screening.base import ModelState, Reason, Scores
from ssefw.screening.calibration import calibrated
from ssefw.screening.features import PatternGrid
from ssefw.screening.voting import VotingScreener, rows_without
from ssefw.screening.xrdmatch.ensemble import (
    EnsembleSettings,
    check_patterns,
    ensemble_probabilities,
    train_members,
)
from ssefw.screening.xrdmatch.patterns import points_in_bin, read_patterns
from ssefw.screening.xrdmatch.settings import VARIANTS, chosen_settings
from ssefw.screening.xrdmatch.similarity import KnownPatterns
from ssefw.screening.xrdmatch.training import TrainingSettings
from ssefw.units import (
    AskedCount,
    AskedCountOrNone,
    AskedMembers,
    AskedSeed,
    AskedWavelength,
    AskedWorkers,
    Fraction,
    Limits,
    Pure,
    Unit,
)

__all__ = ["VARIANTS", "XRDMatchScreener"]

logger = logging.getLogger(__name__)

Patterns = npt.NDArray[np.float32]

WINDOW = 5.0  # degrees 2 theta that an explanation takes away at once


@dataclass(kw_only=True, eq=False)
class XRDMatchScreener(VotingScreener):
    """Votes of networks on powder patterns, taught with and without labels.

    Attributes
    ----------
    variant
        ``fast``, ``paper`` or ``code``; see `VARIANTS`. Other settings go before it.
    model
        Of a member: ``networks``, or ``svm``, a support vector machine on smoothed patterns, which
        needs no training settings and does not look at the pool.
    method
        ``flexmatch``, ``fixmatch``, or ``supervised``, which does not look at the pool.
    members
        Networks that vote.
    per_class
        Labels of each class that a member learns from.
    iterations
        Batches that a member is trained with.
    wavelength
        Name of a line or angstrom; see `PatternGrid`.
    fwhm
        Width of Gaussian peaks in degrees, 0 for sticks.
    network, augmentation, bin_width, convex, warm_up
        In place of the variant's; `bin_width` is the spacing of points in degrees, of which each
        is the largest of the points 0.02 degrees apart that it covers.
    checkpoints
        Folder where members are put aside every 100 iterations, and taken up again.
    workers
        Processes that train at the same time; the result does not depend on it.
    """

    name: ClassVar[str] = "xrdmatch"
    needs: ClassVar[Literal["composition", "structure"]] = "structure"

    aside: ClassVar[frozenset[str]] = frozenset({"checkpoints", "workers"})

    variant: str = "fast"
    model: Literal["networks", "svm"] = "networks"
    method: Literal["supervised", "fixmatch", "flexmatch"] = "flexmatch"
    members: AskedMembers = 10
    per_class: AskedCount = 10
    unlabeled_share: Annotated[Fraction, Limits(least=0, most=1)] = 0.8
    iterations: AskedCount = 1000
    batch: AskedCount = 32
    ratio: AskedCountOrNone = 3
    learning_rate: Annotated[Pure, Limits(above=0, most=10)] = 3e-4
    tau: Annotated[Fraction, Limits(least=0, most=1)] = 0.95
    warm_up: bool | None = None
    wavelength: str | AskedWavelength = "CuKa"
    fwhm: Annotated[float, Unit("degree"), Limits("degrees", least=0, most=20)] = 0.0
    network: str | None = None
    augmentation: str | None = None
    bin_width: Annotated[float, Unit("degree"), Limits("degrees", above=0, most=20)] | None = None
    convex: bool | None = None
    seed: AskedSeed = 0
    checkpoints: str | None = None
    workers: AskedWorkers = 1

    def __post_init__(self) -> None:
        chosen = chosen_settings(self.settings())
        step = float(chosen["bin_width"])
        points_in_bin(step)
        self.grid = PatternGrid(wavelength=self.wavelength, fwhm=self.fwhm)
        self.ensemble = EnsembleSettings(
            training=TrainingSettings(
                method=self.method,
                network=str(chosen["network"]),
                iterations=self.iterations,
                batch=self.batch,
                ratio=self.ratio,
                learning_rate=self.learning_rate,
                tau=self.tau,
                convex=bool(chosen["convex"]),
                warm_up=bool(chosen["warm_up"]),
            ),
            model=self.model,
            members=self.members,
            per_class=self.per_class,
            unlabeled_share=self.unlabeled_share,
            augmentation=chosen["augmentation"],
            seed=self.seed,
            step=step,
        )

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:
        """Train the members on labels that have structures, and on the patterns of a pool.

        Without a pool the labels' own patterns serve as unlabeled ones. Members that learn from
        labels alone leave a pool aside, with a warning.

        Raises
        ------
        DataError
            If labels have no structures, or a class has fewer labels than a member learns from.
        """
        labeled = data.labeled()
        for material in labeled.materials:
            if material.build is None:
                raise DataError(
                    f"{material.formula} ({material.name}) has no structure and hence no powder "
                    "pattern. Give structures, or leave out the labels without one."
                )
        patterns, problems = self.patterns(labeled.materials)
        if problems:
            row, reason = next(iter(problems.items()))
            raise DataError(
                f"{len(problems)} of {len(labeled)} labels have no powder pattern, the first being "
                f"{labeled.materials[row].formula}: {reason}"
            )
        if pool and not self.learns_from_pool:
            logger.warning("%s do not look at the pool", self._members_name())
            pool = ()
        unlabeled, skipped = self.patterns(pool)
        if skipped:
            logger.warning(
                "%d of %d materials of the pool have no powder pattern and do not teach: %s",
                len(skipped),
                len(pool),
                next(iter(skipped.values())),
            )
        members = train_members(
            patterns,
            labeled.y,
            unlabeled,
            self.ensemble,
            workers=self.workers,
            checkpoints=None if self.checkpoints is None else Path(self.checkpoints),
        )
        self.members_ = [member.weights for member in members]
        self.seen_ = [member.rows for member in members]
        self.accepted_ = [member.accepted for member in members]
        self.known_ = KnownPatterns(patterns, labeled.y, step=self.ensemble.step)
        self._remember(data, labeled.materials, unlabeled=len(unlabeled))
        self._calibrate(labeled)
        return self

    def _calibrate(self, labeled: Dataset) -> None:
        """Learn from each label's score by the members that saw no near-duplicate of it."""
        each = ensemble_probabilities(self.members_, self.known_.patterns, self.ensemble)
        strange = np.array([~np.isin(labeled.groups, labeled.groups[r]) for r in self.seen_])
        count = strange.sum(axis=0)
        total = np.where(strange, each, 0.0).sum(axis=0)
        unseen = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
        self._calibrate_on(unseen, labeled.y)
        self.calibrated_on_ = int((count > 0).sum())
        if not self.calibrated_on_:
            logger.warning(
                "every member saw all %d labels or their like, so that probabilities are not "
                "calibrated; give more labels",
                len(labeled),
            )

    def patterns(self, materials: Sequence[Material]) -> tuple[Patterns, dict[int, str]]:
        """Return the patterns of the rows that have one, and the reasons of the others."""
        return read_patterns(materials, self.grid, bin_width=self.ensemble.step)

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return calibrated probabilities, votes, and the nearest labeled conductor."""
        patterns, problems = self.patterns(materials)
        return self.score_patterns(materials, patterns, problems)

    def score_patterns(
        self, materials: Sequence[Material], patterns: Patterns, problems: Mapping[int, str]
    ) -> Scores:
        """Score materials by patterns of theirs, calculated or measured.

        Parameters
        ----------
        patterns
            Of the materials without a problem, in order, shape (n, points).
        problems
            Row to the reason why a material has no pattern.
        """
        self._check_fitted()
        n = len(materials)
        good = rows_without(problems, n)
        each = np.full((len(self.members_), n), np.nan)
        each[:, good] = self.probabilities(patterns)
        middle, distance, similarity = np.full((3, n), np.nan)
        conductor = np.full(n, "", dtype=object)
        if len(good):
            middle[good] = self._middle(each[:, good])
            distance[good] = self.known_.distances(patterns)
            rows, similarity[good] = self.known_.nearest_conductors(patterns)
            conductor[good] = [self.formulas_[self.known_.conductors[row]] for row in rows]
        return self._scores(
            materials,
            each,
            problems,
            meaning=(
                f"probability of sigma >= {self._trained_on['threshold']:g} S/cm by "
                f"{len(self.members_)} {self._members_name()}, {self._told()}"
            ),
            distance=distance,
            details={
                "mean_probability": middle,
                "similarity": similarity,
                "nearest_conductor": conductor,
            },
        )

    @property
    def learns_from_pool(self) -> bool:
        """Whether unlabeled patterns change what is learned."""
        return self.ensemble.model == "networks" and self.ensemble.training.method != "supervised"

    def _members_name(self) -> str:
        if self.ensemble.model == "svm":
            return "support vector machines"
        return "networks" if self.learns_from_pool else "supervised networks"

    def _told(self) -> str:
        if self.calibrated_on_:
            return f"calibrated on {self.calibrated_on_} unseen labels"
        return "which saw both classes equally often; not calibrated"

    def nearest_conductors(
        self, patterns: Patterns
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the row of `conductors` that each pattern resembles most, and how much."""
        self._check_fitted()
        return self.known_.nearest_conductors(patterns)

    def probabilities(self, patterns: Patterns) -> npt.NDArray[np.float64]:
        """Return what each member says of patterns (n, points), shape (members, n).

        Raises
        ------
        DataError
            If a pattern is empty or of another length than those learned from.
        """
        self._check_fitted()
        check_patterns(patterns, size=self.known_.patterns.shape[1])
        return ensemble_probabilities(self.members_, patterns, self.ensemble)

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the ranges of 2 theta that move the score most when put to the labels' median."""
        self._check_fitted()
        patterns, problems = self.patterns([material])
        if problems:
            raise DataError(problems[0])
        own, known = patterns[0], self.known_.patterns
        typical = np.median(known, axis=0)
        step = self.ensemble.step
        width = round(WINDOW / step)
        starts = list(range(0, len(own), width))
        trials = np.repeat(own[None], len(starts) + 1, axis=0)
        for row, first in enumerate(starts):
            trials[row, first : first + width] = typical[first : first + width]
        # A pattern whose only peaks were taken away is no pattern, but here it is asked about.
        each = ensemble_probabilities(self.members_, trials, self.ensemble)
        score = calibrated(each.mean(axis=0), self.calibration_)
        effect = score[-1] - score[:-1]
        order = np.argsort(-np.abs(effect), kind="stable")[:top]
        return [
            Reason(
                f"intensity from {starts[i] * step:g} to "
                f"{min((starts[i] + width) * step, self.grid.stop):g} degrees",
                float(own[starts[i] : starts[i] + width].sum()),
                float(np.median(known[:, starts[i] : starts[i] + width].sum(axis=1))),
                float(effect[i]),
            )
            for i in order
        ]

    @property
    def conductors(self) -> tuple[list[str], Patterns]:
        """Formulas and patterns of the labeled conductors."""
        self._check_fitted()
        rows = self.known_.conductors
        return [self.formulas_[row] for row in rows], self.known_.patterns[rows]

    def state(self) -> ModelState:
        """Return the networks' weights, and the labels' patterns for distances."""
        self._check_fitted()
        arrays: dict[str, npt.NDArray[Any]] = {
            "patterns": self.known_.patterns,
            "y": self.known_.y,
            "seen": np.array(self.seen_),
        }
        for number, weights in enumerate(self.members_):
            arrays.update({f"member{number}/{name}": array for name, array in weights.items()})
        meta = {
            "accepted": self.accepted_,
            "calibrated_on": self.calibrated_on_,
            "calibration": list(self.calibration_),
            "formulas": self.formulas_,
            "trained_on": self._trained_on,
        }
        return ModelState(meta, arrays)

    def restore(self, state: ModelState) -> Self:
        """Take over a saved state."""
        meta, arrays = state.meta, state.arrays
        self.members_ = []
        for number in range(self.ensemble.members):
            start = f"member{number}/"
            weights = {
                key.removeprefix(start): array
                for key, array in arrays.items()
                if key.startswith(start)
            }
            if not weights:
                raise KeyError(start)
            self.members_.append(weights)
        self.seen_ = list(arrays["seen"])
        self.accepted_ = [float(value) for value in meta["accepted"]]
        self.calibrated_on_ = int(meta["calibrated_on"])
        self._calibrate_by(meta["calibration"])
        self.known_ = KnownPatterns(arrays["patterns"], arrays["y"], step=self.ensemble.step)
        self._recall(meta)
        return self
