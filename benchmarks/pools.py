"""How long pools take to be read, merged and ranked, and whether that grows with their size.

    SSEFW_SHARED_DATA=... python benchmarks/pools.py [check | large | rank]

`check` reads slices of a pool of 5,255 crystals and merges duplicates, beside pymatgen's matcher
reducing both crystals of every pair of one formula, as it does when it is called plainly. `large`
reads and merges 25,000: the same crystals again in cells 4 % longer, so that none is a duplicate.
`rank` scores 100,000 compositions by a model of the starter labels.
"""

import gzip
import json
import os
import sys
import tempfile
import time
from itertools import combinations, islice
from pathlib import Path

from ssefw.data.labels.sources import find_label_set
from ssefw.data.pools import read_pool

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SSEFW_SHARED_DATA", HERE.parent.parent / "shared" / "data"))
POOL = DATA / "pools" / "li_pool.jsonl.gz"
SIZES = (300, 1000, 5255)


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


def run_large():
    run_check(sizes=(25_000,))


def run_check(sizes=SIZES):
    for number in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pool.jsonl"
            path.write_text("\n".join(rows(number)))
            start = time.process_time()
            pool = read_pool(path, merge=False)
            read = time.process_time() - start
            merged = read_pool(path)
            both = time.process_time() - start - read
        print(
            f"{number:7d} crystals: {both:6.1f} s of CPU, {1e3 * both / number:.2f} ms each "
            f"(reading {read:.1f} s); {len(merged.merged)} duplicates",
            flush=True,
        )
        if number == SIZES[1]:
            peer(pool.candidates, both - read)


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


def run_rank():
    from ssefw.data.dataset import dataset_of
    from ssefw.data.materials import Material
    from ssefw.screening.conductivity.screener import ConductivityScreener
    from ssefw.screening.ranking import rank_materials

    screener = ConductivityScreener().fit(dataset_of(find_label_set("starter")))
    with gzip.open(POOL, "rt") as file:
        formulas = [json.loads(line)["formula"] for line in islice(file, 5255)]
    pool = [Material(name=str(n), formula=formulas[n % len(formulas)]) for n in range(100_000)]
    start = time.process_time()
    rank_materials(pool, screener, top=50)
    print(f"100,000 compositions ranked: {time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    for part in sys.argv[1:] or ["check", "rank"]:
        globals()[f"run_{part}"]()
