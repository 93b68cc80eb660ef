"""How to look at patterns with a support vector machine, and whether unlabeled patterns help it.

    SSEFW_SHARED_DATA=... python benchmarks/xrdmatch_machine.py --out FOLDER [--seeds 20] [PART ...]

`widths` chooses the width of bins by cross-validation of the 20 labels, or on the other data set.
`pool` tries four cheap ways to use the pool beside the five views of the shipped machine: principal
components; self-training (the pool's patterns of largest margin count as labels of weight 0.2,
twice); spreading of labels over a graph of nearest patterns; and what a forest taught on the pool
says of cell and composition from a pattern. `calibration` fits the whole system to 70 % of OBELiX
and asks what its probability is worth on the rest, near-duplicates kept together. Draws, hold-outs
and files are those of benchmarks/xrdmatch.py.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC
from xrdmatch import BIN, DATA, SETS, draw, interval, pool_patterns, quality

from ssefw.data.dataset import dataset_of
from ssefw.data.labels.tables import read_label_table
from ssefw.data.materials import read_materials
from ssefw.data.pools import Reject
from ssefw.data.splits import repeated_random
from ssefw.screening.features import bin_patterns
from ssefw.screening.xrdmatch.machine import views
from ssefw.screening.xrdmatch.screener import XRDMatchScreener


def machine(features, train, y):
    return SVC().fit(features[train], y).decision_function


def self_training(pool, n):
    def fit(features, train, y):
        fitted = SVC().fit(features[train], y)
        for _ in range(2):
            order = np.argsort(fitted.decision_function(pool))
            chosen = np.concatenate([order[:n], order[-n:]])
            weight = np.concatenate([np.ones(len(train)), np.full(2 * n, 0.2)])
            rows = np.vstack([features[train], pool[chosen]])
            fitted = SVC().fit(rows, np.concatenate([y, np.repeat([0, 1], n)]), weight)
        return fitted.decision_function

    return fit


def spreading(pool):
    def fit(features, train, y):
        def margin(asked):
            rows = np.vstack([features[train], asked, pool])
            known = np.concatenate([y, np.full(len(asked) + len(pool), -1)])
            model = LabelSpreading(kernel="knn", n_neighbors=10, alpha=0.8, max_iter=50)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # rows that no label reaches, and slow convergence
                share = model.fit(rows, known).label_distributions_[len(y) : len(y) + len(asked)]
            total = share.sum(axis=1)
            return np.where(total > 0, share[:, 1] / np.where(total > 0, total, 1), 0.5) - 0.5

        return margin

    return fit


def told_by_cells(pool):
    """Return what a forest reads from patterns: numbers of cell and composition."""
    rows = read_materials(DATA / "pools" / "li_pool.jsonl.gz")
    numbers = []
    for material in rows:
        if isinstance(material, Reject):
            continue
        structure = material.structure
        shares = structure.composition.fractional_composition
        numbers.append(
            [
                np.log(structure.volume / len(structure)),
                np.log(structure.volume),
                structure.density,
                sum(amount * element.X for element, amount in shares.items()),
                *(shares[symbol] for symbol in ("Li", "O", "S", "Se", "F", "Cl", "Br", "I", "N")),
            ]
        )
    scaler = StandardScaler().fit(numbers)
    forest = ExtraTreesRegressor(100, min_samples_leaf=2, max_features=0.1, random_state=0)
    return forest.fit(pool, scaler.transform(numbers)).predict


def run_widths(args):
    """Choose the width of bins by cross-validation of the 20 labels, and on the other data set."""
    points = (25, 50, 100, 200, 400)
    loaded = {name: SETS[name](args.out) for name in SETS}
    binned = {
        name: [bin_patterns(raw, width) for width in points] for name, (raw, _, _) in loaded.items()
    }
    overall = {}
    for name, (_, y, groups) in loaded.items():
        each, chosen = np.empty((args.seeds, len(points), 3)), []
        for seed in range(args.seeds):
            train, test = draw(y, groups, seed)
            inner = []
            for column, features in enumerate(binned[name]):
                margin = (
                    SVC(random_state=0)
                    .fit(features[train], y[train])
                    .decision_function(features[test])
                )
                each[seed, column] = quality(y[test], margin, margin > 0)
                folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=5, random_state=0)
                found = cross_val_score(SVC(random_state=0), features[train], y[train], cv=folds)
                inner.append(found.mean())
            chosen.append(each[seed, int(np.argmax(inner))])
        overall[name] = each
        columns = [interval(c) for c in zip(*chosen, strict=True)]
        print(f"{name}: width by inner cross-validation: " + " | ".join(columns))
    for name, other in (("authors", "obelix"), ("obelix", "authors")):
        best = int(np.argmax(overall[other][:, :, 0].mean(axis=0)))
        columns = [interval(c) for c in overall[name][:, best].T]
        print(f"{name}: {0.02 * points[best]:g} degrees, best on {other}: " + " | ".join(columns))
    for name, each in overall.items():
        for column, width in enumerate(points):
            print(f"{name}: {0.02 * width:g} degrees: {interval(each[:, column, 0])}")


def run_calibration(args):
    tables = [DATA / "labels" / name for name in ("obelix_train.csv", "obelix_train_cifs.zip")]
    data = dataset_of(read_label_table(tables[0], structures=tables[1]))
    data = data.take([row for row, m in enumerate(data.materials) if m.build is not None])
    lines = []
    for split in repeated_random(data, n=args.seeds, test_share=0.3, seed=1, grouped=True):
        screener = XRDMatchScreener(model="svm").fit(data.take(split.train))
        test = data.take(split.test)
        scores = screener.score(test.materials)
        p, share = scores.probability, data.y[split.train].mean()
        lines.append(
            (
                roc_auc_score(test.y, p),
                f1_score(test.y, scores.votes >= 5, average="macro"),
                brier_score_loss(test.y, scores.details["mean_probability"]),
                brier_score_loss(test.y, p),
                brier_score_loss(test.y, np.full(len(test), share)),
            )
        )
    names = ("AUC-ROC", "macro-F1 of the vote", "Brier, mean", "Brier, calibrated", "Brier, share")
    for name, column in zip(names, zip(*lines, strict=True), strict=True):
        print(f"{name}: {interval(column)}")


def run_pool(args):
    pool = views(bin_patterns(pool_patterns(args.out), BIN), step=0.02 * BIN)
    some = pool[np.random.default_rng(0).choice(len(pool), 1500, replace=False)]
    ways = {"machine": (lambda x: x, machine)}
    for n in (20, 50):
        found = PCA(n, svd_solver="randomized", random_state=0).fit(pool)
        ways[f"{n} components of the pool"] = (found.transform, machine)
        scale = np.sqrt(found.explained_variance_)
        whitened = lambda x, found=found, scale=scale: found.transform(x) / scale  # noqa: E731
        ways[f"{n} components, whitened"] = (whitened, machine)
    for n in (20, 100):
        ways[f"self-training on {n} + {n}"] = (lambda x: x, self_training(pool, n))
    ways["label spreading"] = (lambda x: x, spreading(some))
    ways["cell and composition from the pattern"] = (told_by_cells(pool), machine)
    for name, load in SETS.items():
        raw, y, groups = load(args.out)
        plain = views(bin_patterns(raw, BIN), step=0.02 * BIN)
        base = None
        for way, (change, fit) in ways.items():
            features = change(plain)
            scores = []
            for seed in range(args.seeds):
                train, test = draw(y, groups, seed)
                margin = fit(features, train, y[train])(features[test])
                said = margin > 0
                scores.append(
                    (f1_score(y[test], said, average="macro"), roc_auc_score(y[test], margin))
                )
            scores = np.array(scores)
            base = scores if base is None else base
            columns = [interval(c) for c in (*scores.T, *(scores - base).T)]
            print(f"| {name} | {way} | " + " | ".join(columns) + " |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["widths", "pool"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for part in options.parts:
        globals()[f"run_{part}"](options)
