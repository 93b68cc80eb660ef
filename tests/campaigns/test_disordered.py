"""Disordered crystals as candidates: arrangements as replicas, more of them later, and kills."""

import json
import textwrap

import pytest

from ssefw.documents import Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.errors import SsefwError
from ssefw.store import connect
from tests.campaigns.killing import kill_9
from tests.conftest import run_ssefw, start_ssefw

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
    run_ssefw("run", "mixed.yaml", "--store", "st", folder=folder)
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


def test_report_results_and_export_name_each_arrangement(finished, tmp_path):
    page = (finished / "st/mixed/report.html").read_text()
    assert "<h3>Arrangements</h3>" in page
    outcome = only_outcome(finished)
    shown = run_ssefw("results", "show", outcome.candidate_id, "--store", "st", folder=finished)
    assert "meV/atom above the lowest" in shown.stdout
    words = ("results", "export", outcome.candidate_id, "--store", "st", "-o", tmp_path / "out")
    run_ssefw(*words, folder=finished)
    cells = sorted(path.name for path in (tmp_path / "out").glob("*.cif"))
    assert [name[-6:] for name in cells] == ["-0.cif", "-1.cif"]


def test_more_arrangements_later_keep_the_first(tmp_path, finished):
    prepare(tmp_path)
    run_ssefw("run", "mixed.yaml", "--store", "st", folder=tmp_path)
    before = only_outcome(tmp_path)
    (tmp_path / "mixed.yaml").write_text(CAMPAIGN.replace("number: 2", "number: 3"))
    told = run_ssefw("plan", "mixed.yaml", "--store", "st", folder=tmp_path)
    assert "orderings.number: 2 -> 3" in told.stderr + told.stdout
    run_ssefw("submit", "mixed.yaml", "--store", "st", "--yes", folder=tmp_path)
    run_ssefw("resume", "--store", "st", folder=tmp_path)
    after = only_outcome(tmp_path)
    assert len(after.arrangements) == 3
    for one, two in zip(before.arrangements, after.arrangements, strict=False):
        assert one.ordering.structure == two.ordering.structure
        assert one.trajectory_keys == two.trajectory_keys
        assert one.relaxed == two.relaxed


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
