"""A relaxation that broke off goes on from where it was, on recorded runs of pw.x."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.continuation import came_to, continued
from ssefw.engines.espresso.handlers import (
    DeathHandler,
    ScfHandler,
    SymmetryHandler,
    WalltimeHandler,
)
from ssefw.engines.espresso.inputs import (
    change_geometry,
    change_option,
    pw_input,
    read_geometry,
    read_option,
)
from ssefw.engines.espresso.pseudopotentials import find_pseudopotentials
from ssefw.engines.espresso.pw_output import parse_pw
from ssefw.errors import EngineError
from tests.engines.conftest import upf

RECORDED = Path(__file__).parents[2] / "data" / "espresso"
FAILED = (RECORDED / "relax_scf_failed" / "pw.1.out").read_text()
REST = (RECORDED / "relax_scf_failed" / "pw.out").read_text()
LOST = (RECORDED / "vc_relax_symmetry_lost" / "pw.out").read_text()
CUT = FAILED[: FAILED.rindex("Writing output data file", 0, FAILED.index("NOT achieved"))]
"""Killed in the self-consistency that failed."""
OUT_OF_TIME = "     Maximum CPU time exceeded\n\n   JOB DONE.\n"


def blocks(text):
    """Positions of all blocks, read another way."""
    found = re.findall(r"ATOMIC_POSITIONS \(angstrom\)\n(.*)\n(.*)\n", text)
    return [np.array([row.split()[1:4] for row in rows], dtype=float) for rows in found]


@pytest.fixture
def lif():
    """LiF with lithium off its site."""
    cell = Lattice([[0, 2.013, 2.013], [2.013, 0, 2.013], [2.013, 2.013, 0]])
    sites = [[0.2, 0.15, 0.0], [2.013, 2.013, 2.013]]
    return Structure(cell, ["Li", "F"], sites, coords_are_cartesian=True)


@pytest.fixture
def site(pseudos, script):
    """A site with a pseudopotential of fluorine too."""
    (pseudos / "F.pbe-n-kjpaw_psl.1.0.0.UPF").write_text(upf("F", "7.0"))
    return script


@pytest.fixture
def folder(tmp_path, lif, site, pseudos):
    """A folder in which LiF was relaxed."""
    found = find_pseudopotentials(pseudos, ["Li", "F"])
    options = {"electrons": {"mixing_beta": 0.6}}
    text = pw_input(lif, found, calculation="relax", options=options, kpoints=(1, 1, 1))
    place = tmp_path / "run"
    place.mkdir()
    (place / "pw.in").write_text(text)
    return place


def relax(lif, **how):
    return EspressoEngine().relax(lif, **{"fmax": 0.05, "max_steps": 60, "relax_cell": False} | how)


def test_a_relaxation_goes_on_from_the_last_sound_forces_with_less_mixing(lif, site):
    (site / "1.out").write_text(FAILED)
    (site / "2.out").write_text(REST)
    result = relax(lif)
    second = (site / "2.in").read_text()
    # Five steps were taken from the first geometry; where the sixth led, nothing converged.
    assert read_geometry(second)[0] == pytest.approx(blocks(FAILED)[4], abs=1e-9)
    assert read_option(second, "electrons", "mixing_beta") == "0.15"
    assert result.converged
    assert result.n_steps == 6 + 7
    assert result.structure.cart_coords == pytest.approx(blocks(REST)[-1], abs=1e-9)


def test_a_killed_relaxation_goes_on_from_the_geometry_that_came_next(lif, site):
    (site / "1.out").write_text(CUT)
    (site / "1.code").write_text("137")
    (site / "2.out").write_text(REST)
    assert relax(lif).n_steps == 6 + 7
    second = (site / "2.in").read_text()
    assert read_geometry(second)[0] == pytest.approx(blocks(FAILED)[5], abs=1e-9)


def test_another_job_goes_on_though_the_last_attempt_came_to_nothing(lif, site):
    silent = REST[: REST.index("Self-consistent Calculation")]
    for k, text in enumerate((CUT, silent, silent), start=1):
        (site / f"{k}.out").write_text(text)
        (site / f"{k}.code").write_text("137")
    with pytest.raises(EngineError, match="breaks off"):
        relax(lif)
    (site / "4.out").write_text(REST)
    result = relax(lif)
    assert result.n_steps == 6 + 7
    # What the first attempt had told before it was killed counts.
    assert result.wall_time >= parse_pw(CUT).seconds > 1.0
    fourth = (site / "4.in").read_text()
    assert read_geometry(fourth)[0] == pytest.approx(blocks(FAILED)[5], abs=1e-9)


def test_another_job_keeps_what_corrections_came_to(lif, site):
    silent = REST[: REST.index("Self-consistent Calculation")]
    for k, text in enumerate((FAILED, silent, silent, silent), start=1):
        (site / f"{k}.out").write_text(text)
    with pytest.raises(EngineError, match="breaks off"):
        relax(lif)
    (site / "5.out").write_text(REST)
    relax(lif)
    betas = [
        read_option((site / f"{k}.in").read_text(), "electrons", "mixing_beta") for k in (1, 2, 5)
    ]
    assert betas == ["0.3", "0.15", "0.15"]


def test_the_structure_is_the_one_that_energy_and_forces_belong_to(lif, site):
    # Out of steps, pw.x prints one geometry more than it computed.
    end = "     The maximum number of steps has been reached.\n\n   JOB DONE.\n"
    (site / "1.out").write_text(CUT + end)
    result = relax(lif, max_steps=6)
    assert not result.converged
    assert result.structure.cart_coords == pytest.approx(blocks(FAILED)[4], abs=1e-9)


def test_a_relaxed_cell_is_written_where_a_symmetry_was_lost(folder, site):
    text = (folder / "pw.in").read_text()
    (folder / "pw.in").write_text(change_option(text, "control", "calculation", "vc-relax"))
    (folder / "pw.out").write_text(LOST)
    handler = SymmetryHandler()
    assert handler.check(str(folder))
    assert handler.correct(str(folder))["actions"]
    changed = (folder / "pw.in").read_text()
    positions, cell = read_geometry(changed)
    *_, before, _ = re.findall(r"CELL_PARAMETERS \(angstrom\)\n(.*)\n(.*)\n(.*)\n", LOST)
    assert cell == pytest.approx(np.array([row.split() for row in before], dtype=float), abs=1e-8)
    assert positions == pytest.approx(blocks(LOST)[-2], abs=1e-9)
    assert read_option(changed, "system", "nosym") == ".true."
    assert handler.correct(str(folder))["actions"] is None


@pytest.mark.parametrize("calculation", ["scf", "md"])
def test_what_is_no_relaxation_begins_as_before(folder, calculation):
    text = change_option((folder / "pw.in").read_text(), "control", "calculation", calculation)
    (folder / "pw.in").write_text(text)
    (folder / "pw.out").write_text(FAILED)
    assert continued(text, folder, "pw.out") == (text, "")
    assert ScfHandler().correct(str(folder))["actions"]
    changed = (folder / "pw.in").read_text()
    assert read_geometry(changed)[0] == pytest.approx(read_geometry(text)[0])


def test_a_program_that_died_before_it_came_to_anything_is_not_run_again(folder):
    (folder / "pw.out").write_text(FAILED[: FAILED.index("Self-consistent")])
    handler = DeathHandler()
    assert handler.check(str(folder))
    assert handler.correct(str(folder))["actions"] is None


@pytest.mark.parametrize(("log", "mode"), [(CUT, "from_scratch"), ("", "restart")])
def test_out_of_time_a_geometry_goes_on_within_it_and_a_relaxation_after_it(folder, log, mode):
    (folder / "pw.out").write_text(log + OUT_OF_TIME)
    handler = WalltimeHandler()
    assert handler.check(str(folder))
    assert handler.correct(str(folder))["actions"]
    text = (folder / "pw.in").read_text()
    assert read_option(text, "control", "restart_mode") == mode
    if mode == "from_scratch":
        assert read_geometry(text)[0] == pytest.approx(blocks(FAILED)[5], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), whole=st.sampled_from([FAILED, REST, LOST]))
def test_a_log_cut_off_anywhere_leads_to_a_geometry_that_it_holds(data, whole):
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    run = parse_pw(cut)
    found = came_to([run])
    known = blocks(whole)
    if found is not None:
        index = next(k for k, one in enumerate(known) if np.allclose(one, found.positions))
        # Never one that is further than a step from forces that were printed.
        assert index < run.n_geometries
        assert (found.cell is not None) is (whole is LOST)


def test_names_and_fixed_atoms_of_an_input_survive_another_geometry():
    text = (
        "&CONTROL\n/\nATOMIC_POSITIONS crystal\nFe1 0.0 0.0 0.0 0 0 1\nFe2  0.5 0.5 0.5\n\n"
        "CELL_PARAMETERS angstrom\n3 0 0\n0 3 0\n0 0 3\nK_POINTS gamma\n"
    )
    cell = np.diag([2.0, 3.0, 4.0])
    changed = change_geometry(text, np.array([[0.1, 0.2, 0.3], [1.0, 1.0, 1.0]]), cell=cell)
    assert "Fe1 0.1000000000 0.2000000000 0.3000000000 0 0 1\nFe2 1.0" in changed
    assert changed.endswith("0.0000000000 0.0000000000 4.0000000000\nK_POINTS gamma\n")
    assert read_geometry(changed)[1] == pytest.approx(cell)
    with pytest.raises(EngineError, match="2 atoms, not 1"):
        change_geometry(text, np.zeros((1, 3)))
    with pytest.raises(EngineError, match="no card CELL_PARAMETERS"):
        change_geometry(text[: text.index("CELL")], np.zeros((2, 3)), cell=cell)
