"""Whether several systems together screen better than each alone, on labels none has seen.

    SSEFW_SHARED_DATA=... python benchmarks/consensus.py [--folds 5] [--splits 5] [--repeats 1]

Nested: outer folds of OBELiX (train) are held out from everything; within the rest the consensus
makes folds of its own to learn its weights. Near-duplicates are never on both sides. The difference
to each single system comes with a bootstrap interval over groups of near-duplicates.
"""

import argparse
import os
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


def main() -> None:
    """Evaluate each system and the consensus on the same folds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--splits", type=int, default=5, help="members of each kind")
    parser.add_argument("--repeats", type=int, default=1, help="outer divisions into folds")
    arguments = parser.parse_args()
    labels = read_label_table(DATA / "labels" / "obelix_train.csv")
    merged = tuple(merge_labels(labels.labels))
    data = dataset_of(labels.model_copy(update={"labels": merged}))
    systems = {
        kind: {"system": "composition", "members": [kind], "n_splits": arguments.splits}
        for kind in ("lgbm", "et", "lr")
    }
    splits = [s for seed in range(arguments.repeats) for s in k_fold(data, k=arguments.folds,
                                                                     seed=seed)]  # fmt: skip
    probability = {}
    makers = {
        **{
            name: (lambda settings=settings: make_screener(
                "composition", {k: v for k, v in settings.items() if k != "system"}))
            for name, settings in systems.items()
        },
        "consensus": lambda: make_screener("consensus", {"systems": systems}),
        "consensus by rank": lambda: make_screener(
            "consensus", {"systems": systems, "fewest": 10**6}
        ),
    }  # fmt: skip
    for name, make in makers.items():
        found = cross_validate(make, data, splits)
        total = np.bincount(found.rows, weights=found.probability, minlength=len(data))
        probability[name] = total / np.bincount(found.rows, minlength=len(data))
        values = measure(data.y, probability[name])
        print(f"{name:18s} " + "  ".join(f"{k} {values[k]:.3f}" for k in SHOWN), flush=True)
    joint = make_screener("consensus", {"systems": systems}).fit(data)
    print("weights on all labels:", {k: round(v, 2) for k, v in joint.weights.items()})
    rng = np.random.default_rng(0)
    _, group = np.unique(data.groups, return_inverse=True)
    members = [np.flatnonzero(group == k) for k in range(group.max() + 1)]
    drawn = [
        np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])
        for _ in range(500)
    ]
    for name in systems:
        for metric in ("auc_pr", "brier"):
            gaps = [
                measure(data.y[r], probability["consensus"][r])[metric]
                - measure(data.y[r], probability[name][r])[metric]
                for r in drawn
            ]
            low, middle, high = np.nanquantile(gaps, [0.025, 0.5, 0.975])
            print(f"consensus - {name}: {metric} {middle:+.3f} [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
