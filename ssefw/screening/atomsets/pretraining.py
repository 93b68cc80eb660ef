"""A first task with many examples, whose network the labels then go on with.

McHaffie et al. 2025 begin with telling metals from non-metals. A pool that states band gaps gives
that task; one that states formation energies gives theirs.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import Reject
from ssefw.errors import DataError
from ssefw.screening.atomsets.network import Batch, NetworkConfig
from ssefw.screening.atomsets.sources import WeightedSet
from ssefw.screening.atomsets.training import Start, feature_scale, train_networks

__all__ = ["pretrained"]

METALLIC_GAP_EV = 0.01
FEWEST = 50
EPOCHS, PATIENCE = 30, 8


def pretrained(
    path: Path,
    make_set: Callable[[Material], WeightedSet],
    config: NetworkConfig,
    *,
    rows: int,
    seed: int,
) -> Start:
    """Return a network trained on a pool, without its last layer.

    A tenth of the rows stops the training. Rows whose sites cannot be described are left out.

    Raises
    ------
    DataError
        If the pool states neither band gaps nor formation energies.
    """
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
    center, scale = feature_scale(sets)
    learns = rng.random((1, len(sets))) >= 0.1
    trained = train_networks(
        Batch.of(sets, center=center, scale=scale),
        target,
        learns,
        replace(config, epochs=EPOCHS, patience=PATIENCE, batch=128),
        seed=seed,
        regression=not is_metal,
    )
    kept = {
        name: value for name, value in trained.parameters.items() if not name.startswith("out/")
    }
    return Start(kept, center, scale)
