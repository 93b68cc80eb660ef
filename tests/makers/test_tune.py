"""A campaign whose potential is tuned to its engine, label by label, through FireWorks."""

import os
from pathlib import Path
from typing import ClassVar

import pytest
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.documents import FitError, Labels, LearnedPotential, Outcome, Trajectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.students import read_frames
from ssefw.engines.students.calculator import StudentCalculator
from ssefw.engines.students.lessons import frames_hash
from ssefw.engines.tuning.active import ActiveSettings
from ssefw.makers.learn import LabelMaker
from ssefw.makers.tune import TuneMaker
from ssefw.store import connect
from ssefw.store.upkeep.part import campaign_part
from tests.conftest import call_ssefw, work_here
from tests.engines.tuning.test_tuning import SIZE, teacher_model
from tests.nep.conftest import alloy


class Dear(StudentCalculator):
    """What is asked for labels, a few milliseconds each; noted in a file where one is named."""

    def __init__(self) -> None:
        super().__init__(teacher_model())

    def calculate(self, *arguments, **named):
        super().calculate(*arguments, **named)
        if file := os.environ.get("EVALUATIONS"):
            with Path(file).open("a") as notes:
                notes.write("x\n")


CAMPAIGN = """
campaign: tuned
pool: {path: alloy.cif}
specie: Ag
engine: {calculator: tests.makers.test_tune.Dear}
relax: {fmax: 0.1, max_steps: 60}
supercell: {min_length: 3}
learn:
  base: tests.engines.tuning.test_tuning.Soft
  temperatures: [700]
  length: 0.5
  frames: 16
  rattled: 2
  cell: {min_length: 3}
  explore: {temperatures: [700], labels: 5, rounds: 2}
  pack: 6
  budget: 18
  student:
    {radial_cutoff: 4.5, angular_cutoff: 3.8, n_radial: 4, n_angular: 3, functions: 5,
     neurons: 8, steps: 150, refit_steps: 40}
  accept: {stable: 0.3}
md: {temperatures: [600], length: 0.3, equilibration: 0.04, steps_per_frame: 5}
"""

