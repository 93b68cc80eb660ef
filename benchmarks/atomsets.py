"""How well and how fast the AtomSets system screens, beside simple baselines in the same run.

    SSEFW_SHARED_DATA=... python benchmarks/atomsets.py [PART ...] [--full] [--only TEXT]

Parts: energies, speed, statistics, loco, kfold, networks, members, chemistry, search, optimizers,
pretrain, oracle, oracle_structures, icsd, obelix, grouped.

Measures are of held-out rows pooled over folds, then their mean over folds. LOCO is honest unless
a line says oracle: nothing is chosen on the held-out cluster. The reduced run trains 4 networks
for each fold where --full trains 10. With SSEFW_CHECKPOINTS, networks are kept in that folder, so
that variants share them and an interrupted run goes on. --only runs the variants that hold a text.
"""

import sys
import time
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
from atomsets_folds import FULL, PAIRED, held_out, of_folds, show, show_difference
from atomsets_labels import (
    DATA,
    WEIGHTS,
    by_family,
    by_icsd,
    obelix,
    sets_of,
    with_structures,
)
from atomsets_oracle import LAMB, OUT, run_oracle, run_oracle_structures
from atomsets_speed import run_energies, run_speed
from screening import mchaffie
from sklearn.cluster import KMeans

from ssefw.data.splits import k_fold
from ssefw.screening.atomsets.network import PAPER
from ssefw.screening.atomsets.screener import AtomSetsScreener
from ssefw.screening.atomsets.sources import make_source, pooled, set_statistics
from ssefw.screening.evaluation.evaluate import cross_validate
from ssefw.screening.features import composition_features
from ssefw.screening.features.sendek import sendek_features

RUNS = 10 if FULL else 4
ONLY = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
HELD = PAPER | {"dropout": 0.3, "dropout_final": 0.3, "l2": 1e-2, "l2_final": 1e-2}


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


