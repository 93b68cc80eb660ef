"""``ssefw neb`` with a quick calculator."""

import json
import sys

import pytest
from click.testing import CliRunner

from ssefw.cli.calculate.neb import command
from tests.conftest import REPOSITORY
from tests.engines.conftest import upf

QUICK = ["--specie", "Cu", "--max-length", "2.8", "--min-length", "5", "--images", "3"]
EMT = ["--set", "calculator=ase.calculators.emt.EMT"]


@pytest.fixture
def file(copper, tmp_path, monkeypatch):
    """Copper as a CIF file, and a scratch folder."""
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    path = tmp_path / "Cu.cif"
    copper.to(filename=str(path))
    return str(path)


def test_barriers_and_what_crosses_are_printed_as_json(file):
    result = CliRunner().invoke(command, [file, *QUICK, *EMT, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    hop, barrier = (json.loads(line) for line in result.stdout.splitlines())
    assert hop["forward"] == pytest.approx(hop["reverse"], abs=0.002)
    assert barrier["barrier_3d_ev"]["value"] == pytest.approx(hop["forward"], abs=0.002)


def test_dry_run_computes_nothing(file, tmp_path):
    result = CliRunner().invoke(command, [file, *QUICK, "--dry-run"], catch_exceptions=False)
    assert "symmetric" in result.stdout
    assert not (tmp_path / "scratch").exists()


def test_options_that_the_engine_does_not_know_are_refused(file):
    result = CliRunner().invoke(command, [file, "--set", "nonsense=1"])
    assert result.exit_code == 1
    assert "no setting 'nonsense'" in str(result.exception)


def test_bands_are_drawn_and_their_progress_is_told(file, tmp_path):
    result = CliRunner().invoke(
        command,
        [file, *QUICK, *EMT, "-o", str(tmp_path / "out"), "--vasp-inputs", str(tmp_path / "v")],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    assert "iteration 0, plain, force" in result.stderr
    assert "A from its own images" in result.stderr  # a cell of 5 A
    assert "to cross in 3D" in result.stdout
    (picture,) = (tmp_path / "out").rglob("hop-*.png")
    assert picture.stat().st_size > 10_000
    assert len(list((tmp_path / "v").rglob("0*/POSCAR"))) == 3


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--specie", "Li"], "holds no Li"),
        (["--max-length", "2.0"], "Allow longer hops"),
        (["--images", "2"], "--images"),
    ],
)
def test_what_makes_no_sense_is_one_line(file, ssefw, option, words):
    done = ssefw("neb", file, "--dry-run", *EMT, "--specie", "Cu", *option, check=False)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_hops_may_be_chosen_by_the_site_energy(li2o, ssefw, tmp_path):
    li2o.to(filename=str(tmp_path / "Li2O.cif"))
    done = ssefw("neb", "Li2O.cif", "--dry-run", "--hops", "bvse")
    (line,) = done.stdout.splitlines()
    assert line.startswith("2.309 A")  # along the edge of the cube of lithium


@pytest.mark.filterwarnings("ignore:No POTCAR file", "ignore:Set OLD_ERROR_HANDLING")
def test_vasp_relaxes_crystal_ends_and_band(file, tmp_path, monkeypatch):
    program = REPOSITORY / "tests/fake_vasp/vasp_std"
    monkeypatch.setenv("SSEFW_VASP_CMD", f"{sys.executable} {program}")
    monkeypatch.setenv("SSEFW_POTCAR_DIR", str(tmp_path / "none"))
    arguments = [file, *QUICK, "--engine", "vasp", "--charge", "0"]
    options = ["--set", "potcar_spec=true", "--set", "incar={NCORE: 2}", "--no-figure"]
    result = CliRunner().invoke(command, [*arguments, *options, "--json"], catch_exceptions=False)
    hop, barrier = (json.loads(line) for line in result.stdout.splitlines())
    assert hop["climbed"]
    assert hop["provenance"]["versions"]["vtst"] == "4.2"
    assert barrier["barrier_3d_ev"]["value"] == pytest.approx(hop["forward"], abs=0.002)


@pytest.mark.parametrize(
    ("mechanism", "line"),
    [("interstitial", "3.266 A, 24 in the cell"), ("concerted", "4.000 A, 48 in the cell")],
)
def test_interstitial_hops_of_antifluorite_go_between_octahedra(
    li2o, ssefw, tmp_path, mechanism, line
):
    li2o.to(filename=str(tmp_path / "Li2O.cif"))
    done = ssefw("neb", "Li2O.cif", "--dry-run", "--mechanism", mechanism, "--min-length", "9")
    assert done.stdout.splitlines() == [f"{line}, symmetric, 97 atoms"]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SSEFW_PSEUDO_DIR", "none", "does not exist"),
        ("SSEFW_NEB_CMD", "no-such-neb.x", "Install or load Quantum ESPRESSO"),
    ],
)
def test_what_quantum_espresso_lacks_is_told_before_anything_runs(
    *, li2o, ssefw, tmp_path, monkeypatch, variable, value, words
):
    li2o.to(filename=str(tmp_path / "Li2O.cif"))
    (tmp_path / "pseudos").mkdir()
    for element, electrons in (("Li", "3.0"), ("O", "6.0")):
        (tmp_path / "pseudos" / f"{element}.pbe.UPF").write_text(upf(element, electrons))
    site = {
        "SSEFW_PSEUDO_DIR": "pseudos",
        "SSEFW_PW_CMD": sys.executable,
        "SSEFW_NEB_CMD": sys.executable,
    }
    for name, setting in (site | {variable: value}).items():
        monkeypatch.setenv(name, setting)
    done = ssefw("neb", "Li2O.cif", "--engine", "espresso", "--no-relax", check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert words in line


HALF_NICKEL = """data_x
_symmetry_space_group_name_H-M 'F m -3 m'
_cell_length_a 4.3
_cell_length_b 4.3
_cell_length_c 4.3
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
Ni1 Ni 0 0 0 0.5
O1 O 0.5 0.5 0.5 1
"""


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    path = tmp_path / "mixed.cif"
    path.write_text(HALF_NICKEL)
    words = [str(path), "--specie", "Cu", "--orderings", "2", "--max-length", "3.2", *EMT]
    return [*words, "--min-length", "5"]


def test_hops_of_each_arrangement_of_a_disordered_crystal_are_shown(mixed):
    result = CliRunner().invoke(command, [*mixed, "--dry-run"], catch_exceptions=False)
    assert "CuNiO2 is disordered: 2 arrangements as Cu6 Ni6 O12, 24 atoms" in result.stderr
    arrangements = {line.partition(":")[0] for line in result.stdout.splitlines()}
    assert arrangements == {"arrangement 0", "arrangement 1"}


@pytest.mark.slow
def test_a_disordered_crystal_has_the_range_of_its_arrangements(mixed):
    words = ["--images", "3", "--fmax", "0.3", "--end-fmax", "0.2", "--no-climb"]
    words += ["--no-relax", "--no-figure", "--quiet", "--json"]
    result = CliRunner().invoke(command, [*mixed, *words], catch_exceptions=False)
    *bands, barrier = (json.loads(line) for line in result.stdout.splitlines())
    assert {band["arrangement"] for band in bands} == {0, 1}
    one, two = (
        float(line.partition("1D, 2D, 3D ")[2].partition(",")[0])
        for line in barrier["warnings"][:2]
    )
    crossing = barrier["barrier_1d_ev"]
    assert crossing["value"] == pytest.approx((one + two) / 2, abs=1e-3)
    assert crossing["lower"] <= min(one, two) < max(one, two) <= crossing["upper"]
