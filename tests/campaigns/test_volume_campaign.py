"""Campaigns whose dynamics have the volume of a temperature, or that of the structure given."""

import random
import time

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.nose_hoover_chain import IsotropicMTKNPT

from ssefw.documents import Outcome, Trajectory
from ssefw.engines.ase.verlet import draw_momenta
from ssefw.store import connect
from tests.campaigns.killing import kill_9, prepare, results, start
from tests.campaigns.test_disordered import CAMPAIGN as MIXED
from tests.campaigns.test_disordered import prepare as prepare_mixed
from tests.conftest import CAMPAIGN, run_ssefw, work_here

COPPER, _, REST = CAMPAIGN.partition("    - name: copper-gold")
ONE = (COPPER + REST[REST.index("engine:") :]).replace("length: 1.0", "length: 0.4")
EMT_LINE = "{calculator: ase.calculators.emt.EMT}"
THERMAL = "volume: {mode: thermal, temperature: 600, length: 0.5, equilibration: 0.1}\n"


def outcome_of(folder, text):
    (folder / "c.yaml").write_text(text)
    work_here(folder=folder, submit="c.yaml")
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        runs = {run.key: run for run in connection.results.find(Trajectory)}
    return outcome, runs


@pytest.fixture(scope="module")
def expanded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expanded")
    return folder, *outcome_of(folder, ONE + THERMAL)


def test_dynamics_have_the_volume_that_the_outcome_says(expanded):
    _, outcome, runs = expanded
    volume = outcome.relaxed.thermal
    assert volume.temperature == 600.0
    # 17e-6 / K for copper at room temperature; four atoms and 0.4 ps tell it roughly.
    assert 0.01 < volume.expansion.value < 0.06
    assert volume.expansion.lower <= volume.expansion.value <= volume.expansion.upper
    assert len(volume.points) > 1
    cells = {round(runs[key].structure.volume, 6) for key in outcome.trajectory_keys}
    assert cells == {round(outcome.relaxed.structure.volume, 6)}
    searched = [runs[point.trajectory_key] for point in volume.points]
    first = searched[0].structure.volume
    assert outcome.relaxed.structure.volume == pytest.approx(volume.ratio * first)
    assert outcome.cost.md_steps == 2 * 200 + sum(run.n_steps for run in searched)
    assert outcome.gates[-1].name == "volume"
    assert "at 600 K the relaxed cell grows by" in outcome.gates[-1].message


def test_results_say_it(expanded, ssefw):
    folder, outcome, _ = expanded
    done = ssefw("results", "show", "Cu", "--store", folder / "st")
    assert "volume passed: at 600 K" in done.stdout
    assert outcome.relaxed.thermal.md_steps > 0


def test_a_plan_shows_the_stage_and_its_steps(tmp_path, ssefw):
    for name, text in (("plain", ONE), ("thermal", ONE + THERMAL)):
        (tmp_path / f"{name}.yaml").write_text(text)
    plain, thermal = (ssefw("plan", f"{name}.yaml").stdout for name in ("plain", "thermal"))
    assert "volume at 600 K, up to 3 x 0.5 ps" in thermal
    assert "400" in plain
    assert str(400 + 3 * (250 + 108)) in thermal


def test_the_volume_of_the_structure_given_is_kept(tmp_path):
    outcome, runs = outcome_of(tmp_path, ONE + "volume: {mode: experiment}\n")
    assert outcome.relaxed.structure.volume == pytest.approx(3.6**3)
    assert outcome.relaxed.thermal is None
    assert len(runs) == 2


