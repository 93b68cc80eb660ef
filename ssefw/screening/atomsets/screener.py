"""The third system: what networks on sets, and trees on their statistics, say of a material.

A material is a weighted set of site vectors of a pretrained graph network, disorder included
(`sources`). Members of several kinds learn from the same inner splits of the labels: ``net`` are
AtomSets networks, the names of `CLASSIFIERS` classifiers on mean, spread, smallest and largest of
each component. Each kind has one voice; the result is calibrated on labels that a member had not
seen.

McHaffie et al., Digital Discovery 4, 1518 (2025), https://doi.org/10.1039/D5DD00052A
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import NotFittedError
from sklearn.utils.parallel import delayed

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.data.splits import repeated_random
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.atomsets.distance import TrainingDistance
from ssefw.screening.atomsets.ensemble import NetworkGroup, fit_groups
from ssefw.screening.atomsets.explanation import (
    component_reasons,
    element_importances,
    element_reasons,
)
from ssefw.screening.atomsets.network import network_configs
from ssefw.screening.atomsets.pretraining import pretrained
from ssefw.screening.atomsets.search import search_networks
from ssefw.screening.atomsets.sources import (
    LAYERS,
    Layer,
    WeightedSet,
    make_source,
    material_set,
    pooled,
    set_statistics,
)
from ssefw.screening.base import ModelState, Reason, Scores, Screener
from ssefw.screening.calibration import calibrate, calibrated, ensemble_summary
from ssefw.screening.classifiers import CLASSIFIERS, fit_classifier
from ssefw.screening.features.sites import Representation
from ssefw.screening.frozen import Frozen, join_frozen, part_frozen
from ssefw.screening.parallel import run_tasks

__all__ = ["AtomSetsScreener"]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
NET = "net"
CHUNK = 512


class AtomSetsScreener(Screener):
    """An ensemble on the site vectors of a pretrained graph network.

    Parameters
    ----------
    members
        Kinds of members: ``net``, and short names of `CLASSIFIERS`.
    source
        ``chgnet``, or ``megnet`` as in the paper, whose weights `weights` names.
    layer
        ``elements`` (V0 of the composition, no structure needed), or ``v0`` to ``v3`` of the
        structure.
    representation
        CAMN, CAN, CAMNS or CANS.
    networks
        Configurations of `NetworkConfig`, or how many different ones to take; each is trained
        `runs` times.
    runs
        Inner splits of the labels, each giving one member of every kind and configuration.
    test_share
        Share of the labels that a member does not learn from: they stop it, and calibrate.
    grouped
        Whether near-duplicate compositions stay on one side of an inner split.
    weights
        File of the MEGNet weights; by default they are looked for in an installed ``maml``.
    pretrain
        Pool with band gaps or formation energies that the networks see first.
    pretrain_rows
        So many of its rows.
    tune_seconds
        Wall time after which a search starts no further trial.
    checkpoints
        Folder in which finished groups of networks, and trials of a search, are kept.
    workers
        Processes that fit at the same time; the result does not depend on it.
    """

    name: ClassVar[str] = "atomsets"
    needs: ClassVar[Literal["composition", "structure"]] = "composition"

    def __init__(
        self,
        *,
        members: Sequence[str] = ("et", "gb"),
        source: str = "chgnet",
        layer: Layer = "elements",
        representation: Representation = "CAMN",
        networks: int | Sequence[Mapping[str, Any]] = 1,
        runs: int = 10,
        test_share: float = 0.15,
        grouped: bool = True,
        weights: str | None = None,
        pretrain: str | None = None,
        pretrain_rows: int = 4000,
        tune_seconds: float = 3600.0,
        checkpoints: str | None = None,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        unknown = sorted(set(members) - {NET, *CLASSIFIERS})
        if unknown or not members or isinstance(members, str):
            raise ConfigurationError(
                f"members must be a list of {', '.join(sorted({NET, *CLASSIFIERS}))}, got "
                f"{members!r}."
            )
        if layer not in LAYERS:
            raise ConfigurationError(f"layer must be one of {', '.join(LAYERS)}, got {layer!r}.")
        _check_numbers({"runs": runs, "pretrain_rows": pretrain_rows}, test_share)
        if pretrain is not None and NET not in members:
            raise ConfigurationError(
                "Pre-training is for networks, and there are none among the members "
                f"{', '.join(members)}. Add them: --set 'members=[net, et, gb]'."
            )
        self.members = tuple(members)
        self.source = source
        self.layer: Layer = layer
        self.representation: Representation = representation
        self.networks = network_configs(networks)
        self.runs = runs
        self.test_share = test_share
        self.grouped = grouped
        self.weights = weights
        self.pretrain = pretrain
        self.pretrain_rows = pretrain_rows
        self.tune_seconds = tune_seconds
        self.checkpoints = checkpoints
        self.seed = seed
        self.workers = workers

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments that change the result."""
        return {
            "members": list(self.members),
            "source": self.source,
            "layer": self.layer,
            "representation": self.representation,
            "networks": [config.settings() for config in self.networks],
            "runs": self.runs,
            "test_share": self.test_share,
            "grouped": self.grouped,
            "pretrain": self.pretrain,
            "pretrain_rows": self.pretrain_rows,
            "seed": self.seed,
        }

    def fit(self, data: Dataset, *, pool: Sequence[Material] = ()) -> Self:  # noqa: ARG002
        """Fit the members of every kind to each inner split; the pool is not used.

        Labels without site vectors, as of a structure where there is none, are not learned from;
        a warning says how many.

        Raises
        ------
        DataError
            If too few labels are left, or they cannot be split.
        """
        labeled, sets = self._learnable(data)
        splits = repeated_random(
            labeled,
            n=self.runs,
            test_share=self.test_share,
            seed=self.seed,
            grouped=self.grouped,
        )
        learns = np.zeros((self.runs, len(labeled)), dtype=bool)
        for run, split in enumerate(splits):
            learns[run, split.train] = True
        self.frozen_, self.kinds_ = self._fit_classifiers(sets, labeled.y, learns)
        self.groups_: list[NetworkGroup] = []
        if NET in self.members:
            folder = None if self.checkpoints is None else Path(self.checkpoints)
            starts = []
            if self.pretrain is not None:
                starts = pretrained(
                    Path(self.pretrain),
                    self._set,
                    self.networks,
                    sites=f"{self._source.fingerprint} {self._sites}",
                    rows=self.pretrain_rows,
                    seed=self.seed,
                    folder=folder,
                )
            self.groups_ = fit_groups(
                self.networks,
                sets,
                labeled.y,
                learns,
                seed=self.seed,
                starts=starts,
                workers=self.workers,
                folder=folder,
            )
        each = self._each(sets)
        unseen = np.where(np.tile(~learns, (len(each) // self.runs, 1)), each, np.nan)
        self.calibration_ = calibrate(self._middle(unseen), labeled.y)
        self.distance_ = TrainingDistance(pooled(sets))
        self.formulas_ = [material.formula for material in labeled.materials]
        self._trained_on = {
            "label_set": data.name,
            "label_version": data.version,
            "threshold": data.threshold,
        }
        return self

    def tuned_on(self, data: Dataset, *, trials: int) -> "AtomSetsScreener":
        """Return an unfitted screener with the ten best networks of a search on inner folds.

        Raises
        ------
        ConfigurationError
            If there are no networks among the members.
        """
        if NET not in self.members:
            raise ConfigurationError(
                "A search is for networks, and there are none among the members "
                f"{', '.join(self.members)}. Add them: --set 'members=[net, et, gb]'."
            )
        labeled, sets = self._learnable(data)
        found = search_networks(
            sets,
            labeled,
            trials=trials,
            seed=self.seed,
            seconds=self.tune_seconds,
            folder=None if self.checkpoints is None else Path(self.checkpoints),
        )
        settings: Any = {
            **self.settings(),
            "networks": found,
            "weights": self.weights,
            "checkpoints": self.checkpoints,
            "workers": self.workers,
        }
        return AtomSetsScreener(**settings)

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return calibrated probabilities, votes, and distances to the labels."""
        self._check_fitted()
        n, n_members = len(materials), len(self._member_kinds())
        problems: dict[int, str] = {}
        each = np.full((n_members, n), np.nan)
        distance = np.full(n, np.nan)
        for begin in range(0, n, CHUNK):
            rows, sets = [], []
            for row, material in enumerate(materials[begin : begin + CHUNK], start=begin):
                try:
                    sets.append(self._set(material))
                    rows.append(row)
                except DataError as error:
                    problems[row] = str(error)
            if rows:
                each[:, rows] = self._each(sets)
                distance[rows] = self.distance_(pooled(sets))
        good = np.array([row for row in range(n) if row not in problems], dtype=np.int64)
        summary = np.full((4, n), np.nan)
        if len(good):
            middle = self._middle(each[:, good])
            summary[:, good] = ensemble_summary(middle, each[:, good], self.calibration_)
        kinds = np.array(self._member_kinds())
        return Scores(
            names=tuple(material.name for material in materials),
            probability=summary[0],
            spread=summary[1],
            lower=summary[2],
            upper=summary[3],
            meaning=(
                f"probability of sigma >= {self._trained_on['threshold']:g} S/cm near room "
                f"temperature: {n_members} members ({', '.join(self.members)}) on "
                f"{self._sites}, calibrated on unseen labels"
            ),
            votes=(each >= 0.5).sum(axis=0),
            n_votes=n_members,
            distance=distance,
            problems=problems,
            details={
                f"votes_{kind}": (each[kinds == kind] >= 0.5).sum(axis=0) for kind in self.members
            },
        )

    def explain(self, material: Material, *, top: int = 10) -> list[Reason]:
        """Return what moves the score most: an element left out, a component put to its median."""
        self._check_fitted()
        points = self.distance_.points
        reasons = component_reasons(self._set(material), points, self._score, source=self.source)
        if self.layer == "elements":
            reasons += element_reasons(
                material, self.formulas_, self._set, self._score, ion=self._sees_ion
            )
        return sorted(reasons, key=lambda reason: -abs(reason.effect))[:top]

    def importances(self, *, top: int = 20) -> list[tuple[str, float]]:
        """Return the elements that move the labels' scores most.

        A model of structures does not keep those of its labels, and has none.
        """
        self._check_fitted()
        if self.layer != "elements":
            return []
        return element_importances(self.formulas_, self._set, self._score, ion=self._sees_ion)[:top]

    @property
    def trained_on(self) -> dict[str, Any]:
        """Name, version and formulas of the labels, and the threshold."""
        self._check_fitted()
        return {**self._trained_on, "formulas": list(self.formulas_)}

    def state(self) -> ModelState:
        """Return members, and the weights of the source where they do not come with ssefw."""
        self._check_fitted()
        layout, arrays = join_frozen(self.frozen_)
        for number, group in enumerate(self.groups_):
            arrays |= {f"group_{number}:{name}": value for name, value in group.arrays.items()}
        arrays |= {f"source:{name}": value for name, value in self._source.arrays.items()}
        arrays |= self.distance_.arrays
        meta = {
            **layout,
            "kinds": self.kinds_,
            "source": self._source.fingerprint,
            "calibration": list(self.calibration_),
            "trained_on": self._trained_on,
            "formulas": self.formulas_,
        }
        return ModelState(meta, arrays)

    def restore(self, state: ModelState) -> Self:
        """Take over a saved state.

        Raises
        ------
        DataError
            If it was made with other weights of the source than those installed.
        """
        meta, arrays = state.meta, state.arrays
        self._source = make_source(self.source, arrays=_under("source:", arrays))
        if self._source.fingerprint != meta["source"]:
            raise DataError(
                f"The model was made with {self.source} {meta['source']}, installed is "
                f"{self._source.fingerprint}. Train it again."
            )
        self.frozen_ = part_frozen(meta, arrays)
        self.kinds_ = list(meta["kinds"])
        self.groups_ = []
        if NET in self.members:
            self.groups_ = [
                NetworkGroup(config, _under(f"group_{number}:", arrays))
                for number, config in enumerate(self.networks)
            ]
        self.calibration_ = (float(meta["calibration"][0]), float(meta["calibration"][1]))
        self.distance_ = TrainingDistance(arrays["distance_points"])
        self._trained_on = dict(meta["trained_on"])
        self.formulas_ = list(meta["formulas"])
        return self

    def _check_fitted(self) -> None:
        if not hasattr(self, "calibration_"):
            raise NotFittedError("This AtomSetsScreener is not fitted; call fit first.")

    def _learnable(self, data: Dataset) -> tuple[Dataset, list[WeightedSet]]:
        """Return the labels that can be learned from, and their sets."""
        self._source = make_source(self.source, weights=self.weights)
        rows, sets, reasons = [], [], []
        for row in np.flatnonzero(data.y >= 0):
            try:
                sets.append(self._set(data.materials[row]))
                rows.append(int(row))
            except DataError as error:
                reasons.append(str(error))
        kept = data.take(rows)
        if len(set(kept.y.tolist())) < 2:
            why = f" The first reason: {reasons[0]}" if reasons else ""
            raise DataError(
                f"{len(rows)} labels of {data.name!r} can be learned from, not of both "
                f"classes.{why}"
            )
        if reasons:
            logger.warning(
                "%d of %d labels are not learned from, the first because: %s",
                len(reasons),
                len(reasons) + len(rows),
                reasons[0],
            )
        return kept, sets

    def _set(self, material: Material) -> WeightedSet:
        return material_set(
            material, self._source, layer=self.layer, representation=self.representation
        )

    def _fit_classifiers(
        self, sets: list[WeightedSet], y: npt.NDArray[np.int64], learns: npt.NDArray[np.bool_]
    ) -> tuple[list[Frozen], list[str]]:
        kinds = [kind for kind in self.members if kind != NET for _ in range(self.runs)]
        if not kinds:
            return [], []
        features = set_statistics(sets)
        tasks = (
            delayed(fit_classifier)(kind, features[side], y[side], seed=self.seed * 100_003 + run)
            for kind in dict.fromkeys(kinds)
            for run, side in enumerate(learns)
        )
        fitted = list(run_tasks(tasks, workers=self.workers))
        return [frozen for frozen, _ in fitted], kinds

    def _member_kinds(self) -> list[str]:
        """Return the kind of each member, in the order of `_each`."""
        return self.kinds_ + [NET] * sum(group.members for group in self.groups_)

    def _each(self, sets: list[WeightedSet]) -> Floats:
        """Return what each member says of each set, shape (members, n)."""
        parts = [group.probability(sets) for group in self.groups_]
        if self.frozen_:
            features = set_statistics(sets)
            parts.insert(0, np.array([one.probability(features) for one in self.frozen_]))
        return np.concatenate(parts)

    def _middle(self, each: Floats) -> Floats:
        """Return the mean over kinds of the mean over the members of each, leaving out NaN."""
        kinds = np.array(self._member_kinds())
        means = []
        for kind in self.members:
            own = each[kinds == kind]
            known = np.isfinite(own)
            count = known.sum(axis=0)
            total = np.where(known, own, 0.0).sum(axis=0)
            means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
        return np.asarray(np.mean(means, axis=0))

    def _score(self, sets: list[WeightedSet]) -> Floats:
        """Return the calibrated probability of each set, shape (n,)."""
        return calibrated(self._middle(self._each(sets)), self.calibration_)

    @property
    def _sites(self) -> str:
        return f"{self.source} {self.layer} {self.representation}"

    @property
    def _sees_ion(self) -> bool:
        return "M" in self.representation


def _check_numbers(counts: Mapping[str, Any], test_share: Any) -> None:
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ConfigurationError(f"{name} must be a whole number from 1, got {value!r}.")
    if not isinstance(test_share, float) or not 0 < test_share < 1:
        raise ConfigurationError(f"test_share must lie between 0 and 1, got {test_share!r}.")


def _under(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
