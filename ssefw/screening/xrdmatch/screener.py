"""The fourth system: networks that learn from few labeled and many unlabeled powder patterns.

Ten networks, each taught by another ten labels of each class and 80 % of the unlabeled patterns of
a pool, vote on the calculated powder pattern of a material. Beside the vote stand the mean
probability and the labeled conductor whose pattern is nearest.

A probability is that of a network that saw as many conductors as others; where conductors are rare
it is too high as a share of hits, and serves to order.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import NotFittedError

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import ModelState, Reason, Scores, Screener
from ssefw.screening.features import PatternGrid, bin_patterns, xrd_pattern
from ssefw.screening.xrdmatch.ensemble import (
    EnsembleSettings,
    check_patterns,
    member_probabilities,
    train_members,
)
from ssefw.screening.xrdmatch.similarity import directions, nearest
from ssefw.screening.xrdmatch.training import TrainingSettings

__all__ = ["VARIANTS", "XRDMatchScreener"]

logger = logging.getLogger(__name__)

Patterns = npt.NDArray[np.float32]

VARIANTS: dict[str, dict[str, Any]] = {
    "fast": {"network": "small", "augmentation": "paper", "bin_width": 0.5},
    "paper": {"network": "vgg11", "augmentation": "paper", "bin_width": 0.02},
    "code": {
        "network": "vgg11_code",
        "augmentation": "code",
        "bin_width": 0.02,
        "convex": True,
        "warm_up": True,
    },
}
"""What each variant sets: our default, the paper's definition, and the authors' program's."""

_COUNTS = ("members", "per_class", "iterations", "batch", "ratio", "seed")
_NUMBERS = ("unlabeled_share", "learning_rate", "tau", "fwhm", "bin_width")
_SWITCHES = ("convex", "warm_up")
WINDOW = 5.0  # degrees 2 theta that an explanation takes away at once
POINT = 0.02


