"""Disordered crystals as candidates: arrangements as replicas, more of them later, and kills."""

import json
import shutil
import textwrap

import pytest

from ssefw.campaigns.derive import derive
from ssefw.campaigns.learning.feedback import labels_of_outcomes
from ssefw.documents import Estimate, Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.errors import SsefwError
from ssefw.store import connect
from ssefw.store.results.reanalysis import reanalyzed
from tests.campaigns.killing import kill_9
from tests.conftest import call_ssefw, run_ssefw, start_ssefw, work_here

OXIDE = """\
data_x
_symmetry_space_group_name_H-M 'F m -3 m'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cu1 Cu 0 0 0 0.5
{nickel}O1 O 0.5 0.5 0.5 1
"""

# Rock salts of EMT: what they do is no physics, and takes seconds.
CAMPAIGN = """\
campaign: mixed
specie: Cu
pool: {path: pool}
engine: {calculator: ase.calculators.emt.EMT}
supercell: {min_length: 5, max_atoms: 60}
relax: {max_volume_change: 5, relax_cell: false, max_steps: 30, fmax: 0.5}
orderings: {number: 2, choose: random}
md:
  temperatures: [300, 600]
  length: 0.6
  equilibration: 0.1
  timestep: 2
  steps_per_frame: 5
"""


def prepare(folder):
    (folder / "pool").mkdir(parents=True)
    nickel = "Ni1 Ni 0 0 0 0.5\n"
    (folder / "pool" / "oxide.cif").write_text(OXIDE.format(a=4.3, nickel=nickel))
    (folder / "pool" / "unbalanced.cif").write_text(OXIDE.format(a=4.3, nickel=""))
    (folder / "mixed.yaml").write_text(CAMPAIGN)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disordered")
    prepare(folder)
    work_here(folder=folder, submit="mixed.yaml")
    return folder


def only_outcome(folder, campaign="mixed"):
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome, campaign=campaign)
    return outcome


def test_each_arrangement_has_its_own_value_in_one_outcome(finished):
    outcome = only_outcome(finished)
    assert [a.ordering.index for a in outcome.arrangements] == [0, 1]
    first, second = outcome.arrangements
    assert first.ordering.structure != second.ordering.structure
    for arrangement in outcome.arrangements:
        assert len(arrangement.trajectory_keys) == 2
        assert [d.temperature for d in arrangement.diffusivities] == [300.0, 600.0]
        assert arrangement.conductivity is not None
        assert len(arrangement.relaxed.structure) == len(arrangement.ordering.structure)
    assert min(a.above_lowest for a in outcome.arrangements) == 0.0
    assert outcome.conductivity is not None
    (gate,) = [gate for gate in outcome.gates if gate.name == "orderings"]
    assert gate.numbers["n_atoms"] == len(first.ordering.structure)


def test_plan_lists_who_is_refused_and_the_atoms_that_would_run(finished):
    done = run_ssefw("plan", "mixed.yaml", "--json", folder=finished)
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (planned,) = [r for r in records if r.get("formula") == "CuNiO2" and "n_atoms" in r]
    assert planned["n_atoms"] == len(only_outcome(finished).arrangements[0].ordering.structure)
    assert planned["md_steps"] == 2 * 2 * 300
    told = run_ssefw("plan", "mixed.yaml", folder=finished)
    assert "CuO2 cannot be ordered" in told.stdout + told.stderr


