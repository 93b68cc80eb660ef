"""What a machine lacks to run an engine is said before anything runs, with what to do about it."""

import sys

import pytest

from ssefw.engines.ase import AseEngine
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.needs import missing_program
from ssefw.engines.vasp import VaspEngine
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.filterwarnings("ignore:POTCAR data with symbol")

HERE = sys.executable
"""A program that is there."""


def potcars(folder, symbols):
    sys.path.insert(0, str(REPOSITORY / "tests/fake_vasp"))
    try:
        from potcars import write_potcars
    finally:
        sys.path.pop(0)
    write_potcars(folder, symbols)


@pytest.fixture
def vasp_here(monkeypatch, tmp_path):
    """A site with a program and the POTCARs of Li and O."""
    import pymatgen.core

    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", None)
    potcars(tmp_path / "potcars", ["Li", "Li_sv", "O"])
    monkeypatch.setenv("SSEFW_POTCAR_DIR", str(tmp_path / "potcars"))
    monkeypatch.setenv("SSEFW_VASP_CMD", HERE)


def test_a_potential_within_python_needs_nothing():
    assert list(AseEngine().missing({"Li"})) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (HERE, []),
        (f"mpirun {HERE}", ["'mpirun'"]),
        ("vasp_none", ["'vasp_none'"]),
        ("", ["''"]),
        ("'open", ['"\'open"']),
        ("sh vasp_in_a_container", []),  # what a script starts is not looked for
    ],
)
def test_programs(command, said, monkeypatch):
    monkeypatch.setenv("PATH", "/bin:/usr/bin" if command.startswith("sh") else "/nowhere")
    found = list(missing_program(command, setting="vasp_cmd", code="VASP"))
    assert len(found) == len(said)
    assert all(part in line for part, line in zip(said, found, strict=True))
    assert all("set SSEFW_VASP_CMD" in line for line in found)


def test_the_program_behind_a_launcher_is_looked_for(monkeypatch, tmp_path):
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (line,) = missing_program("srun -n 4 vasp_std", setting="vasp_cmd", code="VASP")
    assert "'vasp_std'" in line


@pytest.mark.usefixtures("vasp_here")
def test_potcars_of_all_elements():
    engine = VaspEngine(preset="kang2022")
    assert list(engine.missing({"Li", "O"})) == []
    (line,) = engine.missing({"Li", "S"})
    assert "No POTCAR of S" in line
    assert "SSEFW_POTCAR_DIR" in line
    assert list(VaspEngine(preset="kang2022", potcar_spec=True).missing({"Li", "S"})) == []


@pytest.mark.usefixtures("vasp_here")
@pytest.mark.parametrize(
    ("incar", "ranks", "said"),
    [
        ({"KPAR": 2, "NCORE": 4}, 8, None),
        ({"KPAR": 3}, 8, "KPAR = 3"),
        ({"NCORE": 3}, 8, "NCORE = 3"),
        ({"KPAR": 2, "NCORE": 8}, 8, "NCORE = 8"),
        ({"NCORE": 4}, 1, None),
    ],
)
def test_parallel_settings_that_misfit_the_ranks(monkeypatch, incar, ranks, said):
    monkeypatch.setenv("SSEFW_VASP_CMD", f"{HERE} -n {ranks}")
    found = list(VaspEngine(preset="kang2022", incar=incar).missing({"Li", "O"}))
    assert len(found) == bool(said)
    assert all(said in line for line in found)


def test_quantum_espresso(monkeypatch, tmp_path):
    monkeypatch.setenv("SSEFW_PW_CMD", f"{HERE} -np 4")
    monkeypatch.setenv("SSEFW_NEB_CMD", "neb-none")
    (line,) = EspressoEngine().missing({"Li"})
    assert "SSEFW_PSEUDO_DIR" in line
    monkeypatch.setenv("SSEFW_PSEUDO_DIR", str(tmp_path))
    layout, pseudo = EspressoEngine(layout={"pools": 3}).missing({"Li"})
    assert "cannot be divided into 3 pools" in layout
    assert "No pseudopotential of Li" in pseudo
    program, _ = EspressoEngine().missing({"Li"}, has_bands=True)
    assert "'neb-none'" in program
