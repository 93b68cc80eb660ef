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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

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
from ssefw.screening.atomsets.members import NET, Members, arrays_under, fit_classifiers
from ssefw.screening.atomsets.network import network_configs
from ssefw.screening.atomsets.search import search_networks
from ssefw.screening.atomsets.sources import (
    LAYERS,
    Layer,
    WeightedSet,
    make_source,
    material_set,
    pooled,
)
from ssefw.screening.base import ModelState, Reason, Scores
from ssefw.screening.calibration import calibrated
from ssefw.screening.classifiers import CLASSIFIERS
from ssefw.screening.features.sites import Representation
from ssefw.screening.voting import VotingScreener, votes_by_kind
from ssefw.units import AskedCount, AskedLevel, AskedMembers, AskedSeconds, AskedSeed, AskedWorkers

__all__ = ["AtomSetsScreener"]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
CHUNK = 512


@dataclass(kw_only=True, eq=False)
class AtomSetsScreener(VotingScreener):
    """An ensemble on the site vectors of a pretrained graph network.

    Attributes
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

    aside: ClassVar[frozenset[str]] = frozenset(
        {"weights", "tune_seconds", "checkpoints", "workers"}
    )

    members: Sequence[str] = ("et", "gb")
    source: str = "chgnet"
    layer: Layer = "elements"
    representation: Representation = "CAMN"
    networks: AskedMembers | Sequence[Mapping[str, Any]] = 1
    runs: AskedMembers = 10
    test_share: AskedLevel = 0.15
    grouped: bool = True
    weights: str | None = None
    pretrain: str | None = None
    pretrain_rows: AskedCount = 4000
    tune_seconds: AskedSeconds = 3600.0
    checkpoints: str | None = None
    seed: AskedSeed = 0
    workers: AskedWorkers = 1

    def __post_init__(self) -> None:
        members = self.members
        unknown = sorted(set(members) - {NET, *CLASSIFIERS})
        if unknown or not members or isinstance(members, str):
            raise ConfigurationError(
                f"members must be a list of {', '.join(sorted({NET, *CLASSIFIERS}))}, got "
                f"{members!r}."
            )
        if self.layer not in LAYERS:
            raise ConfigurationError(
                f"layer must be one of {', '.join(LAYERS)}, got {self.layer!r}."
            )
        _check_numbers({"runs": self.runs, "pretrain_rows": self.pretrain_rows}, self.test_share)
        if self.pretrain is not None and NET not in members:
            raise ConfigurationError(
                "Pre-training is for networks, and there are none among the members "
                f"{', '.join(members)}. Add them: --set 'members=[net, et, gb]'."
            )
        self._configs = network_configs(self.networks)
        self.members = list(members)
        self.networks = [config.settings() for config in self._configs]

    @property
    def _folder(self) -> Path | None:
        return None if self.checkpoints is None else Path(self.checkpoints)

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
        groups = self._fit_networks(sets, labeled.y, learns) if NET in self.members else []
        classifiers, kinds = fit_classifiers(
            self.members, sets, labeled.y, learns, seed=self.seed, workers=self.workers
        )
        self.members_ = Members(self.members, classifiers, kinds, groups)
        each = self.members_.probability(sets)
        unseen = np.where(np.tile(~learns, (len(each) // self.runs, 1)), each, np.nan)
        self._remember(data, labeled.materials)
        self._calibrate_on(self._middle(unseen), labeled.y)
        self.distance_ = TrainingDistance(pooled(sets))
        return self

    def _fit_networks(
        self,
        sets: list[WeightedSet],
        y: npt.NDArray[np.int64],
        learns: npt.NDArray[np.bool_],
    ) -> list[NetworkGroup]:
        starts = []
        if self.pretrain is not None:
            # What only a paper asks for is read when it is asked for.
            from ssefw.screening.papers.pretraining import pretrained  # noqa: PLC0415

            starts = pretrained(
                Path(self.pretrain),
                self._set,
                self._configs,
                sites=f"{self._source.fingerprint} {self._sites}",
                rows=self.pretrain_rows,
                seed=self.seed,
                folder=self._folder,
            )
        return fit_groups(
            self._configs,
            sets,
            y,
            learns,
            seed=self.seed,
            starts=starts,
            workers=self.workers,
            folder=self._folder,
        )

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
            folder=self._folder,
        )
        return replace(self, networks=found)

    def score(self, materials: Sequence[Material]) -> Scores:
        """Return calibrated probabilities, votes, and distances to the labels."""
        self._check_fitted()
        n = len(materials)
        kinds = self.members_.kinds
        problems: dict[int, str] = {}
        each = np.full((len(kinds), n), np.nan)
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
                each[:, rows] = self.members_.probability(sets)
                distance[rows] = self.distance_(pooled(sets))
        return self._scores(
            materials,
            each,
            problems,
            meaning=(
                f"probability of sigma >= {self._trained_on['threshold']:g} S/cm near room "
                f"temperature: {len(kinds)} members ({', '.join(self.members)}) on "
                f"{self._sites}, calibrated on unseen labels"
            ),
            distance=distance,
            details=votes_by_kind(each, kinds, self.members),
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

    def state(self) -> ModelState:
        """Return members, and the weights of the source where they do not come with ssefw."""
        self._check_fitted()
        layout, arrays = self.members_.state()
        arrays |= {f"source:{name}": value for name, value in self._source.arrays.items()}
        arrays |= self.distance_.arrays
        meta = {
            **layout,
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
        self._source = make_source(self.source, arrays=arrays_under("source:", arrays))
        if self._source.fingerprint != meta["source"]:
            raise DataError(
                f"The model was made with {self.source} {meta['source']}, installed is "
                f"{self._source.fingerprint}. Train it again."
            )
        self.members_ = Members.restored(self.members, self._configs, meta, arrays)
        self._calibrate_by(meta["calibration"])
        self.distance_ = TrainingDistance(arrays["distance_points"])
        self._recall(meta)
        return self

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

    def _middle(self, each: Floats) -> Floats:
        return self.members_.middle(each)

    def _score(self, sets: list[WeightedSet]) -> Floats:
        """Return the calibrated probability of each set, shape (n,)."""
        return calibrated(self._middle(self.members_.probability(sets)), self.calibration_)

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
