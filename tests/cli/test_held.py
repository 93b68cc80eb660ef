"""What is held is said in words, and only what there is can be held."""

import io
import json
import shlex
import time

import pytest

from ssefw.cli.campaign.progress import _resume
from ssefw.settings import Settings
from ssefw.store import connect
from tests.conftest import CAMPAIGN

LOOP = CAMPAIGN + "feedback: {batch: 1, target: 1}\n"


@pytest.fixture
def submit(ssefw, tmp_path):
    def submit(text):
        (tmp_path / "c.yaml").write_text(text)
        ssefw("submit", "c.yaml", "--store", "st")

    return submit


def test_the_status_of_a_closed_loop_says_that_others_wait(ssefw, submit):
    submit(LOOP)
    said = " ".join(ssefw("status", "--store", "st").stdout.split())
    assert "small computes a batch at a time" in said
    assert "ssefw feedback next" in said


def test_what_is_paused_is_named_by_formula_and_stage(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("pause", "--candidate", "Cu", "--stage", "md", "--store", "st")
    said = " ".join(ssefw("status", "--store", "st").stdout.split())
    assert "md of Cu (" in said
    assert "is paused" in said


@pytest.mark.parametrize("stage", ["mdd", "relax2", "600 K"])
def test_a_stage_that_is_none_is_not_held(ssefw, submit, stage):
    submit(CAMPAIGN)
    done = ssefw("pause", "--stage", stage, "--store", "st", check=False)
    assert done.returncode == 1
    assert "is no stage" in done.stderr
    assert "paused" not in ssefw("status", "--store", "st").stdout


@pytest.mark.parametrize("answer", ["", "n\n"])
def test_without_a_yes_nothing_is_cancelled(ssefw, submit, monkeypatch, answer):
    submit(CAMPAIGN)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    done = ssefw("cancel", "--store", "st", check=False)
    assert done.returncode == 1
    assert "give --yes" in done.stderr
    assert "cancelled" not in ssefw("status", "--store", "st").stdout


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("st", "ssefw resume small --store st"),
        ("my store", "ssefw resume small --store 'my store'"),
        ("mongodb://user:secret@host/x", "ssefw resume small --store ..."),
    ],
)
def test_the_command_that_goes_on_can_be_copied_and_holds_no_password(store, said):
    assert _resume("small", Settings(store=store)) == said


# Lifting


def status_of(ssefw, store="st"):
    return json.loads(ssefw("status", "--json", "--store", store).stdout)


def kinds(ssefw):
    return [item["kind"] for item in status_of(ssefw)["holds"]]


def test_resume_lifts_pauses_and_no_cancellation(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("cancel", "--candidate", "Cu", "--yes", "--store", "st")
    ssefw("pause", "--store", "st")
    done = ssefw("resume", "--no-work", "--store", "st")
    assert kinds(ssefw) == ["cancel"]
    assert "Cu (" in done.stderr
    assert "is cancelled" in done.stderr
    ssefw("resume", "--no-work", "--all", "--store", "st")
    assert kinds(ssefw) == []


def test_one_candidate_of_several_goes_on(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("pause", "--candidate", "Cu", "--candidate", "Cu3Au", "--store", "st")
    ssefw("resume", "--candidate", "AuCu3", "--no-work", "--store", "st")
    (left,) = status_of(ssefw)["holds"]
    assert [item["formula"] for item in left["candidates"]] == ["Cu"]


def test_one_stage_goes_on(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("cancel", "--stage", "md 600 K", "--yes", "--store", "st")
    ssefw("pause", "--stage", "relax", "--store", "st")
    ssefw("resume", "--stage", "md", "--no-work", "--store", "st")
    assert [item["stage"] for item in status_of(ssefw)["holds"]] == ["relax"]


def test_a_part_of_what_is_held_as_a_whole_is_not_lifted_and_said(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("pause", "--store", "st")
    done = ssefw("resume", "--candidate", "Cu", "--no-work", "--store", "st", check=False)
    assert done.returncode == 1
    assert "`ssefw resume small`" in done.stderr
    assert kinds(ssefw) == ["pause"]


def test_the_command_that_lifts_a_hold_lifts_it(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("cancel", "--candidate", "Cu", "--stage", "md", "--yes", "--store", "st")
    (held,) = status_of(ssefw)["holds"]
    _, *words = shlex.split(held["release"])
    ssefw(*words, "--no-work", "--store", "st")
    assert kinds(ssefw) == []


# What a paused campaign says of itself


def test_a_paused_campaign_is_not_done(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("pause", "--candidate", "Cu", "--stage", "md", "--store", "st")
    ssefw("pause", "--store", "st")
    now = status_of(ssefw)
    assert not now["done"]
    assert now["state"] == "held"
    assert now["running"] == []
    one, whole = now["holds"]
    assert one["stage"] == "md"
    assert one["candidates"][0]["formula"] == "Cu"
    assert whole["candidates"] == []
    assert whole["release"] == "ssefw resume small"


def test_a_cancelled_campaign_is_done(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("cancel", "--yes", "--store", "st")
    assert status_of(ssefw)["state"] == "done"


def test_the_watch_of_a_paused_campaign_stays(ssefw, submit, monkeypatch):
    submit(CAMPAIGN)
    ssefw("pause", "--store", "st")
    looks = []

    def wait(_):
        looks.append(1)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", wait)
    done = ssefw("status", "--watch", "--store", "st", check=False)
    assert len(looks) == 3
    assert done.returncode == 130


def test_the_run_of_a_paused_campaign_says_so_and_ends_with_its_own_code(ssefw, submit):
    submit(CAMPAIGN)
    ssefw("pause", "--store", "st")
    done = ssefw("run", "c.yaml", "--store", "st", check=False)
    assert done.returncode == 4
    assert "small is paused (`ssefw resume small` goes on)" in done.stderr


def test_running_dynamics_are_told_to_programs(ssefw, submit, tmp_path):
    submit(CAMPAIGN)
    with connect(tmp_path / "st") as connection:
        (copper, *_) = connection.launchpad.fireworks.find({"name": "relax"})
        candidate = copper["spec"]["candidate"]
        folder = tmp_path / "st/scratch/runs/one"
        folder.mkdir(parents=True)
        about = {"candidate": candidate, "temperature": 600.0, "timestep": 2.0, "key": "k"}
        note = {"step": 100, "until": 500, "rate": 50.0, "time": time.time()}
        (folder / "run.json").write_text(json.dumps(about))
        (folder / "progress.json").write_text(json.dumps(note))
    # The note of a run whose worker was asked to stop is fresh for a while.
    assert status_of(ssefw)["running"] == []
    with connect(tmp_path / "st") as connection:
        connection.launchpad.fireworks.update_one(
            {"fw_id": copper["fw_id"]}, {"$set": {"state": "RUNNING", "name": "md 600 K"}}
        )
    (run,) = status_of(ssefw)["running"]
    assert run["candidate_id"] == candidate
    assert (run["done_ps"], run["total_ps"], run["seconds_left"]) == (0.2, 1.0, 8.0)
