"""A full disk ends workers, costs nothing that was computed, and is no failure of a candidate."""

import os
import shutil
import subprocess
import time

import pytest

from ssefw.documents import Outcome
from ssefw.store import connect
from tests.campaigns.killing import prepare, worker_pids
from tests.conftest import run_ssefw

pytestmark = pytest.mark.slow

PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


def mount(disk, options):
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    return subprocess.run(command, check=False, env=PATH).returncode


@pytest.fixture
def disk(tmp_path):
    """A folder that can be given a disk of its own."""
    if os.geteuid():
        pytest.skip("only root mounts a disk that is full")
    path = tmp_path / "disk"
    path.mkdir()
    yield path
    subprocess.run(["umount", "--lazy", path], check=False, env=PATH)


@pytest.mark.parametrize("kilobytes", [40, 250])
def test_a_campaign_on_a_disk_that_fills_up_goes_on_when_there_is_space(disk, kilobytes):
    """It fills up with the first jobs, or with the first frames."""
    if mount(disk, "size=100m"):
        pytest.skip("this system mounts no disk of memory")
    folder = disk / "c"
    environment = prepare(folder, min_length=7) | {"EVALUATIONS": str(disk.parent / "evaluations")}
    run_ssefw("submit", "small.yaml", "--store", "st", folder=folder, env=environment)
    used = int(shutil.disk_usage(disk).used / 1024)
    assert mount(disk, f"remount,size={used + kilobytes}k") == 0
    done = run_ssefw(
        "run", "small.yaml", "--store", "st", "--workers", "2", "--quiet",
        folder=folder, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 1, "the disk was too large to be full"
    assert "Traceback" not in done.stderr
    assert "pace" in done.stderr, done.stderr  # "free space", "No space left"
    deadline = time.monotonic() + 300
    while worker_pids(folder):  # none stays behind, deaf to signals
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert mount(disk, "remount,size=100m") == 0
    run_ssefw("resume", "--store", "st", "--quiet", folder=folder, env=environment)
    with connect(folder / "st", read_only=True) as connection:
        outcomes = list(connection.results.find(Outcome))
        assert [len(item.trajectory_keys) for item in outcomes] == [2, 2]
        assert not any(item.failures for item in outcomes)
        assert connection.launchpad.fireworks.distinct("state") == ["COMPLETED"]