class XRDMatchScreener(Screener):
    """Votes of networks on powder patterns, taught with and without labels.

    Parameters
    ----------
    variant
        ``fast``, ``paper`` or ``code``; see `VARIANTS`. Other settings go before it.
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

    def __init__(
        self,
        *,
        variant: str = "fast",
        method: Literal["supervised", "fixmatch", "flexmatch"] = "flexmatch",
        members: int = 10,
        per_class: int = 10,
        unlabeled_share: float = 0.8,
        iterations: int = 1000,
        batch: int = 32,
        ratio: int = 3,
        learning_rate: float = 3e-4,
        tau: float = 0.95,
        warm_up: bool | None = None,
        wavelength: str | float = "CuKa",
        fwhm: float = 0.0,
        network: str | None = None,
        augmentation: str | None = None,
        bin_width: float | None = None,
        convex: bool | None = None,
        seed: int = 0,
        checkpoints: str | None = None,
        workers: int = 1,
    ) -> None:
        if variant not in VARIANTS:
            raise ConfigurationError(
                f"Unknown variant {variant!r}. Known: {', '.join(sorted(VARIANTS))}."
            )
        self._given = {
            "variant": variant,
            "method": method,
            "members": members,
            "per_class": per_class,
            "unlabeled_share": unlabeled_share,
            "iterations": iterations,
            "batch": batch,
            "ratio": ratio,
            "learning_rate": learning_rate,
            "tau": tau,
            "warm_up": warm_up,
            "wavelength": wavelength,
            "fwhm": fwhm,
            "network": network,
            "augmentation": augmentation,
            "bin_width": bin_width,
            "convex": convex,
            "seed": seed,
        }
        _check_kinds(self._given)
        chosen = {"convex": False, "warm_up": False, **VARIANTS[variant]}
        for key in ("network", "augmentation", "bin_width", "convex", "warm_up"):
            if self._given[key] is not None:
                chosen[key] = self._given[key]
        self.bin_width = float(chosen["bin_width"])
        self._points = round(self.bin_width / POINT)
        if self._points < 1 or abs(self._points * POINT - self.bin_width) > 1e-9:
            raise ConfigurationError(
                f"bin_width is a multiple of {POINT} degrees, got {self.bin_width:g}."
            )
        self.grid = PatternGrid(wavelength=wavelength, fwhm=fwhm)
        self.ensemble = EnsembleSettings(
            training=TrainingSettings(
                method=method,
                network=str(chosen["network"]),
                iterations=iterations,
                batch=batch,
                ratio=ratio,
                learning_rate=learning_rate,
                tau=tau,
                convex=bool(chosen["convex"]),
                warm_up=bool(chosen["warm_up"]),
            ),
            members=members,
            per_class=per_class,
            unlabeled_share=unlabeled_share,
            augmentation=chosen["augmentation"],
            seed=seed,
            step=self.bin_width,
        )
        self.checkpoints = checkpoints
        self.workers = workers

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments that change the result."""
        return dict(self._given)

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:
        """Train the members on labels that have structures, and on the patterns of a pool.

        Without a pool the labels' own patterns serve as unlabeled ones.

        Raises
        ------
        DataError
            If labels have no structures, or a class has fewer labels than a member learns from.
        """
        labeled = data.take(np.flatnonzero(data.y >= 0))
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
        self.patterns_, self.y_ = patterns, labeled.y
        self.formulas_ = [material.formula for material in labeled.materials]
        self._trained_on = {
            "label_set": data.name,
            "label_version": data.version,
            "threshold": data.threshold,
            "unlabeled": len(unlabeled),
        }
        self._set_neighbors()
        return self

    def patterns(self, materials: Sequence[Material]) -> tuple[Patterns, dict[int, str]]:
        """Return the patterns of the rows that have one, and the reasons of the others."""
        rows: list[Patterns] = []
        problems: dict[int, str] = {}
        for row, material in enumerate(materials):
            try:
                sticks = xrd_pattern(material.structure, self.grid).astype(np.float32)
            except DataError as error:
                problems[row] = str(error)
            else:
                rows.append(bin_patterns(sticks[None], self._points)[0])
        size = -(-self.grid.size // self._points)
        return np.array(rows, dtype=np.float32).reshape(len(rows), size), problems

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return mean probabilities, votes, and the nearest labeled conductor."""
        self._check_fitted()
        n = len(materials)
        patterns, problems = self.patterns(materials)
        good = np.array([row for row in range(n) if row not in problems], dtype=np.int64)
        each = np.full((len(self.members_), n), np.nan)
        each[:, good] = self.probabilities(patterns)
        middle, spread, lower, upper, distance, similarity = np.full((6, n), np.nan)
        conductor = np.full(n, "", dtype=object)
        if len(good):
            middle[good] = each[:, good].mean(axis=0)
            spread[good] = each[:, good].std(axis=0)
            low, high = np.quantile(each[:, good], [0.025, 0.975], axis=0)
            lower[good] = np.minimum(low, middle[good])
            upper[good] = np.maximum(high, middle[good])
            distance[good] = self._distances(directions(patterns, step=self.bin_width))
            rows, similarity[good] = self.nearest_conductors(patterns)
            conductor[good] = [self.formulas_[self._conductors[row]] for row in rows]
        return Scores(
            names=tuple(material.name for material in materials),
            probability=middle,
            spread=spread,
            lower=lower,
            upper=upper,
            meaning=(
                f"mean probability of sigma >= {self._trained_on['threshold']:g} S/cm by "
                f"{len(self.members_)} networks that saw both classes equally often"
            ),
            votes=(each >= 0.5).sum(axis=0),
            n_votes=len(self.members_),
            distance=distance,
            problems=problems,
            details={"similarity": similarity, "nearest_conductor": conductor},
        )

    def nearest_conductors(
        self, patterns: Patterns
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the row of `conductors` that each pattern resembles most, and how much."""
        self._check_fitted()
        own = directions(patterns, step=self.bin_width)
        return nearest(own, self._directions[self._conductors])

    def probabilities(self, patterns: Patterns) -> npt.NDArray[np.float64]:
        """Return the probability by each member, shape (members, n), of patterns (n, points).

        Raises
        ------
        DataError
            If a pattern is empty or of another length than those learned from.
        """
        self._check_fitted()
        check_patterns(patterns, size=self.patterns_.shape[1])
        return member_probabilities(self.members_, patterns, network=self.ensemble.training.network)

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return the ranges of 2 theta that move the score most when put to the labels' median."""
        self._check_fitted()
        patterns, problems = self.patterns([material])
        if problems:
            raise DataError(problems[0])
        own = patterns[0]
        typical = np.median(self.patterns_, axis=0)
        width = round(WINDOW / self.bin_width)
        starts = list(range(0, len(own), width))
        trials = np.repeat(own[None], len(starts) + 1, axis=0)
        for row, first in enumerate(starts):
            trials[row, first : first + width] = typical[first : first + width]
        # A pattern whose only peaks were taken away is no pattern, but here it is asked about.
        score = member_probabilities(
            self.members_, trials, network=self.ensemble.training.network
        ).mean(axis=0)
        effect = score[-1] - score[:-1]
        order = np.argsort(-np.abs(effect), kind="stable")[:top]
        return [
            Reason(
                f"intensity from {starts[i] * self.bin_width:g} to "
                f"{min((starts[i] + width) * self.bin_width, self.grid.stop):g} degrees",
                float(own[starts[i] : starts[i] + width].sum()),
                float(np.median(self.patterns_[:, starts[i] : starts[i] + width].sum(axis=1))),
                float(effect[i]),
            )
            for i in order
        ]

    @property
    def trained_on(self) -> dict[str, Any]:
        """Name, version and formulas of the labels, and the threshold."""
        self._check_fitted()
        return {**self._trained_on, "formulas": list(self.formulas_)}

    @property
    def conductors(self) -> tuple[list[str], Patterns]:
        """Formulas and patterns of the labeled conductors."""
        self._check_fitted()
        rows = self._conductors
        return [self.formulas_[row] for row in rows], self.patterns_[rows]

    def state(self) -> ModelState:
        """Return the networks' weights, and the labels' patterns for distances."""
        self._check_fitted()
        arrays: dict[str, npt.NDArray[Any]] = {
            "patterns": self.patterns_,
            "y": self.y_,
            "seen": np.array(self.seen_),
        }
        for number, weights in enumerate(self.members_):
            arrays.update({f"member{number}/{name}": array for name, array in weights.items()})
        meta = {
            "accepted": self.accepted_,
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
        self.patterns_, self.y_ = arrays["patterns"], arrays["y"]
        self.formulas_ = list(meta["formulas"])
        self._trained_on = dict(meta["trained_on"])
        self._set_neighbors()
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "members_"):
            raise NotFittedError("This XRDMatchScreener is not fitted; call fit first.")

    def _set_neighbors(self) -> None:
        self._conductors = np.flatnonzero(self.y_ == 1)
        self._directions = directions(self.patterns_, step=self.bin_width)
        center = self._directions.mean(axis=0)
        away = np.linalg.norm(self._directions - center, axis=1).mean()
        self._mean_distance = float(away) or 1.0

    def _distances(self, own: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the distance of smoothed patterns to the nearest label's, scaled."""
        rows, _ = nearest(own, self._directions)
        gap = np.linalg.norm(own - self._directions[rows], axis=1)
        return np.asarray(gap / self._mean_distance, dtype=np.float64)


def _check_kinds(given: dict[str, Any]) -> None:
    """Refuse a setting of the wrong kind, which a command line can hand over."""
    for names, kind, word in (
        (_COUNTS, int, "a whole number"),
        (_NUMBERS, (int, float), "a number"),
        (_SWITCHES, bool, "true or false"),
        (("wavelength",), (str, int, float), "the name of a line or angstrom"),
    ):
        for name in names:
            value = given[name]
            right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
            if value is not None and not right:
                raise ConfigurationError(f"{name} is {word}, got {value!r}.")
    if given["learning_rate"] <= 0:
        raise ConfigurationError(f"learning_rate is above 0, got {given['learning_rate']:g}.")
