"""What stands in the way of a launcher is said in one line, and nothing is lost by it."""

import os
import subprocess

import pytest

from ssefw.store import connect
from tests.campaigns.conftest import put_program


@pytest.fixture
def site(tmp_path, ssefw, campaign_file, slurm):
    ssefw("submit", campaign_file, "--store", tmp_path / "st")
    (tmp_path / "queue.yaml").write_text("scheduler: slurm\n")
    return tmp_path


@pytest.fixture
def full_disk(tmp_path):
    """A disk of 64 KiB without room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    if os.geteuid() or subprocess.run(mount, check=False, env={"PATH": path}).returncode:
        pytest.skip("only root mounts a disk that is full")
    (disk / "filler").write_bytes(bytes(64 * 1024))
    yield disk
    subprocess.run(["umount", disk], check=True, env={"PATH": path})


def refused(ssefw, site, *command):
    """Return the one line that a command ends with; the campaign stands as it stood."""
    done = ssefw(*command, "--store", site / "st", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    with connect(site / "st", read_only=True) as connection:
        states = [item["state"] for item in connection.launchpad.fireworks.find({})]
    assert sorted(states) == ["READY", "READY", "WAITING", "WAITING"]
    return done.stderr.strip().splitlines()[-1]


def test_without_sbatch(ssefw, site, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    line = refused(ssefw, site, "launch", "--site", ".", "--once")
    assert line.startswith("Error: sbatch is not on the PATH")


def test_a_wrong_partition(ssefw, site):
    said = "sbatch: error: invalid partition specified: nowhere"
    put_program(site / "programs", "sbatch", f'echo "{said}" >&2; exit 1')
    line = refused(ssefw, site, "launch", "--site", ".", "--once")
    assert line.startswith(f"Error: sbatch refuses the job: {said}")


def test_a_full_queue(ssefw, site, slurm):
    (slurm / "full").touch()
    done = ssefw("launch", "--site", ".", "--once", "--store", site / "st")
    assert "the queue is full" in done.stderr
    (slurm / "full").unlink()
    assert "2 submitted" in ssefw("launch", "--site", ".", "--once", "--store", site / "st").stderr


@pytest.mark.parametrize("command", [("launch", "--site", ".", "--once"), ("work",)])
def test_a_scratch_folder_that_cannot_be_made(ssefw, site, monkeypatch, command):
    monkeypatch.setenv("SSEFW_SCRATCH", "/proc/nowhere")
    line = refused(ssefw, site, *command)
    assert line.startswith("Error: No such file or directory /proc/nowhere")
    assert "Check the path, its rights and the disk" in line


def test_a_scratch_folder_on_a_full_disk(ssefw, site, monkeypatch, full_disk):
    monkeypatch.setenv("SSEFW_SCRATCH", str(full_disk))
    line = refused(ssefw, site, "launch", "--site", ".", "--once")
    assert line.startswith("Error: No space left on device")
