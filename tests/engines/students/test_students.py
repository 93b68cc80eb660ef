"""A student taught by EMT: the loop survives kill -9, the engine continues bit by bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.students import (
    LearnSettings,
    StudentEngine,
    add_potential,
    compare_runs,
    find_potential,
    judge,
    judgement,
    learn,
    long_run,
    moved_by,
    quiet_run,
    read_frames,
)
from ssefw.engines.students.learning import run_of_teacher
from ssefw.engines.students.teacher import ase_teacher
from ssefw.errors import ConfigurationError, DataError, EngineError
from ssefw.nep import TrainingSettings, errors_on, fit, new_model
from tests.nep.conftest import alloy

EMT = "ase.calculators.emt.EMT"
# One of its own in this process: EMT keeps its list of neighbors, and with it the order of its
# sums, from one calculation to the next. The option has its default.
TEACHER = AseEngine(calculator=EMT, options={"asap_cutoff": False})
FIT = TrainingSettings(
    radial_cutoff=4.5,
    angular_cutoff=3.8,
    n_radial=4,
    n_angular=3,
    functions=5,
    neurons=8,
    steps=400,
)
HOW = LearnSettings(
    temperatures=(900.0, 500.0),
    teacher_time=0.6,
    frames=40,
    rattled=8,
    explore_temperatures=(1000.0, 500.0),
    explore_time=2.0,
    long_time=4.0,
    labels=8,
    rounds=2,
    fit=FIT,
    refit_steps=100,
)
CRYSTAL = AseAtomsAdaptor.get_structure(alloy())

SCRIPT = """
import sys
from pathlib import Path
from tests.engines.students.test_students import CRYSTAL, HOW, TEACHER, learn
print(learn([CRYSTAL], TEACHER, Path(sys.argv[1]), HOW).student.digest)
"""


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    return folder, learn([CRYSTAL], TEACHER, folder, HOW)


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    monkeypatch.setenv("SSEFW_POTENTIALS", str(tmp_path / "potentials"))
    return tmp_path / "potentials"


@pytest.fixture
def engine(lesson, shelf):
    add_potential(lesson[1].student)
    return StudentEngine(potential=lesson[1].student.digest)


def test_a_student_learns_and_is_judged_by_physics(lesson):
    folder, learned = lesson
    assert learned.rounds
    assert learned.rounds[-1].errors.force < 0.3
    labelled = [read_frames(path) for path in sorted(folder.glob("*.npz"))]
    assert sum(len(frames) for frames in labelled) == learned.n_labels
    start = learned.teacher_runs[0].frames[0]
    for run in learned.teacher_runs:
        for check in compare_runs(moved_by(learned.student), run, specie="Ag"):
            assert check.passed, check
    assert quiet_run(moved_by(learned.student), start, temperature=500, seed=0).passed
    assert long_run(
        moved_by(learned.student), start, temperature=500, duration=4, farthest=3.0, seed=0
    ).passed


def test_the_loop_ends_with_a_run_as_long_as_an_accepted_student_must_survive(lesson):
    rounds = lesson[1].rounds
    assert lesson[1].stable
    assert [len(one.survived) for one in rounds] == [2] * (len(rounds) - 1) + [3]
    assert rounds[-1].survived[-1] == HOW.long_time


def test_a_student_of_another_crystal_is_not_accepted(lesson):
    """Weights with the wrong sign make other dynamics, which the comparison sees."""
    learned = lesson[1]
    soft = replace(learned.student, last=0.4 * learned.student.last)
    checks = [
        c for run in learned.teacher_runs for c in compare_runs(moved_by(soft), run, specie="Ag")
    ]
    assert not all(check.passed for check in checks)


def test_labels_of_the_wrong_kind_better_forces_and_worsen_motion_which_is_seen(lesson):
    """Cold frames alone: forces on others of their kind improve, and the hot crystal gets stiff."""
    learned = lesson[1]
    hot = learned.teacher_runs[0]
    symbols, positions, cell = hot.frames[0]
    rng = np.random.default_rng(1)
    shaken = [(symbols, positions + rng.normal(0, 0.02, positions.shape), cell) for _ in range(20)]
    labelled = ase_teacher(TEACHER)(shaken)
    refitted = fit(labelled[:12], FIT.refit(steps=500, seed=1), start=learned.student)
    before, after = (errors_on(s, labelled[12:]).force for s in (learned.student, refitted))
    assert after < 0.5 * before
    assert all(check.passed for check in compare_runs(moved_by(learned.student), hot, specie="Ag"))
    failed = [c.name for c in compare_runs(moved_by(refitted), hot, specie="Ag") if not c.passed]
    assert "MSD of the framework at 900 K" in failed


def test_too_few_labels_better_forces_and_do_not_pass_for_a_student(lesson):
    """Two frames teach forces of others to a fifth of an untrained potential's error, no more."""
    learned = lesson[1]
    few = fit(learned.frames[:2], FIT)
    unseen = [frame for _, part in learned.held_out for frame in part]
    untaught = new_model(learned.frames[:2], FIT)
    assert errors_on(few, unseen).force < 0.4 * errors_on(untaught, unseen).force
    checks = judge(replace(learned, student=few), HOW, specie="Ag", stable=4.0)
    assert "4 ps at 900 K" in [check.name for check in checks if not check.passed]
    checks = judge(learned, HOW, specie="Ag", stable=4.0)
    assert all(check.passed for check in checks)


