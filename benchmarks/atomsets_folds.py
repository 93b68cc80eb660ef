"""What is said of held-out rows: by whom, and how good it is."""

import sys

import numpy as np

from ssefw.screening.classifiers import fit_classifier
from ssefw.screening.evaluation.evaluate import Predictions
from ssefw.screening.evaluation.metrics import difference_with_intervals, measure

FULL = "--full" in sys.argv
PAIRED = "--paired" in sys.argv


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


def show_difference(data, found, other):
    rows = found.rows
    gaps = difference_with_intervals(
        data.y[rows], found.probability, other.probability, groups=data.groups[rows]
    )
    text = "  ".join(
        f"{key} {gap.value:+.3f} [{gap.lower:+.3f}, {gap.upper:+.3f}]" for key, gap in gaps.items()
    )
    print(f"      less the first: {text}", flush=True)


def held_out(kind, features, data, splits):
    """Return what one classifier for each split says of the rows that it did not learn from."""
    parts = [
        fit_classifier(kind, features[s.train], data.y[s.train], seed=0)[0].probability(
            features[s.test]
        )
        for s in splits
    ]
    return of_folds(parts, splits)


def of_folds(parts, splits):
    return Predictions(
        rows=np.concatenate([s.test for s in splits]),
        probability=np.concatenate(parts),
        split=np.repeat(np.arange(len(splits)), [len(s.test) for s in splits]),
    )
