"""A campaign through a real Slurm, disturbed in every way a cluster knows."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

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
from tests.conftest import REPOSITORY, MongoServer, call_ssefw, run_ssefw

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.xdist_group("slurm")]

# The workers get another host name, so that only the queue can tell that they are gone.
SITE = """\
scheduler: slurm
resources: {tasks_per_node: 1, memory: 600, walltime: "0:10:00"}
limits: {jobs: 2, waiting: 2}
idle: 3
setup: |
  if [ -z "$ELSEWHERE" ]; then
    export ELSEWHERE=1
    exec unshare --uts bash -c 'hostname node7 && exec bash "$0"' "$0"
  fi
  export PYTHONPATH=@PYTHONPATH@
"""


def answers():
    if shutil.which("scontrol") is None:
        return False
    done = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, check=False)
    return "is UP" in done.stdout


@pytest.fixture(scope="module")
def slurm():
    """A Slurm that answers; where it is installed and we are root, one is started."""
    is_installed = shutil.which("slurmctld") and shutil.which("munged")
    if not answers() and is_installed and os.geteuid() == 0:
        subprocess.run(
            [REPOSITORY / "tests/slurm/start"], check=False, stdout=subprocess.DEVNULL, timeout=120
        )
    if not answers() or os.geteuid() != 0:
        pytest.skip("no Slurm answers and none could be started as root by tests/slurm/start")
    if subprocess.run(["unshare", "--uts", "true"], check=False).returncode:
        pytest.skip("workers cannot be given another host name here")


def prepare(folder, *, setup=None, store="st", **campaign):
    folder.mkdir(exist_ok=True)
    (folder / "fleet.yaml").write_text(campaign_text(**campaign))
    text = SITE.replace("@PYTHONPATH@", str(REPOSITORY))
    if setup is not None:
        text = text.partition("setup:")[0] + setup
    (folder / "queue.yaml").write_text(text)
    assert not call_ssefw("submit", "fleet.yaml", "--store", store, folder=folder)


def restart_slurmd():
    said = subprocess.run(
        ["scontrol", "show", "config"], capture_output=True, text=True, check=True
    ).stdout
    path = next(line.split("=")[1].strip() for line in said.splitlines() if "SlurmdPidFile" in line)
    pid = int(Path(path).read_text())
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 30, "the end of slurmd")
    nodes = subprocess.run(
        ["sinfo", "-h", "-N", "-o", "%N"], capture_output=True, text=True, check=True
    ).stdout.split()
    subprocess.run(["slurmd", "-N", nodes[0]], check=True, stdin=subprocess.DEVNULL)


def keep_frozen(pid):
    """Let a process hang, also when Slurm wakes it up to tell it that its end is near."""
    while True:
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return
        time.sleep(0.005)


@pytest.mark.usefixtures("slurm")
def test_a_disturbed_campaign_ends_complete(tmp_path):
    folder = tmp_path / "c"
    prepare(folder, n=6, length=6.0)
    first, second = Launcher(folder), Launcher(folder)
    job, pid = wait_for(lambda: running(folder / "st"), what="a running job")[0]

    # A worker that hangs is killed by Slurm at its time limit, for which it looks every 30 s.
    threading.Thread(target=keep_frozen, args=(pid,), daemon=True).start()
    limit = ["scontrol", "update", f"JobId={job}", "EndTime=now+3"]
    subprocess.run(limit, check=True, capture_output=True)
    first.kill()

    others = wait_for(
        lambda: [item for item in running(folder / "st") if item[0] != job], what="another job"
    )
    restart_slurmd()
    subprocess.run(["scancel", others[0][0]], check=True)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 200, "the end at the time limit")
    killed = time.time()
    lost = wait_for(
        lambda: [item for item in incidents(folder / "st") if f"slurm.{job}" in item["worker"]],
        what="the discovery of the lost run",
    )
    assert lost[0]["time"] - killed < 120
    assert lost[0]["worker"].startswith("node7~")
    third = Launcher(folder)
    assert second.wait(400) == 0, second.log.read_text()
    assert third.wait(60) == 0

    queue_jobs = assert_complete_and_computed_once(folder / "st", 6)
    reasons = {item["job_id"]: item["reason"] for item in queue_jobs}
    assert "TIMEOUT" in reasons[job]
    assert "CANCELLED" in reasons[others[0][0]]


@pytest.mark.usefixtures("slurm")
def test_a_campaign_outlives_losses_of_its_database(tmp_path):
    """Killed and frozen for SSEFW_TEST_OUTAGE seconds each; 60 was tried by hand."""
    outage = float(os.environ.get("SSEFW_TEST_OUTAGE", "6"))
    folder = tmp_path / "c"
    server = MongoServer(tmp_path / "mongo")
    server.start()
    store = f"{server.uri}/fleet"
    scratch = {"SSEFW_SCRATCH": str(tmp_path / "scratch")}
    try:
        prepare(folder, n=4, length=4.0, store=store)
        launcher = Launcher(folder, store=store, env=scratch)
        wait_for(lambda: running(store), what="a running job")
        server.kill()
        time.sleep(outage)
        server.start()
        wait_for(lambda: running(store), what="a running job after the outage")
        server.freeze()
        time.sleep(outage)
        server.thaw()
        assert launcher.wait(300) == 0, launcher.log.read_text()
        queue_jobs = assert_complete_and_computed_once(store, 4)
        assert "does not answer" in launcher.log.read_text()
        # Workers wait for the database; none is lost, and no queue job is spent on it.
        assert {job["reason"] for job in queue_jobs} <= {"COMPLETED", "CANCELLED"}
        with connect(store, read_only=True) as connection:
            assert list(connection.database["incidents"].find()) == []
    finally:
        server.kill()


# On the node the file with the database is one that cannot be read.
BLIND = """\
offline: true
setup: |
  if [ -z "$ELSEWHERE" ]; then
    export ELSEWHERE=1
    exec unshare --uts --mount bash -c 'hostname node7 && mount --bind /dev/null @STORE@ &&
      exec bash "$0"' "$0"
  fi
  export PYTHONPATH=@PYTHONPATH@
