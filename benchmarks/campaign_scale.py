"""Plan and submit a large campaign on the embedded store: seconds, candidates a second, memory.

    python benchmarks/campaign_scale.py [--candidates 1000]

The pool is a .jsonl of compounds of 16 atoms with different elements, as a user would give it.
Times depend on the machine; the ratio of the second half of the submission to the first does not,
and shows whether the store slows down as it fills.
"""

import argparse
import itertools
import json
import resource
import tempfile
import time
from pathlib import Path

from pymatgen.core import Lattice, Structure

CAMPAIGN = """\
campaign: scale
pool: {path: pool.jsonl}
md: {temperatures: [600, 800, 1000, 1200], length: 50}
"""


METALS = [
    "Na",
    "K",
    "Rb",
    "Cs",
    "Mg",
    "Ca",
    "Sr",
    "Ba",
    "Al",
    "Ga",
    "In",
    "Si",
    "Ge",
    "Sn",
    "P",
    "As",
    "Sb",
    "Bi",
    "Zn",
    "Cd",
    "Sc",
    "Y",
    "La",
    "B",
    "Tl",
    "Pb",
]
ANIONS = ["O", "S", "Se", "Te", "F", "Cl", "Br", "I", "N"]


def write_pool(folder, count):
    """Write chalcopyrite-like cells of 16 atoms, each with its own three elements."""
    pairs = itertools.product((2, 1), itertools.combinations(METALS, 2), ANIONS)
    with (folder / "pool.jsonl").open("w") as file:
        for number, (n, (first, second), anion) in zip(range(count), pairs, strict=False):
            structure = Structure(
                Lattice.tetragonal(5.6 + 0.001 * number, 11.0),
                ["Li"] * 4 + [first] * n + [second] * (4 - n) + [anion] * 8,
                [[x, y, z] for z in (0, 0.25, 0.5, 0.75) for x in (0, 0.5) for y in (0, 0.5)],
            )
            file.write(json.dumps(structure.as_dict()) + "\n")
    (folder / "scale.yaml").write_text(CAMPAIGN)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1000)
    count = parser.parse_args().candidates

    from ssefw.campaigns.launch import campaign_record, submit
    from ssefw.campaigns.plan import make_plan
    from ssefw.campaigns.spec import read_campaign
    from ssefw.store import connect

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pool(folder, count)

        start = time.perf_counter()
        plan = make_plan(read_campaign(folder / "scale.yaml"))
        campaign_record(plan)
        planned = time.perf_counter() - start
        n_candidates = len(plan.candidates)

        marks = {}
        start = time.perf_counter()
        with connect(folder / "st") as connection:
            submit(plan, connection, progress=lambda n: marks.update({n: time.perf_counter()}))
        submitted = time.perf_counter() - start
        half = n_candidates // 2
        slowing = (marks[n_candidates] - marks[half]) / (marks[half] - marks[1])
        size = sum(f.stat().st_size for f in (folder / "st").rglob("*") if f.is_file())

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"candidates                     {n_candidates}")
    print(f"plan                           {planned:.1f} s")
    print(f"submit                         {submitted:.1f} s")
    print(f"second half over first half    {slowing:.2f}")
    print(f"peak memory                    {memory:.2f} GiB")
    print(f"store on disk                  {size / n_candidates / 1024:.1f} KiB a candidate")


if __name__ == "__main__":
    main()
