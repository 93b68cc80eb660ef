"""How well and how fast the AtomSets system screens, beside simple baselines in the same run.

    SSEFW_SHARED_DATA=... python benchmarks/atomsets.py [PART ...] [--full] [--only TEXT]

Parts: energies, speed, statistics, loco, kfold, optimizers, pretrain, oracle, icsd, obelix,
grouped.

Measures are of held-out rows pooled over folds, then their mean over folds. LOCO is honest unless
a line says oracle: nothing is chosen on the held-out cluster. The reduced run trains 4 networks
for each fold where --full trains 10. With SSEFW_CHECKPOINTS, networks are kept in that folder, so
that variants share them and an interrupted run goes on. --only runs the variants that hold a text.
"""

import csv
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from screening import mchaffie

from ssefw.data.dataset import dataset_of
from ssefw.data.label_tables import read_label_table
from ssefw.data.materials import read_materials
from ssefw.data.pools import Reject
from ssefw.data.splits import Split, k_fold, leave_one_cluster_out
from ssefw.screening.atomsets.megnet import MegnetSource, read_megnet_weights
from ssefw.screening.atomsets.network import Batch, NetworkConfig
from ssefw.screening.atomsets.screener import AtomSetsScreener
from ssefw.screening.atomsets.sources import make_source, material_set, set_statistics
from ssefw.screening.atomsets.training import feature_scale, train_networks
from ssefw.screening.classifiers import fit_classifier
from ssefw.screening.evaluate import Predictions, cross_validate, cross_validate_oracle
from ssefw.screening.features import composition_features
from ssefw.screening.features.sendek import sendek_features
from ssefw.screening.features.sites import structure_sites
from ssefw.screening.metrics import measure

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
WEIGHTS = DATA / "weights" / "megnet_mp2019.4.1_formation_energy.npz"
FULL = "--full" in sys.argv
RUNS = 10 if FULL else 4
ONLY = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
OUT = os.environ.get("SSEFW_CHECKPOINTS")
HELD = {"dropout": 0.3, "dropout_final": 0.3, "l2": 1e-2, "l2_final": 1e-2}
LAMB = {"optimizer": "lamb", "rate": 6e-5, "rate_max": 5e-3}


def show(name, data, found, seconds=None):
    y, p = data.y[found.rows], found.probability
    whole = measure(y, p)
    each = [
        measure(data.y[found.rows[here]], found.probability[here])
        for here in (found.split == k for k in np.unique(found.split))
    ]
    ap, mcc = (np.nanmean([one[key] for one in each]) for key in ("auc_pr", "mcc"))
    print(
        f"  {name:44s} pooled auc_pr {whole['auc_pr']:.3f} mcc {whole['mcc']:.3f} "
        f"brier {whole['brier']:.3f} | folds auc_pr {ap:.3f} mcc {mcc:.3f}"
        + (f"   {seconds:.0f} s CPU" if seconds else ""),
        flush=True,
    )


class Remembering(AtomSetsScreener):
    """The system, with the sets of all variants and folds made once."""

    sets: ClassVar[dict] = {}

    def _set(self, material):
        key = (self.source, self.layer, self.representation, material.name, material.formula)
        if key not in self.sets:
            self.sets[key] = super()._set(material)
        return self.sets[key]


def maker(**settings):
    shared = {"source": "megnet", "weights": str(WEIGHTS), "runs": RUNS, "checkpoints": OUT}
    settings = shared | settings
    return partial(Remembering, **settings)


def compare(data, splits, variants):
    for name, settings in variants.items():
        if ONLY not in name:
            continue
        begin = time.process_time()
        found = cross_validate(maker(**settings), data, splits)
        show(name, data, found, time.process_time() - begin)


