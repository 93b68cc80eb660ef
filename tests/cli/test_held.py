"""What is held is said in words, and only what there is can be held."""

import io

import pytest

from ssefw.cli.campaign.progress import _resume
from ssefw.settings import Settings
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
