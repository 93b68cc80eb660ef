"""A soft potential tuned to a hard one: forces, motion, what is refused, and bits."""

import functools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.campaigns.file import EngineSpec
from ssefw.campaigns.planning.engines import engine_of
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.ase import AseEngine
from ssefw.engines.potentials.tuned import TunedCalculator, TunedPotential
from ssefw.engines.stopping import InterruptionError
from ssefw.engines.students import StudentEngine, add_potential, find_potential, moved_by
from ssefw.engines.students.calculator import StudentCalculator
from ssefw.engines.students.frame_files import LabelledRun
from ssefw.engines.students.teacher import ase_teacher
from ssefw.engines.students.theory import Theory
from ssefw.engines.tuning import (
    TunedEngine,
    TuneSettings,
    judge_tuned,
    moved_by_tuned,
    tune,
)
from ssefw.errors import ConfigurationError, DataError, EngineError
from ssefw.nep import TrainingSettings, fit
from tests.nep.conftest import SMALL, alloy, shaken_alloys

SIZE = (2, 2, 1)
CRYSTAL = AseAtomsAdaptor.get_structure(alloy(SIZE))
FIT = TrainingSettings(
    radial_cutoff=4.5,
    angular_cutoff=3.8,
    n_radial=4,
    n_angular=3,
    functions=5,
    neurons=8,
    steps=500,
)
HOW = TuneSettings(
    fit=FIT, refit_steps=150, refits=1, members=2, windows=4, longest=0.6, stable=0.4
)
SILENT = lambda _: None  # noqa: E731


@functools.cache
def teacher_model():
    """A NEP of copper and silver: EMT itself takes minutes for what it does in seconds."""
    return fit(shaken_alloys(12), replace(SMALL, steps=150))


class Soft(StudentCalculator):
    """The teacher with forces of 0.7, as universal potentials are softer than DFT."""

    def __init__(self) -> None:
        super().__init__(replace(teacher_model(), last=0.7 * teacher_model().last))


BASE = AseEngine(calculator=f"{__name__}.Soft")


def labelled_by_teacher(snapshots):
    return labelled_by(StudentCalculator(teacher_model()), snapshots)


def labelled_by(calculator, snapshots):
    engine = SimpleNamespace(calculator_instance=lambda: calculator)
    return ase_teacher(engine)(snapshots)


def snapshots_of(frames):
    return [(frame.symbols, frame.positions, frame.cell) for frame in frames]


@pytest.fixture(scope="module", autouse=True)
def trusted():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSEFW_CALCULATOR_PACKAGES", "tests")
        yield


@pytest.fixture(scope="module")
def runs():
    return [labelled_run(kelvin, seed) for kelvin, seed in ((900.0, 1), (400.0, 2), (900.0, 3))]


def labelled_run(temperature, seed):
    atoms = alloy(SIZE)
    start = tuple(atoms.get_chemical_symbols()), atoms.positions, atoms.cell.array
    move = moved_by(teacher_model())
    seen = move(start, temperature=temperature, n_steps=300, every=10, seed=seed)
    frames = labelled_by_teacher([(start[0], place, start[2]) for place in seen.positions])
    theory = Theory({"program": "EMT"}, {}, timestep=20.0, temperature=temperature)
    return LabelledRun(Path(f"run-{seed}"), tuple(frames), theory, ())


