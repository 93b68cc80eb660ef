"""How well and how fast the AtomSets system screens, beside simple baselines in the same run.

    SSEFW_SHARED_DATA=... python benchmarks/atomsets.py [PART ...] [--full] [--only TEXT]

Parts: energies, speed, statistics, loco, kfold, networks, chemistry, search, optimizers, pretrain,
oracle, oracle_structures, icsd, obelix, grouped.

Measures are of held-out rows pooled over folds, then their mean over folds. LOCO is honest unless
a line says oracle: nothing is chosen on the held-out cluster. The reduced run trains 4 networks
for each fold where --full trains 10. With SSEFW_CHECKPOINTS, networks are kept in that folder, so
that variants share them and an interrupted run goes on. --only runs the variants that hold a text.
"""

import csv
import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from screening import mchaffie
from sklearn.cluster import KMeans

from ssefw.data.dataset import dataset_of
from ssefw.data.label_tables import read_label_table
from ssefw.data.materials import read_materials
from ssefw.data.pools import Reject
from ssefw.data.splits import Split, k_fold, leave_one_cluster_out
from ssefw.screening.atomsets.megnet import MegnetSource, read_megnet_weights
from ssefw.screening.atomsets.network import Batch, NetworkConfig, predict
from ssefw.screening.atomsets.screener import AtomSetsScreener
from ssefw.screening.atomsets.sources import make_source, material_set, pooled, set_statistics
from ssefw.screening.atomsets.training import feature_scale, train_networks
from ssefw.screening.classifiers import fit_classifier
from ssefw.screening.evaluate import Predictions, cross_validate
from ssefw.screening.features import composition_features
from ssefw.screening.features.sendek import sendek_features
from ssefw.screening.features.sites import structure_sites
from ssefw.screening.metrics import difference_with_intervals, measure

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
WEIGHTS = DATA / "weights" / "megnet_mp2019.4.1_formation_energy.npz"
FULL = "--full" in sys.argv
RUNS = 10 if FULL else 4
PAIRED = "--paired" in sys.argv
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

    def __init__(self, *, by_chemistry=False, **settings):
        super().__init__(**settings)
        self.by_chemistry = by_chemistry

    def fit(self, data, *, pool=()):
        """Fit; where wished, kinds of chemistry take the place of near-duplicates."""
        if self.by_chemistry:
            self._source = make_source(self.source, weights=self.weights)
            points = pooled([self._set(m) for m in data.materials])
            data = replace(data, groups=KMeans(20, random_state=0).fit_predict(points))
        return super().fit(data, pool=pool)

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
    """Cross-validate variants; each but the first is also compared with the first, row by row."""
    first = None
    for number, (name, settings) in enumerate(variants.items()):
        if ONLY not in name and not (number == 0 and PAIRED):
            continue
        begin = time.process_time()
        found = cross_validate(maker(**settings), data, splits)
        show(name, data, found, time.process_time() - begin)
        if first is not None and PAIRED:
            show_difference(data, found, first)
        first = first or found


def show_difference(data, found, other):
    rows = found.rows
    gaps = difference_with_intervals(
        data.y[rows], found.probability, other.probability, groups=data.groups[rows]
    )
    text = "  ".join(
        f"{key} {gap.value:+.3f} [{gap.lower:+.3f}, {gap.upper:+.3f}]" for key, gap in gaps.items()
    )
    print(f"      less the first: {text}", flush=True)


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
    return of_folds(parts, splits)


NETWORKS = {
    "default": {},
    "mean readout": {"pooling": "mean"},
    "statistics readout": {"pooling": "statistics"},
    "statistics of the vectors themselves": {"pooling": "statistics", "site_layers": 0},
    "strong dropout, 0.5": {"dropout": 0.5, "dropout_final": 0.5},
    "strong decay, 1e-2": {"l2": 1e-2, "l2_final": 1e-2},
    "label smoothing 0.2": {"smoothing": 0.2},
    "noise 0.3 on the vectors": {"noise": 0.3},
    "stopped by AUC-PR": {"stop": "auc_pr"},
    "stopped after 15 epochs": {"epochs": 15, "patience": 15},
    "statistics, smoothing 0.2": {"pooling": "statistics", "smoothing": 0.2},
    "statistics, one layer, dropout 0.5": {
        "pooling": "statistics",
        "layers": 1,
        "dropout": 0.2,
        "dropout_final": 0.5,
        "smoothing": 0.2,
    },
    "width 128": {"neurons": 128, "readout": 32},
}


def run_networks():
    print("What keeps networks from the trees, official leave-one-cluster-out, honest")
    for source in ("megnet", "chgnet"):
        variants = {
            f"{source}, {name}": {"members": ["net"], "source": source, "networks": [settings]}
            for name, settings in NETWORKS.items()
        }
        compare(*mchaffie("lococv"), variants)