def test_report_results_and_export_name_each_arrangement(finished, tmp_path, capsys):
    def say(*words):
        capsys.readouterr()
        assert call_ssefw(*words, "--store", "st", folder=finished) == 0
        return capsys.readouterr().out

    say("report", "mixed", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<h3>Arrangements</h3>" in page
    assert '<th class="n">arrangement</th><th class="n">T (K)</th>' in page
    outcome = only_outcome(finished)
    shown = say("results", "show", outcome.candidate_id)
    assert "meV/atom above the lowest" in shown
    for run in ("300 K #0:", "300 K #1:", "600 K #0:", "600 K #1:"):
        assert shown.count(run) == 2  # among the runs and the diffusivities
    say("results", "export", outcome.candidate_id, "-o", tmp_path / "out")
    cells = sorted(path.name for path in (tmp_path / "out").glob("*.cif"))
    assert [name[-6:] for name in cells] == ["-0.cif", "-1.cif"]


def test_what_is_derived_anew_knows_the_arrangements(finished, tmp_path):
    shutil.copytree(finished / "st", tmp_path / "st")
    with connect(tmp_path / "st") as connection:
        derive(connection, version="next")
        (document,) = connection.database.conductivities.find({})
        (before,) = connection.results.find(Outcome, campaign="mixed")
        after = reanalyzed(before, {document["key"]: document})
    assert document["problems"] == []
    assert sorted(document["arrangements"]) == ["0", "1"]
    assert after.provenance.versions["analysis"] == "next"
    assert after.conductivity.conductivity == before.conductivity.conductivity
    assert after.arrangement_spread == before.arrangement_spread
    for one, two in zip(before.arrangements, after.arrangements, strict=True):
        assert one.conductivity.conductivity == two.conductivity.conductivity
        assert [d.tracer for d in one.diffusivities] == [d.tracer for d in two.diffusivities]


def test_the_label_is_of_the_disordered_crystal(finished, tmp_path):
    shutil.copytree(finished / "st", tmp_path / "st")
    concluded = only_outcome(finished)
    sigma = Estimate(value=1e-3, lower=5e-4, upper=2e-3, unit="S/cm")
    fit = concluded.conductivity.model_copy(update={"conductivity": sigma})
    # A rock salt of EMT melts.
    solid = {"status": "determined", "conductivity": fit, "diffusivities": ()}
    known = concluded.model_copy(update=solid)
    with connect(tmp_path / "st") as connection:
        connection.results.add(known, candidate=known.candidate_id, campaign="mixed")
        found = labels_of_outcomes(connection, specie="Cu", methods={"EMT": "mlip"})
    labels = found.labels
    assert labels, found.rejects
    (label,) = [label for label in labels if label.conductivity.kind == "value"]
    assert not label.structure.is_ordered
    assert label.structure.composition.reduced_formula == known.formula


@pytest.mark.slow
def test_five_arrangements_keep_the_first_three_and_what_was_computed_of_them(tmp_path, capsys):
    prepare(tmp_path)
    (tmp_path / "pool" / "unbalanced.cif").unlink()
    short = CAMPAIGN.replace("[300, 600]", "[600]").replace("length: 0.6", "length: 0.2")
    short = short.replace("max_steps: 30", "max_steps: 5").replace("fmax: 0.5", "fmax: 5")
    (tmp_path / "mixed.yaml").write_text(short.replace("number: 2", "number: 3"))
    work_here(folder=tmp_path, submit="mixed.yaml")
    before = only_outcome(tmp_path)
    (tmp_path / "mixed.yaml").write_text(short.replace("number: 2", "number: 5"))
    capsys.readouterr()
    assert call_ssefw("submit", "mixed.yaml", "--store", "st", "--yes", folder=tmp_path) == 0
    told = capsys.readouterr()
    assert "orderings.number: 3 -> 5" in told.out + told.err
    work_here(folder=tmp_path)
    after = only_outcome(tmp_path)
    assert [len(before.arrangements), len(after.arrangements)] == [3, 5]
    for one, two in zip(before.arrangements, after.arrangements, strict=False):
        assert one.ordering.structure == two.ordering.structure
        assert one.trajectory_keys == two.trajectory_keys
        assert one.relaxed == two.relaxed


def test_the_lowest_of_relaxed_arrangements_are_simulated(tmp_path):
    prepare(tmp_path)
    (tmp_path / "pool" / "unbalanced.cif").unlink()
    short = CAMPAIGN.replace("[300, 600]", "[600]").replace("length: 0.6", "length: 0.2")
    short = short.replace("number: 2,", "number: 1, relax: 3,")
    (tmp_path / "mixed.yaml").write_text(short)
    work_here(folder=tmp_path, submit="mixed.yaml")
    outcome = only_outcome(tmp_path)
    energies = [arrangement.above_lowest for arrangement in outcome.arrangements]
    simulated = [bool(arrangement.trajectory_keys) for arrangement in outcome.arrangements]
    assert simulated == [energy == 0.0 for energy in energies]
    assert sum(simulated) == 1
    reasons = {a.reason for a in outcome.arrangements if not a.trajectory_keys}
    assert reasons == {"not simulated: 1 arrangements relax to a lower energy"}


@pytest.mark.slow
def test_an_adaptive_ladder_runs_a_third_arrangement_where_two_have_no_value(tmp_path):
    prepare(tmp_path)
    (tmp_path / "pool" / "unbalanced.cif").unlink()
    ladder = "ladder: adaptive\n  temperatures: [900, 1200, 1500]"
    text = CAMPAIGN.replace("temperatures: [300, 600]", ladder).replace("number: 2", "number: 4")
    (tmp_path / "mixed.yaml").write_text(text)
    work_here(folder=tmp_path, submit="mixed.yaml")
    outcome = only_outcome(tmp_path)
    gates = [gate for gate in outcome.gates if gate.name == "ladder"]
    assert [gate.code for gate in gates][:3] == ["first_lines", "first_lines", "no_value_yet"]
    n_runs = [len(arrangement.trajectory_keys) for arrangement in outcome.arrangements]
    assert n_runs[:3] == [3, 3, 3]


@pytest.mark.slow
def test_kills_leave_the_same_outcome(tmp_path, finished):
    prepare(tmp_path)
    for n_relaxed, n_ledgers in ((1, 0), (2, 1), (2, 3)):
        process = start_ssefw("run", "mixed.yaml", "--store", "st", folder=tmp_path)
        while process.poll() is None and counts(tmp_path) < (n_relaxed, n_ledgers):
            pass
        kill_9(process, tmp_path, workers_too=True)
    run_ssefw("resume", "--store", "st", folder=tmp_path)
    expected, outcome = only_outcome(finished), only_outcome(tmp_path)
    for one, two in zip(expected.arrangements, outcome.arrangements, strict=True):
        assert one.ordering == two.ordering
        assert one.trajectory_keys == two.trajectory_keys
        assert [d.msd for d in one.diffusivities] == [d.msd for d in two.diffusivities]
    assert outcome.conductivity.conductivity == expected.conductivity.conductivity


def counts(folder):
    if not (folder / "st").exists():
        return 0, 0
    try:
        with connect(folder / "st", read_only=True) as connection:
            count = connection.results.count
            return count(RelaxResult), count(Ledger)
    except SsefwError:
        return 0, 0


def test_bands_alone_want_ordered_crystals(tmp_path):
    prepare(tmp_path)
    bands = CAMPAIGN.partition("md:")[0] + "neb: {images: 3}\n"
    (tmp_path / "mixed.yaml").write_text(textwrap.dedent(bands))
    done = run_ssefw("plan", "mixed.yaml", folder=tmp_path, check=False)
    assert done.returncode == 1
    assert "ssefw pool order" in done.stderr
