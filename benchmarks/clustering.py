"""The clustering system on real data: speed, W_sigma of representations, enrichment, evaluation.

    SSEFW_SHARED_DATA=... python benchmarks/clustering.py [--rows N] [--cache FILE] [PART ...]

Parts: features, ward, large, table, subset, loco, grouped, official. ``features`` is SOAP,
diffraction and density of all nine simplifications, cold and warm; ``table`` compares
representations by W_sigma, chooses one on part of the labels, mixes, and looks for clusters that
gather conductors; ``subset`` writes a part of the pool for the table of 180; ``official`` is the
splits of McHaffie et al. 2025, ``grouped`` and ``loco`` are OBELiX with and without calibration.

The default is 300 rows of the pool beside the labeled ones; --rows 0 takes all 5,255. --ordered
leaves out the crystals that OBELiX brings, most of which share sites. Times are CPU seconds of this
process and its children beside wall seconds.
"""

import argparse
import csv
import gzip
import json
import os
import resource
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from joblib.externals.loky import get_reusable_executor

from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sets import merge_labels
from ssefw.data.labels.tables import read_label_table, read_structures
from ssefw.data.materials import read_materials
from ssefw.data.pools import Reject
from ssefw.data.splits import Split, k_fold, leave_one_cluster_out
from ssefw.data.structures import content_id
from ssefw.report.figures.clustering import draw_study, draw_tree
from ssefw.screening.clustering.grouping import framework_groups, grouped_folds, random_folds
from ssefw.screening.clustering.matching import label_pool, match_labels, with_structures
from ssefw.screening.clustering.representations import (
    FeatureCache,
    Representation,
    all_representations,
    represent,
)
from ssefw.screening.clustering.screener import ClusteringScreener
from ssefw.screening.clustering.shortlist import enrichment, share_for_half, shortlist
from ssefw.screening.clustering.study import choose, mixed, study
from ssefw.screening.clustering.variance import cluster_variance
from ssefw.screening.clustering.ward import build_tree, cut
from ssefw.screening.evaluation.evaluate import cross_validate, evaluate_predictions

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
BEST = ("soap", "mxrd", "density")
CAN = Representation("soap", "CAN")


def rows_of_pool():
    rows = read_materials(DATA / "pools" / "li_pool.jsonl.gz")
    return [material for material in rows if not isinstance(material, Reject)]


def label_sets(*, ordered=False):
    folder = DATA / "labels"
    tables = {
        "laskowski2023_labels.csv": None,
        "mchaffie_database_train.csv": None,
        "obelix_train.csv": None if ordered else folder / "obelix_train_cifs.zip",
    }
    return {name: read_label_table(folder / name, structures=zip_) for name, zip_ in tables.items()}


def labeled_sample(args):
    """Return labels and, of the rows without, every so manieth; the labels' own crystals last."""
    materials = rows_of_pool()
    sets = label_sets(ordered=args.ordered)
    labels = [label for found in sets.values() for label in found.labels]
    full = label_pool(materials, labels)
    step = max(1, len(materials) // args.rows) if args.rows else 1
    known = set(full.rows.tolist())
    kept = [r for r in range(len(full.materials)) if r in known or r % step == 0]
    place = {row: number for number, row in enumerate(kept)}
    print(
        f"{len(labels)} labels: {full.counts}; {len(full.rows)} labeled, {len(kept)} rows taken",
        flush=True,
    )
    rows = np.array([place[int(row)] for row in full.rows])
    return replace(full, materials=tuple(full.materials[row] for row in kept), rows=rows)


def clock():
    # Processes count once they have ended.
    get_reusable_executor().shutdown(wait=True)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in usage)


def computed(args, materials, wanted):
    start = clock()
    structures = [material.structure for material in materials]
    ids = [content_id(structure) for structure in structures]
    read = clock()
    cache = FeatureCache(args.cache)
    found = represent(structures, wanted, cache=cache, ids=ids, workers=args.workers)
    end = clock()
    print(
        f"{len(materials)} structures read in {read[0] - start[0]:.0f} s (CPU "
        f"{read[1] - start[1]:.0f}); {len(found)} representations in {end[0] - read[0]:.0f} s (CPU "
        f"{end[1] - read[1]:.0f}, {args.workers} workers)",
        flush=True,
    )
    return found


