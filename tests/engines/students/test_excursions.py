"""Dynamics that leave what a potential was taught: what is told, and what ends them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.students import StudentEngine, add_potential
from ssefw.engines.students.excursions import FARTHEST, Excursions
from ssefw.engines.students.learning import _ran
from ssefw.errors import EngineError
from ssefw.nep import fit
from tests.nep.conftest import SMALL, alloy, shaken_alloys

INSIDE, OUTSIDE = 0.2, FARTHEST + 1.0


def seen(excesses, *, before=(), timestep=2.0):
    """Return what is noted of a chunk after other chunks."""
    excursions, step = Excursions(FARTHEST, timestep), 1
    for chunk in before:
        excursions.of_steps(chunk, first_step=step)
        step += len(chunk)
    return excursions.of_steps(excesses, first_step=step)


def test_a_collision_is_told_and_ends_nothing():
    notes = seen([INSIDE] * 10 + [OUTSIDE] * 3 + [INSIDE] * 7)
    assert notes["excess"] == OUTSIDE
    assert notes["outside"] == [3, 0]
    assert notes["remark"].endswith("(3 of the steps from 11 on; 3 of 20 so far)")


def test_nothing_is_said_of_a_run_that_stayed():
    assert seen([INSIDE] * 20) == {"excess": INSIDE}


@pytest.mark.parametrize(
    ("chunks", "why"),
    [
        ([[11.0]], "by 11.0 ranges"),
        ([[INSIDE] * 50 + [OUTSIDE] * 24], None),
        ([[INSIDE] * 50 + [OUTSIDE] * 25], "for 25 steps in a row"),
        ([[OUTSIDE] * 20, [OUTSIDE] * 5], "for 25 steps in a row"),  # over two chunks
        ([[OUTSIDE] * 20 + [INSIDE], [OUTSIDE] * 4], None),
        ([[OUTSIDE, INSIDE] * 25], "in 25 of 50 steps"),
        ([[INSIDE] * 30_000, [OUTSIDE, INSIDE] * 25], None),  # less than a thousandth of all
    ],
)
def test_what_is_far_long_or_often_outside_ends(chunks, why):
    if why is None:
        assert seen(chunks[-1], before=chunks[:-1])
        return
    with pytest.raises(ValueError, match=f"{why}; teach the potential"):
        seen(chunks[-1], before=chunks[:-1])


def test_counts_go_on_from_the_last_chunk_and_from_chunks_of_earlier_versions():
    excursions = Excursions(FARTHEST, 2.0)
    excursions.restore(SimpleNamespace(notes=seen([OUTSIDE] * 20)))
    assert excursions.leash().before == 20
    excursions.restore(SimpleNamespace(notes={"excess": 1.0}))
    assert excursions.leash().before == 0


@pytest.fixture(scope="module")
def student():
    return fit(shaken_alloys(10), replace(SMALL, steps=150))


@pytest.fixture
def engine(student, monkeypatch, tmp_path):
    monkeypatch.setenv("SSEFW_POTENTIALS", str(tmp_path / "potentials"))
    add_potential(student)
    return StudentEngine(potential=student.digest)


HOT = MDSettings(temperature=600, frames_per_chunk=2, steps_per_frame=5)


def run(engine, folder, crystal, *, stops=()):
    """Run to the end, through as many stops as are asked for."""
    directory, answers, end = RunDirectory(folder, key="k"), iter(stops), ""
    while end != "complete":
        end = engine.md(crystal, HOT, directory, until=60, stop=lambda: next(answers, None))
    return directory


def test_a_short_excursion_is_on_the_ledger_whatever_interrupted_the_run(engine, tmp_path):
    from pymatgen.io.ase import AseAtomsAdaptor

    crystal = AseAtomsAdaptor.get_structure(alloy())
    plain = run(engine, tmp_path / "plain", crystal)
    chunks = plain.chunks_of(plain.segments()[0])
    worst = max(chunk.notes["excess"] for chunk in chunks)
    strict = replace(engine, farthest=worst - 1e-9)
    whole = run(strict, tmp_path / "whole", crystal)
    pieces = run(
        strict, tmp_path / "pieces", crystal, stops=[None, "walltime", None, None, "walltime"]
    )
    one, other = whole.last_chunk(), pieces.last_chunk()
    assert one.notes["outside"] == other.notes["outside"] == [1, 0]
    assert np.array_equal(one.state["positions"], other.state["positions"])
    assert np.array_equal(one.state["positions"], plain.last_chunk().state["positions"])
    for directory in (whole, pieces):
        (remark,) = [event for part in directory.segments() for event in part.events]
        assert "outside of what the potential was taught (1 of the steps from " in remark


def test_a_run_that_stays_outside_ends_and_says_since_when(engine, tmp_path):
    from pymatgen.io.ase import AseAtomsAdaptor

    never = replace(engine, farthest=-1.0)
    with pytest.raises(EngineError, match=r"for 25 steps in a row; teach"):
        run(never, tmp_path / "never", AseAtomsAdaptor.get_structure(alloy()))


def test_an_exploration_that_ends_at_once_is_told_with_its_time():
    assert _ran([0.04, -1234.5, 100.0]) == "0.04, 1234, 100 ps (lost)"
    assert _ran([20.0]) == "20 ps"
