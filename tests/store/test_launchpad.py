"""What people do with FireWorks works over an embedded store, too."""

import time
from pathlib import Path

import jobflow
import pytest
from fireworks import Firework, FWAction, FWorker, LaunchPad, Workflow
from fireworks.core.firework import FiretaskBase
from fireworks.core.rocket_launcher import launch_rocket, rapidfire
from fireworks.utilities.fw_utilities import explicit_serialize
from jobflow import Flow, Response, job
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.store.embedded.stores import EmbeddedLaunchPad


@pytest.fixture
def launchpad(connection):
    return connection.launchpad


# Tasks by their full name: by a short one FireWorks imports all of itself, its tests included.
@explicit_serialize
class Nothing(FiretaskBase):
    """Does nothing."""

    def run_task(self, fw_spec):
        return FWAction()


@explicit_serialize
class Fragile(FiretaskBase):
    """Fails while there is a file `broken`."""

    def run_task(self, fw_spec):
        if (Path(self["folder"]) / "broken").exists():
            raise RuntimeError("broken")


@explicit_serialize
class Detour(FiretaskBase):
    """Puts a job between this one and its children."""

    def run_task(self, fw_spec):
        return FWAction(
            stored_data={"n": 1},
            update_spec={"handed down": 42},
            detours=[Firework([Nothing()], name="detour")],
        )


def chain(n=3):
    """One job after the other; the second fails while there is a file `broken`."""
    jobs = []
    for number in range(n):
        task = Fragile(folder=str(Path.cwd())) if number == 1 else Nothing()
        jobs.append(Firework([task], fw_id=number + 1, name=f"job {number}", parents=jobs[-1:]))
    return Workflow(jobs, name="chain", metadata={"campaign": "test"})


def run(launchpad, n=0, **query):
    rapidfire(launchpad, FWorker(**query), nlaunches=n, strm_lvl="CRITICAL")


def states(launchpad):
    return [fw["state"] for fw in launchpad.fireworks.find({}, sort=[("fw_id", 1)])]


def test_a_chain_runs_in_order(launchpad):
    launchpad.add_wf(chain())
    assert states(launchpad) == ["READY", "WAITING", "WAITING"]
    run(launchpad, n=1)
    assert states(launchpad) == ["COMPLETED", "READY", "WAITING"]
    run(launchpad)
    assert states(launchpad) == ["COMPLETED"] * 3
    assert launchpad.get_wf_ids({"state": "COMPLETED"}) == [1]


def test_many_workflows_are_added_at_once(launchpad, capsys):
    launchpad.bulk_add_wfs([chain() for _ in range(5)])
    assert launchpad.get_fw_ids(count_only=True) == 15
    run(launchpad)
    assert set(states(launchpad)) == {"COMPLETED"}


def test_the_summary_of_a_workflow_names_its_states(launchpad):
    launchpad.add_wf(chain())
    run(launchpad, n=1)
    summary = launchpad.get_wf_summary_dict(1)
    assert summary["state"] == "RUNNING"
    assert summary["states"] == {
        "job 0--1": "COMPLETED",
        "job 1--2": "READY",
        "job 2--3": "WAITING",
    }
    assert summary["launch_dirs"]["job 0--1"][0].startswith(str(Path.cwd()))
    assert launchpad.get_fw_ids_in_wfs({"metadata.campaign": "test"}, {"state": "READY"}) == [2]


def test_a_failed_job_is_run_again(launchpad, tmp_path):
    (tmp_path / "broken").touch()
    launchpad.add_wf(chain())
    run(launchpad)
    assert states(launchpad) == ["COMPLETED", "FIZZLED", "WAITING"]
    (tmp_path / "broken").unlink()
    assert launchpad.rerun_fw(2) == [2]
    run(launchpad)
    assert states(launchpad) == ["COMPLETED"] * 3
    assert len(launchpad.get_fw_dict_by_id(2)["archived_launches"]) == 1


def test_a_defused_job_waits_until_it_is_reignited(launchpad):
    launchpad.add_wf(chain())
    launchpad.defuse_fw(2)
    run(launchpad)
    assert states(launchpad) == ["COMPLETED", "DEFUSED", "WAITING"]
    launchpad.reignite_fw(2)
    run(launchpad)
    assert states(launchpad) == ["COMPLETED"] * 3


def test_a_paused_workflow_resumes(launchpad):
    launchpad.add_wf(chain())
    launchpad.pause_wf(1)
    run(launchpad)
    assert states(launchpad) == ["PAUSED"] * 3
    for number in (1, 2, 3):
        launchpad.resume_fw(number)
    run(launchpad)
    assert states(launchpad) == ["COMPLETED"] * 3


