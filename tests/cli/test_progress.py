"""What takes long says how far it is and how long it takes yet, unless it is told to be quiet."""

import re
from dataclasses import replace

import pytest

from ssefw.campaigns.running.watch import RunningMD, Snapshot
from ssefw.cli.campaign.progress import TimeLeft, view
from ssefw.cli.console import errors
from ssefw.documents import CampaignRecord, PlannedCandidate
from ssefw.progress import counted, listening
from tests.conftest import CAMPAIGN


def test_a_loop_tells_who_listens_and_nobody_else():
    told = []
    with listening(lambda *said: told.append(said)):
        assert list(counted([5, 6], "reading")) == [5, 6]
        assert list(counted(iter("a"), "more", total=lambda: 1)) == ["a"]
        assert list(counted(iter("a"), "unknown")) == ["a"]
    assert told == [
        ("reading", 0, 2), ("reading", 1, 2), ("reading", 2, 2),
        ("more", 0, 1), ("more", 1, 1), ("unknown", 0, None), ("unknown", 1, None),
    ]  # fmt: skip
    assert list(counted(iter("a"), "reading", total=lambda: 1 / 0)) == ["a"]
    assert len(told) == 7


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def commands(tmp_path, copper):
    (tmp_path / "pool").mkdir()
    for k in range(3):
        copper.to(tmp_path / f"pool/{k}.cif")
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    (tmp_path / "t.csv").write_text("formula,sigma (S/cm),T (K)\nLi3N,5.8e-4,300\nLi2S,1e-9,298\n")
    (tmp_path / "p.csv").write_text("formula\n" + "\n".join(f"Li{k}N" for k in range(1, 9)) + "\n")
    return {
        "reading structures": ["pool", "check", "pool"],
        "estimating costs": ["plan", "c.yaml"],
        "reading labels": ["labels", "import", "t.csv", "-o", "set.json"],
        "fitting": ["screen", "train", "--system", "composition", "--labels", "starter",
                    "--workers", "1", "-o", "m.model", "--set", "n_splits=2", "--set",
                    "members=[gb]"],
        "reading the pool": ["screen", "rank", "p.csv", "--model", "m.model"],
    }  # fmt: skip


def test_long_commands_show_how_far_they_are_and_what_is_left(ssefw, tmp_path, copper, terminal):
    for what, words in commands(tmp_path, copper).items():
        shown = ssefw(*words, check=False).stderr
        assert what in shown, words
        assert re.search(r"\d+/\d+.*left", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)), words
        assert what not in ssefw(*words, "--quiet", check=False).stderr


def snapshot(concluded, *, done=0, running=()):
    return Snapshot("c", 10, concluded, {("md", "COMPLETED"): done}, (), running)


def record(**md):
    spec = {"md": {"temperatures": [600, 900], "length": 10, **md}}
    return CampaignRecord(campaign="c", plan_key="", spec=spec, candidates=())


def test_a_campaign_says_how_long_it_takes_at_the_pace_it_was_seen_to_go():
    pace = TimeLeft(record())
    assert pace.left(snapshot(1, done=3), clock=-1e4) is None
    assert pace.left(snapshot(1, done=3), clock=-1e3) is None  # workers import and relax
    assert pace.left(snapshot(2, done=4), clock=0.0) is None  # it moves: the clock starts
    assert pace.left(snapshot(2, done=4), clock=50.0) is None
    # Of 20 runs 4 were done and 8 are: 4 runs took 100 s, and 12 are left.
    assert pace.left(snapshot(4, done=8), clock=100.0) == pytest.approx(300.0)
    run = RunningMD(candidate_id="a", temperature=600.0, done=5.0, total=10.0, speed=1.0,
                    seconds_left=1.0)  # fmt: skip
    half = replace(snapshot(4, done=9), running=(run,))
    assert pace.left(half, clock=100.0) == pytest.approx((20 - 9.5) * 100 / 5.5)
    # Gates ended nine candidates at once, and one run of the tenth takes longer than they say.
    slow = replace(snapshot(9, done=3), running=(replace(run, seconds_left=5000.0),))
    assert pace.left(slow, clock=100.0) == 5000.0
    # Candidates that a gate ended have no runs, and none to come.
    assert pace.left(snapshot(10, done=3), clock=50.0) == 0.0


def test_each_arrangement_of_a_disordered_crystal_counts_with_its_runs():
    planned = [
        PlannedCandidate(candidate_id=name, formula="Cu", n_atoms=8, md_steps=steps)
        for name, steps in (("ordered", 10000), ("mixed", 30000), ("refused", 0))
    ]
    mixed = record().model_copy(update={"candidates": tuple(planned)})
    pace = TimeLeft(mixed)

    def three(concluded, done):
        return Snapshot("c", 3, concluded, {("md", "COMPLETED"): done}, (), ())

    assert pace.left(three(0, 2), clock=0.0) is None
    assert pace.left(three(0, 3), clock=1.0) is None  # it moves: the clock starts
    # Of 10 runs, 2 a ladder, 3 were done and 5 are: 2 runs took 100 s.
    assert pace.left(three(0, 5), clock=101.0) == pytest.approx(250.0)


def test_the_time_left_stands_beside_the_candidates(capsys):
    errors().print(view(snapshot(4, done=8), record(), 300.0))
    assert "4/10 candidates concluded, about 5 min left" in capsys.readouterr().err
