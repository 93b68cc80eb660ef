"""What the report says of a potential that was taught for a candidate."""

import pytest

from ssefw.campaigns.running.watch import Snapshot
from ssefw.documents import (
    AskedFrame,
    CampaignRecord,
    Cost,
    FitError,
    LearnedPotential,
    Lesson,
    LessonRound,
    Parity,
)
from ssefw.report.lessons import asked_words, lesson_words
from ssefw.report.page import render_report
from ssefw.report.story import candidate_stories
from ssefw.report.story_text import story_lines
from ssefw.store import connect
from tests.outcomes import outcome, value

LESSON = Lesson(
    potential="3f2a" * 16, teacher="sevennet-l3i5", accepted=True, n_evaluations=3000, n_labels=300
)
ROUND = LessonRound(
    ran=(20, 4),
    lost=(False, True),
    labels=12,
    errors=FitError(force=0.05, energy=0.001),
    asked=(
        AskedFrame(temperature=1100, time=3.5, disagreement=0.61, excess=0.2),
        AskedFrame(temperature=1100, time=4.0, disagreement=0.2, excess=3.2),
    ),
)
POTENTIAL = LearnedPotential(
    potential=LESSON.potential,
    species=("Li", "Cl"),
    specie="Li",
    structures=("LiCl",),
    teacher=LESSON.teacher,
    level_of_theory="PBE",
    training_set="0" * 64,
    n_labels=300,
    n_evaluations=3000,
    settings={},
    errors=(FitError(force=0.05, energy=0.001),),
    first_errors=FitError(force=0.08, energy=0.002),
    rounds=(ROUND,),
    parity=Parity(teacher=(0.1, -0.4), student=(0.12, -0.35)),
    stable=False,
    accepted=True,
)


def taught(lesson):
    return outcome("LiCl", value(1e-4), candidate_id="one").model_copy(
        update={"lesson": lesson, "cost": Cost(md_steps=450_000)}
    )


def test_the_cost_of_the_teachers_own_dynamics_is_told_beside_that_of_the_lesson():
    words = lesson_words(LESSON, md_steps=450_000)
    assert "3000 times, 300 of them labels" in words
    assert "450000 evaluations, 150 times as many" in words
    refused = LESSON.model_copy(update={"accepted": False, "reason": "it ran away"})
    assert "not accepted (it ran away)" in lesson_words(refused, md_steps=450_000)
    below = refused.model_copy(update={"ran_to": 550.0})
    words = lesson_words(below, md_steps=450_000)
    assert "ran the dynamics up to 550 K; it was not accepted for hotter ones (it ran" in words
    assert lesson_words(None, md_steps=1) == ""


def test_of_a_tuned_potential_it_is_said_who_ran_and_what_was_asked():
    tuned = LESSON.model_copy(update={"base": "sevennet-0"})
    words = lesson_words(tuned, md_steps=450_000)
    assert words.startswith(f"sevennet-0 tuned to {LESSON.teacher}")
    assert f"{LESSON.n_evaluations} single points" in words
    refused = tuned.model_copy(update={"accepted": False, "reason": "it ran away"})
    assert lesson_words(refused, md_steps=0).startswith("No dynamics were run")


def test_it_is_told_which_frames_were_asked_for_and_why():
    (words,) = asked_words(POTENTIAL)
    assert words == (
        "round 1: explored 20 ps, 4 ps (lost); 12 labels: 2 at 1100 K (potentials up to 0.61 eV/Å "
        "apart, up to 3.2 ranges outside of training)"
    )


@pytest.mark.parametrize("potentials", [(), (POTENTIAL,)])
def test_the_page_shows_the_lesson(potentials):
    """Without the record of the potential, as in older stores, what the outcome knows."""
    spec = {"specie": "Li", "conductivity": {"temperature": 300.0}}
    record = CampaignRecord(campaign="x", plan_key="k", spec=spec, candidates=())
    now = Snapshot("x", 1, 1, {}, (), ())
    page = render_report(record, [taught(LESSON)], now, potentials=potentials)
    section = page[page.index('id="one"') :].partition("</section>")[0]
    assert "450000 evaluations" in section
    assert ("force by the teacher" in section) == bool(potentials)
    assert ("round 1: explored" in section) == bool(potentials)


def test_the_page_shows_the_lesson_of_the_teacher_before_that_of_the_student():
    tuned = POTENTIAL.model_copy(
        update={"potential": "77aa" * 16, "base": "sevennet-l3i5", "teacher": "vasp"}
    )
    first = LESSON.model_copy(
        update={"potential": tuned.potential, "base": "sevennet-l3i5", "teacher": "vasp"}
    )
    lesson = LESSON.model_copy(update={"first": first, "teacher": "tuned-77aa77aa"})
    spec = {"specie": "Li", "conductivity": {"temperature": 300.0}}
    record = CampaignRecord(campaign="x", plan_key="k", spec=spec, candidates=())
    now = Snapshot("x", 1, 1, {}, (), ())
    page = render_report(record, [taught(lesson)], now, potentials=(POTENTIAL, tuned))
    section = page[page.index('id="one"') :].partition("</section>")[0]
    assert section.count("round 1: explored") == 2
    assert section.index("the tuned potential's forces") < section.index("the student's forces")
    words = " ".join(section.split())
    assert "tuned to vasp (77aa77aa), which was asked for 3000 single points" in words


def test_the_story_says_whether_sigma_was_simulated_or_extrapolated(tmp_path):
    item = taught(LESSON)
    direct = item.conductivity.model_copy(
        update={"extrapolation": "direct", "statistics": value(1e-4)}
    )
    item = item.model_copy(update={"conductivity": direct})
    with connect(tmp_path / "st") as connection:
        connection.results.add(item, candidate=item.candidate_id, campaign="x")
        (story,) = candidate_stories(connection, "LiCl")
    text = "\n".join(story_lines(story))
    assert "simulated directly; the runs alone" in text
    assert "taught         The student 3f2a3f2a of sevennet-l3i5 ran the dynamics" in text
