"""Which jobs run and failed, where, and what they write: `ssefw jobs` and `ssefw log`."""

import gzip
import json
import os
import threading

import pytest

from ssefw.campaigns.running.causes import message_of
from ssefw.campaigns.running.output_files import follow, main_output, tail
from ssefw.engines import RunDirectory, noted_folder, noting_folder
from ssefw.errors import DataError
from ssefw.store import connect
from tests.conftest import CAMPAIGN
from tests.job_states import MESSAGE, TRACE, fail, start


@pytest.fixture
def store(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    ssefw("submit", "c.yaml", "--store", "st")
    return tmp_path / "st"


def test_a_running_job_says_where_it_runs(ssefw, store, tmp_path):
    with connect(store) as connection:
        _, _, run = start(connection, tmp_path)
    (line,) = ssefw("jobs", "--json", "--store", store).stdout.splitlines()
    job = json.loads(line)
    assert job["state"] == "running"
    assert (job["name"], job["formula"]) == ("relax", "Cu")
    assert (job["worker"], job["queue_job"]) == ("node7:12", "slurm 17")
    assert job["run_folder"] == str(run)
    assert "relax of Cu  on node7:12, slurm 17" in ssefw("jobs", "--store", store).stdout
    assert ssefw("log", "copper", "--store", store).stdout == "first\nsecond\n"


def test_a_failed_job_is_told_in_full_by_formula_and_with_its_folder(ssefw, store, tmp_path):
    with connect(store) as connection:
        run = fail(connection, tmp_path)
    for command in (("status",), ("jobs",), ("jobs", "--failed")):
        said = ssefw(*command, "--store", store).stdout
        assert f"{MESSAGE}\n" in said
        assert "relax of Cu" in said
        assert f"folder: {run}" in said
        assert "izzled" not in said
    (failure,) = json.loads(ssefw("status", "--json", "--store", store).stdout)["failures"]
    (job,) = failure["jobs"]
    assert (job["formula"], job["message"], job["run_folder"]) == ("Cu", MESSAGE, str(run))
    assert (
        ssefw("rerun", "--dry-run", "--store", store).stdout == f"relax of Cu: engine, {MESSAGE}\n"
    )


def test_jobs_are_chosen_by_candidate_stage_and_state(ssefw, store, tmp_path):
    with connect(store) as connection:
        fail(connection, tmp_path)
    asked = ("jobs", "--store", store, "--json")

    def found(*options):
        return [json.loads(line) for line in ssefw(*asked, *options).stdout.splitlines()]

    assert len(found()) == 1
    assert found("--running") == []
    assert {job["state"] for job in found("--all")} == {"failed", "ready", "waiting"}
    assert {job["formula"] for job in found("--all", "--candidate", "copper-gold")} == {"Cu3Au"}
    assert {job["name"] for job in found("--all", "--stage", "relax")} == {"relax"}
    assert ssefw("jobs", "--running", "--store", store).stderr.strip().endswith("is running.")


def test_without_a_folder_the_error_is_shown(ssefw, store, tmp_path):
    with connect(store) as connection:
        fail(connection, tmp_path)
        connection.database["jobs"].delete_many({"output.@class": "Failure"})
        for note in tmp_path.glob("**/run-folder"):
            note.unlink()
    assert ssefw("log", "Cu", "--store", store).stdout == TRACE


def test_a_candidate_that_left_nothing_is_an_error(ssefw, store):
    done = ssefw("log", "Cu", "--store", store, check=False)
    assert done.returncode == 1
    assert "has left files" in done.stderr
    done = ssefw("log", "Cuu", "--store", store, check=False)
    assert "Did you mean Cu " in done.stderr


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (TRACE, MESSAGE),
        ("", "its worker died"),
        ("Traceback\nValueError: one\ntwo\n", "ValueError: one two"),
        ("Traceback\n  x\ncustodian.custodian.MaxCorrectionsError: 5\n", None),
    ],
)
def test_the_message_of_a_traceback(trace, message):
    expected = message or "custodian.custodian.MaxCorrectionsError: 5"
    assert message_of(trace) == expected


# Files


def test_the_output_that_people_look_at(tmp_path):
    (tmp_path / "leg-1").mkdir()
    (tmp_path / "vasp.out").write_text("x")
    assert main_output(tmp_path) == tmp_path / "vasp.out"
    (tmp_path / "OUTCAR.gz").write_bytes(gzip.compress(b"old\n"))
    assert tail(main_output(tmp_path), 5) == "old"
    os.utime(tmp_path / "OUTCAR.gz", (1, 1))
    (tmp_path / "leg-1/OUTCAR").write_text("".join(f"{k}\n" for k in range(100)))
    assert tail(main_output(tmp_path), 2) == "98\n99"
    assert main_output(tmp_path, name="leg-1/OUTCAR") == tmp_path / "leg-1/OUTCAR"
    with pytest.raises(DataError, match="it holds"):
        main_output(tmp_path, name="OSZICAR")


def test_what_is_added_is_followed_into_the_next_leg_until_the_job_ends(tmp_path):
    first, second = tmp_path / "1/OUTCAR", tmp_path / "2/OUTCAR"
    first.parent.mkdir()
    first.write_text("before\n")
    looks = iter(range(100))

    def is_running():
        look = next(looks)
        if look == 0:
            with first.open("a") as file:
                file.write("added\n")
        if look == 1:
            second.parent.mkdir()
            second.write_text("new leg\n")
            os.utime(first, (1, 1))
        return look < 2

    stop = threading.Event()
    stop.wait = lambda _: None
    said = follow(lambda: main_output(tmp_path), is_running=is_running, stop=stop)
    assert "".join(said) == "added\nnew leg\n"


def test_the_note_of_a_folder_that_is_gone_says_nothing(tmp_path):
    run = RunDirectory(tmp_path / "run", key="k")
    with noting_folder(tmp_path / "note"), run.lock():
        assert noted_folder(tmp_path / "note") == run.path
    run.clear()
    assert noted_folder(tmp_path / "note") is None
    assert noted_folder(tmp_path / "never") is None
