"""The members of several kinds: networks on sets, and classifiers on statistics of sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ssefw.screening.atomsets.ensemble import NetworkGroup
from ssefw.screening.atomsets.network import NetworkConfig
from ssefw.screening.atomsets.sources import WeightedSet, set_statistics
from ssefw.screening.classifiers import fit_classifier
from ssefw.screening.frozen import Frozen, join_frozen, part_frozen
from ssefw.screening.parallel import delayed, run_tasks

__all__ = ["NET", "Members", "arrays_under", "fit_classifiers"]

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

NET = "net"
"""Name of the kind that are networks; the other kinds are named as their classifiers."""


@dataclass(frozen=True)
class Members:
    """Fitted members, each with its kind.

    Attributes
    ----------
    named
        The kinds, each of which has one voice.
    classifiers, classifier_kinds
        The members that are no networks, and the kind of each.
    """

    named: Sequence[str]
    classifiers: list[Frozen]
    classifier_kinds: list[str]
    groups: list[NetworkGroup]

    @property
    def kinds(self) -> list[str]:
        """The kind of each member, in the order of `probability`."""
        return self.classifier_kinds + [NET] * sum(group.members for group in self.groups)

    def probability(self, sets: Sequence[WeightedSet]) -> Floats:
        """Return what each member says of each set, shape (members, n)."""
        parts = [group.probability(sets) for group in self.groups]
        if self.classifiers:
            features = set_statistics(sets)
            parts.insert(0, np.array([one.probability(features) for one in self.classifiers]))
        return np.concatenate(parts)

    def middle(self, each: Floats) -> Floats:
        """Return the mean over kinds of the mean over the members of each, leaving out NaN."""
        kinds = np.array(self.kinds)
        means = []
        for kind in self.named:
            own = each[kinds == kind]
            known = np.isfinite(own)
            count = known.sum(axis=0)
            total = np.where(known, own, 0.0).sum(axis=0)
            means.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
        return np.asarray(np.mean(means, axis=0))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return the members as JSON values and arrays."""
        layout, arrays = join_frozen(self.classifiers)
        for number, group in enumerate(self.groups):
            arrays |= {f"group_{number}:{name}": value for name, value in group.arrays.items()}
        return {**layout, "kinds": self.classifier_kinds}, arrays

    @classmethod
    def restored(
        cls,
        named: Sequence[str],
        networks: Sequence[NetworkConfig],
        meta: Mapping[str, Any],
        arrays: Mapping[str, npt.NDArray[Any]],
    ) -> Self:
        """Return the members of what `state` returned.

        Parameters
        ----------
        named
            Which members.
        networks
            Their architectures.
        meta, arrays
            What `state` returned.
        """
        groups = [
            NetworkGroup(config, arrays_under(f"group_{number}:", arrays))
            for number, config in enumerate(networks if NET in named else ())
        ]
        return cls(named, part_frozen(meta, arrays), list(meta["kinds"]), groups)


def fit_classifiers(
    kinds: Sequence[str],
    sets: Sequence[WeightedSet],
    y: npt.NDArray[np.int64],
    learns: npt.NDArray[np.bool_],
    *,
    seed: int,
    workers: int,
) -> tuple[list[Frozen], list[str]]:
    """Fit a classifier of each kind to each row of `learns`; return them and the kind of each.

    Parameters
    ----------
    kinds
        Those of networks are passed over.
    learns
        Which labels a run learns from, shape (runs, n).
    """
    wanted = [kind for kind in kinds if kind != NET]
    if not wanted:
        return [], []
    features = set_statistics(sets)
    tasks = (
        delayed(fit_classifier)(kind, features[side], y[side], seed=seed * 100_003 + run)
        for kind in dict.fromkeys(wanted)
        for run, side in enumerate(learns)
    )
    count = len(set(wanted)) * len(learns)
    fitted = list(run_tasks(tasks, workers=workers, total=count))
    return [frozen for frozen, _ in fitted], [kind for kind in wanted for _ in learns]


def arrays_under(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """Return the arrays whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
