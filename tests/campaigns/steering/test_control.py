"""Pausing, cancelling, rerunning and reordering change what runs next and lose nothing."""

import json
import os
import subprocess
import time

import pytest

from ssefw.campaigns.queueing.launcher import Launcher, pools
from ssefw.campaigns.queueing.site import QueueLimits, Site, read_site
from ssefw.campaigns.running.causes import classify
from ssefw.campaigns.running.lease import Lease
from ssefw.campaigns.running.lost import release_lost
from ssefw.campaigns.running.watch import latest_record
from ssefw.campaigns.running.worker_names import Worker, this_worker, worker_of
from ssefw.campaigns.steering.control import Part, set_priority
from ssefw.campaigns.steering.holds import add_spending, held, holds, spent, without_held
from ssefw.errors import LaunchError
from ssefw.store import connect
from tests.campaigns.conftest import put_program
from tests.conftest import CAMPAIGN, run_ssefw, work_here


@pytest.fixture
def submitted(tmp_path, ssefw, campaign_file):
    """The folder with the small campaign on its launch pad."""
    ssefw("submit", campaign_file, "--store", tmp_path / "st")
    return tmp_path


@pytest.fixture
def connection(submitted):
    with connect(submitted / "st") as found:
        yield found


def feeder(connection, folder, **limits):
    return Launcher(connection, Site(scheduler="slurm"), folder / "jobs", QueueLimits(**limits))


def start_elsewhere(connection, *, queue="slurm", job_id="1", host="far"):
    """Mark one job as running by a worker of another machine."""
    launchpad = connection.launchpad
    worker = Worker(host, 7, "1", queue, job_id, cores=4)
    from fireworks import FWorker

    firework, launch_id = launchpad.checkout_fw(
        FWorker(worker.name, env=worker.record), f"/scratch/launches/{worker.name}/000000"
    )
    return firework.fw_id, launch_id


def states(connection):
    return [item["state"] for item in connection.launchpad.fireworks.find({}, {"state": True})]


# Who a worker is


def test_the_name_of_a_worker_tells_all_about_it():
    worker = Worker("node7", 12, "345", "pbs", "17.server-1.site")
    assert worker_of(worker.name) == worker
    assert worker_of("2026-11-21-10-00-00-1234") is None


