"""What the embedded store costs: a large submission, a job, an opening, a look at the results.

    python benchmarks/embedded_store.py [submit] [jobs] [open] [results] [--quick]

Each part prints its lines as it ends; without a name all parts run (three minutes on two cores).
Times are CPU seconds of the process, which other work on the machine does not change, and wall
seconds. The peers of `jobs` run the same FireWorks in the same process: mongomock in memory (what
a store costs that keeps nothing) and mongomock written to a JSON file after every job (what it
costs to keep everything in the plainest way).
"""

import argparse
import contextlib
import io
import json
import logging
import math
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import jobflow
import mongomock
from bson import json_util
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow, JobStore, job
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore
from mongomock.gridfs import enable_gridfs_integration
from pymatgen.core import Lattice, Structure

from ssefw.documents import Estimate, Label
from ssefw.store import connect
from ssefw.store.embedded.collection import SortlessBulk


@dataclass
class Spent:
    """CPU and wall seconds between entering and leaving a block."""

    cpu: float = 0.0
    wall: float = 0.0

    def __enter__(self):
        self._start = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.cpu = time.process_time() - self._start[0]
        self.wall = time.perf_counter() - self._start[1]


@job
def stage(*inputs, **settings):
    return len(inputs) + len(settings)


def candidate_flow(structure, number):
    """Relaxation, molecular dynamics at four temperatures, a fit, an outcome."""
    relaxed = stage(structure, fmax=0.05, max_steps=500)
    runs = [stage(relaxed.output, temperature=t, steps=50_000) for t in (600, 800, 1000, 1200)]
    fit = stage([run.output for run in runs])
    flow = Flow([relaxed, *runs, fit, stage(fit.output)], name=f"candidate {number}")
    flow.update_metadata({"campaign": "benchmark", "candidate": f"candidate-{number}"})
    return flow


def submit(folder, n_candidates):
    """Graph, conversion and storage of many candidates of 48 atoms, seven jobs each."""
    sites = [[x / 4, y / 4, z / 3] for x in range(4) for y in range(4) for z in range(3)]
    structure = Structure(Lattice.cubic(9.2), ["Li", "O"] * 24, sites)
    building, converting, adding = Spent(), Spent(), Spent()
    totals = dict.fromkeys(("graph", "conversion", "store"), 0.0)
    with connect(folder) as connection, Spent() as total:
        for number in range(n_candidates):
            with building:
                flow = candidate_flow(structure, number)
            with converting:
                workflow = flow_to_workflow(flow, store=None)
            with adding:
                connection.launchpad.add_wf(workflow)
            for name, spent in zip(totals, (building, converting, adding), strict=True):
                totals[name] += spent.cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"submit: {n_candidates} candidates x 7 jobs: {total.cpu:.1f} s CPU, {total.wall:.1f} s "
        f"wall, {memory:.0f} MB of memory, {(folder / 'store.sqlite').stat().st_size / 1e6:.0f} MB "
        "on disk"
    )
    print("        " + ", ".join(f"{name} {spent:.1f} s" for name, spent in totals.items()))


def in_memory():
    """Return a launch pad and a job store that keep nothing."""
    enable_gridfs_integration()
    with patch("fireworks.core.launchpad.MongoClient", lambda *_, **__: mongomock.MongoClient()):
        launchpad = LaunchPad(strm_lvl="CRITICAL")
    launchpad.reset("", require_password=False)
    job_store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore("data")})
    job_store.connect()
    return launchpad, job_store


def dumped(path, launchpad, job_store):
    """Write everything to a JSON file and put it in the place of the last one."""
    everything = {
        name: list(launchpad.db[name].find()) for name in launchpad.db.list_collection_names()
    }
    everything["jobs"] = list(job_store.query())
    part = path.with_suffix(".part")
    part.write_text(json.dumps(everything, default=json_util.default))
    part.replace(path)


