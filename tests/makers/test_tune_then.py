"""A campaign whose potential is tuned to its engine, and then teaches a student."""

import pytest
import yaml

from ssefw.campaigns.file import CampaignSpec
from ssefw.documents import LearnedPotential, Outcome, Trajectory
from ssefw.report.lessons import lesson_words
from ssefw.store import connect
from tests.conftest import call_ssefw, work_here
from tests.makers.test_tune import CAMPAIGN, make

THEN = {
    "temperatures": [700, 400],
    "length": 0.3,
    "frames": 24,
    "rattled": 6,
    "cell": {"min_length": 3},
    "explore": {"temperatures": [700], "length": 1, "labels": 8, "rounds": 3},
    "student": {
        "radial_cutoff": 4.5, "angular_cutoff": 3.8, "n_radial": 4, "n_angular": 3, "functions": 5,
        "neurons": 8, "steps": 200, "refit_steps": 40,
    },
    "accept": {"stable": 2},
    "otherwise": {
        "temperatures": [500], "length": 0.3, "equilibration": 0.04, "steps_per_frame": 5,
    },
}  # fmt: skip


def campaign(**changes):
    found = yaml.safe_load(CAMPAIGN)
    found["learn"]["then"] = THEN | changes
    return yaml.safe_dump(found)


@pytest.mark.slow
def test_dft_teaches_a_potential_and_that_a_student(tmp_path):
    work_here(submit="c.yaml", folder=tmp_path, env=make(tmp_path, campaign()))
    with connect(tmp_path / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        potentials = list(connection.results.find(LearnedPotential))
        runs = list(connection.results.find(Trajectory))
    (tuned,) = [one for one in potentials if one.base]
    (student,) = [one for one in potentials if not one.base]
    name = f"tuned-{tuned.potential[:8]}"
    assert (tuned.teacher, student.teacher) == ("Dear", name)
    lesson = outcome.lesson
    assert (lesson.potential, lesson.first.potential) == (student.potential, tuned.potential)
    # The engine was asked by the first lesson only, within its budget.
    assert lesson.first.n_evaluations == tuned.n_evaluations <= 18
    assert outcome.cost.core_hours >= tuned.core_hours + student.core_hours
    assert [gate.name for gate in outcome.gates][-2:] == ["learn", "student"]
    climber = f"student-{student.potential[:8]}" if student.accepted else name
    assert {run.provenance.engine for run in runs} == {climber}
    assert {d.temperature for d in outcome.diffusivities} == {600.0 if student.accepted else 500.0}
    said = lesson_words(lesson, md_steps=100)
    assert f"({tuned.potential[:8]}), which was asked for {tuned.n_evaluations}" in said


def test_a_plan_tells_both_lessons(tmp_path, monkeypatch, capsys):
    for name, value in make(tmp_path, campaign()).items():
        monkeypatch.setenv(name, value)
    assert call_ssefw("plan", "c.yaml", folder=tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "> tune test_tuning.Soft" in said or "> tune " in said
    assert said.index("> tune ") < said.index("> teach a student: 2 x 0.3 ps and 24 frames")


@pytest.mark.parametrize(
    ("learn", "why"),
    [
        ({"then": {}}, "it goes with a base"),
        ({"base": "sevennet-0", "then": {"base": "sevennet-0"}}, "a student has no base"),
        ({"base": "sevennet-0", "then": {"teacher": {"code": "vasp"}}}, "leave teacher out"),
    ],
)
def test_a_student_that_makes_no_sense_is_refused(learn, why):
    blocks = {
        "campaign": "c",
        "pool": {"path": "x.cif"},
        "md": {"temperatures": [600], "length": 1},
    }
    with pytest.raises(ValueError, match=why):
        CampaignSpec.model_validate({**blocks, "learn": learn})
