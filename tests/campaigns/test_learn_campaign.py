"""A campaign that teaches a student first, with EMT as the teacher."""

import math

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.documents import LearnedPotential, Outcome, Trajectory
from ssefw.engines.students import judgement
from ssefw.errors import ConfigurationError
from ssefw.store import connect
from tests.conftest import call_ssefw, work_here
from tests.engines.students.test_students import odd, with_odd_draw
from tests.nep.conftest import alloy

CAMPAIGN = """
campaign: taught
pool: {path: alloy.cif}
specie: Ag
engine: {calculator: ase.calculators.emt.EMT, options: {asap_cutoff: false}}
relax: {fmax: 0.1, max_steps: 60}
supercell: {min_length: 10}
learn:
  temperatures: [700, 400]
  length: 0.4
  frames: 24
  rattled: 6
  cell: {min_length: 7}
  explore: {temperatures: [800], length: 1, labels: 4, rounds: 1}
  student:
    {radial_cutoff: 4.5, angular_cutoff: 3.8, n_radial: 4, n_angular: 3, functions: 5,
     neurons: 8, steps: 300, refit_steps: 50}
  accept: {stable: 2}
  otherwise: {temperatures: [500], length: 0.2, equilibration: 0.05}
md: {temperatures: [300, 600], length: 1, equilibration: 0.1}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught")
    return folder, outcome_of(folder, CAMPAIGN)


def outcome_of(folder, campaign, crystal=None):
    from pymatgen.io.ase import AseAtomsAdaptor

    crystal = crystal or AseAtomsAdaptor.get_structure(alloy())
    crystal.to(filename=str(folder / "alloy.cif"))
    (folder / "c.yaml").write_text(campaign)
    work_here(submit="c.yaml", folder=folder, env={"SSEFW_POTENTIALS": str(folder / "potentials")})
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        (potential,) = connection.results.find(LearnedPotential)
        runs = list(connection.results.find(Trajectory))
    return outcome, potential, runs


@pytest.mark.slow
def test_the_student_runs_the_dynamics_in_larger_cells(done):
    _, (outcome, potential, runs) = done
    assert potential.accepted, potential.reason
    assert {run.provenance.engine for run in runs} == {f"student-{potential.potential[:8]}"}
    assert {len(run.structure) for run in runs} == {256}
    assert [d.temperature for d in outcome.diffusivities] == [300.0, 600.0]
    gate = next(gate for gate in outcome.gates if gate.name == "learn")
    assert gate.code == "accepted"


@pytest.mark.slow
def test_the_outcome_says_who_taught_and_what_it_took(done):
    _, (outcome, potential, runs) = done
    lesson = outcome.lesson
    assert (lesson.potential, lesson.teacher) == (potential.potential, "EMT")
    # Two runs of 201 evaluations; 24 + 6 labels and those of the one round.
    asked = sum(one.labels for one in potential.rounds)
    assert lesson.n_evaluations == 2 * 201 + 30 + asked
    assert lesson.core_hours > 0
    of_runs = sum(s.wall_time for run in runs for s in run.segments)
    assert outcome.cost.wall_time == pytest.approx(
        outcome.relaxed.wall_time + of_runs + potential.wall_time
    )
    assert outcome.reason.endswith("no diffusion was seen up to 600 K")


@pytest.mark.slow
def test_errors_on_held_out_runs_are_told_by_temperature_and_element(done):
    _, (_, potential, _) = done
    everything, *parts = potential.errors
    assert [part.temperature for part in parts] == [700.0, 400.0]
    for error in potential.errors:
        assert set(error.by_element) == {"Ag", "Cu"}
        assert 0 < error.force < error.size
    squares = [part.force**2 for part in parts]
    assert everything.force**2 == pytest.approx(sum(squares) / 2)  # as many frames of each
    assert potential.lineage


@pytest.mark.slow
def test_weights_and_training_set_lie_in_the_store_under_their_hashes(done, tmp_path):
    from ssefw.engines.students import read_frames, weights_key
    from ssefw.engines.students.lessons import frames_hash
    from ssefw.nep import NEP

    folder, (_, potential, _) = done
    with connect(folder / "st", read_only=True) as connection:
        weights = connection.blobs.get(weights_key(potential.potential))
        frames = connection.blobs.get(f"potentials/{potential.training_set}.npz")
    assert NEP.from_bytes(weights).digest == potential.potential
    (tmp_path / "frames.npz").write_bytes(frames)
    assert frames_hash(read_frames(tmp_path / "frames.npz")) == potential.training_set


@pytest.mark.slow
def test_another_machine_fetches_the_weights_from_the_store(done, tmp_path, monkeypatch):
    from ssefw.engines.students import StudentEngine, shelf

    folder, (_, potential, _) = done
    monkeypatch.setenv("SSEFW_POTENTIALS", str(tmp_path / "empty"))
    shelf.forget_loaded()
    monkeypatch.setattr(shelf, "_taken_in", {})
    engine = StudentEngine(potential=potential.potential)
    with pytest.raises(ConfigurationError, match="nor in the store"):
        engine.check()
    with connect(folder / "st", read_only=True) as connection:
        engine.fetch(connection.blobs.get_sound)
    engine.check()
    assert (tmp_path / "empty" / f"{potential.potential}.nep").exists()


@pytest.mark.slow
def test_a_student_that_is_not_accepted_leaves_the_dynamics_to_its_teacher(tmp_path):
    """No student has learned anything after three steps of its fit."""
    outcome, potential, runs = outcome_of(tmp_path, CAMPAIGN.replace("steps: 300", "steps: 3"))
    assert not potential.accepted
    assert [(run.provenance.engine, run.temperature) for run in runs] == [("EMT", 500.0)]
    gate = next(gate for gate in outcome.gates if gate.name == "learn")
    assert gate.code == "not_accepted"
    assert potential.reason in gate.message
    assert not outcome.lesson.accepted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temperatures", "ran"),
    [
        ([250, 350, 600], [("student", 250.0), ("student", 350.0)]),
        ([350, 600], [("EMT", 500.0)]),
    ],
)
def test_a_student_refused_at_the_hottest_runs_what_is_cooler_if_that_is_enough(
    tmp_path, monkeypatch, temperatures, ran
):
    """Its teacher is made to move otherwise at 700 K than it does."""
    learn, run_of_teacher = judgement.learn, judgement.run_of_teacher
    monkeypatch.setattr(judgement, "learn", lambda *a, **k: with_odd_draw(learn(*a, **k)))
    monkeypatch.setattr(judgement, "run_of_teacher", lambda *a, **k: odd(run_of_teacher(*a, **k)))
    outcome, potential, runs = outcome_of(
        tmp_path, CAMPAIGN.replace("[300, 600]", str(temperatures))
    )
    assert potential.holds_to == 400.0
    found = sorted((run.provenance.engine.partition("-")[0], run.temperature) for run in runs)
    assert found == ran
    gate = next(gate for gate in outcome.gates if gate.name == "learn")
    is_its_own = len(ran) > 1
    assert gate.code == ("accepted_below" if is_its_own else "not_accepted")
    assert potential.reason in gate.message
    assert outcome.lesson.ran_to == (400.0 if is_its_own else None)


MIXED = """
specie: Cu
relax: {max_volume_change: 5, relax_cell: false, max_steps: 30, fmax: 0.5}
orderings: {number: 2, choose: random}
"""


@pytest.mark.slow
def test_arrangements_of_a_disordered_crystal_have_one_student(tmp_path):
    """A rock salt of EMT: what it does is no physics."""
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.3), [{"Cu": 0.5, "Ni": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    kept = [line for line in CAMPAIGN.splitlines() if not line.startswith(("specie:", "relax:"))]
    campaign = "\n".join(kept).replace("{min_length: 7}", "{min_length: 5}") + MIXED
    campaign = campaign.replace("{min_length: 10}", "{min_length: 12, max_atoms: 500}")
    outcome, potential, runs = outcome_of(tmp_path, campaign, crystal)
    assert len(outcome.arrangements) == len(potential.structures) == 2
    assert outcome.lesson.potential == potential.potential
    (lesson,) = {len(a.relaxed.structure) for a in outcome.arrangements}
    if potential.accepted:
        assert {run.provenance.engine for run in runs} <= {f"student-{potential.potential[:8]}"}
        # Repeated for the student; in which this rock salt may leave what the small cell has shown.
        assert min((len(run.structure) for run in runs), default=math.inf) > lesson
        lost = [failure.message for failure in outcome.failures if failure.stage.startswith("md ")]
        assert len(runs) + len(lost) == 4
        assert all("outside of it" in message for message in lost)
    else:
        assert {run.temperature for run in runs} <= {500.0}
        assert {run.provenance.engine for run in runs} <= {"EMT"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("frames: 24", "frames: 5", "at least five for each"),
        ("[800]", "[600]", "must reach the hottest"),
        ("learn:\n", "learn:\n  budget: 300\n", "fewer than its own runs"),
        ("learn:\n", "learn:\n  teacher: {potential: chgnet}\n", "name two engines"),
        ("md: {temp", "x: {temp", "x"),
    ],
)
def test_a_lesson_that_cannot_be_is_refused_by_the_plan(tmp_path, capsys, old, new, why):
    (tmp_path / "c.yaml").write_text(CAMPAIGN.replace(old, new))
    assert call_ssefw("plan", "c.yaml", folder=tmp_path) == 1
    told = capsys.readouterr().err
    assert why in told
    assert "Traceback" not in told
