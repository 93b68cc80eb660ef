"""What networks and trees reach when everything is chosen on the held-out fold itself."""

import os
import time
from pathlib import Path

import numpy as np
from atomsets_folds import FULL, of_folds, show
from atomsets_labels import WEIGHTS, by_icsd, sets_of
from screening import mchaffie

from ssefw.screening.atomsets.ensemble import fit_groups
from ssefw.screening.atomsets.network import PAPER, NetworkConfig
from ssefw.screening.atomsets.sources import make_source, set_statistics
from ssefw.screening.classifiers import fit_classifier
from ssefw.screening.evaluation.metrics import measure

OUT = os.environ.get("SSEFW_CHECKPOINTS")
LAMB = PAPER | {"optimizer": "lamb", "rate": 6e-5, "rate_max": 5e-3}


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
    nets = {}
    for name, shape in SHAPES.items():
        epochs, patience = (500, 100) if FULL else (120, 50)
        config = NetworkConfig(
            **{
                **PAPER,
                "readout": 32,
                **shape,
                "epochs": epochs,
                "patience": patience,
                "stop": "auc_pr",
            }
        )
        begin = time.process_time()
        kept = Path(OUT) if OUT else None
        (group,) = fit_groups([config], sets, data.y, learns, seed=0, folder=kept)
        said = group.probability(sets)
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


def run_oracle():
    source = make_source("megnet", weights=WEIGHTS)
    for kind, published in (
        ("lococv", "V1 0.86 / 0.61, V0 0.85 / 0.58"),
        ("kfold", "CAMN-V0 0.893 / 0.752"),
    ):
        print(f"McHaffie, official {kind}, ORACLE (published {published}); CAMN V0", flush=True)
        data, splits = mchaffie(kind)
        oracle(data, splits, sets_of(data.materials, source))


def run_oracle_structures():
    source = make_source("megnet", weights=WEIGHTS)
    for kind, published in (("lococv", "0.86 / 0.61"), ("kfold", "0.822 / 0.633")):
        print(f"McHaffie, official {kind}, ORACLE (published CAMNS-V1 {published})", flush=True)
        data, splits = by_icsd(kind)
        for layer, rep in (("v1", "CAMNS"), ("elements", "CAMN")):
            print(f" {rep} {layer}")
            sets = sets_of(data.materials, source, layer=layer, representation=rep)
            oracle(data, splits, sets)
