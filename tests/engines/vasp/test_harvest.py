"""From VASP's files to chunks, however and whenever the files were cut."""

import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from ssefw.data import join_chunks
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.vasp.harvest import StepCollector, start_point
from ssefw.engines.vasp.inputs import VaspCell
from ssefw.engines.vasp.outputs import StepReader, last_words, read_contcar, was_aborted
from ssefw.errors import EngineError

FAKE_VASP = Path(__file__).parents[2] / "fake_vasp"
sys.path.insert(0, str(FAKE_VASP))
try:
    import formats
finally:
    sys.path.remove(str(FAKE_VASP))

N_STEPS = 40
WARM = MDSettings(temperature=600.0, steps_per_frame=5, frames_per_chunk=2)
CUBE = 4.026 * np.eye(3)
LIF = Structure.from_spacegroup("Fm-3m", Lattice(CUBE), ["F", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CELL = VaspCell.of(LIF)


class _Motion:
    """Atoms that drift and vibrate, so that they cross the cell's edges."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.drift = rng.normal(0.0, 8e-3, (8, 3))
        self.phase = rng.uniform(0.0, 6.3, (8, 3))
        self.dt, self.eta, self.xi = 2.0, 0.0, 0.0
        self.start = CELL.structure.cart_coords - self.at(0)

    def at(self, step):
        t = 2.0 * step
        return self.drift * t + 0.05 * np.sin(self.phase + 0.05 * t)

    def positions(self, step):
        return self.start + self.at(step)

    def velocities(self, step):
        return self.drift + 0.05 * 0.05 * np.cos(self.phase + 0.05 * 2.0 * step)

    def contcar(self, step):
        self.v = self.velocities(step)
        frac = self.positions(step) @ np.linalg.inv(CUBE)
        return formats.contcar("LiF", ["Li", "F"], [4, 4], CUBE, frac, self)


MOTION = _Motion()
TRUTH = np.array([CELL.to_given_order(MOTION.positions(k)) for k in range(0, N_STEPS + 1, 5)])


def _vasprun():
    blocks = ["<modeling>\n"]
    for step in range(N_STEPS + 1):
        extra = {"kinetic": 0.5 + 0.001 * step, "total": -9.0}
        frac = MOTION.positions(step) @ np.linalg.inv(CUBE)
        zeros = np.zeros((8, 3))
        blocks.append(
            formats.vasprun_step(-10.0 - step, zeros, np.zeros((3, 3)), CUBE, frac, extra, [-1.0])
            + " </calculation>\n"
        )
    return "".join(blocks).encode()


VASPRUN = _vasprun()
ENDS = [k for k in range(len(VASPRUN)) if VASPRUN.startswith(b"</calculation>", k)]


def harvest_of(run, folder, *, until=N_STEPS):
    return StepCollector(
        run=run,
        folder=folder,
        cell=CELL,
        settings=WARM,
        start=start_point(run, CELL, MOTION.velocities(0)),
        first_step=0,
        segment=0,
        until=until,
        hottest=6000.0,
    )


def joined(run):
    return join_chunks(c for s in run.segments() for c in run.chunks_of(s))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    looks=st.lists(st.integers(0, len(VASPRUN)), max_size=6).map(sorted),
    deaths=st.sets(st.integers(0, 5)),
    contcar=st.sampled_from(
        ["now", "before", "torn", "missing", "of another run", "two steps ahead"]
    ),
)
def test_no_frame_is_lost_doubled_or_moved_wherever_the_files_end(looks, deaths, contcar):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = RunDirectory(folder / "run", key="k")
        run.begin_segment(0, velocities="drawn")
        harvest = harvest_of(run, folder)
        for number, length in enumerate(looks):
            (folder / "vasprun.xml").write_bytes(VASPRUN[:length])
            harvest.gather()
            if number in deaths:  # the process is killed, another takes over
                harvest = harvest_of(run, folder)
        complete = sum(end + 14 <= (looks or [0])[-1] for end in ENDS) - 1
        state = {
            "now": MOTION.contcar(complete),
            "before": MOTION.contcar(complete - 1),
            "torn": MOTION.contcar(complete)[:700],
            "of another run": MOTION.contcar(complete + 17),
            "two steps ahead": MOTION.contcar(complete + 2),
        }
        if contcar in state:
            (folder / "CONTCAR").write_text(state[contcar])
        harvest = harvest_of(run, folder)
        harvest.finish()
        expected = complete if contcar == "now" else complete - 1
        assert harvest.last_step == (expected if expected > 0 else 0)
        if harvest.last_step == 0:
            assert run.chunk_files() == []
            return
        whole = joined(run)
        assert (whole.first_step, whole.last_step) == (0, expected)
        assert whole.n_frames == expected // 5 + 1
        assert np.abs(whole.positions - TRUTH[: whole.n_frames]).max() < 1.1e-5
        assert np.array_equal(whole.energies, -10.0 - 5.0 * np.arange(whole.n_frames))
        velocities = CELL.to_vasp_order(whole.state["velocities"])
        assert np.abs(velocities - MOTION.velocities(expected)).max() < 1e-5


def test_steps_before_the_first_frame_are_not_recorded_without_one(tmp_path):
    """A segment of three steps has no frame of its own; it gives way to the next."""
    run = RunDirectory(tmp_path / "run", key="k")
    run.begin_segment(0, velocities="drawn")
    (tmp_path / "vasprun.xml").write_bytes(VASPRUN[: ENDS[10] + 14])
    (tmp_path / "CONTCAR").write_text(MOTION.contcar(10))
    harvest_of(run, tmp_path).finish()
    folder = tmp_path / "next"
    folder.mkdir()
    (folder / "vasprun.xml").write_bytes(VASPRUN[ENDS[9] + 14 : ENDS[13] + 14])
    (folder / "CONTCAR").write_text(MOTION.contcar(13))
    run.begin_segment(1, velocities="continued")
    harvest = harvest_of(run, folder)
    harvest.first_step, harvest.segment, harvest._step = 10, 1, 9
    harvest.finish()
    assert harvest.last_step == 10
    assert joined(run).last_step == 10


def test_a_changing_cell_is_refused(tmp_path):
    run = RunDirectory(tmp_path / "run", key="k")
    grown = VASPRUN.replace(b"4.02600000", b"4.12600000")
    (tmp_path / "vasprun.xml").write_bytes(grown)
    with pytest.raises(EngineError, match="cell of the dynamics"):
        harvest_of(run, tmp_path).gather()


def test_asterisks_in_place_of_numbers_are_an_explosion(tmp_path):
    run = RunDirectory(tmp_path / "run", key="k")
    (tmp_path / "vasprun.xml").write_bytes(VASPRUN.replace(b"-12.00000000", b"************"))
    with pytest.raises(EngineError, match="exploded"):
        harvest_of(run, tmp_path).gather()


def test_reading_needs_no_more_memory_for_a_longer_run(tmp_path):
    import tracemalloc

    peaks = []
    for repeats in (20, 60):
        (tmp_path / "vasprun.xml").write_bytes(VASPRUN * repeats)
        reader = StepReader(tmp_path / "vasprun.xml")
        tracemalloc.start()
        assert sum(1 for _ in reader.new_steps()) == (N_STEPS + 1) * repeats
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("length", [0, 10, 200, 600, 900, 1200])
def test_a_torn_contcar_is_not_used(tmp_path, length):
    file = tmp_path / "CONTCAR"
    file.write_text(MOTION.contcar(3)[:length])
    assert read_contcar(file, n_atoms=8) is None


def test_an_abortion_is_found_before_the_forces_and_bands_that_follow_it(tmp_path):
    said = f"\n{'-' * 24} aborting loop because hard stop was set {'-' * 24}\n"
    (tmp_path / "OUTCAR").write_text("Iteration\n" * 9 + said + 2000 * (79 * "0" + "\n"))
    assert was_aborted(tmp_path)
    (tmp_path / "OUTCAR").write_text(said.replace("hard stop was set", "EDIFF is reached"))
    assert not was_aborted(tmp_path)
    (tmp_path / "vasp.out").write_text(" hard stop encountered!  aborting job ...\n")
    assert was_aborted(tmp_path)
    assert not was_aborted(tmp_path / "nowhere")


def test_a_file_of_vasp_itself_is_read_as_ase_reads_it():
    file = Path(ase.__file__).parent / "test" / "testdata" / "vasp" / "vasprun_pstress.xml"
    if not file.exists():
        pytest.skip("this ASE comes without its test data")
    (step,) = StepReader(file).new_steps()
    theirs = ase.io.read(file)
    assert np.allclose(step.cell, theirs.cell)
    assert np.allclose(step.frac_coords, theirs.get_scaled_positions())
    # The last word includes p V, of 0.0071 eV here; ASE takes the electrons' alone.
    electrons = theirs.get_potential_energy(force_consistent=True)
    assert step.energy == pytest.approx(electrons + 0.0071, abs=2e-4)
    assert (step.kinetic, step.n_electronic) == (None, 9)


def test_the_last_words_prefer_stderr(tmp_path):
    (tmp_path / "vasp.out").write_text("DAV: 1\n\n")
    assert last_words(tmp_path) == "DAV: 1"
    (tmp_path / "std_err.txt").write_text("| out of memory |\n \n")
    assert last_words(tmp_path) == "out of memory"
    assert last_words(tmp_path / "nowhere") == "it printed nothing"
