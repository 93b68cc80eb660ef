"""How long pools take to be read, merged and ranked, and whether that grows with their size.

    SSEFW_SHARED_DATA=... python benchmarks/pools.py [check | peer | rank | structures] [SIZE ...]

`check` surveys pools of these sizes as `ssefw pool check` does, on two processes: slices of 5,255
crystals, and beyond them the same again in cells 4 % longer, so that none is a duplicate.
`peer` merges 1,000 beside pymatgen's matcher reducing both crystals of every pair of one formula,
as it does when it is called plainly.
`rank` scores so many compositions by a model of the starter labels.
`structures` scores crystals by systems that see them, which learned from OBELiX's crystals.
"""

import gzip
import json
import os
import resource
import sys
import tempfile
import time
from itertools import combinations, islice
from pathlib import Path

from ssefw.data.labels.sources import find_label_set
from ssefw.data.pools import merge_candidates, read_pool
from ssefw.data.survey import survey_pool

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
POOL = DATA / "pools" / "li_pool.jsonl.gz"
SIZES = (1000, 5255)
COMPOSITIONS = (100_000,)
WORKERS = 2
STRUCTURE_SYSTEMS = (
    ("conductivity", {}, 1000),
    ("atomsets", {"members": ["et"], "layer": "v1", "runs": 3}, 150),
    ("kang2022", {"n_splits": 5, "cell": "kang"}, 300),
    ("sendek2017", {"n_splits": 5}, 300),
    ("xrdmatch", {"method": "supervised", "members": 2, "iterations": 50}, 300),
)
"""What is fitted, and how many crystals it scores.

Members are few, since what takes the time is the description of a crystal."""


def rows(number):
    """Yield rows of the pool; from its end on again, each time in cells 4 % larger."""
    with gzip.open(POOL, "rt") as file:
        lines = [json.loads(line) for line in file]
    for place in range(number):
        deal, row = divmod(place, len(lines))
        record = dict(lines[row])
        if deal:
            lengths = [1.04**deal * x for x in record["lattice"][:3]]
            record["lattice"] = [*lengths, *record["lattice"][3:]]
            record["mp_id"] = f"{record.get('mp_id', row)}-{deal}"
        yield json.dumps(record)


def cpu():
    """Return seconds of CPU of this process and those that ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak():
    """Return the memory in GB of the largest process until now."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1e6


def run_check(sizes=SIZES):
    for number in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pool.jsonl"
            with path.open("w") as file:
                file.writelines(f"{row}\n" for row in rows(number))
            start, begun = cpu(), time.perf_counter()
            found = survey_pool(path, workers=WORKERS)
            used, took = cpu() - start, time.perf_counter() - begun
        print(
            f"{number:7d} crystals: {took:6.1f} s, {used:6.1f} s of CPU, {1e3 * used / number:.2f} "
            f"ms each; {len(found.merged)} duplicates; largest process so far {peak():.2f} GB",
            flush=True,
        )


def run_peer():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.jsonl"
        path.write_text("\n".join(rows(1000)))
        pool = read_pool(path, merge=False)
    start = time.process_time()
    merge_candidates(pool.candidates)
    peer(pool.candidates, time.process_time() - start)


def peer(candidates, ours):
    from ssefw.data.structures import _matcher

    by_formula = {}
    for candidate in candidates:
        by_formula.setdefault(candidate.formula, []).append(candidate.structure)
    start = time.process_time()
    pairs = 0
    for alike in by_formula.values():
        for one, other in combinations(alike, 2):
            _matcher().fit(one, other)
            pairs += 1
    theirs = time.process_time() - start
    print(f"        pymatgen's matcher on {pairs} pairs: {theirs:.1f} s; here {ours:.1f} s")


def run_rank(sizes=COMPOSITIONS):
    from ssefw.data.dataset import dataset_of
    from ssefw.data.materials import Material
    from ssefw.screening.conductivity.screener import ConductivityScreener
    from ssefw.screening.ranking import rank_materials

    screener = ConductivityScreener().fit(dataset_of(find_label_set("starter")))
    with gzip.open(POOL, "rt") as file:
        formulas = [json.loads(line)["formula"] for line in islice(file, 5255)]
    for number in sizes:
        stream = (Material(name=str(n), formula=formulas[n % len(formulas)]) for n in range(number))
        start, before = time.process_time(), peak()
        rank_materials(stream, screener, top=50)
        used = time.process_time() - start
        print(
            f"{number:7d} compositions ranked: {used:6.1f} s of CPU, {1e3 * used / number:.2f} ms "
            f"each; largest process {peak():.2f} GB, {before:.2f} GB before",
            flush=True,
        )


def run_structures():
    from ssefw.data.dataset import dataset_of
    from ssefw.data.labels.tables import read_label_table
    from ssefw.data.materials import materials_of
    from ssefw.screening.base import make_screener, usable_rows
    from ssefw.screening.ranking import rank_materials

    folder = DATA / "labels"
    labels = read_label_table(
        folder / "obelix_train.csv", structures=folder / "obelix_train_cifs.zip"
    )
    for name, settings, number in STRUCTURE_SYSTEMS:
        screener = make_screener(name, settings)
        screener.fit(usable_rows(screener, dataset_of(labels))[0])
        pool = list(materials_of(enumerate(islice(rows(number), number)), file="pool"))
        start = time.process_time()
        rank_materials(pool, screener, top=50)
        used = time.process_time() - start
        print(f"{name}: {1e3 * used / number:.1f} ms of CPU a crystal ({number})", flush=True)


if __name__ == "__main__":
    given = sys.argv[1:] or ["check", "peer", "rank"]
    sizes = tuple(int(word) for word in given if word.isdigit())
    for part in (word for word in given if not word.isdigit()):
        globals()[f"run_{part}"](*([sizes] if sizes else []))
