"""A disordered crystal, to whose arrangements one potential is tuned, label by label."""

import pytest
import yaml
from ase.calculators.lj import LennardJones
from pymatgen.core import Lattice, Structure

from ssefw.documents import LearnedPotential, Outcome, Trajectory
from ssefw.store import connect
from tests.conftest import work_here
from tests.makers.test_tune import CAMPAIGN, ENVIRONMENT
from tests.makers.test_tune_then import THEN

SPHERES = {"sigma": 2.55, "epsilon": 0.2, "rc": 6.0, "smooth": True}


class Soft(LennardJones):
    """The teacher with forces of 0.7, as universal potentials are softer than DFT."""

    def __init__(self) -> None:
        super().__init__(**SPHERES | {"epsilon": 0.7 * SPHERES["epsilon"]})


def campaign(**learn):
    found = yaml.safe_load(CAMPAIGN)
    found |= {
        "specie": "Li",
        "engine": {"calculator": "ase.calculators.lj.LennardJones", "options": SPHERES},
        "orderings": {"number": 2, "choose": "random"},
        "supercell": {"min_length": 9, "max_atoms": 300},
    }
    found["learn"] |= {"base": f"{__name__}.Soft", "cell": {"min_length": 5}} | learn
    return yaml.safe_dump(found)


def done(folder, text):
    """Spheres that attract each other, so that close packing is stable; charges order them only."""
    crystal = Structure(
        Lattice.tetragonal(2.8, 3.96),
        [{"Li": 0.5, "Na": 0.5}, "Cl"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    crystal.to(filename=str(folder / "alloy.cif"))
    (folder / "c.yaml").write_text(text)
    environment = ENVIRONMENT | {"SSEFW_POTENTIALS": str(folder / "potentials")}
    work_here(submit="c.yaml", folder=folder, env=environment)
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        potentials = list(connection.results.find(LearnedPotential))
        runs = list(connection.results.find(Trajectory))
    return outcome, potentials, runs


@pytest.mark.slow
def test_one_potential_is_tuned_to_all_arrangements_and_runs_them(tmp_path):
    outcome, (potential,), runs = done(tmp_path, campaign())
    assert potential.accepted, potential.reason
    assert len(outcome.arrangements) == 2
    # One run at 700 K of each arrangement in each generation, and labels of both.
    assert {len(one.ran) for one in potential.rounds} == {2}
    stays = next(check for check in potential.checks if check.name == "its own dynamics")
    assert "arrangement 0, 700 K: 0.5" in stays.words
    assert "arrangement 1, 700 K: 0.5" in stays.words
    assert potential.n_evaluations <= 18
    assert {run.provenance.engine for run in runs} == {f"tuned-{potential.potential[:8]}"}
    # Labelled in the cell of the lesson, which is repeated for dynamics.
    (lesson,) = {len(a.relaxed.structure) for a in outcome.arrangements}
    assert len(runs) == 2
    assert min(len(run.structure) for run in runs) > lesson
    assert outcome.lesson.potential == potential.potential
    assert outcome.cost.core_hours >= potential.core_hours


@pytest.mark.slow
def test_and_teaches_one_student_of_them(tmp_path):
    outcome, potentials, runs = done(tmp_path, campaign(then=THEN))
    (tuned,) = [one for one in potentials if one.base]
    (student,) = [one for one in potentials if not one.base]
    lesson = outcome.lesson
    assert (lesson.potential, lesson.first.potential) == (student.potential, tuned.potential)
    assert [gate.name for gate in outcome.gates][-2:] == ["learn", "student"]
    name = f"tuned-{tuned.potential[:8]}"
    climber = f"student-{student.potential[:8]}" if student.accepted else name
    assert {run.provenance.engine for run in runs} == {climber}


@pytest.mark.slow
def test_without_a_potential_nothing_runs_and_the_outcome_says_why(tmp_path):
    """One step of a fit makes forces no better."""
    text = campaign().replace("steps: 150", "steps: 1").replace("refit_steps: 40", "refit_steps: 1")
    outcome, (potential,), runs = done(tmp_path, text)
    assert not potential.accepted
    assert runs == []
    gate = outcome.gates[-1]
    assert (gate.name, gate.code, gate.passed) == ("learn", "not_accepted", False)
    assert outcome.lesson.n_evaluations == potential.n_evaluations > 0
