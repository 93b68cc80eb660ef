"""A campaign whose potential is tuned to its engine, label by label, through FireWorks."""

from collections import Counter

import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.documents import FitError, LearnedPotential, Outcome, StaticResult, Trajectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.students.calculator import StudentCalculator
from ssefw.engines.tuning.active import ActiveSettings
from ssefw.makers.tune import TuneMaker
from ssefw.store import connect
from tests.conftest import call_ssefw, work_here
from tests.engines.tuning.test_tuning import SIZE, teacher_model
from tests.nep.conftest import alloy


class Dear(StudentCalculator):
    """What is asked for labels, a few milliseconds each."""

    def __init__(self) -> None:
        super().__init__(teacher_model())


CAMPAIGN = """
campaign: tuned
pool: {path: alloy.cif}
specie: Ag
engine: {calculator: tests.makers.test_tune.Dear}
relax: {fmax: 0.1, max_steps: 60}
supercell: {min_length: 3}
learn:
  base: tests.engines.tuning.test_tuning.Soft
  temperatures: [900, 500]
  length: 0.6
  frames: 24
  rattled: 4
  cell: {min_length: 3}
  explore: {temperatures: [900], labels: 8, rounds: 2}
  budget: 40
  student:
    {radial_cutoff: 4.5, angular_cutoff: 3.8, n_radial: 4, n_angular: 3, functions: 5,
     neurons: 8, steps: 150, refit_steps: 40}
  accept: {stable: 0.4}
md: {temperatures: [600], length: 0.5, equilibration: 0.1}
"""

ENVIRONMENT = {"SSEFW_CALCULATOR_PACKAGES": "tests"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    AseAtomsAdaptor.get_structure(alloy(SIZE)).to(filename=str(folder / "alloy.cif"))
    (folder / "c.yaml").write_text(CAMPAIGN)
    potentials = {"SSEFW_POTENTIALS": str(folder / "potentials")}
    work_here(submit="c.yaml", folder=folder, env=ENVIRONMENT | potentials)
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        (potential,) = connection.results.find(LearnedPotential)
        labels = list(connection.results.find(StaticResult))
        runs = list(connection.results.find(Trajectory))
    return outcome, potential, labels, runs


@pytest.mark.slow
def test_labels_are_jobs_within_the_budget_and_generations_are_on_record(done):
    outcome, potential, labels, _ = done
    assert 24 <= len(labels) == potential.n_evaluations <= 40
    assert all(label.forces is not None for label in labels)
    assert potential.rounds[0].labels == 24
    assert len({one.potential for one in potential.rounds}) == len(potential.rounds)
    assert potential.rounds[-1].potential == potential.potential
    assert potential.teacher_core_hours > 0
    assert outcome.lesson.n_evaluations == potential.n_evaluations


@pytest.mark.slow
def test_the_outcome_says_what_dynamics_with_the_engine_would_have_cost(done):
    outcome, potential, _, runs = done
    gate = next(gate for gate in outcome.gates if gate.name == "learn")
    assert gate.passed == potential.accepted
    each = potential.teacher_core_hours / potential.n_evaluations
    # 0.5 ps and 0.1 ps of equilibration in steps of 2 fs
    assert gate.numbers["dynamics_core_hours"] == pytest.approx(250 * each, rel=0.3)
    assert "would take" in gate.message
    engines = Counter(run.provenance.engine for run in runs)
    assert engines == ({f"tuned-{potential.potential[:8]}": 1} if potential.accepted else {})


def test_a_label_that_failed_is_paid_for_and_not_learned(monkeypatch):
    """A pw.x that fails each time must not be asked beyond the budget."""
    maker = TuneMaker(
        teacher=AseEngine(calculator="ase.calculators.emt.EMT"),
        base=AseEngine(calculator="ase.calculators.lj.LennardJones"),
        settings=ActiveSettings(first=3, labels=2, budget=4),
    )
    crystal = AseAtomsAdaptor.get_structure(alloy(SIZE))
    label = StaticResult(
        structure=crystal, energy=-1.0, energy_per_atom=-0.1, max_force=0.1, wall_time=1.0
    )
    said = {}

    class Found:
        errors = (FitError(force=0.1, energy=0.01),)
        potential, core_hours = "abc", 0.0

        def model_copy(self, update):
            said.update(update)

    monkeypatch.setattr("ssefw.makers.tune.computed_once", lambda *_: Found())
    monkeypatch.setattr("ssefw.makers.tune.replaced_by", lambda _, after: after)
    nothing = {"why": [], "seen": [], "ran": [], "lost": []}
    after = TuneMaker.learn.original(maker, crystal, None, [label, None], [None], **nothing)
    labels = after.function_args[2]
    assert (said["n_labels"], said["n_evaluations"]) == (1, len(labels)) == (1, 3)
    assert maker._room(1, len(labels)) == 1


def test_what_makes_no_sense_is_refused_before_anything(tmp_path, monkeypatch, capsys):
    AseAtomsAdaptor.get_structure(alloy(SIZE)).to(filename=str(tmp_path / "alloy.cif"))
    monkeypatch.setenv("SSEFW_CALCULATOR_PACKAGES", "tests")
    for old, new, why in (
        ("budget: 40", "budget: 20", "fewer than the first 24"),
        ("tests.engines.tuning.test_tuning.Soft", "sevenet-0", "did you mean 'sevennet-0'"),
    ):
        (tmp_path / "c.yaml").write_text(CAMPAIGN.replace(old, new))
        assert call_ssefw("plan", "c.yaml", folder=tmp_path) == 1
        assert why in capsys.readouterr().err
