"""The clustering system on real data: speed, W_sigma of representations, enrichment, evaluation.

    SSEFW_SHARED_DATA=... python benchmarks/clustering.py [--rows N] [--cache FILE] PART ...

Parts: features, cheap, ward, large, table, enrich, choose, mix, loco, obelix.

``features`` is SOAP, diffraction and density of all nine simplifications; ``cheap`` adds the
descriptors that take less than ten milliseconds. The default is 300 rows of the pool; --rows 0
takes all 5,255. Times are CPU seconds of this process and its children beside wall seconds.
"""

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np

from ssefw.data.dataset import dataset_of
from ssefw.data.label_tables import read_label_table
from ssefw.data.labels import merge_labels
from ssefw.data.materials import material_from_label, read_materials
from ssefw.data.pools import Reject
from ssefw.data.splits import k_fold, leave_one_cluster_out
from ssefw.data.structures import content_id
from ssefw.screening.clustering.matching import labeled_rows, match_labels
from ssefw.screening.clustering.representations import (
    FeatureCache,
    all_representations,
    represent,
)
from ssefw.screening.clustering.ward import build_tree, cut

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
BEST = ("soap", "mxrd", "density")
CHEAP = (
    *BEST,
    "cavity",
    "band_center",
    "electronegativity",
    "ewald",
    "oxidation",
    "sine_coulomb",
    "complexity",
    "valence_orbital",
)


def pool(args):
    rows = [
        m for m in read_materials(DATA / "pools" / "li_pool.jsonl.gz") if not isinstance(m, Reject)
    ]
    if args.rows:
        rows = rows[:: max(1, len(rows) // args.rows)][: args.rows]
    return rows


def clock():
    own, kids = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return time.perf_counter(), own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime


def computed(args, names):
    materials = pool(args)
    start = clock()
    structures = [m.structure for m in materials]
    ids = [content_id(s) for s in structures]
    read = clock()
    found = represent(
        structures,
        all_representations(names),
        cache=FeatureCache(args.cache),
        ids=ids,
        workers=args.workers,
    )
    end = clock()
    print(
        f"{len(materials)} structures read in {read[0] - start[0]:.0f} s (CPU "
        f"{read[1] - start[1]:.0f}); {len(found)} representations in {end[0] - read[0]:.0f} s (CPU "
        f"{end[1] - read[1]:.0f}, {args.workers} workers)",
        flush=True,
    )
    for one, features in found.items():
        if features.problems:
            first = next(iter(features.problems.values()))
            print(f"  {one}: {len(features.problems)} fail, first: {first}", flush=True)
    return materials, found


def run_features(args):
    computed(args, BEST)
    print("again, from the cache:")
    computed(args, BEST)


def run_cheap(args):
    computed(args, CHEAP)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["features", "ward"])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    chosen = parser.parse_args()
    for part in chosen.parts:
        begin = clock()
        globals()[f"run_{part}"](chosen)
        finish = clock()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"-- {part}: {finish[0] - begin[0]:.0f} s, CPU {finish[1] - begin[1]:.0f} s, "
            f"peak {peak:.2f} GB so far\n",
            flush=True,
        )
