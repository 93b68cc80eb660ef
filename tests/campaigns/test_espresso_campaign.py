"""A campaign on the real pw.x, from a CIF to an outcome, through a stop and two kills.

Four atoms, one k-point and fifty femtoseconds: good for a test and for nothing else.
"""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml
from pymatgen.core import Structure

from ssefw.data import join_chunks
from ssefw.data.labels.outcomes import label_from_outcome
from ssefw.documents import Outcome
from ssefw.documents import Trajectory as Ledger
from ssefw.engines.espresso import EspressoEngine
from ssefw.errors import DataError
from ssefw.store import connect, open_blobs
from ssefw.store.frames.trajectories import TrajectoryStore
from tests.campaigns.killing import start, worker_pids

SHARED = Path(
    os.environ.get("SSEFW_SHARED_DATA", Path(__file__).parents[2] / "../shared/data")
).resolve()
PSEUDOS = SHARED / "pseudos"

pytestmark = [
    pytest.mark.qe,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed"),
    pytest.mark.skipif(not PSEUDOS.is_dir(), reason=f"no pseudopotentials at {PSEUDOS}"),
]

CAMPAIGN = """\
campaign: real-dft
pool:
  structures:
    - name: Li3N
      cif: |
        data_Li3N
        _cell_length_a 3.648
        _cell_length_b 3.648
        _cell_length_c 3.875
        _cell_angle_alpha 90
        _cell_angle_beta 90
        _cell_angle_gamma 120
        _symmetry_space_group_name_H-M 'P 6/m m m'
        loop_
        _atom_site_label
        _atom_site_type_symbol
        _atom_site_fract_x
        _atom_site_fract_y
        _atom_site_fract_z
        N1 N 0 0 0
        Li1 Li 0 0 0.5
        Li2 Li 0.33333 0.66667 0
bvse: {max_barrier: 2.0}
engine:
  code: espresso
  options:
    ecutwfc: 30
    ecutrho: 300
    kspacing: 3.0
    options: {electrons: {mixing_beta: 0.5, mixing_ndim: 4, conv_thr: 1.0e-6}}
relax: {fmax: 0.2, max_steps: 5, relax_cell: false}
supercell: {min_length: 3, max_atoms: 4}
md:
  temperatures: [900, 1200]
  length: 0.05
  equilibration: 0.01
  timestep: 2
  steps_per_frame: 1
"""
FRAMES = 26


def wait_for_steps(n, folder, process, *, but=0):
    """Wait until a pw.x that lives, another than `but`, has finished n steps; return its pid."""
    end = time.monotonic() + 900
    while process.poll() is None and time.monotonic() < end:
        for file in folder.glob("st/scratch/runs/*/espresso/program.pid"):
            with contextlib.suppress(OSError, ValueError):
                pid = int(file.read_text())
                text = file.with_name("pw.out").read_text(errors="replace")
                done = text.count("convergence has been achieved")
                if pid != but and Path("/proc", str(pid)).exists() and done >= n:
                    return pid
        time.sleep(0.1)
    said = process.stderr.read() if process.poll() is not None else "no end in sight"
    raise AssertionError(f"{n} steps did not come: {said}")


def test_from_a_cif_to_an_outcome_through_a_stop_a_kill_of_pw_x_and_one_of_the_worker(tmp_path):
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "c.yaml").write_text(CAMPAIGN)
    environment = {
        "SSEFW_PSEUDO_DIR": str(PSEUDOS),
        "SSEFW_SETTINGS": str(folder / "no-settings.yaml"),
    }
    first = start(folder, environment, "run", "c.yaml", "--workers", "1")
    wait_for_steps(3, folder, first)
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=120)
    assert "Traceback" not in said
    assert not worker_pids(folder)

    second = start(folder, environment, "resume", "--workers", "1")
    program = wait_for_steps(3, folder, second)
    os.kill(program, signal.SIGKILL)
    # When another pw.x has taken over, the worker goes, and another worker comes.
    wait_for_steps(2, folder, second, but=program)
    (worker,) = worker_pids(folder)
    os.kill(worker, signal.SIGKILL)
    _, said = second.communicate(timeout=900)
    assert second.returncode == 0, said

    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        ledgers = list(connection.results.find(Ledger))
    assert outcome.status == "bound", outcome.reason
    assert not outcome.failures
    assert [run.temperature for run in sorted(ledgers, key=lambda run: run.temperature)] == [
        900.0,
        1200.0,
    ]
    reasons = [part.end_reason for run in ledgers for part in run.segments]
    assert "preempted" in reasons
    # 50 fs bound the conductivity by what no solid has: the label is refused for that reason only.
    with pytest.raises(DataError, match=r"A bound .* says nothing of a solid"):
        label_from_outcome(outcome)
    assert_frames_are_those_of_pw_x(folder, ledgers, environment)


def assert_frames_are_those_of_pw_x(folder, ledgers, environment):
    """Assert that runs are whole, and that the energy of the last frame is that of pw.x."""
    store = TrajectoryStore(open_blobs(folder / "st"))
    for run in ledgers:
        frames = join_chunks(store.chunks(run))
        assert frames.n_frames == FRAMES
        moves = np.linalg.norm(np.diff(frames.positions, axis=0), axis=2)
        assert moves.max() < 0.3  # no jump where one process ended and another began
    options = yaml.safe_load(CAMPAIGN)["engine"]["options"]
    species = [site.specie for site in run.structure]
    last = Structure(
        frames.cell, species, frames.positions[-1], coords_are_cartesian=True, to_unit_cell=True
    )
    with mock.patch.dict(os.environ, environment | {"OMP_NUM_THREADS": "1"}):
        found = EspressoEngine(**options).static(last)
    assert found.energy == pytest.approx(frames.energies[-1], abs=1e-4)
    assert frames.forces.shape == frames.positions.shape