"""


@pytest.mark.usefixtures("slurm")
def test_workers_that_reach_no_database_finish_a_campaign(tmp_path):
    folder = tmp_path / "c"
    setup = BLIND.replace("@PYTHONPATH@", str(REPOSITORY))
    setup = setup.replace("@STORE@", str(folder / "st/store.sqlite"))
    prepare(folder, n=2, length=6.0, setup=setup)
    launcher = Launcher(folder)
    name = wait_for(lambda: runs_dynamics(folder), what="a running dynamics")
    with connect(folder / "st", read_only=True) as connection:
        job = connection.database["queue_jobs"].find_one({"_id": name})["job_id"]
    os.kill(worker_of_parcels(name), signal.SIGKILL)
    launcher.kill()
    wait_for(lambda: job not in squeue(), what="the end of the killed job")
    again = Launcher(folder)
    assert again.wait(300) == 0, again.log.read_text()
    assert_complete_and_computed_once(folder / "st", 2)
    assert any(f"slurm.{job}" in item["worker"] for item in incidents(folder / "st"))
    assert "mongodb://offline" in (folder / "st/scratch/queue/settings.yaml").read_text()


def runs_dynamics(folder):
    """Return the name of a queue job that does, from what its worker says."""
    for path in folder.glob("st/scratch/queue/*/parcels/[0-9a-f]*/status.json"):
        job, status = json.loads((path.parent / "job.json").read_text()), path.read_text()
        if job["name"].startswith("md") and "started_on" in status and "fwaction" not in status:
            return path.parent.parent.parent.name
    return None


def worker_of_parcels(name):
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"--offline" in words and any(name.encode() in word for word in words):
                return int(path.parent.name)
    return pytest.fail("the worker is gone")


def squeue():
    command = ["squeue", "-h", "-o", "%A"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.usefixtures("slurm")
def test_a_wrong_partition_is_reported_and_nothing_is_lost(tmp_path):
    folder = tmp_path / "c"
    prepare(folder, n=1, length=0.5)
    site = folder / "queue.yaml"
    site.write_text(site.read_text().replace("memory: 600", "queue: nowhere"))
    done = run_ssefw("launch", "--store", "st", "--site", ".", folder=folder, check=False)
    assert done.returncode == 1
    assert "invalid partition" in done.stderr
    with connect(folder / "st", read_only=True) as connection:
        assert "READY" in connection.launchpad.fireworks.distinct("state")


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("echo no such module; exit 3", "no such module"),
        ("export SSEFW_SCRATCH=/proc/nowhere", "/proc/nowhere"),
    ],
    ids=["setup", "scratch"],
)
def test_queue_jobs_that_fail_at_once_stop_the_launcher(tmp_path, line, said):
    folder = tmp_path / "c"
    python_path = f"export PYTHONPATH={REPOSITORY}"
    prepare(folder, n=1, length=0.5, setup=f"setup: |\n  {python_path}\n  {line}\n")
    launcher = Launcher(folder)
    assert launcher.wait(120) == 1
    assert "failed before they ran anything" in launcher.log.read_text()
    assert said in launcher.log.read_text()


@pytest.mark.usefixtures("slurm")
def test_a_check_looks_around_on_a_compute_node(tmp_path):
    folder = tmp_path / "c"
    prepare(folder, n=1, length=0.5)
    done = run_ssefw(
        "config", "check", "--store", "st", "--queue", "--site", ".", "--json", folder=folder
    )
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found["queue"]["state"] == "ok"
    assert found["compute node: store"]["state"] == "ok"


@pytest.mark.usefixtures("slurm")
def test_a_site_without_database_is_set_up_and_proved_through_its_queue(tmp_path):
    run_ssefw(
        "init-site", "slurm", "--offline", "--to", "site", "--store", tmp_path / "st",
        "--scratch", tmp_path / "scratch", "--walltime", "0:10:00", folder=tmp_path,
    )  # fmt: skip
    site = tmp_path / "site/queue.yaml"
    setup = f"export PYTHONPATH={REPOSITORY}\n  export CUDA_VISIBLE_DEVICES=\n"
    text = site.read_text().replace("# module load vasp/6.4\n", setup)
    site.write_text(text.replace("directives: []", 'directives: ["--mem=900M"]'))
    (tmp_path / "fleet.yaml").write_text(campaign_text(n=1, length=0.5))
    settings = {"SSEFW_SETTINGS": str(tmp_path / "site/settings.yaml")}
    run_ssefw("submit", "fleet.yaml", folder=tmp_path, env=settings)
    done = run_ssefw("config", "check", "--queue", "--json", folder=tmp_path, env=settings)
    found = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found["queue"]["state"] == "ok"
    assert found["compute node: store"]["message"].startswith("no database here")
    assert found["compute node: scratch"]["state"] == "ok"