def cost_of_a_job(launchpad, job_store, n_jobs, n_runs, after):
    """Return what one trivial job costs when `n_jobs` are in the store."""
    take_root = job(math.sqrt)
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        launchpad.bulk_add_wfs([flow_to_workflow(take_root(16), store=None) for _ in range(n_jobs)])
    worker = FWorker()
    with (
        patch.object(jobflow.SETTINGS, "JOB_STORE", job_store),
        # mongomock alone does not take the requests of this pymongo
        patch("mongomock.collection.BulkOperationBuilder", SortlessBulk),
        contextlib.redirect_stdout(io.StringIO()),
        tempfile.TemporaryDirectory() as scratch,
        contextlib.chdir(scratch),
        Spent() as spent,
    ):
        for _ in range(n_runs):
            rapidfire(launchpad, worker, nlaunches=1, strm_lvl="CRITICAL")
            after()
    n_done = launchpad.get_fw_ids({"state": "COMPLETED"}, count_only=True)
    if n_done != n_runs:
        raise SystemExit(f"{n_runs - n_done} of {n_runs} jobs have failed: nothing was measured")
    return spent


def jobs(folder, sizes, n_runs):
    """Compare what one job costs in a small and in a large store."""
    costs = {}
    for size in sizes:
        with connect(folder / f"jobs-{size}") as connection:
            costs["embedded", size] = cost_of_a_job(
                connection.launchpad, connection.job_store, size, n_runs, lambda: None
            )
        launchpad, store = in_memory()
        costs["in memory", size] = cost_of_a_job(launchpad, store, size, n_runs, lambda: None)
        launchpad, store = in_memory()
        costs["JSON file", size] = cost_of_a_job(
            launchpad,
            store,
            size,
            n_runs,
            lambda pad=launchpad, store=store: dumped(folder / "all.json", pad, store),
        )
    for kind in ("embedded", "in memory", "JSON file"):
        cpu = [costs[kind, size].cpu / n_runs * 1000 for size in sizes]
        wall = [costs[kind, size].wall / n_runs * 1000 for size in sizes]
        print(
            f"jobs: {kind:9}  "
            + "  ".join(
                f"{c:6.1f} ms CPU ({w:6.1f} wall) a job at {size}"
                for c, w, size in zip(cpu, wall, sizes, strict=True)
            )
            + f"  ratio {cpu[-1] / cpu[0]:.2f}"
            + f"  {cpu[-1] / (costs['embedded', sizes[-1]].cpu / n_runs * 1000):.1f} x embedded"
        )


def opening(folder, n_jobs):
    """Open a store with many jobs in it."""
    with connect(folder) as connection:
        launchpad = connection.launchpad
        while launchpad.get_fw_ids(count_only=True) < n_jobs:
            chain = [stage()]
            for _ in range(49):
                chain.append(stage(chain[-1].output))
            launchpad.add_wf(flow_to_workflow(Flow(chain), store=None))
    for options in ({}, {"read_only": True}):
        with Spent() as spent:
            connect(folder, **options).close()
        print(f"open: {n_jobs} jobs, {options}: {spent.cpu:.3f} s CPU, {spent.wall:.3f} s wall")


def results(folder, n_outputs):
    """Find, count and decode many outputs."""
    estimate = Estimate.undetermined("no data", unit="S/cm")
    with connect(folder) as connection:
        for start in range(0, n_outputs, 500):
            connection.job_store.update(
                [
                    {
                        "uuid": f"job-{number}",
                        "index": 1,
                        "metadata": {"campaign": f"c{number % 2}", "candidate": str(number)},
                        "output": Label(
                            candidate_id=str(number),
                            formula="Li2O",
                            conductivity=estimate,
                            temperature=300.0,
                            kind="experiment",
                        ).as_dict(),
                    }
                    for number in range(start, start + 500)
                ]
            )
        for what, question in (
            ("find all", lambda: sum(1 for _ in connection.results.find(Label))),
            (
                "find one campaign",
                lambda: sum(1 for _ in connection.results.find(Label, campaign="c1")),
            ),
            (
                "find one candidate",
                lambda: sum(1 for _ in connection.results.find(Label, candidate="7")),
            ),
            ("count", lambda: connection.results.count(Label, campaign="c1")),
        ):
            with Spent() as spent:
                n = question()
            print(f"results: {what}: {n} of {n_outputs} in {spent.cpu:.4f} s CPU")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="submit, jobs, open, results; default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    share = 10 if options.quick else 1
    parts = {
        "submit": lambda folder: submit(folder / "submit", 1000 // share),
        "jobs": lambda folder: jobs(folder, [200 // share, 2000 // share], 30 // share),
        "open": lambda folder: opening(folder / "open", 7000 // share),
        "results": lambda folder: results(folder / "results", 10_000 // share),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in options.parts or parts:
            parts[name](Path(folder))


if __name__ == "__main__":
    main()