def test_a_defused_and_an_archived_workflow_do_not_run(launchpad):
    for _ in range(2):
        launchpad.add_wf(chain())
    launchpad.defuse_wf(1)
    launchpad.archive_wf(4)
    run(launchpad)
    assert states(launchpad) == ["DEFUSED"] * 3 + ["ARCHIVED"] * 3


# FireWorks' ping thread may still look for the launch that has been deleted.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_deleted_workflow_leaves_the_others(launchpad, capsys):
    for _ in range(3):
        launchpad.add_wf(chain())
    run(launchpad, n=4)
    launchpad.delete_wf(5)
    assert launchpad.get_fw_ids() == [1, 2, 3, 7, 8, 9]
    assert launchpad.workflows.count_documents({}) == 2
    assert launchpad.launches.count_documents({"fw_id": {"$in": [4, 5, 6]}}) == 0
    run(launchpad)
    assert states(launchpad) == ["COMPLETED"] * 6


def test_a_lost_run_is_found_and_run_again(launchpad, tmp_path):
    launchpad.add_wf(chain())
    launchpad.checkout_fw(FWorker(), str(tmp_path))
    assert states(launchpad)[0] == "RUNNING"
    assert launchpad.detect_lostruns(expiration_secs=60) == ([], [], [])
    assert launchpad.detect_lostruns(expiration_secs=-60, rerun=True) == ([1], [1], [])
    run(launchpad)
    assert states(launchpad) == ["COMPLETED"] * 3


def test_a_pinged_run_is_not_lost(launchpad, tmp_path):
    launchpad.add_wf(chain())
    _, launch_id = launchpad.checkout_fw(FWorker(), str(tmp_path))
    time.sleep(0.2)
    launchpad.ping_launch(launch_id)
    assert launchpad.detect_lostruns(expiration_secs=0.15) == ([], [], [])


def test_the_highest_priority_runs_first_and_a_category_keeps_others_away(launchpad):
    for number, (priority, category) in enumerate([(None, "a"), (5, "a"), (9, "b"), (1, "a")]):
        spec = {"_category": category} | ({"_priority": priority} if priority else {})
        launchpad.add_wf(Firework([Nothing()], spec=spec, name=str(number)))
    run(launchpad, category="a")
    order = [launch["fw_id"] for launch in launchpad.launches.find({}, sort=[("launch_id", 1)])]
    assert order == [2, 4, 1]
    assert states(launchpad)[2] == "READY"


def test_a_spec_is_changed_and_a_priority_set(launchpad):
    launchpad.add_wf(chain())
    launchpad.update_spec([2, 3], {"_category": "large"})
    launchpad.set_priority(2, 7)
    assert launchpad.get_fw_by_id(2).spec == {**launchpad.get_fw_by_id(2).spec, "_priority": 7}
    assert launchpad.get_fw_ids({"spec._category": "large"}) == [2, 3]


def test_a_reset_empties_the_launch_pad(launchpad):
    launchpad.add_wf(chain())
    launchpad.reset("", require_password=False)
    assert launchpad.get_fw_ids() == []
    launchpad.add_wf(chain())
    assert launchpad.get_fw_ids() == [1, 2, 3]


def test_a_reserved_launch_is_cancelled(launchpad, tmp_path):
    launchpad.add_wf(chain())
    _, launch_id = launchpad.reserve_fw(FWorker(), str(tmp_path))
    launchpad.set_reservation_id(launch_id, "slurm-17")
    assert launchpad.get_fw_ids_from_reservation_id("slurm-17") == [1]
    launchpad.cancel_reservation_by_reservation_id("slurm-17")
    assert states(launchpad)[0] == "READY"


def test_an_action_adds_a_detour_and_changes_the_spec_of_its_children(launchpad):
    first = Firework([Detour()], name="first")
    last = Firework([Nothing()], name="last", parents=[first])
    launchpad.add_wf(Workflow([first, last]))
    run(launchpad)
    assert states(launchpad) == ["COMPLETED"] * 3
    (wf,) = launchpad.workflows.find()
    (detour,) = launchpad.get_fw_ids({"name": "detour"})
    (last_id,) = launchpad.get_fw_ids({"name": "last"})
    assert last_id in wf["links"][str(detour)]
    assert launchpad.get_fw_by_id(last_id).spec["handed down"] == 42


@job
def countdown(n):
    if n == 0:
        return "done"
    return Response(output=n, replace=countdown(n - 1))


@job
def with_detour():
    return Response(output="first", detour=Flow([countdown(0)]))


@job
def stopping():
    return Response(output="rejected", stop_children=True)


@job(data=["frames"])
def with_data():
    return {"frames": [0.5] * 1000, "n": 1000}


@job
def double(value):
    return 2 * value


