"""A campaign with VASP: FireWorks, custodian and atomate2 for real, a stand-in for the program."""

import json
import sys

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.documents import Outcome
from ssefw.documents import Trajectory as Ledger
from ssefw.makers import DiffusivityMaker
from ssefw.store import connect
from tests.conftest import REPOSITORY, run_ssefw, work_here
from tests.makers.test_adaptive import diffusivity

# POTCARs are made for the test, or there are none.
pytestmark = pytest.mark.filterwarnings("ignore:POTCAR data with symbol", "ignore:No POTCAR file")

CAMPAIGN = """\
campaign: vasp
pool: {path: pool}
engine: {code: vasp, preset: kang2022, potcar_spec: true}
relax: {fmax: 0.05, max_steps: 20, max_volume_change: 5.0}
supercell: {min_length: 4, max_atoms: 20}
md: {temperatures: [300, 600], length: 0.2, equilibration: 0.02, timestep: 2, steps_per_frame: 2}
"""


@pytest.fixture
def campaign(tmp_path, li2o):
    """A folder with a campaign on one compound, and the environment that finds the stand-in."""
    (tmp_path / "pool").mkdir()
    li2o.to(tmp_path / "pool/li2o.cif")
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    program = str(REPOSITORY / "tests/fake_vasp/vasp_std")
    return tmp_path, {"SSEFW_VASP_CMD": program, "SSEFW_VASP_GAMMA_CMD": program}


def potcars(folder, symbols):
    """Make POTCARs with nothing inside; return their folder."""
    sys.path.insert(0, str(REPOSITORY / "tests/fake_vasp"))
    try:
        from potcars import write_potcars
    finally:
        sys.path.pop(0)
    write_potcars(folder / "potcars", symbols)
    return str(folder / "potcars")


def test_a_vasp_campaign_runs_to_its_outcome(campaign):
    folder, environment = campaign
    work_here(submit="c.yaml", folder=folder, env=environment)
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        ledgers = list(connection.results.find(Ledger))
    assert outcome.status in {"determined", "bound", "undetermined"}
    assert outcome.relaxed.provenance.engine == "vasp-kang2022"
    assert sorted(ledger.temperature for ledger in ledgers) == [300.0, 600.0]
    for ledger in ledgers:
        assert ledger.n_steps == 100
        assert ledger.n_frames == 51


def test_a_campaign_of_bands_runs_on_vasp_alone(campaign, copper):
    folder, environment = campaign
    (folder / "pool/li2o.cif").unlink()
    copper.to(folder / "pool/cu.cif")
    text = CAMPAIGN[: CAMPAIGN.index("md:")].replace(", potcar_spec: true", "")
    bands = "neb: {min_length: 3, max_hop: 2.8, images: 3, charge: 0, end_fmax: 0.05}\n"
    (folder / "c.yaml").write_text(f"specie: Cu\n{text}{bands}")
    environment["SSEFW_POTCAR_DIR"] = potcars(folder, ["Cu_pv"])
    work_here(submit="c.yaml", folder=folder, env=environment)
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
    assert outcome.reason == ""
    assert outcome.status == "determined"
    (band,) = outcome.barrier.bands
    assert band.climbed
    assert band.forward == pytest.approx(band.reverse, abs=0.002)
    assert band.provenance.engine == "vasp-kang2022"
    assert outcome.cost.wall_time > band.wall_time > 0.0


def test_a_killed_program_costs_nothing_but_a_segment(campaign):
    folder, environment = campaign
    events = {"events": [{"step": 60, "do": "killed"}]}
    (folder / "fake.json").write_text(json.dumps(events))
    environment["FAKE_VASP"] = str(folder / "fake.json")
    work_here(submit="c.yaml", folder=folder, env=environment)
    with connect(folder / "st", read_only=True) as connection:
        ledgers = list(connection.results.find(Ledger))
    reasons = [segment.end_reason for ledger in ledgers for segment in ledger.segments]
    assert reasons.count("complete") == 2
    assert reasons.count("killed") in {1, 2}  # each worker that came to step 60
    assert all(ledger.n_frames == 51 for ledger in ledgers)


MISSING = {"SSEFW_VASP_CMD": "vasp-that-is-not-there", "SSEFW_VASP_GAMMA_CMD": "nor-this"}


def test_a_missing_program_fails_the_candidate_with_one_clear_line(campaign, ssefw, monkeypatch):
    """On a node where it is missing; on the machine of the submission that was a warning."""
    folder, _ = campaign
    for name, value in MISSING.items():
        monkeypatch.setenv(name, value)
    submitted = ssefw("submit", "c.yaml", "--store", "st")
    assert "Warning: jobs that run on this machine will fail." in submitted.stderr
    assert "'vasp-that-is-not-there'" in submitted.stderr
    worked = run_ssefw("work", "--store", "st", folder=folder, env=MISSING)
    assert "1 failed" in worked.stderr
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
    assert outcome.status == "failed"
    assert "vasp-that-is-not-there" in outcome.reason
    assert outcome.reason.startswith("relax: ")
    # All that is left is a failed job: to run the rest is no error, and the code tells.
    again = ssefw("resume", "--store", "st", check=False)
    assert again.returncode == 3
    assert "1 job failed" in again.stderr