ENVIRONMENT = {"SSEFW_CALCULATOR_PACKAGES": "tests"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return found_by(tmp_path_factory.mktemp("tuned"), CAMPAIGN)


def make(folder, campaign):
    AseAtomsAdaptor.get_structure(alloy(SIZE)).to(filename=str(folder / "alloy.cif"))
    (folder / "c.yaml").write_text(campaign)
    return ENVIRONMENT | {"SSEFW_POTENTIALS": str(folder / "potentials")}


def found_by(folder, campaign):
    work_here(submit="c.yaml", folder=folder, env=make(folder, campaign))
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        (potential,) = connection.results.find(LearnedPotential)
        packs = list(connection.results.find(Labels))
        runs = list(connection.results.find(Trajectory))
    return folder, outcome, potential, packs, runs


def test_labels_are_jobs_of_several_within_the_budget(done):
    _, outcome, potential, packs, _ = done
    n_first = 16
    assert sorted(len(pack.keys) for pack in packs)[-3:] == [4, 6, 6]
    asked = sum(len(pack.keys) for pack in packs)
    assert n_first <= asked == potential.n_evaluations <= 18
    assert potential.rounds[0].labels == n_first
    assert potential.teacher_core_hours == pytest.approx(sum(pack.core_hours for pack in packs))
    assert 0 < potential.teacher_core_hours < potential.core_hours
    assert outcome.lesson.n_evaluations == potential.n_evaluations


def test_generations_are_on_record_and_the_last_one_runs(done):
    _, outcome, potential, _, runs = done
    assert len({one.potential for one in potential.rounds}) == len(potential.rounds)
    assert potential.rounds[-1].potential == potential.potential
    assert potential.accepted, potential.reason
    assert [run.provenance.engine for run in runs] == [f"tuned-{potential.potential[:8]}"]
    gate = next(gate for gate in outcome.gates if gate.name == "learn")
    each = potential.teacher_core_hours / potential.n_evaluations
    # 0.3 ps in steps of 2 fs
    assert gate.numbers["dynamics_core_hours"] == pytest.approx(150 * each, rel=0.3)
    assert "would take" in gate.message


def test_the_training_set_lies_in_the_store_under_its_hash(done, tmp_path):
    folder, _, potential, _, _ = done
    with connect(folder / "st", read_only=True) as connection:
        frames = connection.blobs.get(f"potentials/{potential.training_set}.npz")
    (tmp_path / "frames.npz").write_bytes(frames)
    assert frames_hash(read_frames(tmp_path / "frames.npz")) == potential.training_set


def test_a_copy_of_the_campaign_takes_its_labels_along(done):
    folder, _, _, packs, _ = done
    with connect(folder / "st", read_only=True) as connection:
        taken = set(campaign_part(connection, "tuned").blobs)
    assert {f"stages/{key}" for pack in packs for key in pack.keys} <= taken


class Fussy(Dear):
    """Fails for cells that are not the alloy's own, and notes what it was asked."""

    asked: ClassVar[list[float]] = []

    def calculate(self, atoms=None, *arguments, **named):
        self.asked.append(atoms.get_volume())
        if atoms.get_volume() > FUSSY_VOLUME:
            raise ValueError("the electrons do not converge")
        super().calculate(atoms, *arguments, **named)


FUSSY_VOLUME = alloy(SIZE).get_volume() * 1.01


def pack_of(folder, strains, monkeypatch):
    """Label strained cells in one job, and return what it gives."""
    crystal = AseAtomsAdaptor.get_structure(alloy(SIZE))
    cells = [crystal.copy() for _ in strains]
    for cell, strain in zip(cells, strains, strict=True):
        cell.apply_strain(strain)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SSEFW_STORE", str(folder / "st"))
    connect(folder / "st").close()
    asked = LabelMaker(engine=AseEngine(calculator=f"{__name__}.Fussy")).make(cells)
    Fussy.asked.clear()
    return run_locally(asked, log=False).get(asked.uuid)


def test_a_frame_that_fails_leaves_the_others_of_its_job_alone(tmp_path, monkeypatch):
    found = pack_of(tmp_path, [0.0, 0.02, 0.002], monkeypatch)[1].output
    assert [bool(key) for key in found.keys] == [True, False, True]
    assert len(Fussy.asked) == 3
    # Asked again only what failed is computed.
    assert pack_of(tmp_path, [0.0, 0.02, 0.002], monkeypatch)[1].output.keys == found.keys
    assert Fussy.asked == pytest.approx([alloy(SIZE).get_volume() * 1.02**3])
    assert pack_of(tmp_path, [0.02, 0.03], monkeypatch) is None  # all failed, and so does the job


def test_a_job_of_labels_that_is_stopped_goes_on_with_the_next_frame(tmp_path, monkeypatch):
    answers = iter([None, "walltime"])
    monkeypatch.setattr("ssefw.makers.learn.labels.stop_check", lambda: lambda: next(answers, None))
    strains = [0.0, 0.001, 0.002]
    found = pack_of(tmp_path, strains, monkeypatch)
    assert found[2].output.keys  # the first turn gave way to a second
    assert Fussy.asked == pytest.approx(
        [alloy(SIZE).get_volume() * (1 + strain) ** 3 for strain in strains]
    )


def test_labels_that_failed_are_paid_for_and_not_learned(monkeypatch):
    """A pw.x that fails each time must not be asked beyond the budget."""
    maker = TuneMaker(
        teacher=AseEngine(calculator="ase.calculators.emt.EMT"),
        base=AseEngine(calculator="ase.calculators.lj.LennardJones"),
        settings=ActiveSettings(first=3, labels=2, budget=5),
    )
    crystal = AseAtomsAdaptor.get_structure(alloy(SIZE))
    said = {}

    class Found:
        errors = (FitError(force=0.1, energy=0.01),)
        potential, core_hours, wall_time = "abc", 0.0, 0.0

        def model_copy(self, update):
            said.update(update)

    monkeypatch.setattr("ssefw.makers.tune.computed_once", lambda *_: Found())
    monkeypatch.setattr("ssefw.makers.tune.replaced_by", lambda _, after: after)
    nothing = {"spent": 0.0, "why": [], "seen": [], "ran": [], "lost": []}
    half = Labels(keys=("a", ""), core_hours=0.5)
    after = TuneMaker.learn.original(
        maker, crystal, None, ["b"], [half, None], sizes=[2, 1], **nothing
    )
    labels = after.function_args[2]
    assert labels == ["b", "a", "", ""]
    assert (said["n_labels"], said["n_evaluations"], said["core_hours"]) == (2, 4, 0.5)
    assert maker._room(1, len(labels)) == 1


def test_what_makes_no_sense_is_refused_before_anything(tmp_path, monkeypatch, capsys):
    AseAtomsAdaptor.get_structure(alloy(SIZE)).to(filename=str(tmp_path / "alloy.cif"))
    monkeypatch.setenv("SSEFW_CALCULATOR_PACKAGES", "tests")
    for old, new, why in (
        ("budget: 18", "budget: 12", "fewer than the first 16"),
        ("frames: 16", "frames: 9", "9 labels are too few to learn from"),
        ("tests.engines.tuning.test_tuning.Soft", "sevenet-0", "did you mean 'sevennet-0'"),
    ):
        (tmp_path / "c.yaml").write_text(CAMPAIGN.replace(old, new))
        assert call_ssefw("plan", "c.yaml", folder=tmp_path) == 1
        assert why in capsys.readouterr().err
