"""A vacancy hop in Li2S with the real pw.x and neb.x, interrupted on the way in every manner.

Two formula units with one Li vacancy, cutoffs far below what the pseudopotentials ask for, three
images: good for a test of minutes and for nothing else (with more images a deeper minimum shows up
between the ends of this small cell). The hop is symmetric by a mirror plane.
"""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from pymatgen.core import Structure

from ssefw.engines import NebSettings
from ssefw.engines.band import linear_images
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.neb_output import parse_path
from ssefw.engines.espresso.symptoms import read_text

SHARED = Path(
    os.environ.get("SSEFW_SHARED_DATA", Path(__file__).parents[2] / "../shared/data")
).resolve()
PSEUDOS = SHARED / "pseudos"

pytestmark = [
    pytest.mark.qe,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("neb.x") is None, reason="neb.x is not installed"),
    pytest.mark.skipif(not PSEUDOS.is_dir(), reason=f"no pseudopotentials at {PSEUDOS}"),
]

A = 5.708
SETTINGS = NebSettings(fmax=0.1, max_steps=30)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """Gamma only, 30 Ry; Li would like 103."""
    monkeypatch.setenv("SSEFW_PSEUDO_DIR", str(PSEUDOS))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return EspressoEngine(
        charge=-1,
        ecutwfc=30,
        ecutrho=240,
        kspacing=2.0,
        options={"electrons": {"mixing_beta": 0.2, "conv_thr": 1e-7}},
    )


def end(z, sulfur):
    """The cell with the moving Li at height z, and the sulfur that moves away from the vacancy."""
    cell = [[A / 2, A / 2, 0], [-A / 2, A / 2, 0], [0, 0, A]]
    rest = [(A / 4, -A / 4, A / 4), (A / 4, -A / 4, 3 * A / 4)]
    sites = [(0, 0, sulfur[0]), (A / 2, 0, sulfur[1]), (A / 4, A / 4, z), *rest]
    return Structure(cell, ["S", "S", "Li", "Li", "Li"], sites, coords_are_cartesian=True)


def mirrored(structure):
    """The other end of the hop: the mirror at half of the cell exchanges both Li columns' sites."""
    coords = structure.cart_coords.copy()
    coords[:, 2] = A - coords[:, 2]
    coords[0, 2] -= A
    coords[[3, 4]] = coords[[4, 3]]
    return Structure(structure.lattice, structure.species, coords, coords_are_cartesian=True)


def iterations(folder):
    path = parse_path(read_text(folder / "ssefw.path"))
    return 0 if path is None else path.iteration


def kill_when(folder, count, killed):
    """Kill neb.x without warning once it has done `count` iterations."""
    end_time = time.monotonic() + 300
    while iterations(folder) < count and time.monotonic() < end_time:
        time.sleep(0.2)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = (entry / "cwd").readlink() == folder
            name = (entry / "comm").read_text().strip()
        except OSError:
            continue
        if here and name == "neb.x":
            os.kill(int(entry.name), signal.SIGKILL)
            killed.append(int(entry.name))


def test_hop_in_li2s_survives_a_stop_and_a_kill(engine, tmp_path):
    # Near the relaxed end, so that few steps are needed.
    relaxed = engine.relax(end(A / 4, (0.66, 2.19)), fmax=0.1, max_steps=20, relax_cell=False)
    assert relaxed.converged
    start = relaxed.structure
    images = linear_images(start, mirrored(start), n_images=3)
    folder = tmp_path / "band"

    def after_first() -> str | None:
        return "preempted" if iterations(folder) >= 1 else None

    stopped = engine.neb(images, SETTINGS, folder, stop=after_first)
    assert stopped.status == "interrupted"
    assert stopped.forward is None

    killed = []
    killer = threading.Thread(target=kill_when, args=(folder, iterations(folder) + 1, killed))
    killer.start()
    band = engine.neb(images, SETTINGS, folder)
    killer.join()
    assert killed
    assert band.status == "converged"
    assert band.climbed
    assert band.forward == pytest.approx(band.reverse, abs=0.002)
    assert 0.2 < band.forward < 1.0
    numbers = [record.iteration for record in band.history]
    assert numbers == sorted(numbers)
    assert band.provenance.versions["quantum-espresso"].startswith(("6", "7"))
