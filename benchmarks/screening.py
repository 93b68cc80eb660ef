"""How well and how fast the composition system screens, beside simple baselines in the same run.

    SSEFW_SHARED_DATA=... python benchmarks/screening.py [PART ...]

Parts: speed, cascade, kfold, loco, oracle, obelix, hundred.

Numbers are of held-out rows pooled over folds. LOCO is reported twice: honest, with nothing chosen
on the held-out cluster, and oracle, with the settings chosen on it, as published numbers are.
"""

import os
import resource
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from ssefw.data.compositions import parse_formula
from ssefw.data.dataset import dataset_of
from ssefw.data.labels.tables import read_label_table
from ssefw.data.materials import read_materials
from ssefw.data.pools import Reject
from ssefw.data.splits import Split, k_fold, leave_one_cluster_out, repeated_random
from ssefw.documents import LabelSet
from ssefw.screening.cascade import preset_filters
from ssefw.screening.composition import CompositionScreener
from ssefw.screening.evaluation.evaluate import (
    cross_validate,
    cross_validate_oracle,
    shuffled_labels,
)
from ssefw.screening.evaluation.metrics import measure, measure_with_intervals
from ssefw.screening.features import composition_features
from ssefw.screening.phases import read_phases

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
SYSTEMS = {
    "GB alone": {"members": ["gb"]},
    "LGBM alone": {"members": ["lgbm"]},
    "GB + LGBM (the system)": {"members": ["gb", "lgbm"]},
    "extra trees (baseline)": {"members": ["et"]},
    "random forest (baseline)": {"members": ["rf"]},
}
# What the oracle chooses among, fold by fold.
TUNED = [
    {"members": [kind], "tuned": {kind: settings}}
    for kind, choices in {
        "gb": [{}, {"max_depth": 2}, {"max_depth": 5}],
        "lgbm": [{}, {"num_leaves": 7}, {"min_child_samples": 3}],
        "et": [{}],
        "rf": [{}],
    }.items()
    for settings in choices
]


def line(name, y, p, groups=None):
    groups = np.arange(len(y)) if groups is None else groups
    found = measure_with_intervals(y, p, groups=groups, n=300)
    print(
        f"  {name:34s}"
        + "  ".join(
            f"{key} {found[key].value:.3f} [{found[key].lower:.2f}, {found[key].upper:.2f}]"
            for key in ("auc_pr", "mcc", "accuracy")
        ),
        flush=True,
    )


def per_fold(name, data, predictions):
    values = []
    for number in np.unique(predictions.split):
        here = predictions.split == number
        values.append(measure(data.y[predictions.rows[here]], predictions.probability[here]))
    text = "  ".join(
        f"{key} {np.nanmean(each):.3f} +- {np.nanstd(each):.3f}"
        for key in ("auc_pr", "mcc", "accuracy")
        for each in [[v[key] for v in values]]
    )
    print(f"  {name:34s}{text}   (mean and std over folds)", flush=True)


def mchaffie(kind):
    """Return the dataset of the official splits, and the splits as rows of it."""
    labels = read_label_table(DATA / "labels" / "mchaffie_database_train.csv")
    by_id = {label.row_id: label for label in labels.labels}
    folders = sorted((DATA / "labels" / "mchaffie_splits" / kind).glob("fold_*"))
    import csv

    sides = [
        {
            side: [row["icsd_collectioncode"] for row in csv.DictReader((f / f"{side}.csv").open())]
            for side in ("train", "val")
        }
        for f in folders
    ]
    used = sorted({code for side in sides for codes in side.values() for code in codes})
    kept = [code for code in used if code in by_id]
    print(f"  {len(used)} rows in the splits, {len(kept)} with a readable label")
    chosen = LabelSet(name="mchaffie", labels=tuple(by_id[code] for code in kept))
    data = dataset_of(chosen)
    row = {code: index for index, code in enumerate(kept)}
    splits = [
        Split(
            folder.name,
            *(np.array([row[c] for c in side[s] if c in row]) for s in ("train", "val")),
        )
        for folder, side in zip(folders, sides, strict=True)
    ]
    return data, splits


def maker(settings, n_splits=10, seed=0):
    return partial(CompositionScreener, **settings, n_splits=n_splits, seed=seed)


def run_kfold():
    print("McHaffie, official 5-fold (near-duplicates on both sides; published best 0.895 / 0.752)")
    data, splits = mchaffie("kfold")
    for name, settings in SYSTEMS.items():
        found = cross_validate(maker(settings), data, splits)
        line(name, data.y[found.rows], found.probability)
        per_fold(name, data, found)
    chance = cross_validate(maker(SYSTEMS["extra trees (baseline)"]), shuffled_labels(data), splits)
    line("shuffled labels (control)", data.y[chance.rows], chance.probability)
    share = np.full(len(data), data.y.mean())
    line("mean (control)", data.y, share)


def run_loco():
    print("McHaffie, official leave-one-cluster-out (published 0.86 / 0.61 is oracle)")
    data, splits = mchaffie("lococv")
    for name, settings in SYSTEMS.items():
        found = cross_validate(maker(settings), data, splits)
        line(f"honest: {name}", data.y[found.rows], found.probability)
        per_fold(f"honest: {name}", data, found)
    chance = cross_validate(maker(SYSTEMS["LGBM alone"]), shuffled_labels(data), splits)
    line("shuffled labels (control)", data.y[chance.rows], chance.probability)


