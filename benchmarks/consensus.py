"""Whether several systems together screen better than each alone, on labels none has seen.

    SSEFW_SHARED_DATA=... python benchmarks/consensus.py [compositions|structures] [--folds 5]
        [--splits 5] [--repeats 1]

Nested: outer folds of OBELiX (train) are held out from everything; within the rest the consensus
makes folds of its own to learn its weights. Near-duplicates are never on both sides. The difference
to each single system comes with a bootstrap interval over groups of near-duplicates.

compositions   all materials; trees and logistic regression on composition descriptors, extra trees
               and boosting on statistics of AtomSets' vectors of the elements
structures     those with a structure: beside two of these, AtomSets on vectors of the sites and
               clustering by SOAP, with --patterns also XRDMatch (supervised, small)

Whether disagreement tells where errors are is asked of the consensus' own predictions: in thirds by
the standard deviation between its parts, the mean squared error, and beside it what an honest
probability would give by itself (p (1 - p)), since parts differ most where p is near one half.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from ssefw.data.dataset import dataset_of
from ssefw.data.label_tables import read_label_table
from ssefw.data.labels import merge_labels
from ssefw.data.splits import k_fold
from ssefw.screening.base import make_screener
from ssefw.screening.evaluate import cross_validate
from ssefw.screening.metrics import measure

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
SHOWN = ("auc_pr", "mcc", "brier", "enrichment_top10")


def parts(what, n, *, patterns):
    """Return the systems that take part."""
    plain = {
        kind: {"system": "composition", "members": [kind], "n_splits": n}
        for kind in ("lgbm", "et", "lr")
    }
    if what == "compositions":
        sets = {
            f"atomsets {kind}": {"system": "atomsets", "members": [kind], "runs": n}
            for kind in ("et", "gb")
        }
        return {**plain, **sets}
    found = {
        "lgbm": plain["lgbm"],
        "et": plain["et"],
        "atomsets v1": {"system": "atomsets", "members": ["et"], "layer": "v1", "runs": n},
        "clustering": {"system": "clustering", "representation": "soap-CAN"},
    }
    if patterns:
        small = {"method": "supervised", "members": 2, "iterations": 200}
        found["xrdmatch"] = {"system": "xrdmatch", **small}
    return found


def labels_of(what):
    """Return the labels, one a material."""
    folder = DATA / "labels"
    zipped = folder / "obelix_train_cifs.zip" if what == "structures" else None
    labels = read_label_table(folder / "obelix_train.csv", structures=zipped)
    merged = tuple(merge_labels(labels.labels))
    data = dataset_of(labels.model_copy(update={"labels": merged}))
    if what == "compositions":
        return data
    has = [m.build is not None and "Li" in m.structure.composition for m in data.materials]
    return data.take(np.flatnonzero(has))


def of_all_folds(make, data, splits, each):
    """Return the mean score of each label over the outer divisions, and what parts said."""
    total, count = np.zeros(len(data)), np.zeros(len(data))
    apart = np.zeros(len(data))
    chosen = []
    for split in splits:
        screener = make().fit(data.take(split.train))
        scores = screener.score(data.take(split.test).materials)
        total[split.test] += scores.probability
        count[split.test] += 1
        said = np.column_stack([scores.details[f"score_{name}"] for name in each])
        apart[split.test] += np.nanstd(said, axis=1)
        chosen.append(scores.meaning.partition(": ")[2])
    return total / count, apart / count, chosen


def main() -> None:
    """Evaluate each system and the consensus on the same folds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("compositions", "structures"), nargs="?",
                        default="compositions")  # fmt: skip
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=5, help="members of each kind")
    parser.add_argument("--repeats", type=int, default=1, help="outer divisions into folds")
    parser.add_argument("--patterns", action="store_true", help="XRDMatch too, which takes long")
    arguments = parser.parse_args()
    data = labels_of(arguments.what)
    print(f"{len(data)} materials of OBELiX (train), {data.y.sum()} superionic")
    systems = parts(arguments.what, arguments.splits, patterns=arguments.patterns)
    splits = [s for seed in range(arguments.repeats) for s in k_fold(data, k=arguments.folds,
                                                                     seed=seed)]  # fmt: skip
    probability = {}
    for name, settings in systems.items():
        began = time.process_time()
        own = {key: value for key, value in settings.items() if key != "system"}
        found = cross_validate(lambda s=settings["system"], o=own: make_screener(s, o), data,
                               splits)  # fmt: skip
        total = np.bincount(found.rows, weights=found.probability, minlength=len(data))
        probability[name] = total / np.bincount(found.rows, minlength=len(data))
        show(name, data, probability[name], time.process_time() - began)
    began = time.process_time()
    joint, apart, chosen = of_all_folds(
        lambda: make_screener("consensus", {"systems": systems}), data, splits, systems
    )
    probability["consensus"] = joint
    show("consensus", data, joint, time.process_time() - began)
    mean = np.mean([probability[name] for name in systems], axis=0)
    show("plain mean of all", data, mean, 0.0)
    for text in chosen:
        print("  chose:", text)
    compare(data, probability, joint, systems)
    disagreement(data, joint, apart)


def show(name, data, probability, seconds):
    """Print the measures of some probabilities."""
    values = measure(data.y, probability)
    print(
        f"{name:18s} " + "  ".join(f"{k} {values[k]:.3f}" for k in SHOWN) + f"  {seconds:.0f} s",
        flush=True,
    )


def resamples(data, n):
    """Yield rows of bootstrap samples of groups of near-duplicates."""
    rng = np.random.default_rng(0)
    _, group = np.unique(data.groups, return_inverse=True)
    members = [np.flatnonzero(group == k) for k in range(group.max() + 1)]
    for _ in range(n):
        drawn = rng.integers(0, len(members), len(members))
        yield np.concatenate([members[k] for k in drawn])


def compare(data, probability, joint, systems):
    """Print the difference of the consensus to each part, with intervals."""
    drawn = list(resamples(data, 500))
    for name in systems:
        for metric in ("auc_pr", "brier"):
            gaps = [
                measure(data.y[r], joint[r])[metric]
                - measure(data.y[r], probability[name][r])[metric]
                for r in drawn
            ]
            low, middle, high = np.nanquantile(gaps, [0.025, 0.5, 0.975])
            print(f"consensus - {name}: {metric} {middle:+.3f} [{low:+.3f}, {high:+.3f}]")


def disagreement(data, joint, apart):
    """Print the error in thirds of disagreement, and how much more it is in the last."""
    error, honest = (joint - data.y) ** 2, joint * (1 - joint)
    edges = np.quantile(apart, [1 / 3, 2 / 3])
    third = np.digitize(apart, edges)
    for k, name in enumerate(("agree most", "between", "disagree most")):
        here = third == k
        wrong = ((joint[here] >= 0.5) != data.y[here]).mean()
        print(
            f"{name:14s} {here.sum()} materials, spread {apart[here].mean():.3f}, squared error "
            f"{error[here].mean():.3f} (p (1 - p) {honest[here].mean():.3f}), wrong {wrong:.0%}"
        )
    gaps = []
    for rows in resamples(data, 500):
        e, t = error[rows], third[rows]
        if (t == 2).any() and (t == 0).any():
            gaps.append(e[t == 2].mean() - e[t == 0].mean())
    low, high = np.quantile(gaps, [0.025, 0.975])
    print(f"squared error, last third less first: [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