def run_chemistry():
    print("Members stopped by chemistry they have not seen, official leave-one-cluster-out, honest")
    statistics = [{"pooling": "statistics"}]
    variants = {
        "stopped by other compositions": {"members": ["net"], "networks": statistics},
        "stopped by other chemistry": {
            "members": ["net"],
            "networks": statistics,
            "by_chemistry": True,
        },
        "the same, set2set": {"members": ["net"], "by_chemistry": True},
    }
    compare(*mchaffie("lococv"), variants)


def run_search():
    """Search on the training side of each cluster only; what it finds is scored on the cluster."""
    trials = 60 if FULL else 12
    print(f"{trials} trials for each cluster, official leave-one-cluster-out, honest (nested)")
    data, splits = mchaffie("lococv")
    begin = time.process_time()
    parts, kept = [], []
    for split in splits:
        train = data.take(split.train)
        plain = AtomSetsScreener(
            members=["net"], source="megnet", weights=str(WEIGHTS), runs=RUNS, checkpoints=OUT
        )
        settings = {**plain.tuned_on(train, trials=trials).settings(), "weights": str(WEIGHTS)}
        settings["networks"] = settings["networks"][:3]
        kept.append(settings["networks"][0])
        tuned = AtomSetsScreener(**settings, checkpoints=OUT).fit(train)
        parts.append(tuned.score(data.take(split.test).materials).probability)
    found = of_folds(parts, splits)
    show("the three best found", data, found, time.process_time() - begin)
    for split, one in zip(splits, kept, strict=True):
        print(f"    best without {split.name}: {one}")
    for name, networks in (("default", [{}]), ("statistics", [{"pooling": "statistics"}])):
        plain = cross_validate(maker(members=["net"], networks=networks), data, splits)
        show(name, data, plain)
        show_difference(data, found, plain)


def run_optimizers():
    print("Optimizers, official leave-one-cluster-out, honest")
    variants = {
        "Adam, constant rate": {"members": ["net"]},
        "LAMB + Lookahead, triangular-2": {"members": ["net"], "networks": [LAMB]},
    }
    compare(*mchaffie("lococv"), variants)


def run_pretrain():
    """Compare networks with and without a first task, for two readouts, on two label sets."""
    pools = {"metal or not": "li_pool.jsonl.gz", "formation energy": "mp36k.jsonl.gz"}
    families = obelix()
    for kind, (data, splits) in {
        "McHaffie, official leave-one-cluster-out": mchaffie("lococv"),
        "OBELiX, leave one family out": (families, by_family(families)),
    }.items():
        print(f"Pre-training, {kind}, honest", flush=True)
        for pooling in ("set2set", "statistics"):
            plain = {"members": ["net"], "networks": [{"pooling": pooling}]}
            first = {
                f"{pooling}, pre-trained on {name}": {
                    **plain,
                    "pretrain": str(DATA / "pools" / file),
                    "pretrain_rows": 10_000,
                }
                for name, file in pools.items()
            }
            compare(data, splits, {f"{pooling}, not pre-trained": plain, **first})


# What the oracle chooses among; 64-64 without dropout is the paper's network for 5-fold.
SHAPES = {
    "LAMB, 64-64, no dropout": {**LAMB, "neurons": 64, "dropout": 0.0, "dropout_final": 0.0},
    "Adam, 64-64, no dropout": {"neurons": 64, "dropout": 0.0, "dropout_final": 0.0},
    "Adam, 32, dropout 0.1-0.2": {},
    "Adam, 64, dropout 0.3": {"neurons": 64, "dropout": 0.3, "dropout_final": 0.3},
    "Adam, 64, decay 1e-2": {"neurons": 64, "l2": 1e-2, "l2_final": 1e-2},
    "Adam, statistics readout": {"pooling": "statistics"},
}
ORACLE_TREES = [
    *(("et", {"min_samples_leaf": n}) for n in (1, 3, 8)),
    *(("gb", {"max_depth": n}) for n in (2, 3, 5)),
    ("lr", {}),
]


def oracle(data, splits, sets, *, repeats=3 if FULL else 1):
    """Show what networks and trees reach when epoch and settings are chosen on the held-out fold.

    All folds are members of one ensemble: a member learns from its split's training side and stops
    where the area under precision-recall of its test side is largest, as in the paper's code.
    """
    learns = np.ones((repeats * len(splits), len(data)), dtype=bool)
    for k, split in enumerate(splits * repeats):
        learns[k, split.test] = False
    center, scale = feature_scale(sets)
    batch = Batch.of(sets, center=center, scale=scale)
    nets = {}
    for name, shape in SHAPES.items():
        epochs, patience = (500, 100) if FULL else (120, 50)
        config = NetworkConfig(
            **{"readout": 32, **shape, "epochs": epochs, "patience": patience, "stop": "auc_pr"}
        )
        begin = time.process_time()
        trained = train_networks(batch, data.y.astype(float), learns, config, seed=0)
        said = predict(trained.parameters, batch, config)
        said = said.reshape(repeats, len(splits), -1).mean(axis=0)
        nets[name] = [said[k, split.test] for k, split in enumerate(splits)]
        found = of_folds(nets[name], splits)
        show(f"oracle: epoch; {name}", data, found, time.process_time() - begin)
    show("oracle: epoch and network", data, of_folds(best_of(data, splits, nets), splits))
    features = set_statistics(sets)
    trees = {
        f"{kind} {settings}": [
            fit_classifier(kind, features[s.train], data.y[s.train], seed=0, settings=settings)[
                0
            ].probability(features[s.test])
            for s in splits
        ]
        for kind, settings in ORACLE_TREES
    }
    for kind in ("et", "gb", "lr"):
        own = {name: value for name, value in trees.items() if name.startswith(kind)}
        show(f"oracle: settings; {kind}", data, of_folds(best_of(data, splits, own), splits))
    show("oracle: kind and settings", data, of_folds(best_of(data, splits, trees), splits))