def test_this_process_is_alive_and_here(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    me = this_worker()
    assert me.is_here
    assert me.is_alive
    assert me.name.endswith("+slurm.99")


# Lost runs


def test_a_run_whose_queue_job_is_gone_is_ready_again(connection, slurm):
    firework_id, _ = start_elsewhere(connection, job_id="41")
    assert release_lost(connection) == [firework_id]
    assert "RUNNING" not in states(connection)
    incident = connection.database["incidents"].find_one({})
    assert incident["cause"] == "killed"
    assert "slurm.41" in incident["worker"]


def test_a_run_whose_queue_job_runs_is_left_alone(connection, slurm):
    (slurm / "41").write_text("RUNNING")
    start_elsewhere(connection, job_id="41")
    assert release_lost(connection) == []


def test_a_run_whose_queue_job_was_put_back_is_ready_again(connection, slurm):
    (slurm / "41").write_text("PENDING")
    firework_id, _ = start_elsewhere(connection, job_id="41")
    assert release_lost(connection) == [firework_id]


def test_a_queue_that_is_silent_releases_nothing(connection, slurm, tmp_path):
    put_program(tmp_path / "programs", "squeue", "echo 'Socket timed out' >&2; exit 1")
    start_elsewhere(connection)
    assert release_lost(connection) == []
    assert "RUNNING" in states(connection)


def test_a_launch_is_released_once_only(connection, slurm, monkeypatch):
    from ssefw.campaigns.running import lost

    start_elsewhere(connection)
    stale = list(lost._lost(connection))
    assert len(release_lost(connection)) == 1
    start_elsewhere(connection, job_id="2")
    (slurm / "2").write_text("RUNNING")
    monkeypatch.setattr(lost, "_lost", lambda *_, **__: iter(stale))
    assert release_lost(connection) == []
    assert "RUNNING" in states(connection)


def test_a_job_that_kills_its_workers_is_given_up(connection, slurm):
    for number in range(2):
        start_elsewhere(connection, job_id=str(number + 100))
        release_lost(connection, max_losses=2)
        connection.launchpad.fireworks.update_many(
            {"state": "READY", "launches": [], "archived_launches": []},
            {"$set": {"spec._priority": -1}},
        )
    assert states(connection).count("FIZZLED") == 1


# Holds


def test_a_launcher_that_goes_because_all_is_paused_says_so(submitted, ssefw, slurm):
    ssefw("init-site", "slurm", "--to", "site", "--store", submitted / "st")
    ssefw("pause", "small", "--store", submitted / "st")
    done = ssefw("launch", "small", "--site", "site", "--store", submitted / "st")
    assert "0 jobs to run" in done.stderr
    assert "small is paused (`ssefw resume small` goes on)" in done.stderr


def test_what_is_paused_is_not_run(submitted, ssefw):
    ssefw("pause", "small", "--store", submitted / "st")
    done = run_ssefw("work", "--store", "st", folder=submitted)
    assert "0 jobs run" in done.stderr
    ssefw("resume", "small", "--no-work", "--store", submitted / "st")
    with connect(submitted / "st") as connection:
        assert holds(connection) == []
        assert states(connection).count("READY") == 2


def test_a_pause_of_one_candidate_leaves_the_others(submitted, ssefw):
    ssefw("pause", "small", "--candidate", "Cu", "--store", submitted / "st")
    with connect(submitted / "st") as connection:
        query = {**without_held(connection, {"spec.campaign": "small"}), "state": "READY"}
        assert connection.launchpad.fireworks.count_documents(query) == 1
        only = {**held(connection, "small"), "state": "READY"}
        assert connection.launchpad.fireworks.count_documents(only) == 1


def test_a_pause_of_a_stage_does_not_take_names_that_begin_alike(connection):
    from ssefw.campaigns.steering.holds import jobs_query

    count = connection.launchpad.fireworks.count_documents
    assert count(jobs_query("small", stage="relax")) == 2
    assert count(jobs_query("small", stage="rel")) == 0


def test_a_dry_run_changes_nothing(submitted, ssefw):
    for command in (("pause",), ("cancel",), ("rerun",), ("priority", "--to", "5")):
        ssefw(command[0], "small", *command[1:], "-n", "--store", submitted / "st")
    with connect(submitted / "st") as connection:
        assert holds(connection) == []
        assert connection.launchpad.fireworks.count_documents({"spec._priority": 5}) == 0


def test_a_cancelled_campaign_counts_as_done(submitted, ssefw):
    ssefw("cancel", "small", "--yes", "--store", submitted / "st")
    done = ssefw("status", "--json", "--store", submitted / "st")
    said = json.loads(done.stdout)
    assert said["done"]
    assert said["held"] == 2
    assert [item["kind"] for item in said["holds"]] == ["cancel"]


def test_an_unknown_candidate_is_named(submitted, ssefw):
    done = ssefw("pause", "small", "--candidate", "Xx", "--store", submitted / "st", check=False)
    assert done.returncode == 1
    assert "no candidate 'Xx'" in done.stderr


def test_a_priority_is_inherited_by_jobs_to_come(submitted, monkeypatch):
    """Also by those of a job that runs when the priority is changed."""
    from ssefw.makers.ladder import LadderMaker

    climb = LadderMaker._climb

    def changed_meanwhile(*arguments):
        with connect(submitted / "st") as connection:
            set_priority(connection, Part("small"), 77)
        return climb(*arguments)

    monkeypatch.setattr(LadderMaker, "_climb", changed_meanwhile)
    with connect(submitted / "st") as connection:
        fireworks = connection.launchpad.fireworks
        before = set(fireworks.distinct("fw_id"))
        work_here(folder=submitted)
        brought = fireworks.find({"fw_id": {"$nin": list(before)}})
        assert {job["spec"]["_priority"] for job in brought} == {77}


# Budget


def test_a_spent_budget_holds_the_campaign_and_a_larger_one_lets_it_go(tmp_path, ssefw):
    (tmp_path / "a.yaml").write_text(CAMPAIGN + "budget: {core_hours: 0.000001}\n")
    ssefw("submit", "a.yaml", "--store", "st")
    run_ssefw("work", "--store", "st", folder=tmp_path)
    with connect(tmp_path / "st") as connection:
        assert [item.kind for item in holds(connection)] == ["budget"]
        assert "READY" in states(connection)
    (tmp_path / "a.yaml").write_text(CAMPAIGN + "budget: {core_hours: 100}\n")
    ssefw("submit", "a.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        assert holds(connection) == []
        assert spent(connection, "small") > 0


def test_running_jobs_count_with_all_their_cores(connection):
    start_elsewhere(connection)
    add_spending(connection, "small", core_hours=2.0)
    time.sleep(0.05)
    assert spent(connection, "small") > 2.0
    assert spent(connection, "small", running=False) == 2.0


# The launcher


def test_the_queue_gets_as_many_jobs_as_limits_allow(connection, slurm, tmp_path):
    now = feeder(connection, tmp_path, jobs=1).round()
    assert (now.submitted, now.waiting, now.left) == (1, 1, 2)
    assert len(list(slurm.iterdir())) == 1


def test_a_second_look_submits_nothing_more(connection, slurm, tmp_path):
    launcher = feeder(connection, tmp_path)
    assert launcher.round().submitted == 2
    assert launcher.round().submitted == 0


def test_a_submission_whose_launcher_died_is_found_by_its_name(connection, slurm, tmp_path):
    launcher = feeder(connection, tmp_path, jobs=1)
    launcher.round()
    connection.database["queue_jobs"].update_many({}, {"$set": {"job_id": None}})
    assert launcher.round().submitted == 0
    assert connection.database["queue_jobs"].find_one({})["job_id"] == "1"


def test_a_full_queue_is_tried_again(connection, slurm, tmp_path):
    (slurm / "full").touch()
    launcher = feeder(connection, tmp_path)
    assert "the queue is full" in launcher.round().notes[0]
    (slurm / "full").unlink()
    assert launcher.round().submitted == 2


def test_jobs_that_wait_for_nothing_are_cancelled(connection, slurm, tmp_path, ssefw):
    launcher = feeder(connection, tmp_path)
    launcher.round()
    ssefw("pause", "small", "--store", tmp_path / "st")
    launcher.round()
    assert list(slurm.iterdir()) == []
    assert launcher.round().left == 0


def test_of_two_launchers_one_stands_by(connection, slurm, tmp_path, monkeypatch):
    first = feeder(connection, tmp_path, jobs=1)
    first.round()
    other = Worker("elsewhere", 1, "1")
    monkeypatch.setattr("ssefw.campaigns.running.lease.this_worker", lambda: other)
    assert feeder(connection, tmp_path).round().is_standby
    assert Lease(connection, "launcher").owner() != other.name


def test_the_lease_of_a_dead_launcher_on_this_machine_is_free(connection, monkeypatch):
    here = this_worker()
    dead = Worker(here.host, here.pid, "0")
    with monkeypatch.context() as patch:
        patch.setattr("ssefw.campaigns.running.lease.this_worker", lambda: dead)
        assert Lease(connection, "launcher").hold()
    assert Lease(connection, "launcher").hold()


def test_queue_jobs_that_fail_at_once_stop_the_launcher(connection, slurm, tmp_path, monkeypatch):
    monkeypatch.setattr("ssefw.campaigns.queueing.launcher.PATIENCE_WITH_FAILURES", 2)
    launcher = feeder(connection, tmp_path)
    launcher.round()
    for job in slurm.iterdir():
        job.unlink()
    with pytest.raises(LaunchError, match="failed before they ran anything"):
        launcher.round()


def test_a_stage_with_resources_gets_queue_jobs_of_its_own(tmp_path, ssefw):
    (tmp_path / "a.yaml").write_text(CAMPAIGN + "resources: {md: {nodes: 2, walltime: '2:00:00'}}")
    ssefw("submit", "a.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        found = {pool.label: pool.resources for pool in pools(latest_record(connection, "small"))}
    assert found["md"].nodes == 2
    assert found["md"].minutes == 120
    assert found["light,heavy"] is None


# Causes


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        ("Traceback\nOSError: [Errno 28] No space left on device", "disk"),
        ("Traceback\nPermissionError: [Errno 13] Permission denied: '/scratch'", "scratch"),
        ("Traceback\npymongo.errors.AutoReconnect: connection closed", "store"),
        ("Traceback\nMemoryError", "memory"),
        ("Traceback\nssefw.errors.AnalysisError: too short", "analysis"),
        ("Traceback\nZeroDivisionError: division by zero", "other"),
        ("", "killed"),
    ],
)
def test_a_traceback_has_a_cause(trace, cause):
    found = classify(trace)
    assert found.name == cause
    assert found.action


# Sites


@pytest.mark.parametrize("scheduler", ["slurm", "pbs", "lsf"])
def test_the_files_of_a_site_can_be_read_by_their_owner_only(ssefw, tmp_path, scheduler):
    ssefw(
        "init-site", scheduler, "--to", "site", "--queue", "cpu", "--account", "p1", "--tasks", 16,
        "--store", "mongodb://anna:secret@host/db", "--vasp-cmd", "srun vasp_std",
    )  # fmt: skip
    site = read_site(tmp_path / "site")
    resources = site.ask(None)
    assert (resources.queue, resources.account, resources.cores) == ("cpu", "p1", 16)
    assert resources.walltime == 1440
    for path in (tmp_path / "site").iterdir():
        assert path.stat().st_mode & 0o077 == 0
    assert "secret" in (tmp_path / "site/settings.yaml").read_text()
    assert "secret" not in (tmp_path / "site/queue.yaml").read_text()


@pytest.mark.parametrize("scheduler", ["slurm", "pbs", "lsf"])
def test_the_files_of_a_site_without_database_on_its_nodes(ssefw, tmp_path, scheduler):
    init = ("init-site", scheduler, "--to", "site", "--offline", "--store")
    refused = ssefw(*init, "mongodb://anna:secret@host/db", check=False)
    assert refused.returncode == 1
    assert "blobs=" in refused.stderr
    assert "secret" not in refused.stderr
    assert not (tmp_path / "site").exists()
    ssefw(*init, "mongodb://anna:secret@host/db?blobs=/shared/frames")
    assert read_site(tmp_path / "site").offline
    for name in ("launcher.sh", "launcher.cron", "launcher.service"):
        text = (tmp_path / "site" / name).read_text()
        assert f"SSEFW_SETTINGS={tmp_path}/site/settings.yaml" in text
        assert "secret" not in text
    script = tmp_path / "site/launcher.sh"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_a_site_is_not_overwritten_unasked(ssefw, tmp_path):
    ssefw("init-site", "slurm", "--to", "site")
    done = ssefw("init-site", "pbs", "--to", "site", check=False)
    assert done.returncode == 1
    assert "exists" in done.stderr
    assert read_site(tmp_path / "site").scheduler == "slurm"


def test_the_launchers_of_the_repository_are_sites():
    from tests.conftest import REPOSITORY

    for path in (REPOSITORY / "launchers").glob("*/queue.yaml"):
        assert read_site(path.parent).scheduler == path.parent.name


def test_a_mistyped_key_of_a_site_is_named(tmp_path):
    (tmp_path / "queue.yaml").write_text("scheduler: slurm\nresource: {}\n")
    with pytest.raises(Exception, match="resource"):
        read_site(tmp_path)


def test_the_script_of_a_job_holds_no_password(connection, slurm, tmp_path, ssefw):
    os.environ.pop("SSEFW_STORE", None)
    site = Site(scheduler="slurm")
    text = site.script(
        site.ask(None), name="n", log=tmp_path / "l", settings=tmp_path / "s.yaml",
        arguments=site.worker_command("small", "light,heavy", job_folders=tmp_path / "parcels"),
    )  # fmt: skip
    assert "mongodb" not in text
    assert f"SSEFW_SETTINGS={tmp_path}/s.yaml" in text


def test_the_schema_accepts_what_the_campaign_file_accepts(ssefw):
    schema = json.loads(ssefw("schema").stdout)
    assert {"campaign", "pool", "md", "resources", "budget"} <= set(schema["properties"])
    assert set(schema["required"]) == {"campaign", "pool"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--walltime", "24"), 'walltime: write it as "H:MM:SS"'),
        (("--walltime", "24:00"), 'walltime: write it as "H:MM:SS"'),
        (("--tasks", "-3"), "--tasks"),
    ],
)
def test_a_site_that_cannot_be_is_not_written(ssefw, tmp_path, options, words):
    done = ssefw("init-site", "slurm", "--to", "site", *options, check=False)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert not (tmp_path / "site").exists()
