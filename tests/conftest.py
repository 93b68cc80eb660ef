"""Fixtures that are named by what they are."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import jobflow
import pytest
from hypothesis import HealthCheck, settings
from pymatgen.core import Lattice, Structure

from ssefw.cli import main
from ssefw.engines.stopping import SIGNALS
from tests.slow_order import commit_of, in_turn

REPOSITORY = Path(__file__).parent.parent
REQUIRED_PROGRAMS = (
    "pw.x", "neb.x", "cp2k.psmp", "sbatch", "chromium", "chromedriver", "sshd", "rsync",
)  # fmt: skip
PROGRAMS_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
"""Where they are: whoever is not root has no /usr/sbin in the path."""

# How long an example takes says how loaded the machine is.
# The same examples every time, so that the suite says something of a change and nothing of luck;
# SSEFW_FUZZ, the number of damaged files of each kind, looks for new ones.
settings.register_profile(
    "here",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="SSEFW_FUZZ" not in os.environ,
)
settings.load_profile("here")


def pytest_configure(config):
    """Where the integration tests are required, do not skip them for want of a program."""
    if os.environ.get("SSEFW_TEST_REQUIRE"):
        missing = [name for name in REQUIRED_PROGRAMS if not shutil.which(name, path=PROGRAMS_PATH)]
        if missing:
            pytest.exit(f"SSEFW_TEST_REQUIRE is set and not installed: {', '.join(missing)}", 1)
    # pytest-xdist would hand out the files with the fewest tests last, which take longest.
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Run files with slow tests first, so that none is left over while other processes idle.

    Where these have some minutes only, other files come first with each commit.
    """
    slow = {
        str(item.path.relative_to(REPOSITORY))
        for item in items
        if any(item.get_closest_marker(name) for name in ("slow", "slurm", "qe"))
    }
    commit = commit_of(REPOSITORY) if SLOW_MINUTES in os.environ else ""
    place = {name: number for number, name in enumerate(in_turn(slow, commit))}
    items.sort(key=lambda item: place.get(str(item.path.relative_to(REPOSITORY)), len(place)))


SLOW_MINUTES = "SSEFW_TEST_SLOW_MINUTES"
BEGAN = time.monotonic()


def slow_time_is_over(minutes):
    """Why a slow test is left out."""
    return f"the {minutes:g} minutes for slow tests are over"


def pytest_runtest_setup(item):
    """Where slow tests have so many minutes only, leave out those that would begin later."""
    minutes = float(os.environ.get(SLOW_MINUTES, "inf"))
    if item.get_closest_marker("slow") and time.monotonic() - BEGAN > 60.0 * minutes:
        pytest.skip(slow_time_is_over(minutes))


def pytest_terminal_summary(terminalreporter):
    """Say how many slow tests were left out, that nobody takes them for passed."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])]
    count = sum("minutes for slow tests are over" in reason for reason in reasons)
    if count:
        terminalreporter.write_line(
            f"{count} slow tests were left out; with another commit others are. "
            f"All: `make test PYTEST_ARGS=` without {SLOW_MINUTES}."
        )


@pytest.fixture(autouse=True)
def _clean_settings(monkeypatch, tmp_path):
    """Tests see neither the settings nor the store of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("SSEFW_") and not name.startswith("SSEFW_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSEFW_SETTINGS", str(tmp_path / "no-settings.yaml"))


class MongoServer:
    """A process that speaks MongoDB's protocol and may be killed, frozen and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.port = "0"
        self.process = None

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, REPOSITORY / "tests/mongo_server.py", self.port, self.folder],
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def mongo(tmp_path_factory):
    """The address of a server that tests share."""
    if named := os.environ.get("SSEFW_TEST_MONGO"):
        yield named.rstrip("/")
        return
    server = MongoServer(tmp_path_factory.mktemp("mongo"))
    server.start()
    yield server.uri
    server.kill()


@pytest.fixture
def copper():
    """Four atoms of copper, which EMT describes."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])


@pytest.fixture
def li2o():
    """Antifluorite Li2O, a = 4.619 A (Farley et al., J. Chem. Soc. Faraday Trans. 87, 2783)."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.619), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


@pytest.fixture
def lif():
    """Rock-salt LiF, a = 4.026 A."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.026), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


