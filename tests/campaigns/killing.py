"""Killing a campaign with all its processes, and comparing what it found with another's.

As a script it kills, freezes and starts again at random moments for as long as it is told:

    python -m tests.campaigns.killing --store server --kills 200 --seed 7
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from collections import Counter
from pathlib import Path

import numpy as np

from ssefw.documents import Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.store import connect, open_blobs
from ssefw.store.frames.trajectories import TrajectoryStore
from tests.conftest import CAMPAIGN, REPOSITORY, MongoServer

# EMT that notes each evaluation in a file: what was computed twice can be counted.
COUNTED = """
import os
from ase.calculators.emt import EMT

class Counted(EMT):
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        with open(os.environ["EVALUATIONS"], "a") as file:
            file.write(f"{len(self.atoms)}\\n")
"""


def prepare(folder, *, min_length=7):
    """Make a campaign; the longer the cells, the longer there is to stop it."""
    folder.mkdir()
    (folder / "counted.py").write_text(textwrap.dedent(COUNTED))
    text = CAMPAIGN.replace("ase.calculators.emt.EMT", "counted.Counted")
    text = text.replace("min_length: 3", f"min_length: {min_length}").replace(
        "length: 1.0", "length: 2.0"
    )
    (folder / "small.yaml").write_text(text)
    return {
        "PYTHONPATH": str(folder),
        "EVALUATIONS": str(folder / "evaluations"),
        "SSEFW_CALCULATOR_PACKAGES": "counted",
    }


def start(folder, environment, *arguments, store="st"):
    """Start the command line in the background."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SSEFW_")}
    return subprocess.Popen(
        [sys.executable, "-m", "ssefw", *arguments, "--store", store],
        cwd=folder,
        env=clean | environment | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def worker_pids(folder):
    """Return the workers of a campaign: processes that work in its folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"work" in words and (process / "cwd").resolve().is_relative_to(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def killed_at_each(moments, folder, environment, *, pause):
    """Run c.yaml, kill it after each moment has come, let it end at last; count the kills.

    Parameters
    ----------
    moments
        Functions that say whether a moment has come; each is taken just before a start.
    pause
        Most seconds between a moment and its kill.
    """
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - told where the test fails
    rng = random.Random(seed)
    command = ("run", "c.yaml", "--workers", "1")
    killed = 0
    for has_come in moments:
        process = start(folder, environment, *command)
        while process.poll() is None and not has_come():
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, pause))
        killed += process.poll() is None
        kill_9(process, folder, workers_too=True)
    last = start(folder, environment, *command)
    with last.stderr:
        said = last.stderr.read()
    assert last.wait() == 0, said
    return killed


def results(folder, address=None):
    """Return what a campaign found, without times and job ids."""
    timing = {"wall_time", "core_hours", "created", "started", "job_id", "segments", "cost"}

    def strip(record):
        if isinstance(record, dict):
            return {key: strip(value) for key, value in record.items() if key not in timing}
        return [strip(item) for item in record] if isinstance(record, list) else record

    address = address or folder / "st"
    store = TrajectoryStore(open_blobs(address))
    with connect(address, read_only=True) as connection:
        outcomes = list(connection.results.find(Outcome))
        # Of a run that was continued there is a ledger of each length; the longest comes last.
        ledgers = sorted(connection.results.find(Ledger), key=lambda ledger: ledger.n_steps)
        n_relaxed = connection.results.count(RelaxResult)
    frames = {
        ledger.key: np.concatenate([chunk.positions for chunk in store.chunks(ledger)])
        for ledger in ledgers
    }
    stripped = {outcome.formula: strip(outcome.as_dict()) for outcome in outcomes}
    return stripped, ledgers, frames, (len(outcomes), len(ledgers), n_relaxed)


def kill_9(process, folder, *, workers_too):
    """Kill a supervisor, perhaps with its workers, wait until all are gone, and count these."""
    pids = worker_pids(folder)
    process.kill()
    with process.stderr:
        process.wait()
    if workers_too:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while worker_pids(folder) and time.monotonic() < deadline:
        time.sleep(0.05)  # workers that lost their parent stop at the next chunk
    return len(pids)


# As a script

PER_CAMPAIGN = 8
"""Kills of one campaign; a job that loses its worker ten times counts as failed."""
LEASE = 3.0
ACTS = ("worker", "supervisor", "all", "freeze", "server")


class Session:
    """Campaigns that are killed again and again, compared with one that was not."""

    def __init__(self, folder, *, seed, on_server):
        self.folder = folder
        self.rng = random.Random(seed)
        self.done = Counter()
        self.server = None
        if on_server:
            (folder / "mongo").mkdir()
            self.server = MongoServer(folder / "mongo")
            self.server.start()
        self.expected, self.seconds = None, 0.0

    def address(self, name):
        """Return the address of the store of a campaign."""
        return "st" if self.server is None else f"{self.server.uri}/{name}_{uuid.uuid4().hex[:8]}"

    def campaign(self, name, *, kills):
        """Run a campaign that is killed so many times, and return what it found."""
        folder = self.folder / name
        environment = prepare(folder, min_length=3) | {"SSEFW_LEASE": str(LEASE)}
        environment |= {"SSEFW_SCRATCH": str(folder / "scratch"), "SSEFW_PATIENCE": "120"}
        environment["PYTHONPATH"] += f":{REPOSITORY}"
        address, left = self.address(name), kills
        while True:
            process = start(folder, environment, "run", "small.yaml", "--workers", "2",
                            store=address)  # fmt: skip
            while left and process.poll() is None:
                self.wait(process)
                if process.poll() is None:
                    left -= self.strike(process, folder)
            with process.stderr:
                said = process.stderr.read()
            if process.wait(600) == 0:
                break
            # The supervisor may have been killed, and workers end with it; nothing else ends it.
            assert kills, said
        found = results(folder, folder / "st" if address == "st" else address)
        self.check(folder, address)
        return found

    def wait(self, process):
        """Wait for a random while, or until the process has ended."""
        end = time.monotonic() + self.rng.uniform(0.0, 0.3) * self.seconds
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)

    def strike(self, process, folder):
        """Do something random; return how many processes were killed."""
        act = self.rng.choice(ACTS if self.server else ACTS[:-1])
        pids = worker_pids(folder)
        if act in {"worker", "freeze"} and not pids:
            return 0
        self.done[act] += 1
        if act == "server":
            self.server.kill()
            time.sleep(self.rng.uniform(0.0, 2.0))
            self.server.start()
        elif act == "worker":
            send(self.rng.choice(pids), signal.SIGKILL)
        elif act == "freeze":
            pid = self.rng.choice(pids)
            send(pid, signal.SIGSTOP)
            time.sleep(self.rng.uniform(0.0, 2.0 * LEASE))
            send(pid, signal.SIGCONT)
            return 0
        else:
            process.kill()
            for pid in pids if act == "all" else []:
                send(pid, signal.SIGKILL)
            process.wait()
            while worker_pids(folder):  # those that are left stop at the next chunk
                time.sleep(0.05)
        return 1

    def check(self, folder, address):
        """Assert that nothing was left over."""
        with connect(folder / "st" if address == "st" else address) as connection:
            launchpad = connection.launchpad
            assert launchpad.fireworks.distinct("state") == ["COMPLETED"]
            assert launchpad.launches.count_documents({"state": "RUNNING"}) == 0
            assert launchpad.workflows.count_documents({}) == 2
            assert connection.database["workers"].count_documents({}) == 0
        scratch = folder / "scratch"
        left = [*scratch.glob("launches/*"), *scratch.glob("runs/*")]
        assert not left, left
        assert not worker_pids(folder)

    def go_on(self, kills):
        """Kill so many times, campaign by campaign."""
        began = time.monotonic()
        self.expected = self.campaign("undisturbed", kills=0)
        self.seconds = time.monotonic() - began
        number = 0
        while (left := kills - self.n_kills) > 0:
            number += 1
            found = self.campaign(f"c{number}", kills=min(left, PER_CAMPAIGN))
            assert_same(found, self.expected)
            sys.stdout.write(f"campaign {number}: equal after {dict(self.done)}\n")
            sys.stdout.flush()
            shutil.rmtree(self.folder / f"c{number}")
        return number

    @property
    def n_kills(self):
        """How many times a process was killed."""
        return sum(count for act, count in self.done.items() if act != "freeze")


@contextlib.contextmanager
def session(folder, *, seed, on_server):
    """Give a session, and end its server."""
    killing = Session(folder, seed=seed, on_server=on_server)
    try:
        yield killing
    finally:
        if killing.server is not None:
            killing.server.kill()


def send(pid, signum):
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def assert_same(found, expected):
    """Compare outcomes, frames, and how many there are of each."""
    outcomes, ledgers, frames, counts = found
    assert outcomes == expected[0]
    assert counts == expected[3]
    assert all(ledger.is_complete for ledger in ledgers)
    assert frames.keys() == expected[2].keys()
    for key, positions in expected[2].items():
        np.testing.assert_array_equal(frames[key], positions)


def main():
    """Kill as told on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--store", choices=("folder", "server"), default="folder")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}, {options.store}\n")
    with (
        tempfile.TemporaryDirectory(prefix="killing-") as folder,
        session(Path(folder), seed=options.seed, on_server=options.store == "server") as killing,
    ):
        n_campaigns = killing.go_on(options.kills)
    sys.stdout.write(f"{killing.n_kills} kills in {n_campaigns} campaigns, all results equal: "
                     f"{dict(killing.done)}\n")  # fmt: skip


if __name__ == "__main__":
    main()