def run_features(args):
    materials = rows_of_pool()
    if args.rows:
        materials = materials[:: max(1, len(materials) // args.rows)]
    for _ in range(2):
        computed(args, materials, all_representations(BEST))


def synthetic(n, d=360):
    rng = np.random.default_rng(0)
    centers = 5 * rng.normal(size=(60, d))
    return (centers[rng.integers(0, 60, n)] + rng.normal(size=(n, d))).astype(np.float32)


def run_ward(_args):
    features = synthetic(5000)
    start = clock()
    tree = build_tree(features)
    cut(tree, range(2, 301))
    end = clock()
    print(f"5,000 x 360: {end[0] - start[0]:.1f} s (CPU {end[1] - start[1]:.1f})")


def run_large(_args):
    features = synthetic(25_000)
    start = clock()
    tree = build_tree(features)
    end = clock()
    cut(tree, range(2, 301))
    print(f"25,000 x 360: {end[0] - start[0]:.0f} s (CPU {end[1] - start[1]:.0f})")


def run_table(args):
    labeled = labeled_sample(args)
    materials, rows, values = labeled.materials, labeled.rows, labeled.values
    names = args.descriptors.split(",")
    features = computed(args, materials, all_representations(names))
    known = [(r, m.properties.get("bvse_barrier_ev")) for r, m in enumerate(materials)]
    known = [(r, value) for r, value in known if isinstance(value, float)]
    energies = (np.array([r for r, _ in known]), np.array([value for _, value in known]))
    found = study(features, rows, values, energies=energies, repeats=30)
    print(
        f"{len(found.rows)} rows, {len(found.labels)} labels, {len(known)} energies; W of random "
        f"clusters {found.mean(found.control):.1f}, of one {found.values.var() * len(values):.1f}"
    )
    ordered = np.array([materials[row].structure.is_ordered for row in rows[found.labels]])
    print(f"of the labels {int(ordered.sum())} are of ordered crystals")
    for entry in found.entries:
        alone = np.empty(0)
        if len(entry.w):
            alone = cluster_variance(found.values[ordered], entry.clusters[:, ordered])
        ratio = found.mean(entry.w) / found.mean(entry.shuffled) if len(entry.w) else np.nan
        print(
            f"  {entry.representation!s:26s} W {found.mean(entry.w):7.2f}  of shuffled {ratio:.3f} "
            f" to 300: {entry.w.mean() if len(entry.w) else np.nan:7.2f}  ordered "
            f"{found.mean(alone):6.1f}  "
            f"W_Ea {found.mean(entry.w_energy):7.1f}  failed {entry.n_failed}",
            flush=True,
        )
    groups = framework_groups(labeled)[found.labels]
    print(f"  {len(set(groups.tolist()))} groups of {len(groups)} labels")
    for kind, parts in (
        ("grouped", grouped_folds(found.values, groups)),
        ("random", random_folds(len(groups))),
    ):
        print(f"  {kind}: {choose(found, parts)}", flush=True)
    if args.figures:
        draw_study(found, args.figures / "violins.png")
    gather(args, features, rows, values, np.array([m.structure.is_ordered for m in materials]))
    mixtures(features, rows, values)


def gather(args, features, rows, values, is_ordered):
    """Print how the high labels gather in SOAP-CAN and in the other representations."""
    for one, part in features.items():
        if one.simplification != "CAN":
            continue
        usable = part.usable
        place, kept = np.cumsum(usable) - 1, np.flatnonzero(usable)
        inside = usable[rows]
        here, y = place[rows[inside]], values[inside]
        tree = build_tree(part.values[kept])
        ordered = is_ordered[rows[inside]]
        for kind, mask in (("all", np.ones(len(y), dtype=bool)), ("ordered", ordered)):
            depths = [9, 17, 50, 100, 241]
            for item in enrichment(tree, here[mask], y[mask], depths=depths, repeats=200):
                half = share_for_half(cut(tree, [item.depth])[0], here[mask], y[mask])
                print(
                    f"  {one} at {item.depth}, {kind}: {item.share_of_rows:.1%} of rows hold "
                    f"{item.share_of_high:.0%} of {int((y[mask] >= -5).sum())} high labels (p "
                    f"{item.p_value:.3f}); half of them lie in {half:.1%} of rows"
                )
        if one == CAN:
            found = shortlist(tree, part.values[kept], here, y, depth=min(241, len(kept)))
            print(f"  shortlist at 241: {len(found.rows)} of {len(kept)} rows", flush=True)
            if args.figures:
                draw_tree(tree, here, y, args.figures / "tree.png")


def mixtures(features, rows, values):
    for second in features:
        if second.simplification != "CAN" or second == CAN:
            continue
        for weight in (0.01, 0.05, 0.2):
            whole = {
                CAN: features[CAN],
                second: mixed(features[CAN], features[second], weight=weight),
            }
            found = study(whole, rows, values, repeats=2)
            means = {e.representation: found.mean(e.w) for e in found.entries}
            print(
                f"  SOAP-CAN with {weight:.0%} {second}: W {means[second]:.2f} for {means[CAN]:.2f}"
            )


def run_subset(args):
    """Write the labeled rows of the pool and every so manieth other, for the table of 180."""
    labels = [label for found in label_sets(ordered=True).values() for label in found.labels]
    materials = rows_of_pool()
    known = {materials[match.row].name for match in match_labels(labels, materials)}
    step = max(1, len(materials) // args.rows)
    chosen = known | {material.name for material in materials[::step]}
    with gzip.open(DATA / "pools" / "li_pool.jsonl.gz", "rt") as lines, args.out.open("w") as out:
        written = sum(bool(out.write(line)) for line in lines if json.loads(line)["id"] in chosen)
    print(f"{len(known)} labeled rows, {written} rows in {args.out}")


class WithPool(ClusteringScreener):
    """The screener with a pool that every fit clusters as well, calibrated or not."""

    pool = ()
    is_raw = False

    def fit(self, data, *, pool=()):
        """Fit with the pool of the class."""
        super().fit(data, pool=pool or self.pool)
        if self.is_raw:
            self.calibration_ = (1.0, 0.0)
        return self


def evaluated(args, data, splits, kind):
    """Print measures of held-out rows through the common path: alone and with the pool."""
    materials = rows_of_pool()
    if args.rows:
        materials = materials[:: max(1, len(materials) // args.rows)]
    for representation in args.representations.split(","):
        one, _, second = representation.partition("+")
        make = partial(WithPool, representation=one, second=second, cache=str(args.cache or ""))
        for name, rows, is_raw in (
            ("labels alone", (), False),
            (f"{len(materials)} pool rows", materials, False),
            (f"{len(materials)} pool rows, raw", materials, True),
        ):
            WithPool.pool, WithPool.is_raw = rows, is_raw
            found = cross_validate(make, data, splits)
            result = evaluate_predictions(found, data, screener=make(), protocol=kind)
            print(
                f"  {kind}, {representation}, {name}: {result.n} labels, {result.n_positive} high  "
                + "  ".join(
                    f"{key} {value.value:.3f} [{value.lower:.2f}, {value.upper:.2f}]"
                    for key in ("auc_pr", "mcc", "accuracy", "brier", "ece")
                    for value in [result.metrics[key]]
                ),
                flush=True,
            )
            bins = [(round(p, 2), round(share, 2), n) for p, share, n in result.reliability]
            print("    score, share, number:", bins)


def structured(labels):
    """Return the labels with structures, taken from the pool where they bring none."""
    filled = with_structures(labels, rows_of_pool())
    kept = tuple(label for label in filled.labels if label.structure is not None)
    print(f"{labels.name}: {len(kept)} of {len(filled.labels)} labels have a structure")
    return filled.model_copy(update={"labels": kept})


def with_icsd_crystals(labels):
    """Return the set with the crystal of OBELiX on labels of the same ICSD code."""
    folder = DATA / "labels"
    crystals, _ = read_structures(folder / "obelix_train_cifs.zip")
    with (folder / "obelix_train.csv").open() as file:
        by_code = {
            line["ICSD ID"].split(".")[0]: crystals[line["ID"]]
            for line in csv.DictReader(file)
            if line["ICSD ID"] and line["ID"] in crystals
        }
    filled = [
        label.model_copy(
            update={"structure": found.structure, "candidate_id": content_id(found.structure)}
        )
        if (found := by_code.get(label.row_id)) and label.structure is None
        else label
        for label in labels.labels
    ]
    return labels.model_copy(update={"labels": tuple(filled)})


def obelix():
    labels = label_sets()["obelix_train.csv"]
    merged = labels.model_copy(update={"labels": tuple(merge_labels(labels.labels))})
    return dataset_of(structured(merged))


def run_official(args):
    labels = label_sets()["mchaffie_database_train.csv"]
    data = dataset_of(structured(with_icsd_crystals(labels)))
    row = {label.row_id: number for number, label in enumerate(data.labels)}
    for kind in ("kfold", "lococv"):
        splits, named = [], set()
        for folder in sorted((DATA / "labels" / "mchaffie_splits" / kind).glob("fold_*")):
            sides = []
            for side in ("train", "val"):
                with (folder / f"{side}.csv").open() as file:
                    codes = [line["icsd_collectioncode"] for line in csv.DictReader(file)]
                named |= set(codes)
                sides.append(np.array([row[code] for code in codes if code in row], dtype=int))
            if len(sides[1]):
                splits.append(Split(folder.name, *sides))
        here = np.unique(np.concatenate([split.test for split in splits]))
        print(f"{kind}: {len(here)} of {len(named)} rows of the splits, {len(splits)} folds")
        evaluated(args, data, splits, kind)


def run_grouped(args):
    data = obelix()
    evaluated(args, data, k_fold(data), "near-duplicates together")


def run_loco(args):
    data = obelix()
    evaluated(args, data, leave_one_cluster_out(data), "one family out")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["features", "ward", "table"])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--descriptors", default=",".join(BEST))
    parser.add_argument("--representations", default="soap-CAN")
    parser.add_argument("--ordered", action="store_true")
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("subset.jsonl"))
    chosen = parser.parse_args()
    for part in chosen.parts or ["features", "ward", "table"]:
        begin = clock()
        globals()[f"run_{part}"](chosen)
        finish = clock()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"-- {part}: {finish[0] - begin[0]:.0f} s, CPU {finish[1] - begin[1]:.0f} s, "
            f"peak {peak:.2f} GB so far\n",
            flush=True,
        )
