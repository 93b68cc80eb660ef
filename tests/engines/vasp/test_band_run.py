"""Bands of VASP with VTST, run by custodian with a stand-in for the program."""

import multiprocessing
import os
import signal
import time

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Kpoints

from ssefw.data.defects import hop_cell
from ssefw.data.hops import find_hops
from ssefw.engines import NebSettings
from ssefw.engines.band import linear_images
from ssefw.engines.migration import MigrationSettings, hop_barrier
from ssefw.engines.migration.progress import read_band_progress
from ssefw.engines.stopping import InterruptionError
from ssefw.engines.vasp import VaspEngine, band_run, leg
from ssefw.engines.vasp.process import processes_in
from ssefw.errors import ConfigurationError, EngineError

pytestmark = [
    pytest.mark.filterwarnings("ignore:POTCAR data with symbol"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING"),
    pytest.mark.filterwarnings("ignore:.*is an unconverged VASP run"),
]

VASP = VaspEngine(preset="xrdmatch")
BAND = NebSettings(fmax=0.05)
HOW = MigrationSettings(
    min_length=5.0, n_images=3, end_fmax=0.05, path="linear", charge=0.0, band=BAND
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(leg, "POLL", 0.05)
    monkeypatch.setattr(band_run, "SHARE", 0.0)


@pytest.fixture
def images():
    """Return five images of a hop of three atoms of copper into the place of a fourth."""
    crystal = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.5725), ["Cu"], [[0, 0, 0]])
    (kind, *_) = find_hops(crystal, specie="Cu", max_length=2.6)
    cell = hop_cell(crystal, kind.hop, min_length=3.0)
    return linear_images(cell.start, cell.end, n_images=5)


def neb(images, folder, **settings):
    return VASP.neb(images, NebSettings(**({"fmax": 0.05} | settings)), folder)


def incar(folder):
    return Incar.from_file(folder / "INCAR")


KEPT = {}


@pytest.fixture
def undisturbed(vasp_site, images, tmp_path):
    """The band that nothing interrupts, computed once."""
    if not KEPT:
        KEPT["band"] = neb(images, tmp_path / "undisturbed")
    return KEPT["band"]


def test_a_hop_goes_from_the_crystal_to_its_barrier_with_vasp_alone(vasp_site, copper, tmp_path):
    relaxed = VASP.relax(copper, fmax=0.02, max_steps=200, relax_cell=True).structure
    (kind, *_) = find_hops(relaxed, specie="Cu", max_length=2.8)
    band = hop_barrier(VASP, relaxed, kind, tmp_path / "band", settings=HOW)
    assert band.climbed
    assert band.forward == pytest.approx(band.reverse, abs=0.002)
    assert band.provenance.versions["vtst"] == "4.2"
    assert [record.climbing for record in band.history] == sorted(r.climbing for r in band.history)
    assert len(band.structures[0]) == 31
    assert read_band_progress(tmp_path / "band").max_force < 1.0


def test_the_inputs_are_those_of_vtst_and_its_stages(vasp_site, images, tmp_path):
    images = linear_images(images[0], images[-1], n_images=4)
    band = neb(images, tmp_path / "b", climb=False)
    assert not band.climbed
    assert band.unresolved is not None
    first = incar(tmp_path / "b")
    assert first["LCLIMB"] is False
    assert (first["IMAGES"], first["IOPT"], first["ISYM"], first["EDIFFG"]) == (2, 7, 0, -0.05)
    kpoints = [str(Kpoints.from_file(tmp_path / "b" / k / "KPOINTS")) for k in ("", "00", "03")]
    assert len(set(kpoints)) == 1
    climbed = neb(images, tmp_path / "c")
    assert incar(tmp_path / "c")["LCLIMB"] is True
    assert climbed.climbed
    assert climbed.forward > max(band.energies) - band.energies[0] + 0.1


def test_a_program_without_vtst_is_told_so_and_ended(vasp_site, images, tmp_path):
    vasp_site.tell(vtst=False, step_time=0.2)
    with pytest.raises(EngineError, match=r"without the VTST tools.*Point SSEFW_VASP_CMD"):
        neb(images, tmp_path / "b", max_steps=1000)
    assert (tmp_path / "b/01/OSZICAR").read_text().count("F=") < 1000
    with pytest.raises(EngineError, match="without the VTST tools"):  # nor the next time
        neb(images, tmp_path / "b", max_steps=1000)


def test_a_band_that_was_told_to_stop_goes_on_from_its_contcars(
    vasp_site, images, tmp_path, undisturbed
):
    vasp_site.tell(step_time=0.3)
    folder = tmp_path / "b"

    def stop():
        return "walltime" if read_band_progress(folder) else None

    first = VASP.neb(images, BAND, folder, stop=stop)
    assert first.status == "interrupted"
    assert "walltime" in first.reason
    assert first.forward is None
    vasp_site.tell()
    second = neb(images, folder)
    assert second.forward == pytest.approx(undisturbed.forward, abs=0.002)
    assert second.history[: len(first.history)] == first.history
    assert [record.iteration for record in second.history] == list(range(len(second.history)))
    assert list(folder.glob("01/OUTCAR.1.gz"))
    assert not list(folder.rglob("STOPCAR"))


