"""Whether several systems together screen better than each alone, on labels none has seen.

    SSEFW_SHARED_DATA=... python benchmarks/consensus.py [compositions|structures] [--folds 5]
        [--splits 5] [--repeats 1]

Nested: outer folds of OBELiX (train) are held out from everything; within the rest the consensus
makes folds of its own to learn how its parts are joined. Near-duplicates are never on both sides.
Beside the consensus and its parts stand what it chooses from, taken always: the mean of calibrated
logits and the stack; the part that was best on the inner folds; and the mean of the parts'
probabilities, which learns nothing. Differences to the consensus come with a bootstrap interval
over groups of near-duplicates.

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
from collections import defaultdict
from pathlib import Path

import numpy as np

from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sets import merge_labels
from ssefw.data.labels.tables import read_label_table
from ssefw.data.splits import k_fold
from ssefw.screening.base import make_screener
from ssefw.screening.evaluation.metrics import measure
from ssefw.screening.joining import MEAN, STACK, join_as

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


def of_all_folds(data, splits, systems):
    """Return the mean probability of each label by name of what gave it, and how parts differ."""
    found, chosen = defaultdict(lambda: np.zeros(len(data))), []
    count, apart = np.zeros(len(data)), np.zeros(len(data))
    for split in splits:
        learned, asked = data.take(split.train), data.take(split.test).materials
        screener = make_screener("consensus", {"systems": systems}).fit(learned)
        scores = screener.score(asked)
        each = np.column_stack([part.score(asked).probability for part in screener.parts_.values()])
        said = dict(zip(systems, each.T, strict=True))
        for way in (MEAN, STACK):
            joint = join_as(way, screener.unseen_, learned.y, list(systems))
            said[f"always {way[1:]}"] = joint.probability(each)
        losses = screener.choice_.losses
        said["part of least loss"] = said[min(systems, key=losses.get)]
        said["consensus"] = scores.probability
        said["mean probability"] = each.mean(axis=1)
        for name, probability in said.items():
            found[name][split.test] += probability
        count[split.test] += 1
        apart[split.test] += np.nanstd(each, axis=1)
        chosen.append(scores.meaning.partition(": ")[2])
        print("  chose:", chosen[-1], flush=True)
    return {name: total / count for name, total in found.items()}, apart / count


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
    began = time.process_time()
    probability, apart = of_all_folds(data, splits, systems)
    print(f"{time.process_time() - began:.0f} s of CPU")
    for name, values in probability.items():
        show(name, data, values)
    joint = probability["consensus"]
    compare(data, joint, {name: p for name, p in probability.items() if name != "consensus"})
    disagreement(data, joint, apart)


def show(name, data, probability):
    """Print the measures of some probabilities."""
    values = measure(data.y, probability)
    print(
        f"{name:18s} " + "  ".join(f"{k} {values[k]:.3f}" for k in SHOWN),
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


def compare(data, joint, others):
    """Print the difference of the consensus to each other, with intervals."""
    drawn = list(resamples(data, 500))
    for name, probability in others.items():
        for metric in ("auc_pr", "brier"):
            gaps = [
                measure(data.y[r], joint[r])[metric] - measure(data.y[r], probability[r])[metric]
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
