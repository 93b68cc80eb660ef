"""A first task with many examples, whose networks the labels then go on with.

McHaffie et al. 2025 begin with telling metals from non-metals. A pool that states band gaps gives
that task; one that states formation energies gives theirs.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import Reject
from ssefw.errors import DataError
from ssefw.screening.atomsets.checkpoints import fingerprint, read_arrays, write_arrays
from ssefw.screening.atomsets.network import AtomSetBatch, NetworkConfig
from ssefw.screening.atomsets.sources import WeightedSet
from ssefw.screening.atomsets.training import Start, feature_scale, train_networks

__all__ = ["pretrained"]

logger = logging.getLogger(__name__)

METALLIC_GAP_EV = 0.01
FEWEST = 50
EPOCHS, PATIENCE, BATCH = 30, 8, 128
STOPPING_SHARE = 0.1
SAID_EVERY = 5


@dataclass(frozen=True)
class _Task:
    """Materials of a pool and what is to be said of them."""

    name: str
    sets: list[WeightedSet]
    target: npt.NDArray[np.float64]
    learns: npt.NDArray[np.bool_]
    regression: bool


def pretrained(
    path: Path,
    make_set: Callable[[Material], WeightedSet],
    configs: Sequence[NetworkConfig],
    *,
    sites: str,
    rows: int,
    seed: int,
    folder: Path | None = None,
) -> list[Start]:
    """Return a network for each configuration, trained on a pool, without its last layer.

    Configurations of one shape share a network. A tenth of the rows stops the training. Rows
    whose sites cannot be described are left out.

    Parameters
    ----------
    sites
        What tells the sets of `make_set` from others.
    folder
        Where finished networks are kept and looked for.

    Raises
    ------
    DataError
        If the pool cannot be read, or states neither band gaps nor formation energies.
    """
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    task: _Task | None = None
    made: dict[NetworkConfig, Start] = {}
    for config in dict.fromkeys(_first_config(config) for config in configs):
        key = fingerprint([config.settings(), seed, rows, sites, content], [], {})
        kept = None if folder is None else folder / f"pretrained-{key}.npz"
        if kept is not None and (start := _read(kept)) is not None:
            made[config] = start
            continue
        task = task or _task(path, make_set, rows=rows, seed=seed)
        made[config] = _start(task, config, seed=seed)
        if kept is not None:
            _write(kept, made[config])
    return [made[_first_config(config)] for config in configs]


def _read(path: Path) -> Start | None:
    arrays = read_arrays(path)
    if arrays is None:
        return None
    logger.info("pre-training: taken from %s", path)
    parameters = {name: torch.from_numpy(arrays[name]) for name in arrays if "/" in name}
    return Start(parameters, arrays["center"], arrays["scale"])


def _write(path: Path, start: Start) -> None:
    arrays = {name: value.numpy() for name, value in start.parameters.items()}
    write_arrays(path, {**arrays, "center": start.center, "scale": start.scale})


def _first_config(config: NetworkConfig) -> NetworkConfig:
    """Return the shape of a configuration with the training of the first task.

    A task of thousands of rows is held back by its own size.
    """
    plain = NetworkConfig()
    return replace(
        config,
        dropout=plain.dropout,
        dropout_final=plain.dropout_final,
        l2=plain.l2,
        l2_final=plain.l2_final,
        optimizer=plain.optimizer,
        rate=plain.rate,
        rate_max=plain.rate_max,
        noise=0.0,
        smoothing=0.0,
        stop="loss",
        epochs=EPOCHS,
        patience=PATIENCE,
        batch=BATCH,
    )


def _task(
    path: Path, make_set: Callable[[Material], WeightedSet], *, rows: int, seed: int
) -> _Task:
    materials = [row for row in read_materials(path) if not isinstance(row, Reject)]
    rng = np.random.default_rng(seed)
    chosen = [materials[k] for k in rng.permutation(len(materials))[:rows]]
    gaps = [m.properties.get("band_gap_ev") for m in chosen]
    is_metal = sum(gap is not None for gap in gaps) >= FEWEST
    values = gaps if is_metal else [m.properties.get("e_form_ev_atom") for m in chosen]
    sets, targets = [], []
    for material, value in zip(chosen, values, strict=True):
        if value is None:
            continue
        try:
            sets.append(make_set(material))
        except DataError:
            continue
        targets.append(float(value < METALLIC_GAP_EV) if is_metal else float(value))
    if len(sets) < FEWEST:
        raise DataError(
            f"The pool {path} states band_gap or e_form_ev_atom for {len(sets)} usable rows; "
            f"pre-training needs {FEWEST}."
        )
    target = np.array(targets)
    if not is_metal:
        target = (target - target.mean()) / target.std()
    name = "metal or not" if is_metal else "formation energy"
    learns = rng.random((1, len(sets))) >= STOPPING_SHARE
    logger.info("pre-training on %d rows of %s: %s", len(sets), path.name, name)
    return _Task(name, sets, target, learns, regression=not is_metal)


def _start(task: _Task, config: NetworkConfig, *, seed: int) -> Start:
    center, scale = feature_scale(task.sets)
    trained = train_networks(
        AtomSetBatch.of(task.sets, center=center, scale=scale),
        task.target,
        task.learns,
        config,
        seed=seed,
        regression=task.regression,
        watch=_say,
    )
    rest = task.target[~task.learns[0]]
    guess = rest.mean()
    plain = rest.var() if task.regression else -np.log([guess, 1 - guess]) @ [guess, 1 - guess]
    logger.info(
        "pre-training: %s, loss %.3f on unseen rows, %.3f by guessing the mean",
        task.name,
        trained.loss[0],
        plain,
    )
    parameters = {
        name: value for name, value in trained.parameters.items() if not name.startswith("out/")
    }
    return Start(parameters, center, scale)


def _say(epoch: int, loss: float) -> bool:
    if epoch % SAID_EVERY == 0:
        logger.info("pre-training: epoch %d of %d, loss %.3f", epoch, EPOCHS, loss)
    return False