COMPOSITION = {
    "V0 statistics + extra trees": {"members": ["et"]},
    "V0 statistics + gradient boosting": {"members": ["gb"]},
    "V0 statistics + logistic regression": {"members": ["lr"]},
    "V0 statistics + both": {"members": ["et", "gb"]},
    "AtomSets": {"members": ["net"]},
    "AtomSets + trees": {"members": ["net", "et"]},
    "AtomSets + boosting": {"members": ["net", "gb"]},
    "AtomSets + trees + logistic": {"members": ["net", "et", "lr"]},
    "AtomSets, CAMNS": {"members": ["net"], "representation": "CAMNS"},
    "chgnet: extra trees": {"members": ["et"], "source": "chgnet"},
    "chgnet: gradient boosting": {"members": ["gb"], "source": "chgnet"},
    "chgnet: both": {"members": ["et", "gb"], "source": "chgnet"},
    "chgnet: AtomSets": {"members": ["net"], "source": "chgnet"},
    "chgnet: AtomSets + trees": {"members": ["net", "et"], "source": "chgnet"},
    "AtomSets, CAN": {"members": ["net"], "representation": "CAN"},
    "AtomSets, strongly held back": {"members": ["net"], "networks": [HELD]},
}


def run_loco():
    print("McHaffie, official leave-one-cluster-out, honest; V0 of the composition")
    compare(*mchaffie("lococv"), COMPOSITION)


def run_kfold():
    print("McHaffie, official 5-fold (published CAMN-V0 0.893 / 0.752); V0 of the composition")
    compare(*mchaffie("kfold"), COMPOSITION)


def run_statistics():
    """One fit for each fold on the statistics of V0, not calibrated, beside 145 descriptors."""
    for kind in ("kfold", "lococv"):
        data, splits = mchaffie(kind)
        features = {
            "145 descriptors": composition_features([m.composition for m in data.materials])
        }
        for name in ("megnet", "chgnet"):
            source = make_source(name, weights=WEIGHTS)
            for rep in ("CAMN", "CAMNS"):
                features[f"{name} V0 {rep}"] = set_statistics(
                    [
                        material_set(m, source, layer="elements", representation=rep)
                        for m in data.materials
                    ]
                )
        for name, values in features.items():
            for model in ("et", "gb", "lr"):
                if ONLY in f"{name} {model}":
                    show(f"{kind}, {name}, {model}", data, held_out(model, values, data, splits))


def held_out(kind, features, data, splits):
    """Return what one classifier for each split says of the rows that it did not learn from."""
    parts = [
        fit_classifier(kind, features[s.train], data.y[s.train], seed=0)[0].probability(
            features[s.test]
        )
        for s in splits
    ]
    return Predictions(
        rows=np.concatenate([s.test for s in splits]),
        probability=np.concatenate(parts),
        split=np.repeat(np.arange(len(splits)), [len(s.test) for s in splits]),
    )


def run_optimizers():
    print("Optimizers, official leave-one-cluster-out, honest")
    variants = {
        "Adam, constant rate": {"members": ["net"]},
        "LAMB + Lookahead, triangular-2": {"members": ["net"], "networks": [LAMB]},
    }
    compare(*mchaffie("lococv"), variants)


def run_pretrain():
    print("Pre-training, official leave-one-cluster-out, honest")
    pools = {"metal or not": "li_pool.jsonl.gz", "formation energy": "mp36k.jsonl.gz"}
    variants = {
        f"pre-trained on {name}": {"members": ["net"], "pretrain": str(DATA / "pools" / file)}
        for name, file in pools.items()
    }
    compare(*mchaffie("lococv"), {"not pre-trained": {"members": ["net"]}, **variants})


def run_oracle():
    print("McHaffie, official leave-one-cluster-out, oracle (published 0.86 / 0.61)")
    data, splits = mchaffie("lococv")
    shapes = [{"neurons": n, "dropout": d} for n in (32, 128) for d in (0.1, 0.3)]
    epochs = [5, 20, 60]
    makers = [
        maker(members=["net"], runs=2, networks=[{**shape, "epochs": e, "patience": e}])
        for shape in shapes
        for e in epochs
    ] + [maker(members=[kind], runs=2) for kind in ("et", "lr")]
    show(f"best of {len(makers)} on the fold", data, cross_validate_oracle(makers, data, splits))


STRUCTURAL = {
    **{
        f"{rep} {layer}: {'+'.join(members)}": {
            "members": members,
            "layer": layer,
            "representation": rep,
        }
        for members in (["lr"], ["gb"], ["net"])
        for rep, layer in (
            ("CAMN", "elements"),
            ("CAMN", "v0"),
            ("CAMN", "v1"),
            ("CAMN", "v2"),
            ("CAMN", "v3"),
            ("CAMNS", "v1"),
            ("CAN", "v1"),
            ("CANS", "v1"),
        )
    },
}


