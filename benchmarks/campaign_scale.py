"""Plan and submit a large campaign and ask how it stands: seconds, candidates a second, memory.

    python benchmarks/campaign_scale.py [--candidates 1000] [--store mongodb://host/empty_database]

The pool is a .jsonl of compounds of 16 atoms with different elements, as a user would give it. The
status is asked for twice: of what was submitted, and of a campaign in full swing, with eight more
jobs a candidate and an outcome of most. A job is handed out as to a worker, from this store and
from one of 500 candidates in turn. Times depend on the machine, those of the processor less than
those of the clock; ratios do not: the second half of the submission to the first shows whether the
store slows down as it fills, a job of the large store to one of the small whether size delays a
worker.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fireworks import FWorker
from pymatgen.core import Lattice, Structure
from pymongo import monitoring

CAMPAIGN = """\
campaign: scale
pool: {path: pool.jsonl}
md: {temperatures: [600, 800, 1000, 1200], length: 50}
"""


WORKERS = 2
"""Processes that read the pool; the command takes as many as there are cores."""

FEW = 500
"""Candidates of the campaign that a large one is held against."""

METALS = (
    "Na K Rb Cs Mg Ca Sr Ba Al Ga In Si Ge Sn P As Sb Bi Zn Cd Sc Y La B Tl Pb".split()  # noqa: SIM905
)
ANIONS = "O S Se Te F Cl Br I N".split()  # noqa: SIM905
PROGRESS = ("WAITING", "RUNNING", "COMPLETED", "COMPLETED", "FIZZLED")


def write_pool(folder, count):
    """Write chalcopyrite-like cells of 16 atoms, each with its own elements."""
    pairs = ((a, a, b, b) for a, b in itertools.combinations(METALS, 2))
    rest = ((a, b, b, b) for a, b in itertools.permutations(METALS, 2))
    triples = ((a, a, b, c) for a, b, c in itertools.permutations(METALS, 3) if b < c)
    sites = itertools.product(itertools.chain(pairs, rest, triples), ANIONS)
    with (folder / "pool.jsonl").open("w") as file:
        for number, (metals, anion) in enumerate(itertools.islice(sites, count)):
            structure = Structure(
                Lattice.tetragonal(5.6 + 0.0001 * number, 11.0),
                ["Li"] * 4 + list(metals) + [anion] * 8,
                [[x, y, z] for z in (0, 0.25, 0.5, 0.75) for x in (0, 0.5) for y in (0, 0.5)],
            )
            file.write(json.dumps(structure.as_dict()) + "\n")
    (folder / "scale.yaml").write_text(CAMPAIGN)


def put_in_full_swing(connection):
    """Add jobs and outcomes as hours of work would leave them."""
    launchpad, jobs = connection.launchpad, connection.database["jobs"]
    for number, sample in enumerate(list(launchpad.fireworks.find({"name": "relax"}))):
        candidate = sample["spec"]["candidate"]
        first = launchpad.get_new_fw_id(quantity=8)
        state = PROGRESS[number % 5] if number % 100 == 0 else "COMPLETED"
        names = [
            f"{stage} {t} K" for stage in ("md", "diffusivity") for t in (600, 800, 1000, 1200)
        ]
        launchpad.fireworks.insert_many(
            {key: value for key, value in sample.items() if key != "_id"}
            | {"fw_id": first + place, "name": name, "state": state}
            for place, name in enumerate(names)
        )
        if state == "COMPLETED":
            metadata = {"campaign": "scale", "candidate": candidate}
            output = {"@class": "Outcome", "@module": "ssefw.documents", "text": "x" * 5000}
            jobs.insert_one({"uuid": f"u{number}", "index": 2, "metadata": metadata,
                             "output": output})  # fmt: skip


def handed_out(connections, folder, *, count=30):
    """Return the median CPU-milliseconds of handing out a job, of each store, in turn."""
    spent = [[] for _ in connections]
    for _ in range(count):
        for connection, found in zip(connections, spent, strict=True):
            start = time.process_time()
            firework, _ = connection.launchpad.checkout_fw(FWorker("scale"), str(folder))
            found.append(1e3 * (time.process_time() - start))
            assert firework is not None
    return [statistics.median(found) for found in spent]


def put_few_in_full_swing(folder, store):
    """Put a campaign of few candidates on a store of its own."""
    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.running.submission import submit

    folder.mkdir()
    write_pool(folder, FEW)
    plan = make_plan(read_campaign(folder / "scale.yaml"))
    submit(plan, store)
    put_in_full_swing(store)


class Commands(monitoring.CommandListener):
    """Counts what is asked of a server; unlike seconds, this is the same on any machine."""

    def __init__(self):
        self.counts = Counter()

    def started(self, event):  # noqa: D102 -- pymongo's
        self.counts[event.command_name] += 1

    def succeeded(self, event):  # noqa: D102 -- pymongo's
        pass

    failed = succeeded


def ask(store, folder):
    """Return the seconds, wall and CPU, of a ``ssefw status`` and what it says."""
    start, used = time.perf_counter(), cpu_of_children()
    command = [sys.executable, "-m", "ssefw", "status", "--json", "--store", str(store)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
    seconds = time.perf_counter() - start, cpu_of_children() - used
    return "{:.2f} s ({:.2f} s of CPU)".format(*seconds), json.loads(said)


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--store", help="address of an empty store; default: a new folder")
    options = parser.parse_args()

    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.running.submission import campaign_record, submit
    from ssefw.store import connect

    commands = Commands()
    monitoring.register(commands)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = options.store or folder / "st"
        write_pool(folder, options.candidates)

        start, used = time.perf_counter(), time.process_time() + cpu_of_children()
        plan = make_plan(read_campaign(folder / "scale.yaml"), workers=WORKERS)
        campaign_record(plan)
        planned = time.perf_counter() - start
        used = time.process_time() + cpu_of_children() - used
        n_candidates = len(plan.candidates)

        marks = {0: time.perf_counter()}
        with connect(store) as connection:
            commands.counts.clear()
            began, spent = time.perf_counter(), time.process_time()
            submit(plan, connection, progress=lambda n: marks.update({n: time.perf_counter()}))
            submitted, spent = time.perf_counter() - began, time.process_time() - spent
            asked = commands.counts.copy()
            half = min(marks, key=lambda n: abs(n - n_candidates / 2))
            slowing = (marks[n_candidates] - marks[half]) / (marks[half] - marks[0])
            slowing *= half / (n_candidates - half)
            size = sum(f.stat().st_size for f in (folder / "st").rglob("*") if f.is_file())
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"candidates                     {n_candidates}")
            print(f"plan                           {planned:.1f} s ({used:.1f} s of CPU)")
            print(f"submit                         {submitted:.1f} s ({spent:.1f} s of CPU)")
            if options.store:
                kinds = ", ".join(f"{count} {name}" for name, count in asked.most_common())
                print(f"commands of submission         {asked.total()}: {kinds}")
                print(f"commands a candidate           {asked.total() / n_candidates:.3f}")
            print(f"second half over first half    {slowing:.2f}")
            print(f"peak memory                    {memory:.2f} GiB")
            if not options.store:
                each = size / n_candidates / 1024
                print(f"store on disk                  {each:.1f} KiB a candidate")
            print(f"status after submission        {ask(store, folder)[0]}", flush=True)
            put_in_full_swing(connection)
            later, status = ask(store, folder)
            with connect(folder / "few") as few:
                put_few_in_full_swing(folder / "small", few)
                say_full_swing(later, status, *handed_out((connection, few), folder))


def say_full_swing(later, status, one, other):
    n_jobs = sum(group["count"] for group in status["jobs"])
    print(f"status in full swing           {later} for {n_jobs} jobs")
    print(f"a job is handed out            {one:.1f} ms of CPU; of {FEW} candidates {other:.1f} ms")
    print(f"ratio to that of {FEW}           {one / other:.2f}")


if __name__ == "__main__":
    main()
