"""A campaign of alloys with EMT, its launcher in a process of its own, and what became of it."""

import os
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise

import pytest

from ssefw.documents import Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.store import connect
from tests.conftest import REPOSITORY

METALS = {"Cu": 3.61, "Au": 4.08, "Ag": 4.09, "Ni": 3.52, "Pd": 3.89, "Pt": 3.92}
PAIRS = [("Cu", other) for other in ("Au", "Ag", "Ni", "Pd", "Pt")]


def unit_cell(name, a, b, length):
    return f"""\
    - name: {name}
      poscar: |
        {name}
        1.0
        {length} 0 0
        0 {length} 0
        0 0 {length}
        {a} {b}
        1 3
        direct
        0 0 0
        0.5 0.5 0
        0.5 0 0.5
        0 0.5 0.5
"""


def campaign_text(name="fleet", *, n=10, length=1.0):
    cells = [unit_cell(f"{a}-{b}", a, b, (METALS[a] + 3 * METALS[b]) / 4) for a, b in PAIRS]
    cells += [unit_cell(f"{b}-{a}", b, a, (METALS[b] + 3 * METALS[a]) / 4) for a, b in PAIRS]
    return (
        f"campaign: {name}\nspecie: Cu\npool:\n  structures:\n{''.join(cells[:n])}"
        "engine: {calculator: ase.calculators.emt.EMT}\n"
        "supercell: {min_length: 3, max_atoms: 40}\n"
        f"md: {{temperatures: [500], length: {length}, equilibration: 0.2, timestep: 2, "
        "steps_per_frame: 5}\n"
    )


class Launcher:
    """``ssefw launch`` in a process of its own."""

    def __init__(self, folder, *options, store="st", env=None):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SSEFW_")}
        self.log = folder / f"launcher-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "ssefw", "launch", "--store", store, "--site", "."]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--interval", "2", *options],
                cwd=folder,
                env=clean | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"} | (env or {}),
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self, timeout):
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the launcher did not end: {self.log.read_text()}")
        return self.process.returncode


def wait_for(condition, timeout=120, what="condition"):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.3)
    return pytest.fail(f"{what} did not come in {timeout} s")


def running(store):
    """Return (queue job, process id) of the launches that run now."""
    with connect(store, read_only=True) as connection:
        launchpad = connection.launchpad
        ids = [
            firework["launches"][-1]
            for firework in launchpad.fireworks.find({"state": "RUNNING"}, {"launches": True})
        ]
        found = launchpad.launches.find({"launch_id": {"$in": ids}}, {"fworker": True})
        env = [launch["fworker"]["env"] for launch in found]
    return [(item["job_id"], item["pid"]) for item in env]


def incidents(store):
    with connect(store, read_only=True) as connection:
        return list(connection.database["incidents"].find())


def assert_complete_and_computed_once(store, n):
    with connect(store, read_only=True) as connection:
        assert set(connection.launchpad.fireworks.distinct("state")) == {"COMPLETED"}
        assert connection.results.count(Outcome) == n
        assert connection.results.count(RelaxResult) == n
        ledgers = list(connection.results.find(Ledger))
        queue_jobs = list(connection.database["queue_jobs"].find())
        losses = Counter(item["fw_id"] for item in connection.database["incidents"].find())
        begun = Counter(
            launch["fw_id"]
            for launch in connection.launchpad.launches.find({}, {"fw_id": 1, "state_history": 1})
            if any(entry["state"] == "RUNNING" for entry in launch["state_history"])
        )
        for firework in connection.launchpad.fireworks.find({}):
            assert begun[firework["fw_id"]] == 1 + losses[firework["fw_id"]], firework["name"]
    assert len(ledgers) == n
    assert all(ledger.is_complete for ledger in ledgers)
    for ledger in ledgers:
        steps = [(segment.first_step, segment.last_step) for segment in ledger.segments]
        assert all(one[1] == two[0] for one, two in pairwise(steps))
    assert all(job["state"] == "ended" for job in queue_jobs)
    return queue_jobs