def with_odd_draw(learned, number=0):
    """Return it with a run, the hottest, in which all atoms move twice as far as they did."""
    runs = list(learned.teacher_runs)
    runs[number] = odd(runs[number])
    return replace(learned, teacher_runs=tuple(runs))


def odd(run):
    (symbols, origin, cell), *_ = run.frames
    far = [(symbols, origin + 2.0 * (positions - origin), cell) for _, positions, _ in run.frames]
    return replace(run, frames=far)


@pytest.fixture
def longer(tmp_path):
    """The teacher's longer runs, and the numbers of those that were asked for."""
    asked = []

    def again(number):
        asked.append(number)
        return run_of_teacher(
            TEACHER, CRYSTAL, tmp_path / f"again-{number}",
            temperature=HOW.temperatures[number], duration=1.8, seed=2,
        )  # fmt: skip

    return again, asked


def test_whoever_differs_from_one_run_of_the_teacher_is_compared_with_a_longer_one(lesson, longer):
    again, asked = longer
    odd = with_odd_draw(lesson[1])
    short = {c.name: c for c in judge(odd, HOW, specie="Ag", stable=4.0)}
    failed = [name for name, check in short.items() if not check.passed]
    assert failed
    checks = judge(odd, HOW, specie="Ag", stable=4.0, again=again)
    assert asked == [0]
    assert all(check.passed for check in checks)
    told = [check.words for check in checks if "; in 0.6 ps: " in check.words]
    assert len(told) == len(failed)


def test_a_student_that_moves_otherwise_fails_the_longer_comparison_too(lesson, longer):
    again, asked = longer
    learned = lesson[1]
    soft = replace(learned, student=replace(learned.student, last=0.7 * learned.student.last))
    checks = judge(soft, HOW, specie="Ag", stable=4.0, again=again)
    assert asked
    assert any("; in 0.6 ps: " in check.words for check in checks if not check.passed)


def test_a_student_that_does_not_stay_is_not_compared_for_longer(lesson, longer):
    again, asked = longer
    few = replace(lesson[1], student=fit(lesson[1].frames[:2], FIT))
    assert not all(check.passed for check in judge(few, HOW, specie="Ag", stable=4.0, again=again))
    assert not asked


@pytest.mark.parametrize("is_cured", [True, False])
def test_whoever_does_not_stay_when_it_is_judged_is_taught_one_more_round(
    lesson, tmp_path, monkeypatch, is_cured
):
    good, asked = lesson[1], []
    few = replace(good, student=fit(good.frames[:2], FIT))
    longer = replace(good, rounds=(*good.rounds, good.rounds[-1]))

    def taught(*_, rounds=0, **__):
        asked.append(rounds)
        return longer if rounds and is_cured else few  # no round was left

    monkeypatch.setattr(judgement, "learn", taught)
    found, record = judgement.teach([CRYSTAL], TEACHER, tmp_path, HOW, specie="Ag", stable=4.0)
    assert asked == [0, len(good.rounds) + 1]
    assert record.accepted is is_cured
    assert len(found.rounds) == len(good.rounds) + is_cured


@pytest.mark.slow
def test_a_round_more_goes_on_where_the_lesson_had_ended(tmp_path):
    how = replace(HOW, rounds=3)
    ended = learn([CRYSTAL], TEACHER, tmp_path, how)
    assert ended.stable
    assert len(ended.rounds) == 2
    longer = learn([CRYSTAL], TEACHER, tmp_path, how, rounds=3)
    assert longer.rounds[:2] == ended.rounds
    assert len(longer.rounds) == 3
    assert longer.n_evaluations >= ended.n_evaluations
    assert learn([CRYSTAL], TEACHER, tmp_path, how, rounds=4).rounds == longer.rounds


@pytest.mark.parametrize(("budget", "is_repeated"), [(None, True), (1000, False)])
def test_longer_runs_count_as_evaluations_and_keep_to_the_budget(
    lesson, tmp_path, monkeypatch, budget, is_repeated
):
    learned = lesson[1]
    monkeypatch.setattr(judgement, "learn", lambda *_, **__: with_odd_draw(learned))
    how = replace(HOW, budget=budget)
    found, record = judgement.teach([CRYSTAL], TEACHER, tmp_path, how, specie="Ag", stable=4.0)
    assert record.accepted is is_repeated
    # 1.8 ps in steps of 2 fs, and the first frame
    assert found.n_evaluations - learned.n_evaluations == (901 if is_repeated else 0)
    assert record.n_evaluations == found.n_evaluations