CAMPAIGN = """\
campaign: small
specie: Cu
pool:
  structures:
    - name: copper
      reference: "Straumanis & Yu, Acta Cryst. A 25, 676 (1969)"
      poscar: |
        Cu4
        1.0
        3.6 0 0
        0 3.6 0
        0 0 3.6
        Cu
        4
        direct
        0 0 0
        0.5 0.5 0
        0.5 0 0.5
        0 0.5 0.5
    - name: copper-gold
      poscar: |
        AuCu3
        1.0
        3.75 0 0
        0 3.75 0
        0 0 3.75
        Au Cu
        1 3
        direct
        0 0 0
        0.5 0.5 0
        0.5 0 0.5
        0 0.5 0.5
engine: {calculator: ase.calculators.emt.EMT}
supercell: {min_length: 3, max_atoms: 40}
md:
  temperatures: [300, 600]
  length: 1.0
  equilibration: 0.2
  timestep: 2
  steps_per_frame: 5
"""


@pytest.fixture
def campaign_file(tmp_path):
    """A campaign of two metals with EMT, which takes seconds."""
    path = tmp_path / "small.yaml"
    path.write_text(CAMPAIGN)
    return path


def run_ssefw(*arguments, folder, check=True, env=None, timeout=300):
    """Run the command line in a process of its own, as a user does."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SSEFW_")}
    # One worker, since each imports for seconds; whoever needs two says so.
    settings = {
        "OMP_NUM_THREADS": "1",
        "SSEFW_SETTINGS": str(folder / "no-settings.yaml"),
        "SSEFW_WORKERS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ssefw", *map(str, arguments)],
        cwd=folder,
        env=clean | settings | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr + done.stdout
    return done


def start_ssefw(*arguments, folder, env=None):
    """Start the command line in the background, with its stderr to read."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SSEFW_")}
    settings = {"OMP_NUM_THREADS": "1", "SSEFW_SETTINGS": str(folder / "no-settings.yaml")}
    return subprocess.Popen(
        [sys.executable, "-m", "ssefw", *map(str, arguments)],
        cwd=folder,
        env=clean | settings | (env or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def call_ssefw(*arguments, folder):
    """Run the command line in this process, as commands that start no workers may; return its end.

    A process of its own would import everything again, which takes seconds.
    """
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ),
        pytest.raises(SystemExit) as end,
    ):
        main([str(argument) for argument in arguments])
    return end.value.code


def work_here(*, folder, submit=None, store="st", env=None):
    """Work what is in a store to its end in this process, first submitting a campaign file.

    For tests of what jobs do: `ssefw run` has a supervisor and workers, each a process that
    imports everything again, and writes a report.
    """
    handlers = {name: signal.getsignal(name) for name in SIGNALS}
    job_store = jobflow.SETTINGS.JOB_STORE
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SSEFW_")}
    settings = {"OMP_NUM_THREADS": "1", "SSEFW_SETTINGS": str(folder / "no-settings.yaml")}
    try:
        with mock.patch.dict(os.environ, clean | settings | (env or {}), clear=True):
            if submit is not None:
                assert call_ssefw("submit", submit, "--store", store, folder=folder) == 0
            assert call_ssefw("work", "--store", store, folder=folder) == 0
    finally:
        jobflow.SETTINGS.JOB_STORE = job_store
        for name, handler in handlers.items():
            signal.signal(name, handler)


@pytest.fixture
def ssefw(tmp_path, capsys):
    """The command line in this process and an empty folder, for commands that start no workers."""

    def call(*arguments, check=True):
        capsys.readouterr()
        code = call_ssefw(*arguments, folder=tmp_path)
        out, err = capsys.readouterr()
        done = subprocess.CompletedProcess(arguments, code, out, err)
        if check:
            assert done.returncode == 0, err + out
        return done

    return call


@pytest.fixture(scope="session")
def finished_campaign(tmp_path_factory):
    """The folder in which the small campaign was run to its end, and what the command said."""
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "small.yaml").write_text(CAMPAIGN)
    return folder, run_ssefw("run", "small.yaml", "--store", "st", "--workers", 2, folder=folder)