@pytest.mark.slow
def test_arrangements_have_volumes_of_their_own(tmp_path):
    prepare_mixed(tmp_path)
    (tmp_path / "pool/unbalanced.cif").unlink()
    # What these crystals are under is no matter here: any pressure is taken for none.
    thermal = "volume: {mode: thermal, temperature: 300, length: 0.4, equilibration: 0.1"
    outcome, runs = outcome_of(tmp_path, f"{MIXED}{thermal}, tolerance: 100}}\n")
    assert len(outcome.arrangements) == 2
    for arrangement in outcome.arrangements:
        (point,) = arrangement.relaxed.thermal.points
        assert point.trajectory_key in runs
        assert len(arrangement.diffusivities) == 2
    assert "volume" in {gate.name for gate in outcome.gates}


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("{mode: thermal}", "mode: thermal needs a temperature"),
        ("{temperature: 300}", "'temperature' is for mode: thermal, not for relaxed"),
        ("{mode: thermal, temperature: 300, length: 1}", "must be shorter than length"),
        ("{mode: hot}", "relaxed"),
    ],
)
def test_a_block_that_makes_no_sense_is_said_in_a_line(tmp_path, ssefw, block, why):
    (tmp_path / "c.yaml").write_text(f"{ONE}volume: {block}\n")
    done = ssefw("plan", "c.yaml", check=False)
    assert done.returncode == 1
    assert "c.yaml:" in done.stderr
    assert why in done.stderr


def test_a_plan_refuses_an_engine_without_stress(tmp_path, ssefw):
    (tmp_path / "c.yaml").write_text(ONE.replace(EMT_LINE, "{code: espresso}") + THERMAL)
    done = ssefw("plan", "c.yaml", check=False)
    assert done.returncode == 1
    assert "tells no stress" in done.stderr


def test_an_engine_without_stress_fails_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("ssefw.engines.ase.tasks._stress", lambda atoms: None)
    outcome, _ = outcome_of(tmp_path, ONE + THERMAL)
    assert outcome.status == "failed"
    assert "EMT tells no stress" in outcome.reason
    assert "volume: {mode: relaxed}" in outcome.reason


@pytest.mark.slow
def test_kills_change_nothing(tmp_path):
    found = []
    rng = random.Random(3)
    for name, kills in (("undisturbed", 0), ("killed", 3)):
        folder = tmp_path / name
        environment = prepare(folder, min_length=3)
        file = folder / "small.yaml"
        file.write_text(file.read_text() + THERMAL)
        for _ in range(kills):
            process = start(folder, environment, "run", "small.yaml", "--workers", "1")
            counted = folder / "evaluations"
            before = len(counted.read_text()) if counted.exists() else 0
            goal = before + 2 * rng.randint(300, 900)
            while process.poll() is None:
                if counted.exists() and len(counted.read_text()) > goal:
                    break
                time.sleep(0.02)
            kill_9(process, folder, workers_too=True)
        verb = ("resume",) if kills else ("run", "small.yaml")
        run_ssefw(*verb, "--store", "st", folder=folder, env=environment)
        found.append(results(folder))
    (outcomes, _, frames, counts), (again, _, frames_again, counts_again) = found
    assert again == outcomes
    assert counts_again == counts
    assert all(outcome["relaxed"]["thermal"]["points"] for outcome in outcomes.values())
    for key, positions in frames.items():
        np.testing.assert_array_equal(frames_again[key], positions)


@pytest.mark.slow
def test_the_expansion_is_that_of_a_barostat(tmp_path):
    text = ONE.replace("min_length: 3", "min_length: 7")
    thermal = THERMAL.replace("length: 0.5", "length: 5").replace("n: 0.1", "n: 1, tolerance: 0.02")
    outcome, _ = outcome_of(tmp_path, text + thermal)
    found = outcome.relaxed.thermal.expansion
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.calc = EMT()
    rng = np.random.default_rng(0)
    atoms.set_momenta(draw_momenta(atoms.get_masses(), temperature=1200, rng=rng))
    dynamics = IsotropicMTKNPT(
        atoms,
        timestep=5 * units.fs,
        temperature_K=600,
        pressure_au=0.0,
        tdamp=100 * units.fs,
        pdamp=500 * units.fs,
    )
    volumes = []
    dynamics.attach(lambda: volumes.append(atoms.get_volume()))
    dynamics.run(6000)
    blocks = np.array(volumes[1001:]).reshape(10, -1).mean(axis=1)
    relaxed = outcome.relaxed.structure.volume / outcome.relaxed.thermal.ratio * 8
    expected = blocks.mean() / relaxed - 1.0
    error = 2.3 * blocks.std(ddof=1) / np.sqrt(10) / relaxed  # Student's t
    both = np.hypot(error, (found.upper - found.lower) / 2)
    assert both < 0.01
    assert abs(found.value - expected) < both