def best_of(data, splits, trials):
    """Return for each fold the trial that does best on that very fold."""
    kept = []
    for k, split in enumerate(splits):
        y = data.y[split.test]
        quality = [measure(y, trial[k]) for trial in trials.values()]
        if np.isfinite(quality[0]["auc_pr"]):
            best = np.argmax([one["auc_pr"] for one in quality])
        else:
            best = np.argmin([one["brier"] for one in quality])
        kept.append(list(trials.values())[best][k])
    return kept


def of_folds(parts, splits):
    return Predictions(
        rows=np.concatenate([s.test for s in splits]),
        probability=np.concatenate(parts),
        split=np.repeat(np.arange(len(splits)), [len(s.test) for s in splits]),
    )


def run_oracle():
    source = make_source("megnet", weights=WEIGHTS)
    for kind, published in (
        ("lococv", "V1 0.86 / 0.61, V0 0.85 / 0.58"),
        ("kfold", "CAMN-V0 0.893 / 0.752"),
    ):
        print(f"McHaffie, official {kind}, ORACLE (published {published}); CAMN V0", flush=True)
        data, splits = mchaffie(kind)
        sets = [
            material_set(m, source, layer="elements", representation="CAMN") for m in data.materials
        ]
        oracle(data, splits, sets)


def run_oracle_structures():
    source = make_source("megnet", weights=WEIGHTS)
    for kind, published in (("lococv", "0.86 / 0.61"), ("kfold", "0.822 / 0.633")):
        print(f"McHaffie, official {kind}, ORACLE (published CAMNS-V1 {published})", flush=True)
        data, splits = by_icsd(kind)
        for layer, rep in (("v1", "CAMNS"), ("elements", "CAMN")):
            print(f" {rep} {layer}")
            sets = [
                material_set(m, source, layer=layer, representation=rep) for m in data.materials
            ]
            oracle(data, splits, sets)


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
    mixed = set_statistics(sets)
    both = np.hstack([mixed, own])
    first = None
    for name, kind, features in (
        ("V0 statistics, extra trees", "et", mixed),
        ("V0 statistics, logistic", "lr", mixed),
        ("Sendek features, logistic", "lr", own),
        ("Sendek features, extra trees", "et", own),
        ("V0 statistics + Sendek, logistic", "lr", both),
        ("V0 statistics + Sendek, extra trees", "et", both),
    ):
        found = held_out(kind, features, data, splits)
        show(name, data, found)
        if first is not None and PAIRED:
            show_difference(data, found, first)
        first = first or found


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


def by_icsd(kind):
    """Return the rows of which OBELiX has a structure by ICSD number, and the official splits."""
    data, splits = mchaffie(kind)
    rows = csv.DictReader((DATA / "labels" / "obelix_train.csv").open())
    ids = {r["ID"]: r["ICSD ID"].split(".")[0] for r in rows if r["ICSD ID"]}
    known = {ids[m.name]: m for m in with_structures(obelix()).materials if ids.get(m.name)}
    codes = [label.row_id for label in data.labels]
    has = [k for k, code in enumerate(codes) if code in known]
    print(f"  {len(has)} of {len(data)} rows have a structure by ICSD number")
    new = {old: k for k, old in enumerate(has)}
    part = replace(data.take(has), materials=tuple(known[codes[k]] for k in has))
    small = []
    for split in splits:
        train, test = (
            np.array([new[k] for k in side if k in new], dtype=int)
            for side in (split.train, split.test)
        )
        if len(test) and len(set(part.y[train])) == 2:
            small.append(Split(split.name, train, test))
    return part, small


def run_icsd():
    print("McHaffie, official leave-one-cluster-out, honest, with structures by ICSD number")
    part, splits = by_icsd("lococv")
    sendek(part, splits)
    compare(part, splits, STRUCTURAL)


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
    "networks",
    "chemistry",
    "search",
    "optimizers",
    "pretrain",
    "oracle",
    "oracle_structures",
    "icsd",
    "obelix",
    "grouped",
)

if __name__ == "__main__":
    for part in [a for a in sys.argv[1:] if a in PARTS] or PARTS:
        begin = time.perf_counter()
        globals()[f"run_{part}"]()
        print(f"-- {part}: {time.perf_counter() - begin:.0f} s wall\n", flush=True)
