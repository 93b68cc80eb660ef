"""An adaptive campaign that is killed while a run that exists is continued."""

import re
from functools import partial

import numpy as np
import pytest

from ssefw.documents import Trajectory as Ledger
from ssefw.errors import SsefwError
from ssefw.store import connect
from tests.campaigns.killing import killed_at_each, results
from tests.conftest import CAMPAIGN, work_here

FIRST, STEP, LAST = 500, 1000, 2500
"""Steps of the hot run: at first, by how much it is continued at a time, and in the end."""

# Nothing hops in these metals, so that the ladder continues the hottest run as far as it may.
LADDER = """\
  ladder: adaptive
  length: 1.0
  converge: {relative_error: 0.3, max_length: 5, step: 2, give_up: null}
"""


def make(folder):
    folder.mkdir()
    text = CAMPAIGN.replace("min_length: 3", "min_length: 7")  # the larger, the longer it takes
    text = re.sub("    - name: copper-gold\n.*?(?=engine:)", "", text, flags=re.DOTALL)
    text = text.replace("  length: 1.0\n", LADDER)
    (folder / "c.yaml").write_text(text)


def continues(folder, *, after):
    """Return whether a run whose first `after` steps are in the store has computed more."""
    try:
        with connect(folder / "st", read_only=True) as connection:
            stored = [run for run in connection.results.find(Ledger) if run.n_steps == after]
    except SsefwError:  # it is not there yet
        return False
    return any(
        int(chunk.stem.removeprefix("chunk-")) >= run.n_frames
        for run in stored
        for chunk in folder.glob(f"st/scratch/runs/{run.key}/chunk-*.npz")
    )


@pytest.mark.slow
def test_killed_while_runs_are_continued_it_ends_with_the_same_outcome(tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    make(whole)
    make(pieces)
    work_here(submit="c.yaml", folder=whole)
    moments = (partial(continues, pieces, after=steps) for steps in (FIRST, FIRST + STEP))
    killed = killed_at_each(moments, pieces, {}, pause=0.3)
    assert killed == 2

    outcomes, ledgers, frames, counts = results(pieces)
    expected, _, expected_frames, expected_counts = results(whole)
    (outcome,) = outcomes.values()
    choices = [gate["message"] for gate in outcome["gates"] if gate["name"] == "ladder"]
    assert [message for message in choices if "goes on to" in message] == [
        "600 K goes on to 3 ps: there is no line yet",
        "600 K goes on to 5 ps: there is no line yet",
    ]
    assert outcomes == expected
    assert counts == expected_counts

    hot = ledgers[-1]  # the longest
    assert (hot.temperature, hot.n_steps) == (600.0, LAST)
    stretches = [(s.first_step, s.last_step, s.end_reason) for s in hot.segments]
    assert sum(last > FIRST for _, last, reason in stretches if reason == "killed") == 2
    assert [first for first, _, _ in stretches] == [0, *(last for _, last, _ in stretches[:-1])]
    assert frames.keys() == expected_frames.keys()
    for key, positions in expected_frames.items():
        np.testing.assert_array_equal(frames[key], positions)