def run_oracle():
    data, splits = mchaffie("lococv")
    oracle = cross_validate_oracle([maker(s, n_splits=3) for s in TUNED], data, splits)
    line("oracle: best of 8 on the fold", data.y[oracle.rows], oracle.probability)
    per_fold("oracle: best of 8 on the fold", data, oracle)


def obelix():
    return dataset_of(read_label_table(DATA / "labels" / "obelix_train.csv"))


def run_obelix():
    print("OBELiX training rows (censored values are upper bounds, below 1e-4 S/cm either way)")
    data = obelix()
    plain, grouped = k_fold(data, grouped=False), k_fold(data)
    votes = []
    for split in grouped:
        model = maker({}, n_splits=20)().fit(data.take(split.train))
        scores = model.score(data.take(split.test).materials)
        votes += list(zip(data.y[split.test], scores.votes == scores.n_votes, strict=True))
    said = [y for y, accepted in votes if accepted]
    print(f"  all members vote superionic: {len(said)} rows, {np.mean(said):.3f} of them are")
    family = leave_one_cluster_out(data)
    for name, settings in SYSTEMS.items():
        for kind, splits in (
            ("random 5-fold", plain),
            ("grouped 5-fold", grouped),
            ("leave one family out", family),
        ):
            found = cross_validate(maker(settings, n_splits=5), data, splits)
            groups = data.groups[found.rows]
            line(f"{kind}: {name}", data.y[found.rows], found.probability, groups)
    for cell in ("kang", "full"):
        found = cross_validate(maker({"cell": cell}, n_splits=5), data, grouped)
        line(f"grouped, cell={cell}", data.y[found.rows], found.probability)
    chance = cross_validate(maker({}, n_splits=5), shuffled_labels(data), grouped)
    line("shuffled labels (control)", data.y[chance.rows], chance.probability)


def run_hundred():
    data = obelix()
    start = time.perf_counter()
    CompositionScreener(n_splits=100, grouped=False).fit(data)
    seconds = time.perf_counter() - start
    print(f"100 splits x GB + LGBM, {len(data)} labels, 1 process: {seconds:.0f} s", flush=True)
    splits = repeated_random(data, n=30, grouped=False)
    features = composition_features([m.composition for m in data.materials])
    from ssefw.screening.classifiers import CLASSIFIERS, fit_classifier

    print("The classifiers over 30 random splits (accuracy, mean +- std; Kang: GB 0.843 +- 0.042)")
    for kind in CLASSIFIERS:
        values = [
            measure(
                data.y[s.test],
                fit_classifier(kind, features[s.train], data.y[s.train], seed=i)[0].probability(
                    features[s.test]
                ),
            )
            for i, s in enumerate(splits)
        ]
        accuracy = [v["accuracy"] for v in values]
        mcc = np.mean([v["mcc"] for v in values])
        print(
            f"  {kind:5s} {np.mean(accuracy):.3f} +- {np.std(accuracy):.3f}  mcc {mcc:.3f}",
            flush=True,
        )


def run_speed():
    rows = read_materials(DATA / "pools" / "laskowski_index_25193.csv.gz")
    formulas = [m.formula for m in rows if not isinstance(m, Reject)][:10000]
    parse_formula.cache_clear()
    start = time.perf_counter()
    compositions = [parse_formula(f) for f in formulas]
    composition_features(compositions)
    print(f"10,000 compositions, cold: {time.perf_counter() - start:.2f} s")
    try:
        from matminer.featurizers.base import MultipleFeaturizer
        from matminer.featurizers.composition import (
            ElementProperty,
            IonProperty,
            Stoichiometry,
            ValenceOrbital,
        )
    except ImportError:
        print("  matminer is not installed, so no ratio")
        return
    peer = MultipleFeaturizer(
        [
            Stoichiometry(),
            ElementProperty.from_preset("magpie"),
            ValenceOrbital(props=["avg"]),
            IonProperty(fast=True),
        ]
    )
    start = time.perf_counter()
    for composition in compositions[:500]:
        peer.featurize(composition)
    print(f"  matminer, 1 process, per 10,000: {20 * (time.perf_counter() - start):.0f} s")


def run_cascade():
    phases = read_phases(DATA / "pools" / "mp36k.jsonl.gz")
    for file in ("laskowski_index_25193.csv.gz", "li_pool.jsonl.gz"):
        rows = {
            m.name: m for m in read_materials(DATA / "pools" / file) if not isinstance(m, Reject)
        }
        start = time.perf_counter()
        steps = preset_filters("kang2022", phases=phases).run(rows.values()).steps
        print(f"kang2022 on {file}: {time.perf_counter() - start:.1f} s")
        for step in steps:
            print(f"  {step.name}: {step.n_in} -> {step.n_passed} ({step.n_undetermined} open)")


if __name__ == "__main__":
    for part in sys.argv[1:] or [
        "speed",
        "cascade",
        "kfold",
        "loco",
        "oracle",
        "obelix",
        "hundred",
    ]:
        begin = time.perf_counter()
        globals()[f"run_{part}"]()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"-- {part}: {time.perf_counter() - begin:.0f} s, peak {peak:.2f} GB so far\n",
            flush=True,
        )