@pytest.fixture(scope="module")
def tuned(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    return tune(runs[:2], BASE, folder, HOW, unseen=runs[2:], say=SILENT)


@pytest.fixture
def engine(tuned, monkeypatch, tmp_path):
    monkeypatch.setenv("SSEFW_POTENTIALS", str(tmp_path / "potentials"))
    add_potential(tuned.potential)
    return TunedEngine(potential=tuned.potential.digest)


def test_forces_on_a_run_that_was_not_learned_come_three_times_nearer(tuned, runs):
    ours = labelled_by(TunedCalculator(tuned.potential), snapshots_of(runs[2].frames))
    soft = labelled_by(Soft(), snapshots_of(runs[2].frames))
    assert force_error(ours, runs[2].frames) < force_error(soft, runs[2].frames) / 3
    # and energies are those of the other level, not only their differences
    apart = [o.energy - f.energy for o, f in zip(ours, runs[2].frames, strict=True)]
    assert np.abs(apart).max() / len(CRYSTAL) < 0.02


def force_error(ours, theirs):
    apart = [o.forces - t.forces for o, t in zip(ours, theirs, strict=True)]
    return np.sqrt(np.mean(np.square(apart)))


def test_forces_and_stress_are_slopes_of_the_energy(tuned):
    atoms = alloy(SIZE)
    rng = np.random.default_rng(0)
    atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
    atoms.calc = TunedCalculator(tuned.potential)
    direction = rng.normal(size=atoms.positions.shape)
    slope = -(atoms.get_forces() * direction).sum()
    assert _difference(atoms, lambda a, h: a.positions.__iadd__(h * direction)) == pytest.approx(
        slope, rel=1e-4
    )
    strain = np.array([[1.0, 0.2, 0.0], [0.2, -0.5, 0.0], [0.0, 0.0, 0.3]])
    work = (atoms.get_stress(voigt=False) * strain).sum() * atoms.get_volume()

    def strained(a, h):
        a.set_cell(a.cell.array @ (np.eye(3) + h * strain), scale_atoms=True)

    assert _difference(atoms, strained) == pytest.approx(work, rel=1e-4)


def _difference(atoms, change, h=1e-4):
    energies = []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.calc = atoms.calc
        change(moved, sign * h)
        energies.append(moved.get_potential_energy())
    return (energies[0] - energies[1]) / (2 * h)


@pytest.mark.slow
def test_it_moves_as_the_runs_that_it_never_saw(tuned, runs):
    checks = judge_tuned(tuned, runs, HOW, specie="Ag", say=SILENT)
    assert all(check.passed for check in checks), checks


@pytest.mark.slow
def test_cold_labels_better_cold_forces_and_do_not_pass(tuned, runs, tmp_path):
    """The counter-example: frames near rest tell nothing of how atoms move when hot."""
    symbols, positions, cell = snapshots_of(runs[1].frames)[0]
    rng = np.random.default_rng(1)
    shaken = [(symbols, positions + rng.normal(0, 0.02, positions.shape), cell) for _ in range(25)]
    cold = LabelledRun(
        Path("cold"), tuple(labelled_by_teacher(shaken)), Theory({"program": "EMT"}, {}), ()
    )
    found = tune([cold], BASE, tmp_path / "cold", HOW, say=SILENT)
    assert min(found.fits) < 0.5 * found.before.force  # forces of their kind did improve
    failed = [
        c.name for c in judge_tuned(found, runs, HOW, specie="Ag", say=SILENT) if not c.passed
    ]
    assert failed


def test_stopped_and_called_again_it_ends_with_the_same_potential(tuned, runs, tmp_path):
    answers = iter([None] * 20)  # the first twenty questions, then it is to stop
    with pytest.raises(InterruptionError):
        tune(
            runs[:2], BASE, tmp_path, HOW, unseen=runs[2:],
            stop=lambda: next(answers, "preempted"), say=SILENT,
        )  # fmt: skip
    again = tune(runs[:2], BASE, tmp_path, HOW, unseen=runs[2:], say=SILENT)
    assert again.potential.digest == tuned.potential.digest
    with pytest.raises(DataError, match="other frames or settings"):
        tune(runs[:2], BASE, tmp_path, replace(HOW, seed=1), unseen=runs[2:], say=SILENT)


def test_a_file_holds_all_of_it_and_says_when_it_holds_something_else(tuned, tmp_path):
    back = TunedPotential.from_bytes(tuned.potential.to_bytes())
    assert back.digest == tuned.potential.digest
    assert back.shifts == tuned.potential.shifts
    for payload in (b"", b"nothing", tuned.potential.corrections[0].to_bytes()):
        with pytest.raises(DataError, match=r"no.* tuned potential"):
            TunedPotential.from_bytes(payload)


def test_a_campaign_names_it_by_its_hash(engine):
    assert engine_of(EngineSpec(potential=engine.potential[:10])) == engine
    assert TunedEngine.from_dict(json.loads(json.dumps(engine.as_dict()))) == engine
    assert isinstance(find_potential(engine.potential[:8]), TunedPotential)
    with pytest.raises(ConfigurationError, match=r"is .* \+ NEP4, no student"):
        StudentEngine(potential=engine.potential).check()
    assert list(engine.missing({"Cu", "Ag"})) == []
    assert "not Li" in next(engine.missing({"Cu", "Li"}))


def test_dynamics_continue_bit_by_bit_and_end_where_nothing_was_learned(engine, tmp_path):
    settings = MDSettings(temperature=600, frames_per_chunk=2, steps_per_frame=5)
    whole = RunDirectory(tmp_path / "whole", key="k")
    assert engine.md(CRYSTAL, settings, whole, until=40) == "complete"
    pieces = RunDirectory(tmp_path / "pieces", key="k")
    answers = iter([None, "preempted"])
    assert engine.md(CRYSTAL, settings, pieces, until=40, stop=lambda: next(answers)) == "preempted"
    engine.md(CRYSTAL, settings, pieces, until=40)
    one, other = whole.last_chunk(), pieces.last_chunk()
    assert np.array_equal(one.state["positions"], other.state["positions"])
    assert 0.0 <= one.notes["excess"] < 3.0
    hot = MDSettings(temperature=8000, timestep=3.0)
    with pytest.raises(EngineError, match=r"ranges of training|exploded"):
        engine.md(CRYSTAL, hot, RunDirectory(tmp_path / "hot", key="k"), until=1000)


def test_dynamics_for_judgement_last_as_long_as_they_were_asked_to(tuned, runs):
    """Also where they are no whole number of frames; a shorter run counts as one that exploded."""
    start = snapshots_of(runs[1].frames)[0]
    seen = moved_by_tuned(tuned.potential)(start, temperature=300, n_steps=16, every=5, seed=0)
    assert seen.n_steps == 16
    assert len(seen.positions) == 3


def test_too_few_frames_are_refused(runs, tmp_path):
    short = replace(runs[0], frames=runs[0].frames[:4])
    with pytest.raises(DataError, match="4 frames are too few"):
        tune([short], BASE, tmp_path, HOW, say=SILENT)
