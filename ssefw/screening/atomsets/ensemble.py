"""Groups of networks of one configuration: fitted together, kept on disk as they are done.

A group is `runs` networks of one shape that differ in their start, in what is dropped and in the
labels that stop them. With a folder for finished groups, an ensemble that was interrupted goes on
where it was.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ssefw.screening.atomsets.checkpoints import fingerprint, read_arrays, write_arrays
from ssefw.screening.atomsets.network import AtomSetBatch, NetworkConfig, Parameters, predict
from ssefw.screening.atomsets.sources import WeightedSet
from ssefw.screening.atomsets.training import Start, feature_scale, one_thread, train_networks
from ssefw.screening.parallel import delayed, run_tasks

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
        batch = AtomSetBatch.of(sets, center=center, scale=scale, dtype=torch.float64)
        with one_thread():
            return predict(parameters, batch, self.config)


def fit_groups(
    configs: Sequence[NetworkConfig],
    sets: Sequence[WeightedSet],
    y: npt.NDArray[np.int64],
    learns: Bools,
    *,
    seed: int,
    starts: Sequence[Start] = (),
    workers: int = 1,
    folder: Path | None = None,
) -> list[NetworkGroup]:
    """Fit one group for each configuration, one network for each row of `learns`.

    Parameters
    ----------
    learns
        Which labels a run learns from; the others stop it. Shape (runs, n).
    starts
        A pretrained network for each configuration to begin with, or none.
    workers
        Processes; groups that are done are said and kept one by one.
    folder
        Where finished groups are kept and looked for.
    """
    first: list[Start | None] = list(starts) or [None] * len(configs)
    tasks = (
        delayed(_fitted)(
            config, sets, y, learns, seed=seed * 7919 + number, start=start, folder=folder
        )
        for number, (config, start) in enumerate(zip(configs, first, strict=True))
    )
    groups = []
    for group in run_tasks(tasks, workers=workers, total=len(configs)):
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
        first = {} if start is None else {k: v.numpy() for k, v in start.parameters.items()}
        key = fingerprint([config.settings(), seed], sets, {"y": y, "learns": learns, **first})
        path = folder / f"{key}.npz"
        if (kept := read_arrays(path)) is not None:
            return NetworkGroup(config, kept)
    center, scale = (start.center, start.scale) if start else feature_scale(sets)
    trained = train_networks(
        AtomSetBatch.of(sets, center=center, scale=scale),
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
        write_arrays(path, arrays)
    return NetworkGroup(config, arrays)