def test_a_run_without_the_program_is_refused_before_anything_is_submitted(
    campaign, ssefw, monkeypatch
):
    folder, _ = campaign
    for name, value in MISSING.items():
        monkeypatch.setenv(name, value)
    done = ssefw("run", "c.yaml", "--store", "st", check=False)
    assert done.returncode == 1
    assert "Cannot find the program 'vasp-that-is-not-there'" in done.stderr
    assert "set SSEFW_VASP_CMD" in done.stderr
    assert not (folder / "st").exists()


@pytest.mark.slow
def test_from_a_crash_to_its_output_and_a_rerun(campaign, ssefw):
    """What docs/vasp.md tells to do."""
    folder, environment = campaign
    crash = {"step": 2, "do": "exit", "code": 139, "stderr": "forrtl: SIGSEGV, segmentation fault"}
    (folder / "fake.json").write_text(json.dumps({"events": [crash] * 6}))
    broken = environment | {"FAKE_VASP": str(folder / "fake.json")}
    done = run_ssefw("run", "c.yaml", "--store", "st", folder=folder, env=broken, check=False)
    assert done.returncode == 3
    assert "1 failed: " in done.stderr
    assert "relax of Li2O: VASP failed" in done.stderr

    status = ssefw("status", "--store", "st").stdout
    assert "relax of Li2O: VASP failed" in status
    assert "fizzled" not in status.lower()
    (line,) = ssefw("jobs", "--failed", "--json", "--store", "st").stdout.splitlines()
    job = json.loads(line)
    assert (job["name"], job["formula"], job["state"]) == ("relax", "Li2O", "failed")
    assert "SIGSEGV" in job["message"]
    assert f"folder: {job['run_folder']}" in status

    found = ssefw("log", "li2o", "--stage", "relax", "--store", "st")
    assert f"{job['run_folder']}/OUTCAR" in found.stderr
    assert "FREE ENERGIE OF THE ION-ELECTRON SYSTEM" in found.stdout
    path = ssefw("log", "li2o", "--path", "--store", "st").stdout.strip()
    assert path == f"{job['run_folder']}/OUTCAR"
    errors = ssefw("log", "li2o", "--file", "std_err.txt", "--store", "st")
    assert "SIGSEGV" in errors.stdout

    ssefw("rerun", "--candidate", "Li2O", "--store", "st")
    resumed = run_ssefw("resume", "--store", "st", folder=folder, env=environment)
    assert "1 of 1 candidates concluded. Report" in resumed.stderr


def test_a_magnetic_surprise_marks_its_candidate_and_the_others_go_on(campaign):
    """An odd number of electrons: magnetic, or a metal."""
    folder, environment = campaign
    Structure(Lattice.cubic(2.9), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(
        folder / "pool/lio.cif"
    )
    text = CAMPAIGN.replace(", potcar_spec: true", "").replace("[300, 600]", "[300]")
    (folder / "c.yaml").write_text(text)
    environment["SSEFW_POTCAR_DIR"] = potcars(folder, ["Li", "O"])
    work_here(submit="c.yaml", folder=folder, env=environment)
    with connect(folder / "st", read_only=True) as connection:
        found = {outcome.formula: outcome for outcome in connection.results.find(Outcome)}
    assert found["Li2O2"].status == "failed"
    assert "odd number of electrons" in found["Li2O2"].reason
    assert "\n" not in found["Li2O2"].reason
    assert found["Li2O"].status in {"bound", "determined", "undetermined"}
    assert [run.duration > 0 for run in found["Li2O"].diffusivities] == [True]


@pytest.mark.slow
def test_a_hit_of_a_potential_is_confirmed_by_vasp(campaign, monkeypatch, copper):
    folder, environment = campaign
    (folder / "pool/li2o.cif").unlink()
    copper.to(folder / "pool/cu.cif")

    def known(self, trajectory, store):
        found = diffusivity(trajectory.temperature)
        return found.model_copy(update={"trajectory_key": trajectory.key, "duration": 0.2})

    monkeypatch.setattr(DiffusivityMaker, "estimate", known)
    vasp = "{code: vasp, preset: kang2022, potcar_spec: true}"
    text = CAMPAIGN.replace(vasp, "{calculator: ase.calculators.emt.EMT}")
    text = text.replace("[300, 600]", "[800, 1000, 1200]").replace("max_atoms: 20", "max_atoms: 40")
    confirm = f"confirm: {{above: 1.0e-30, size: false, temperature: 800, engine: {vasp}}}\n"
    (folder / "c.yaml").write_text(f"specie: Cu\n{text}{confirm}")
    work_here(submit="c.yaml", folder=folder, env=environment)
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        engines = {
            ledger.temperature: ledger.provenance.engine
            for ledger in connection.results.find(Ledger)
            if ledger.provenance.engine.startswith("vasp")
        }
    (look,) = outcome.confirmations
    assert (look.engine, look.temperature, look.agrees) == ("vasp-kang2022", 800.0, True)
    assert look.n_atoms == 32
    assert engines == {800.0: "vasp-kang2022"}
    assert look.core_hours > 0.0
    assert outcome.relaxed.provenance.engine == "EMT"