def test_a_job_replaces_itself_until_it_is_done(connection):
    flow = countdown(3)
    connection.launchpad.add_wf(flow_to_workflow(flow, store=None))
    run(connection.launchpad)
    assert connection.job_store.get_output(flow.uuid, which="last") == "done"
    indices = connection.job_store.query({"uuid": flow.uuid}, properties=["index"])
    assert sorted(found["index"] for found in indices) == [1, 2, 3, 4]


def test_a_child_of_a_replaced_job_gets_the_last_output(connection):
    first = countdown(2)
    second = double(first.output)
    connection.launchpad.add_wf(flow_to_workflow(Flow([first, second]), store=None))
    run(connection.launchpad)
    assert connection.job_store.get_output(second.uuid) == "donedone"


def test_a_detour_runs_before_the_children(connection):
    first = with_detour()
    second = double(first.output)
    connection.launchpad.add_wf(flow_to_workflow(Flow([first, second]), store=None))
    run(connection.launchpad)
    assert connection.job_store.get_output(second.uuid) == "firstfirst"
    assert connection.job_store.count() == 3


def test_a_gate_stops_what_follows(connection):
    first = stopping()
    second = double(first.output)
    connection.launchpad.add_wf(flow_to_workflow(Flow([first, second]), store=None))
    run(connection.launchpad)
    assert sorted(states(connection.launchpad)) == ["COMPLETED", "DEFUSED"]
    assert connection.job_store.count() == 1


def test_large_data_lie_in_the_additional_store(connection):
    flow = with_data()
    connection.launchpad.add_wf(flow_to_workflow(flow, store=None))
    run(connection.launchpad)
    raw = connection.job_store.query_one({"uuid": flow.uuid})
    assert set(raw["output"]["frames"]) >= {"blob_uuid", "store"}
    assert connection.job_store.get_output(flow.uuid, load=True)["frames"] == [0.5] * 1000


def test_a_job_that_carries_its_store_runs_without_settings(connection, monkeypatch):
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", None)
    flow = double(21)
    connection.launchpad.add_wf(flow_to_workflow(flow, store=connection.job_store))
    run(connection.launchpad)
    assert connection.job_store.get_output(flow.uuid) == 42


def test_a_launch_pad_opens_itself_again_from_its_dictionary(launchpad):
    launchpad.add_wf(chain())
    again = EmbeddedLaunchPad.from_dict(launchpad.to_dict())
    assert again.get_fw_ids() == [1, 2, 3]
    again.db.file.close()


def test_a_ping_after_the_end_is_no_error(connection, tmp_path):
    connection.launchpad.add_wf(chain())
    _, launch_id = connection.launchpad.checkout_fw(FWorker(), str(tmp_path))
    connection.close()
    connection.launchpad.ping_launch(launch_id)


class PowerCut(BaseException):
    """Ends a process anywhere."""


@pytest.mark.parametrize(
    ("operation", "step"),
    [
        (lambda pad: pad.add_wf(chain()), "_upsert_fws"),
        (lambda pad: pad.checkout_fw(FWorker(), "."), "_update_wf"),
        (lambda pad: pad.complete_launch(1, FWAction()), "_update_wf"),
        (lambda pad: pad.rerun_fw(1), "_update_wf"),
        (lambda pad: pad.defuse_fw(2), "_update_wf"),
        (lambda pad: pad.delete_wf(1), "delete_fws"),
    ],
    ids=["add", "check out", "complete", "rerun", "defuse", "delete"],
)
def test_an_operation_that_is_cut_off_has_not_begun(
    launchpad, monkeypatch, operation, step, capsys
):
    launchpad.add_wf(chain())
    launchpad.add_wf(chain())
    launchpad.checkout_fw(FWorker(), ".")

    def contents():
        return {
            name: list(launchpad.db[name].find()) for name in launchpad.db.list_collection_names()
        }

    before = contents()

    def cut_off(*args, **kwargs):
        getattr(LaunchPad, step)(launchpad, *args, **kwargs)
        raise PowerCut

    monkeypatch.setattr(launchpad, step, cut_off)
    with pytest.raises(PowerCut):
        operation(launchpad)
    assert contents() == before


def test_a_workflow_that_cannot_be_read_is_marked_and_the_rest_runs(launchpad):
    launchpad.add_wf(chain(1))
    launchpad.add_wf(chain(1))
    launchpad.fireworks.update_one(
        {"fw_id": 1}, {"$set": {"spec._tasks": [{"_fw_name": "{{no.such.Task}}"}]}}
    )
    run(launchpad)
    assert states(launchpad) == ["FIZZLED", "COMPLETED"]


def test_an_empty_launch_pad_has_nothing_to_run(launchpad):
    assert not launchpad.run_exists()
    assert not launchpad.future_run_exists()
    assert launch_rocket(launchpad, FWorker(), strm_lvl="CRITICAL") is False
