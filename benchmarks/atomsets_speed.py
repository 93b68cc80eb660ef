"""How long site vectors and networks take, and how good the energies of MEGNet are."""

import time

import numpy as np
from atomsets_labels import DATA, WEIGHTS, obelix, with_structures

from ssefw.data.materials import read_materials
from ssefw.data.pools import Reject
from ssefw.screening.atomsets.network import AtomSetBatch, NetworkConfig
from ssefw.screening.atomsets.sources import make_source, material_set
from ssefw.screening.atomsets.training import feature_scale, train_networks
from ssefw.screening.features.sites import structure_sites
from ssefw.screening.papers.megnet import MegnetSource, read_megnet_weights


def run_energies():
    source = MegnetSource(read_megnet_weights(WEIGHTS))
    pool = read_materials(DATA / "pools" / "li_pool.jsonl.gz")
    rows = [row for row in pool if not isinstance(row, Reject)]
    for first in (0, 7, 13):
        chosen = rows[first::26][:200]
        begin = time.process_time()
        found = [source.formation_energy(structure_sites(m.structure)) for m in chosen]
        seconds = time.process_time() - begin
        error = np.abs(np.array(found) - [m.properties["e_form_ev_atom"] for m in chosen])
        print(
            f"  200 structures from row {first}: MAE {error.mean():.4f}, median "
            f"{np.median(error):.4f} eV/atom, {seconds / 200 * 1e3:.1f} ms CPU each"
        )


def run_speed():
    data = obelix()
    materials = with_structures(data).materials
    for material in materials:
        _ = material.structure
    for name in ("megnet", "chgnet"):
        source = make_source(name, weights=WEIGHTS)
        for layer in ("elements", "v0", "v1", "v2", "v3"):
            is_slow = name == "chgnet" and layer in {"v2", "v3"}
            some = materials[::10] if is_slow else materials
            times = []
            for material in some:
                begin = time.process_time()
                material_set(material, source, layer=layer, representation="CAMN")
                times.append(time.process_time() - begin)
            print(
                f"  {name} {layer}: mean {np.mean(times) * 1e3:.1f} ms CPU, median "
                f"{np.median(times) * 1e3:.1f}, worst {np.max(times) * 1e3:.0f} "
                f"({len(some)} OBELiX structures)"
            )
    source = make_source("megnet", weights=WEIGHTS)
    sets = [material_set(m, source, layer="v1", representation="CAMNS") for m in materials]
    sets, y = (sets * 3)[:500], np.tile(with_structures(data).y, 3)[:500].astype(float)
    center, scale = feature_scale(sets)
    batch = AtomSetBatch.of(sets, center=center, scale=scale)
    config = NetworkConfig(patience=NetworkConfig().epochs)
    for members in (1, 10):
        learns = np.random.default_rng(0).random((members, 500)) < 0.85
        begin = time.process_time()
        train_networks(batch, y, learns, config, seed=0)
        print(
            f"  {members} networks, {config.epochs} epochs, 500 structures, V1: "
            f"{time.process_time() - begin:.1f} s CPU"
        )
