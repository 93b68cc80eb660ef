"""How long questions to a store of many outcomes take.

    python benchmarks/results_query.py [--outcomes 100000] [--store ADDRESS] [--keep FOLDER]
    python benchmarks/results_query.py --outcomes 0 --store ADDRESS   # one that is filled

Makes outcomes of random compositions with three temperatures of 40 lags each (about 10 kB), stores
them, and asks as `ssefw results find` does, each question in a fresh process-local connection. The
time of a question is the smaller of two askings; nothing is cached between them but SQLite's pages.

CPU time is that of this process and, with `--pid`, that of a server on the same machine.

Of a server, each `find` that was sent is explained: the index that answers it, or SCAN where the
server reads the collection. How many records came back says what the network carries.
"""

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from pymongo import monitoring
from pymongo.errors import OperationFailure

from ssefw.documents import (
    ArrheniusPoint,
    Conductivity,
    Diffusivity,
    Estimate,
    Gate,
    Outcome,
    Provenance,
)
from ssefw.store import connect
from ssefw.store.results.query import Ask

METALS = ("Al", "B", "Ge", "La", "Mg", "P", "Si", "Sn", "Ta", "Ti", "Y", "Zr", "In", "Sb", "Ga")
ANIONS = ("Br", "Cl", "F", "I", "N", "O", "S", "Se", "H")
QUESTIONS = {
    "best 50": (Ask(), "sigma"),
    "best 50 above 1e-3 S/cm": (Ask(min_sigma=1e-3), "sigma"),
    "lowest barriers above 1e-3 S/cm": (Ask(min_sigma=1e-3), "ea"),
    "with S, without Ge, above 1e-4": (
        Ask(elements=["S"], without=["Ge"], min_sigma=1e-4),
        "sigma",
    ),
    "with S and Ge": (Ask(elements=["S", "Ge"]), "sigma"),
    "chemical system Li-P-S": (Ask(system="Li-P-S"), "sigma"),
    "one formula": (Ask(formula="Li3PS4"), None),
    "between 1e-5 and 2e-5, by formula": (Ask(min_sigma=1e-5, max_sigma=2e-5), "formula"),
    "certainly above 1e-2": (Ask(min_sigma=1e-2), "sigma"),
    "gate volume_change": (Ask(gate="volume_change"), None),
    "failed": (Ask(status="failed"), None),
    "one campaign's best": (Ask(campaign="c7"), "sigma"),
    "none (elements that do not occur)": (Ask(elements=["Xe"]), "sigma"),
}


def outcome(rng: np.random.Generator, number: int) -> Outcome:
    """Return a made-up outcome."""
    chosen = rng.choice(METALS, 2, replace=False)
    amounts = rng.integers(1, 13, 4)
    names = ["Li", *sorted(chosen), str(rng.choice(ANIONS))]
    formula = "".join(f"{a}{n if n > 1 else ''}" for a, n in zip(names, amounts, strict=True))
    if rng.random() < 0.002:
        formula = "Li3PS4"
    status = str(rng.choice(["determined", "bound", "rejected", "failed"], p=[0.4, 0.4, 0.1, 0.1]))
    sigma = float(10 ** rng.uniform(-10, -1.5))
    passed = status != "rejected"
    return Outcome(
        candidate_id=f"{number:016x}",
        formula=formula,
        campaign=f"c{number % 50}",
        status=status,
        conductivity=_conductivity(sigma, status) if status in {"determined", "bound"} else None,
        diffusivities=tuple(_run(rng, t) for t in (600.0, 750.0, 900.0)) if passed else (),
        gates=(
            Gate(
                name="relaxation",
                passed=passed,
                code="ok" if passed else str(rng.choice(["volume_change", "not_relaxed"])),
                message="",
            ),
        ),
        provenance=Provenance(engine="chgnet-0.3.0", settings_hash="abc"),
    )


def _conductivity(sigma: float, status: str) -> Conductivity:
    estimate = Estimate(value=sigma, lower=sigma / 3, upper=sigma * 3, unit="S/cm")
    energy = Estimate(value=0.3, lower=0.2, upper=0.4, unit="eV")
    if status == "bound":
        estimate = Estimate.below(sigma, unit="S/cm", reason="no hops")
        energy = Estimate.undetermined("no hops", unit="eV")
    else:
        ev = -0.026 * float(np.log(sigma / 1e3))
        energy = Estimate(value=ev, lower=ev - 0.05, upper=ev + 0.05, unit="eV")
    return Conductivity(
        specie="Li",
        conductivity=estimate,
        activation_energy=energy,
        prefactor=Estimate.undetermined("made up", unit="cm^2/s"),
        points=tuple(
            ArrheniusPoint(temperature=t, diffusivity=estimate, conductivity=estimate, is_used=True)
            for t in (600.0, 750.0, 900.0)
        ),
        carrier_charge=1.0,
        n_mobile=20,
        volume=1000.0,
    )


