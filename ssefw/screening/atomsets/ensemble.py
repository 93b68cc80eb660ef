"""Groups of networks of one configuration: fitted together, kept on disk as they are done.

A group is `runs` networks of one shape that differ in their start, in what is dropped and in the
labels that stop them. With a folder for finished groups, an ensemble that was interrupted goes on
where it was.
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.parallel import Parallel, delayed

from ssefw.screening.atomsets.network import Batch, NetworkConfig, Parameters, predict
from ssefw.screening.atomsets.sources import WeightedSet
from ssefw.screening.atomsets.training import Start, feature_scale, one_thread, train_networks

__all__ = ["NetworkGroup", "fit_groups"]

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class NetworkGroup:
    """Fitted networks of one configuration.

    Attributes
    ----------
    arrays
        Parameters by name, members along the first axis, and ``center`` and ``scale`` of the site
        vectors.
    """

    config: NetworkConfig
    arrays: dict[str, npt.NDArray[Any]]

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.arrays["out/bias"])

    def probability(self, sets: Sequence[WeightedSet]) -> Floats:
        """Return what each network says of each set, shape (members, n).

        In double precision, and each set summed by itself, so that the order of sets is no matter.
        """
        if not sets:
            return np.empty((self.members, 0))
        parameters: Parameters = {
            name: torch.from_numpy(array).double()
            for name, array in self.arrays.items()
            if "/" in name
        }
        center, scale = self.arrays["center"], self.arrays["scale"]
        batch = Batch.of(sets, center=center, scale=scale, dtype=torch.float64)
        with one_thread():
            return predict(parameters, batch, self.config)


def fit_groups(
    configs: Sequence[NetworkConfig],
    sets: Sequence[WeightedSet],
    y: npt.NDArray[np.int64],
    learns: Bools,
    *,
    seed: int,
    start: Start | None = None,
    workers: int = 1,
    folder: Path | None = None,
) -> list[NetworkGroup]:
    """Fit one group for each configuration, one network for each row of `learns`.

    Parameters
    ----------
    learns
        Which labels a run learns from; the others stop it. Shape (runs, n).
    start
        A pretrained network to begin with.
    folder
        Where finished groups are kept and looked for.
    """
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    jobs = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_fitted)(
            config, sets, y, learns, seed=seed * 7919 + number, start=start, folder=folder
        )
        for number, config in enumerate(configs)
    )
    groups = []
    for group in jobs:
        groups.append(group)
        logger.info("%d of %d groups of %d networks", len(groups), len(configs), group.members)
    return groups


def _fitted(
    config: NetworkConfig,
    sets: Sequence[WeightedSet],
    y: npt.NDArray[np.int64],
    learns: Bools,
    *,
    seed: int,
    start: Start | None,
    folder: Path | None,
) -> NetworkGroup:
    path = None
    if folder is not None:
        path = folder / f"{_key(config, sets, y, learns, seed=seed, start=start)}.npz"
        if (kept := _read(path, config)) is not None:
            return kept
    center, scale = (start.center, start.scale) if start else feature_scale(sets)
    trained = train_networks(
        Batch.of(sets, center=center, scale=scale),
        y.astype(np.float64),
        learns,
        config,
        seed=seed,
        start=start,
    )
    arrays: dict[str, npt.NDArray[Any]] = {
        name: value.numpy() for name, value in trained.parameters.items()
    }
    arrays |= {"center": center, "scale": scale, "best_epoch": trained.best_epoch}
    if path is not None:
        # Under another name first: a file that was cut off must never be taken for a result.
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
    return NetworkGroup(config, arrays)


def _read(path: Path, config: NetworkConfig) -> NetworkGroup | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return NetworkGroup(config, {key: content[key] for key in content.files})
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _key(
    config: NetworkConfig,
    sets: Sequence[WeightedSet],
    y: npt.NDArray[np.int64],
    learns: Bools,
    *,
    seed: int,
    start: Start | None,
) -> str:
    """Return a hash of everything that a group depends on."""
    digest = hashlib.sha256(json.dumps([config.settings(), seed], sort_keys=True).encode())
    for one in sets:
        digest.update(one.vectors.tobytes() + one.weight.tobytes())
    digest.update(y.tobytes() + learns.tobytes())
    for name, value in sorted((start.parameters if start else {}).items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()[:24]