def neb_ends(images):
    """Compute both ends, so that what follows is the band alone."""
    with pytest.raises(InterruptionError):
        VASP.neb(images, BAND, images_folder(), stop=lambda: "preempted")


def images_folder():
    from ssefw.settings import load_settings

    return load_settings().settings.scratch_folder() / "ends only"


def work(images, folder):
    """Relax a band in a process of its own."""
    leg.POLL = 0.05
    neb(images, folder)


def test_a_worker_that_was_killed_leaves_a_band_that_goes_on(
    vasp_site, images, tmp_path, undisturbed
):
    vasp_site.tell(step_time=0.4)
    folder = tmp_path / "b"
    process = multiprocessing.get_context("spawn").Process(target=work, args=(images, folder))
    process.start()
    deadline = time.monotonic() + 120
    while read_band_progress(folder) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    orphans = processes_in(folder)
    vasp_site.tell()
    band = neb(images, folder)
    assert not set(orphans) & set(processes_in(folder))
    assert band.climbed
    assert band.forward == pytest.approx(undisturbed.forward, abs=0.002)
    assert band.history[0] == undisturbed.history[0]


def test_a_vasp_that_dies_is_started_again_from_where_it_was(
    vasp_site, images, tmp_path, undisturbed
):
    neb_ends(images)
    vasp_site.tell({"step": 4, "do": "torn"})  # the first image is a step ahead of the others
    band = neb(images, tmp_path / "b")
    assert band.climbed
    assert band.forward == pytest.approx(undisturbed.forward, abs=0.002)
    assert band.history[2] == undisturbed.history[2]


def test_a_vasp_that_dies_at_once_is_one_clear_line(vasp_site, images, tmp_path):
    neb_ends(images)
    vasp_site.tell({"step": 1, "do": "exit", "code": 1, "stderr": "Segmentation fault\n"})
    with pytest.raises(EngineError, match=r"completed no iteration .*Segmentation fault"):
        neb(images, tmp_path / "b")


def test_an_electronic_error_is_corrected_for_the_rest_of_the_band(vasp_site, images, tmp_path):
    neb_ends(images)
    error = "WARNING in EDDRMM: call to ZHEGV failed, returncode = 8 4 8"
    vasp_site.tell({"step": 3, "do": "say", "text": error, "then": "exit", "code": 1})
    assert neb(images, tmp_path / "b").climbed
    changed = incar(tmp_path / "b")
    assert changed["ALGO"] == "Normal"
    assert changed["LCLIMB"] is True


def test_a_band_whose_electrons_did_not_converge_has_no_barrier(
    vasp_site, images, tmp_path, undisturbed
):
    last = sum(not record.climbing for record in undisturbed.history)
    vasp_site.tell({"step": last, "do": "unconverged"})
    band = neb(images, tmp_path / "b")
    assert band.status == "unconverged"
    assert "electrons of image 01" in band.reason
    assert band.forward is None


def test_a_band_out_of_iterations_stays_so(vasp_site, images, tmp_path):
    first = neb(images, tmp_path / "b", max_steps=3)
    assert first.status == "unconverged"
    assert "3 iterations left" in first.reason
    vasp_site.tell({"step": 1, "do": "exit"})
    assert neb(images, tmp_path / "b", max_steps=3).energies == first.energies


def test_a_charged_cell_has_the_electrons_that_the_potcars_say(vasp_site, lif, tmp_path):
    lif.remove_sites([0])
    with pytest.raises(EngineError, match="odd number of electrons"):
        VASP.static(lif)
    VASP.charged(-1.0).static(lif)
    (folder,) = (tmp_path / "scratch/vasp").iterdir()
    assert incar(folder)["NELECT"] == 3 * 1 + 4 * 7 + 1
    with pytest.raises(EngineError, match="potcar_spec goes without"):
        VaspEngine(potcar_spec=True, charge=-1.0).static(lif)


def test_ranks_that_cannot_be_divided_between_images_are_refused(
    vasp_site, images, tmp_path, monkeypatch
):
    monkeypatch.setenv("SSEFW_VASP_CMD", "mpirun -np 16 vasp_std")
    with pytest.raises(EngineError, match=r"16 MPI ranks .* between 3 images.*multiple of 3"):
        neb(images, tmp_path / "b")


def test_a_preset_for_energies_has_no_bands(vasp_site, images, tmp_path):
    with pytest.raises(ConfigurationError, match="has no bands"):
        VaspEngine(preset="hull").neb(images, BAND, tmp_path)