COMPOSITION = {
    "V0 statistics + extra trees": {"members": ["et"]},
    "V0 statistics + gradient boosting": {"members": ["gb"]},
    "V0 statistics + logistic regression": {"members": ["lr"]},
    "V0 statistics + both": {"members": ["et", "gb"]},
    "AtomSets": {"members": ["net"], "networks": [PAPER]},
    "AtomSets + trees": {"members": ["net", "et"], "networks": [PAPER]},
    "AtomSets + boosting": {"members": ["net", "gb"], "networks": [PAPER]},
    "AtomSets + trees + logistic": {"members": ["net", "et", "lr"], "networks": [PAPER]},
    "AtomSets, CAMNS": {"members": ["net"], "networks": [PAPER], "representation": "CAMNS"},
    "chgnet: extra trees": {"members": ["et"], "source": "chgnet"},
    "chgnet: gradient boosting": {"members": ["gb"], "source": "chgnet"},
    "chgnet: both": {"members": ["et", "gb"], "source": "chgnet"},
    "chgnet: AtomSets": {"members": ["net"], "networks": [PAPER], "source": "chgnet"},
    "chgnet: AtomSets + trees": {"members": ["net", "et"], "networks": [PAPER], "source": "chgnet"},
    "AtomSets, CAN": {"members": ["net"], "networks": [PAPER], "representation": "CAN"},
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
                sets = sets_of(data.materials, source, representation=rep)
                features[f"{name} V0 {rep}"] = set_statistics(sets)
        for name, values in features.items():
            for model in ("et", "gb", "lr"):
                if ONLY in f"{name} {model}":
                    show(f"{kind}, {name}, {model}", data, held_out(model, values, data, splits))


NETWORKS = {
    "set2set": {},
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
            f"{source}, {name}": {
                "members": ["net"],
                "source": source,
                "networks": [PAPER | settings],
            }
            for name, settings in NETWORKS.items()
        }
        compare(*mchaffie("lococv"), variants)


def run_members():
    """Compare trees with networks of the best readout, and both together, on two label sets."""
    official, families = mchaffie("lococv"), obelix()
    families = families, by_family(families)
    for source in ("chgnet", "megnet"):
        for name, (data, splits) in {"McHaffie": official, "OBELiX": families}.items():
            variants = {
                f"{source}, {name}, {'+'.join(members)}": {
                    "members": members,
                    "source": source,
                }
                for members in (["et", "gb"], ["net"], ["net", "et", "gb"])
            }
            if any(ONLY in one for one in variants):
                print(f"{name}, clusters or families left out, honest", flush=True)
                compare(data, splits, variants)


def run_chemistry():
    print("Members stopped by chemistry they have not seen, official leave-one-cluster-out, honest")
    variants = {
        "stopped by other compositions": {"members": ["net"]},
        "stopped by other chemistry": {
            "members": ["net"],
            "by_chemistry": True,
        },
        "the same, set2set": {"members": ["net"], "networks": [PAPER], "by_chemistry": True},
    }
    compare(*mchaffie("lococv"), variants)


def run_search():
    """Search on the training side of each cluster only; what it finds is scored on the cluster."""
    trials = 60 if FULL else 8
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
        settings["networks"] = settings["networks"][:2]
        kept.append(settings["networks"][0])
        tuned = AtomSetsScreener(**settings, checkpoints=OUT).fit(train)
        parts.append(tuned.score(data.take(split.test).materials).probability)
    found = of_folds(parts, splits)
    show("the two best found", data, found, time.process_time() - begin)
    for split, one in zip(splits, kept, strict=True):
        print(f"    best without {split.name}: {one}")
    for name, networks in (("default", [{}]), ("set2set", [PAPER])):
        plain = cross_validate(maker(members=["net"], networks=networks), data, splits)
        show(name, data, plain)
        show_difference(data, found, plain)


def run_optimizers():
    print("Optimizers, official leave-one-cluster-out, honest")
    variants = {
        "Adam, constant rate": {"members": ["net"], "networks": [PAPER]},
        "LAMB + Lookahead, triangular-2": {"members": ["net"], "networks": [LAMB]},
    }
    compare(*mchaffie("lococv"), variants)


def run_pretrain():
    """Compare networks with and without a first task, for two readouts, on two label sets."""
    pools = {"metal or not": "li_pool.jsonl.gz", "formation energy": "mp36k.jsonl.gz"}
    official, families = mchaffie("lococv"), obelix()
    families = families, by_family(families)
    for name, (data, splits), pooling in (
        ("McHaffie, official leave-one-cluster-out", official, "statistics"),
        ("McHaffie, official leave-one-cluster-out", official, "set2set"),
        ("OBELiX, leave one family out", families, "statistics"),
    ):
        print(f"Pre-training, {name}, honest", flush=True)
        plain = {"members": ["net"], "networks": [{"pooling": pooling, "smoothing": 0.0}]}
        first = {
            f"{pooling}, pre-trained on {task}": {
                **plain,
                "pretrain": str(DATA / "pools" / file),
                "pretrain_rows": 5_000,
            }
            for task, file in pools.items()
        }
        compare(data, splits, {f"{pooling}, not pre-trained": plain, **first})


STRUCTURAL = {
    **{
        f"{rep} {layer}: {'+'.join(members)}": {
            "members": members,
            "networks": [PAPER],
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
    mixed = set_statistics(sets_of(data.materials, source))
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
    print("McHaffie, official leave-one-cluster-out, honest, with structures by ICSD number")
    part, splits = by_icsd("lococv")
    sendek(part, splits)
    compare(part, splits, STRUCTURAL)


PARTS = {
    "energies": run_energies,
    "speed": run_speed,
    "statistics": run_statistics,
    "loco": run_loco,
    "kfold": run_kfold,
    "networks": run_networks,
    "members": run_members,
    "chemistry": run_chemistry,
    "search": run_search,
    "optimizers": run_optimizers,
    "pretrain": run_pretrain,
    "oracle": run_oracle,
    "oracle_structures": run_oracle_structures,
    "icsd": run_icsd,
    "obelix": run_obelix,
    "grouped": run_grouped,
}

if __name__ == "__main__":
    for part in [a for a in sys.argv[1:] if a in PARTS] or PARTS:
        begin = time.perf_counter()
        PARTS[part]()
        print(f"-- {part}: {time.perf_counter() - begin:.0f} s wall\n", flush=True)