@pytest.mark.parametrize(("number", "holds_to"), [(0, 500.0), (1, None)])
def test_whoever_moves_otherwise_when_it_is_hottest_holds_up_to_where_it_does_not(
    lesson, tmp_path, monkeypatch, number, holds_to
):
    learned = lesson[1]
    monkeypatch.setattr(judgement, "learn", lambda *_, **__: with_odd_draw(learned, number))
    how = replace(HOW, budget=learned.n_evaluations)  # the teacher is not asked again
    _, record = judgement.teach([CRYSTAL], TEACHER, tmp_path, how, specie="Ag", stable=4.0)
    assert not record.accepted
    assert record.holds_to == holds_to
    told = {check.temperature for check in record.checks if not check.passed}
    assert told == {HOW.temperatures[number]}


@pytest.mark.slow
def test_a_lesson_killed_at_random_ends_with_the_same_potential(lesson, tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - told where the test fails
    rng = random.Random(seed)
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for _ in range(3):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        marker, deadline = folder / "lesson.json", time.monotonic() + 120
        while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 4.0))
        if process.poll() is not None:
            break  # it was done before
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == lesson[1].student.digest
    assert not list(folder.glob(".*npz*"))  # nothing half-written passes for whole


def test_a_folder_of_another_lesson_is_refused(lesson):
    with pytest.raises(DataError, match="another lesson"):
        learn([CRYSTAL], TEACHER, lesson[0], replace(HOW, seed=5))


def frames_of(run):
    from ssefw.data import decode_chunk, join_chunks

    return join_chunks([decode_chunk(file.read_bytes()) for file in run.chunk_files()])


@pytest.mark.parametrize("thermostat", ["nose-hoover", "langevin"])
def test_a_run_that_was_stopped_continues_bit_by_bit(engine, tmp_path, thermostat):
    settings = MDSettings(
        temperature=700,
        frames_per_chunk=4,
        steps_per_frame=5,
        thermostat=thermostat,
        heat_from=100,
        heating_steps=40,
    )
    whole = RunDirectory(tmp_path / "whole", key="k")
    assert engine.md(CRYSTAL, settings, whole, until=100) == "complete"
    pieces = RunDirectory(tmp_path / "pieces", key="k")
    answers = iter([None, "preempted"])
    assert engine.md(CRYSTAL, settings, pieces, until=60, stop=lambda: next(answers)) == "preempted"
    engine.md(CRYSTAL, settings, pieces, until=60)
    engine.md(CRYSTAL, settings, pieces, until=100)
    one, other = frames_of(whole), frames_of(pieces)
    assert one.n_frames == 21
    assert np.array_equal(one.positions, other.positions)
    assert np.array_equal(one.energies, other.energies)
    assert all(np.array_equal(one.state[name], other.state[name]) for name in one.state)


def test_compiled_chunks_are_those_of_the_calculator(engine, tmp_path):
    """The same potential driven step by step through ASE: chaos has no time to tell them apart."""
    settings = MDSettings(temperature=600, frames_per_chunk=3, steps_per_frame=5)
    compiled = RunDirectory(tmp_path / "compiled", key="k")
    engine.md(CRYSTAL, settings, compiled, until=30)
    from ssefw.engines.ase.dynamics import AseDriver, advance_dynamics

    plain = RunDirectory(tmp_path / "plain", key="k")
    driver = AseDriver(engine._atoms(CRYSTAL), settings)
    advance_dynamics(driver, settings, plain, until=30, stop=lambda: None)
    one, other = frames_of(compiled), frames_of(plain)
    assert one.positions == pytest.approx(other.positions, abs=2e-5)
    assert one.energies == pytest.approx(other.energies, abs=1e-8)
    assert one.temperatures == pytest.approx(other.temperatures, abs=1e-6)


def test_a_run_that_leaves_what_was_taught_ends_with_the_reason(engine, tmp_path):
    hot = MDSettings(temperature=6000, timestep=4.0)
    with pytest.raises(EngineError, match=r"ranges of training|exploded"):
        engine.md(CRYSTAL, hot, RunDirectory(tmp_path / "hot", key="k"), until=2000)


def test_relaxation_and_provenance(engine):
    result = engine.relax(CRYSTAL, fmax=0.05, max_steps=100, relax_cell=True)
    assert result.converged
    assert result.provenance.engine == f"student-{engine.potential[:8]}"
    assert json.loads(json.dumps(engine.as_dict()))["potential"] == engine.potential
    back = StudentEngine.from_dict(engine.as_dict())
    assert back == engine


def test_a_potential_is_found_by_the_beginning_of_its_hash(engine, shelf):
    assert find_potential(engine.potential[:8]).digest == engine.potential
    with pytest.raises(ConfigurationError, match="no potential 'ffffffff'"):
        find_potential("ffffffff")
    with pytest.raises(ConfigurationError, match="no potential"):
        find_potential(engine.potential[:2])


def test_a_file_under_the_name_of_another_is_refused(engine, shelf):
    right = shelf / f"{engine.potential}.nep"
    wrong = "0" * 64
    right.rename(shelf / f"{wrong}.nep")
    with pytest.raises(ConfigurationError, match="not the one of its name"):
        StudentEngine(potential=wrong).check()
    with pytest.raises(ConfigurationError, match="potential add FILE"):
        StudentEngine(potential="1" * 64).check()
