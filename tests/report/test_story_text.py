"""The story of a candidate is text that names every number's unit."""

import pytest

from ssefw.campaigns.running.watch import Snapshot
from ssefw.documents import CampaignRecord
from ssefw.report.page import render_report
from ssefw.report.story import candidate_stories
from ssefw.report.story_text import story_lines
from ssefw.store import connect
from tests.makers.test_outcome import trajectory
from tests.outcomes import bound, outcome, relaxation, value


@pytest.mark.parametrize(
    ("sigma", "words"),
    [
        (1e-3, ["determined", "sigma(300 K)", "0.001 [0.0005, 0.002] S/cm (95%)"]),
        (bound(1e-9), ["bound", "< 1e-09 S/cm (95%)", "undetermined (made up)"]),
        (None, ["rejected: too large", "chgnet-0.3.0", "core-hours"]),
    ],
)
def test_what_is_known_is_said(tmp_path, sigma, words):
    status = "rejected" if sigma is None else None
    item = outcome("Li10Ge(PS6)2", sigma, status=status, reason="too large" if status else "")
    with connect(tmp_path / "st") as connection:
        connection.results.add(item, candidate=item.candidate_id, campaign="x")
        (story,) = candidate_stories(connection, "Li10GeP2S12")
    text = "\n".join(story_lines(story))
    assert "None" not in text
    for word in words:
        assert word in text


def test_a_run_that_was_continued_is_told_once_as_it_stands(tmp_path, lif):
    item = outcome("LiF", 1e-3)
    short, long = (
        trajectory(lif, temperature=900, picoseconds=length, seconds=1).model_copy(
            update={"candidate_id": item.candidate_id}
        )
        for length in (4, 8)
    )
    with connect(tmp_path / "st") as connection:
        for document in (item, long, short):
            connection.results.add(document, candidate=item.candidate_id, campaign="x")
        (story,) = candidate_stories(connection, "LiF")
    assert [run["steps"] for run in story["trajectories"]] == [long.n_steps]


def test_what_ions_conduct_together_stands_beside_what_they_do_alone(tmp_path):
    item = outcome("LiF", 1e-3)
    ratio = value(0.5).model_copy(update={"unit": ""})
    fit = item.conductivity.model_copy(update={"haven": ratio, "collective": value(2e-3)})
    item = item.model_copy(update={"conductivity": fit})
    with connect(tmp_path / "st") as connection:
        connection.results.add(item, candidate=item.candidate_id, campaign="x")
        (story,) = candidate_stories(connection, "LiF")
    (line,) = (line for line in story_lines(story) if "move together" in line)
    assert "0.002 [" in line
    assert line.endswith("] (95%)")
    record = CampaignRecord(campaign="x", plan_key="k", spec={"specie": "Li"}, candidates=())
    page = render_report(record, [item], Snapshot("x", 1, 1, {}, (), ()), store="demo")
    assert "Together, with a Haven ratio of" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [(0.071, "7.1% larger than the one given"), (-0.06, "6.0% smaller"), (0.03, None)],
)
def test_a_cell_that_relaxation_made_another_is_said_wherever_the_number_is(
    tmp_path, lif, change, words
):
    item = outcome("LiF", 1e-3)
    made = relaxation(lif).model_copy(update={"volume_change": change})
    item = item.model_copy(update={"relaxed": made})
    with connect(tmp_path / "st") as connection:
        connection.results.add(item, candidate=item.candidate_id, campaign="x")
        (story,) = candidate_stories(connection, "LiF")
    record = CampaignRecord(campaign="x", plan_key="k", spec={"specie": "Li"}, candidates=())
    page = render_report(record, [item], Snapshot("x", 1, 1, {}, (), ()), store="demo")
    for text in ("\n".join(story_lines(story)), page):
        assert ("volume: {mode: experiment} keeps it" in text) == (words is not None)
        assert words is None or words in text
