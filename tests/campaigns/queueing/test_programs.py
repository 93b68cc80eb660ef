"""Campaigns through the programs of PBS and LSF: launched, lost, stopped, and finished."""

import os
import shlex
import signal
import stat
import subprocess
import sys
import time

import pytest

from ssefw.store import connect
from tests.campaigns.fleet import (
    Launcher,
    assert_complete_and_computed_once,
    campaign_text,
    incidents,
    running,
    wait_for,
)
from tests.conftest import REPOSITORY, call_ssefw

PROGRAMS = {"pbs": ["qsub", "qstat", "qselect", "qdel", "qsig"], "lsf": ["bsub", "bjobs", "bkill"]}

# The workers say they are on another machine, so that only the queue can tell they are gone.
SITE = """\
scheduler: @SCHEDULER@
resources: {tasks_per_node: 1, walltime: "0:30:00"}
limits: {jobs: 2, waiting: 2}
idle: 3
setup: |
  export PYTHONPATH=@PROGRAMS@:@PYTHONPATH@
"""
ELSEWHERE = """\
import socket

socket.gethostname = lambda: "node7"
"""


@pytest.fixture(params=list(PROGRAMS))
def site(request, tmp_path, monkeypatch):
    """A folder with a campaign on a site with a queue of that kind."""
    folder, programs = tmp_path / "c", tmp_path / "programs"
    for path in (folder, programs, tmp_path / "queue"):
        path.mkdir()
    for name in PROGRAMS[request.param]:
        command = shlex.join([sys.executable, str(REPOSITORY / "tests/fake_queue/programs.py")])
        (programs / name).write_text(f'#!/bin/sh\nexec {command} {name} "$@"\n')
        (programs / name).chmod(0o755 | stat.S_IXUSR)
    (programs / "sitecustomize.py").write_text(ELSEWHERE)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_QUEUE", str(tmp_path / "queue"))
    text = SITE.replace("@SCHEDULER@", request.param).replace("@PROGRAMS@", str(programs))
    (folder / "queue.yaml").write_text(text.replace("@PYTHONPATH@", str(REPOSITORY)))
    yield folder
    for path in (tmp_path / "queue").glob("*.json"):
        subprocess.run([programs / PROGRAMS[request.param][-1], path.stem], check=False,
                       capture_output=True)  # fmt: skip


@pytest.mark.slow
def test_a_lost_job_goes_on_and_a_stopped_campaign_is_resumed(site):
    store = site / "st"
    (site / "fleet.yaml").write_text(campaign_text(n=2, length=5.0))
    assert not call_ssefw("submit", "fleet.yaml", "--store", "st", folder=site)
    launcher = Launcher(site)
    job, pid = wait_for(lambda: running(store), what="a running job")[0]
    os.kill(pid, signal.SIGKILL)
    killed = time.time()
    (loss,) = wait_for(lambda: incidents(store), what="the discovery of the lost run")
    assert loss["time"] - killed < 120
    assert loss["worker"].startswith("node7~")
    assert loss["worker"].endswith(job)

    # Running dynamics store what they have and stop, reached by the queue's signal.
    wait_for(lambda: running(store), what="a running job")
    assert not call_ssefw("cancel", "fleet", "--yes", "--store", "st", folder=site)
    assert launcher.wait(120) == 0, launcher.log.read_text()
    with connect(store, read_only=True) as connection:
        states = set(connection.launchpad.fireworks.distinct("state"))
        assert states <= {"READY", "WAITING", "COMPLETED"}
        assert "READY" in states
        assert connection.database["incidents"].count_documents({}) == 1

    assert not call_ssefw("resume", "fleet", "--all", "--no-work", "--store", "st", folder=site)
    again = Launcher(site)
    assert again.wait(300) == 0, again.log.read_text()
    queue_jobs = assert_complete_and_computed_once(store, 2)
    assert sum(bool(entry.get("failed")) for entry in queue_jobs) <= 1