def sendek(data, splits):
    """Logistic regression on Sendek's features, alone and beside V0 statistics."""
    own = np.array([sendek_features(m.structure) for m in data.materials])
    source = make_source("megnet", weights=WEIGHTS)
    sets = [
        material_set(m, source, layer="elements", representation="CAMN") for m in data.materials
    ]
    both = np.hstack([set_statistics(sets), own])
    for name, kind, features in (
        ("Sendek features, logistic", "lr", own),
        ("Sendek features, extra trees", "et", own),
        ("V0 statistics + Sendek, logistic", "lr", both),
        ("V0 statistics + Sendek, extra trees", "et", both),
    ):
        show(name, data, held_out(kind, features, data, splits))


def with_structures(data):
    """Return the labels with a structure; a few CIFs of OBELiX hold no lithium: left out."""
    has = [m.build is not None and "Li" in m.structure.composition for m in data.materials]
    return data.take(np.flatnonzero(has))


def obelix():
    folder = DATA / "labels"
    labels = read_label_table(
        folder / "obelix_train.csv", structures=folder / "obelix_train_cifs.zip"
    )
    return dataset_of(labels)


def by_family(data):
    """Return a fold for each family of ten or more, and one for the rest."""
    return leave_one_cluster_out(data, large_families(data))


def large_families(data):
    counts = {name: data.clusters.count(name) for name in set(data.clusters)}
    return [name if counts[name] >= 10 and name else "rest" for name in data.clusters]


def run_obelix():
    data = with_structures(obelix())
    disordered = sum(not m.structure.is_ordered for m in data.materials)
    print(
        f"OBELiX, {len(data)} with structures, {disordered} disordered, {data.y.sum()} superionic"
    )
    splits = by_family(data)
    print(f" leave one family out ({', '.join(f'{s.name} {len(s.test)}' for s in splits)})")
    sendek(data, splits)
    compare(data, splits, STRUCTURAL)


def run_grouped():
    data = with_structures(obelix())
    print(f"OBELiX, grouped 5-fold, {len(data)} with structures, {data.y.sum()} superionic")
    compare(data, k_fold(data), STRUCTURAL)


def run_icsd():
    """Official clusters, with the structures of OBELiX that state the same ICSD number."""
    data, splits = mchaffie("lococv")
    rows = csv.DictReader((DATA / "labels" / "obelix_train.csv").open())
    ids = {r["ID"]: r["ICSD ID"].split(".")[0] for r in rows if r["ICSD ID"]}
    known = {ids[m.name]: m for m in with_structures(obelix()).materials if ids.get(m.name)}
    codes = [label.row_id for label in data.labels]
    has = [k for k, code in enumerate(codes) if code in known]
    print(f"McHaffie LOCO on the {len(has)} of {len(data)} rows with a structure by ICSD number")
    new = {old: k for k, old in enumerate(has)}
    part = data.take(has)
    object.__setattr__(part, "materials", tuple(known[codes[k]] for k in has))
    small = []
    for split in splits:
        train, test = (
            np.array([new[k] for k in side if k in new], dtype=int)
            for side in (split.train, split.test)
        )
        if len(test) and len(set(part.y[train])) == 2:
            small.append(Split(split.name, train, test))
    sendek(part, small)
    compare(part, small, STRUCTURAL)


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
            some = materials if name == "megnet" or layer in {"elements", "v0"} else materials[::10]
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
    batch = Batch.of(sets, center=center, scale=scale)
    config = NetworkConfig(patience=NetworkConfig().epochs)
    for members in (1, 10):
        learns = np.random.default_rng(0).random((members, 500)) < 0.85
        begin = time.process_time()
        train_networks(batch, y, learns, config, seed=0)
        print(
            f"  {members} networks, {config.epochs} epochs, 500 structures, V1: "
            f"{time.process_time() - begin:.1f} s CPU"
        )


PARTS = (
    "energies",
    "speed",
    "statistics",
    "loco",
    "kfold",
    "optimizers",
    "pretrain",
    "oracle",
    "icsd",
    "obelix",
    "grouped",
)

if __name__ == "__main__":
    for part in [a for a in sys.argv[1:] if a in PARTS] or PARTS:
        begin = time.perf_counter()
        globals()[f"run_{part}"]()
        print(f"-- {part}: {time.perf_counter() - begin:.0f} s wall\n", flush=True)