def _run(rng: np.random.Generator, temperature: float) -> Diffusivity:
    lags = np.geomspace(0.1, 5.0, 40)
    return Diffusivity(
        specie="Li",
        temperature=temperature,
        tracer=Estimate.undetermined("made up", unit="cm^2/s"),
        regime="diffusive",
        n_mobile=20,
        n_atoms=60,
        volume=1000.0,
        n_frames=1000,
        duration=10.0,
        n_hops=10.0,
        hop_distance=2.5,
        lag_times=tuple(lags.tolist()),
        msd=tuple((lags * rng.random()).tolist()),
        msd_framework=tuple((lags * 0.01).tolist()),
    )


def fill(address: str, n: int) -> float:
    """Store outcomes of jobs and return the seconds it took."""
    rng = np.random.default_rng(0)
    began = time.perf_counter()
    with connect(address) as connection:
        jobs = connection.database["jobs"]
        rows = (
            {
                "uuid": f"job-{number}",
                "index": 1,
                "name": "conclude",
                "output": (item := outcome(rng, number)).as_dict(),
                "metadata": {"campaign": item.campaign, "candidate": item.candidate_id},
                "hosts": [],
            }
            for number in range(n)
        )
        while batch := list(itertools.islice(rows, 1000)):
            jobs.insert_many(batch)
    return time.perf_counter() - began


class Sent(monitoring.CommandListener):
    """Notes what is asked of the jobs of a server, and how many records come back."""

    def __init__(self) -> None:
        self.finds: list[dict] = []
        self.records = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Note a question."""
        if event.command_name == "find" and event.command["find"] == "jobs":
            keep = ("find", "filter", "sort", "projection", "limit")
            self.finds.append({key: event.command[key] for key in keep if key in event.command})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Count what came."""
        cursor = event.reply.get("cursor") or {}
        self.records += len(cursor.get("firstBatch", cursor.get("nextBatch", ())))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing came."""

    def explained(self, database) -> str:
        """Return the indices that answered the last question, in the order of its finds."""
        found = []
        for command in self.finds:
            try:
                plan = database.command({"explain": command})["queryPlanner"]["winningPlan"]
            except OperationFailure:
                return "the server explains nothing"
            while "inputStage" in plan:
                plan = plan["inputStage"]
            found.append(_short(plan.get("indexName", "SCAN")))
        return ", ".join(dict.fromkeys(found))


def _short(name: str) -> str:
    return name.replace("output.", "").replace("conductivity.conductivity", "sigma")


def cpu_time(server: int | None) -> float:
    """Return the CPU time in s of this process and, if there is one, of a server."""
    used = time.process_time()
    if server is not None:
        fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        used += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return used


def main() -> None:
    """Fill a store, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outcomes", type=int, default=5000)
    parser.add_argument("--store", help="address of an empty store (or a filled one); by default a "
                        "folder")  # fmt: skip
    parser.add_argument("--pid", type=int, help="process of the server, if it is on this machine")
    parser.add_argument("--keep", help="folder of a store that is kept and used again")
    arguments = parser.parse_args()
    sent = Sent()
    monitoring.register(sent)
    with tempfile.TemporaryDirectory() as folder:
        address = arguments.store or arguments.keep or folder
        is_kept = arguments.keep and (Path(arguments.keep) / "store.sqlite").exists()
        if arguments.outcomes and not is_kept:
            seconds = fill(address, arguments.outcomes)
            print(f"{arguments.outcomes} outcomes stored in {seconds:.0f} s")
        print(f"{'question':36s} {'found':>6s} {'wall s':>8s} {'CPU s':>8s}")
        for name, (ask, sort) in QUESTIONS.items():
            walls, cpus, n = [], [], 0
            for _ in range(2):
                with connect(address, read_only=True) as connection:
                    sent.finds, sent.records = [], 0
                    wall, cpu = time.perf_counter(), cpu_time(arguments.pid)
                    n = len(list(connection.results.ask("outcomes", ask, sort=sort, limit=50)))
                    walls.append(time.perf_counter() - wall)
                    cpus.append(cpu_time(arguments.pid) - cpu)
                    came = sent.records
                    how = sent.explained(connection.database) if sent.finds else ""
            said = f"  {came} came; {how}" if how else ""
            print(f"{name:36s} {n:6d} {min(walls):8.3f} {min(cpus):8.3f}{said}", flush=True)


if __name__ == "__main__":
    main()
