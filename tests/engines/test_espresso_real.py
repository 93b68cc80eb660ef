"""Vacancy hops with the real pw.x and neb.x, interrupted on the way in every manner.

Li2S: two formula units with one Li vacancy, cutoffs far below what the pseudopotentials ask for,
three images: good for a test of minutes and for nothing else (with more images a deeper minimum
shows up between the ends of this small cell). The hop is symmetric by a mirror plane. Li2O: from
the CIF file to the barrier, by the command.
"""

import json
import os
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.engines import NebSettings
from ssefw.engines.band import linear_images
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.neb_output import parse_path
from ssefw.engines.espresso.symptoms import read_text
from ssefw.errors import EngineError
from tests.conftest import REPOSITORY, run_ssefw, start_ssefw

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


def test_images_are_computed_side_by_side_by_two_groups_of_ranks(engine, tmp_path, monkeypatch):
    if shutil.which("mpirun") is None:
        pytest.skip("mpirun is not installed")
    options = "--allow-run-as-root --oversubscribe -np 2"
    monkeypatch.setenv("SSEFW_NEB_CMD", f"mpirun {options} neb.x")
    start = end(A / 4, (0.66, 2.19))
    images = linear_images(start, mirrored(start), n_images=4)
    settings = NebSettings(fmax=0.1, max_steps=1, climb=False)
    both = replace(engine, layout={"image_groups": 2})
    band = both.neb(images, settings, tmp_path / "band")
    assert band.status == "unconverged"
    assert len(band.history) == 1
    assert "path-images division:  nimage    =       2" in read_text(tmp_path / "band/neb.out")
    # The path is symmetric, and so are the energies that different groups have computed.
    assert band.energies[1] == pytest.approx(band.energies[2], abs=1e-3)
    with pytest.raises(EngineError, match="leave ranks idle"):
        both.neb(images[:3], settings, tmp_path / "other")


def test_from_the_cif_file_to_the_barrier_through_a_stop(tmp_path):
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.619), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    structure.to(filename=str(tmp_path / "Li2O.cif"))
    settings = ["ecutwfc=25", "ecutrho=200", "kspacing=2.0"]
    settings.append("options={electrons: {mixing_beta: 0.3, conv_thr: 1.0e-6}}")
    words = ["neb", "Li2O.cif", "--engine", "espresso", "--no-relax", "--min-length", "4.5"]
    words += [
        "--images",
        "3",
        "--path",
        "idpp",
        "--fmax",
        "0.1",
        "--end-fmax",
        "0.05",
        "-o",
        "bands",
    ]
    words += [word for setting in settings for word in ("--option", setting)]
    environment = {
        "SSEFW_PSEUDO_DIR": str(PSEUDOS),
        "SSEFW_SCRATCH": str(tmp_path / "scratch"),
        "PYTHONPATH": str(REPOSITORY),
    }
    command = start_ssefw(*words, folder=tmp_path, env=environment)
    end_time = time.monotonic() + 300
    while not list(tmp_path.glob("bands/*/ssefw.path")) and time.monotonic() < end_time:
        time.sleep(0.2)
    command.send_signal(signal.SIGTERM)
    _, said = command.communicate(timeout=120)
    assert command.returncode == 1, said
    assert "Traceback" not in said
    done = run_ssefw(*words, "--json", folder=tmp_path, env=environment, timeout=600)
    hop, barrier = (json.loads(line) for line in done.stdout.splitlines())
    assert hop["status"] == "converged"
    assert hop["climbed"]
    assert hop["forward"] == pytest.approx(hop["reverse"], abs=0.002)
    assert barrier["barrier_3d"]["value"] == pytest.approx(hop["forward"], abs=0.02)
    assert list(tmp_path.glob("bands/hop-*.png"))
