"""Relaxations and single points with VASP, and what can go wrong in them."""

import gzip
import os
import time

import numpy as np
import pytest
from emmet.core.tasks import TaskDoc
from monty.json import MontyDecoder

from ssefw.engines.stopping import InterruptionError
from ssefw.engines.vasp import VaspEngine, leg
from ssefw.errors import EngineError

pytestmark = [
    pytest.mark.filterwarnings("ignore:POTCAR data with symbol"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING"),
    pytest.mark.filterwarnings("ignore:.*is an unconverged VASP run"),
]

VASP = VaspEngine(preset="xrdmatch")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(leg, "POLL", 0.05)


@pytest.fixture
def bent(lif):
    """LiF away from its minimum, sites in another order."""
    lif.perturb(0.1, seed=4)
    return lif.from_sites([lif[k] for k in (7, 0, 5, 2, 3, 4, 1, 6)])


def folders(tmp_path):
    return sorted((tmp_path / "scratch" / "vasp").iterdir())


def test_a_relaxation_finds_the_minimum_and_keeps_the_order(vasp_site, bent, tmp_path):
    result = VASP.relax(bent, fmax=0.01, max_steps=150, relax_cell=True)
    assert result.converged
    assert result.max_force < 0.01
    assert [s.specie.symbol for s in result.structure] == [s.specie.symbol for s in bent]
    shift = result.structure.frac_coords - bent.frac_coords
    assert np.abs(shift - np.rint(shift)).max() < 0.1
    at_rest = VASP.static(result.structure)
    assert at_rest.energy == pytest.approx(result.energy, abs=1e-4)
    assert result.provenance.versions["vasp"] == "6.4.2"


def test_a_finished_calculation_is_read_and_not_run_again(vasp_site, lif, tmp_path):
    first = VASP.static(lif)
    vasp_site.tell({"step": 1, "do": "exit"})
    assert VASP.static(lif).energy == first.energy
    assert len(vasp_site.left) == 1


def test_the_task_document_of_emmet_is_kept(vasp_site, lif, tmp_path):
    result = VASP.static(lif)
    (folder,) = folders(tmp_path)
    task = TaskDoc.model_validate_json(gzip.decompress((folder / "task.json.gz").read_bytes()))
    assert task.output.energy == result.energy


def test_an_unconverged_relaxation_says_so(vasp_site, bent):
    assert not VASP.relax(bent, fmax=1e-7, max_steps=3, relax_cell=False).converged


def test_a_recoverable_error_is_corrected(vasp_site, lif, tmp_path):
    error = "WARNING in EDDRMM: call to ZHEGV failed, returncode = 8 4 8"
    vasp_site.tell({"step": 1, "do": "say", "text": error, "then": "exit", "code": 1})
    assert VASP.static(lif).energy < 0
    (folder,) = folders(tmp_path)
    assert "ALGO = Normal" in (folder / "INCAR").read_text()


def test_an_interrupted_relaxation_continues_from_its_last_geometry(
    vasp_site, bent, tmp_path, monkeypatch
):
    vasp_site.tell(step_time=0.3)
    monkeypatch.setenv("SSEFW_END_TIME", str(time.time() + 62.0))
    with pytest.raises(InterruptionError, match=r"interrupted \(walltime\); run it again"):
        VASP.relax(bent, fmax=0.01, max_steps=150, relax_cell=True)
    monkeypatch.delenv("SSEFW_END_TIME")
    vasp_site.tell()
    assert VASP.relax(bent, fmax=0.01, max_steps=150, relax_cell=True).converged
    (folder,) = folders(tmp_path)
    start = (folder / "POSCAR").read_text().split("Direct")[1].split()[:3]
    assert not np.allclose([float(x) for x in start], bent.frac_coords[1] % 1)


def test_a_vasp_that_fails_is_one_clear_line(vasp_site, lif):
    vasp_site.tell({"step": 1, "do": "exit", "code": 139, "stderr": "Segmentation fault\n"})
    with pytest.raises(EngineError, match=r"VASP failed .*Segmentation fault"):
        VASP.static(lif)


def test_a_program_that_cannot_be_executed_is_one_clear_line(vasp_site, lif, tmp_path, monkeypatch):
    broken = tmp_path / "vasp_std"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    monkeypatch.setenv("SSEFW_VASP_CMD", os.fspath(broken))
    with pytest.raises(EngineError, match=r"Cannot run .*Set SSEFW_VASP_CMD"):
        VASP.static(lif)


def test_a_metal_is_refused_except_for_hull_energies(vasp_site, lif):
    vasp_site.tell(gap=0.002)
    with pytest.raises(EngineError, match=r"LiF has no band gap in PBE"):
        VASP.static(lif)
    assert VaspEngine(preset="hull").static(lif).energy < 0


def test_the_engine_survives_serialization():
    engine = VaspEngine(preset="hull", incar={"NCORE": 4})
    assert MontyDecoder().process_decoded(engine.as_dict()) == engine
