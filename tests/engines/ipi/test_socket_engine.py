"""Any program that speaks i-PI's protocol as an engine: with a stand-in, and with the real CP2K."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data import decode_chunk, join_chunks
from ssefw.documents import Outcome
from ssefw.engines import MDSettings, NebSettings, RunDirectory
from ssefw.engines.band import linear_images
from ssefw.engines.ipi import SocketEngine, forces, server
from ssefw.engines.stopping import InterruptionError
from ssefw.errors import ConfigurationError, EngineError
from ssefw.store import connect
from tests.conftest import work_here

FAKE = Path(__file__).parents[1] / "fake_ipi.py"
INPUT = "socket %socket%\ncell %a% / %b% / %c%\ncharge %charge%\nread start.xyz\n"
HOT = MDSettings(temperature=600.0, steps_per_frame=2, frames_per_chunk=3, seed=3)


@pytest.fixture
def lif():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.03), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site with the stand-in; its folder, in which events may be told."""
    folder = tmp_path / "fake"
    folder.mkdir()
    monkeypatch.setenv("FAKE_IPI", str(folder))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("SSEFW_SOCKET_CMD", f"{sys.executable} -S -E {FAKE} -inp program.in")
    monkeypatch.setattr(forces, "SIGNALS_LAG", 0.0)
    monkeypatch.setattr(server, "POLL", 0.02)
    return folder


def engine(**more):
    given = {"program": "springs", "files": {"program.in": INPUT}}
    made = SocketEngine(**given | more)
    made.check()
    return made


def frames(run):
    return join_chunks([decode_chunk(file.read_bytes()) for file in run.chunk_files()])


def test_the_program_is_told_cell_charge_and_socket_and_reads_the_geometry(site, lif):
    engine().charged(-1).static(lif)
    first, *lines = (site / "last.in").read_text().splitlines()
    assert first.startswith("socket ssefw-")
    assert lines[0].split()[1:4] == ["4.0300000000", "0.0000000000", "0.0000000000"]
    assert lines[1:] == ["charge -1", "read start.xyz"]
    (start,) = (site.parent / "scratch" / "socket").rglob("start.xyz")
    assert start.read_text().splitlines()[0] == "8"


def test_dynamics_that_were_stopped_are_those_that_were_not(site, lif, tmp_path):
    whole = RunDirectory(tmp_path / "whole", key="k")
    assert engine().md(lif, HOT, whole, until=12) == "complete"
    (site / "origin.json").unlink()
    (site / "events.json").write_text(json.dumps([[20, "die"]]))
    parts = RunDirectory(tmp_path / "parts", key="k")
    asked = iter([None] * 8 + ["preempted"])
    reason = engine().md(lif, HOT, parts, until=12, stop=lambda: next(asked, "preempted"))
    assert reason == "preempted"
    assert engine().md(lif, HOT, parts, until=12) == "complete"
    np.testing.assert_array_equal(frames(parts).positions, frames(whole).positions)
    np.testing.assert_allclose(frames(parts).forces, frames(whole).forces, atol=1e-4)
    events = [event for segment in parts.segments() for event in segment.events]
    assert len(events) == 1
    assert events[0].startswith("springs was started again: was killed by signal 9")


def test_relaxation_of_the_cell_and_bands_go_through_the_program(site, lif, tmp_path):
    lif.perturb(0.05)
    relaxed = engine().relax(lif, fmax=0.01, max_steps=200, relax_cell=False)
    assert relaxed.converged
    assert relaxed.provenance.engine == "springs"
    ends = relaxed.structure, relaxed.structure.copy()
    ends[1].translate_sites([0], [0.1, 0, 0])
    images = linear_images(*ends, n_images=3)
    band = engine().neb(images, NebSettings(climb=False, max_steps=5), tmp_path / "band")
    assert len(band.energies) == 3


def test_a_relaxation_that_is_told_to_stop_says_so(site, lif, tmp_path):
    lif.perturb(0.05)
    with pytest.raises(InterruptionError, match="run it again"):
        engine().relax(
            lif, fmax=1e-4, max_steps=50, relax_cell=False, directory=tmp_path / "r",
            stop=lambda: "walltime",
        )  # fmt: skip


def test_a_program_that_fails_is_one_line_with_its_words(site, lif):
    (site / "events.json").write_text(json.dumps([[n, "exit"] for n in (1, 2, 3)]))
    with pytest.raises(EngineError, match=r"springs in .* ended 3 times .*: it is Monday"):
        engine().static(lif)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"program": ""}, "needs the name of its program"),
        ({"program": "CP2K 2023"}, "program"),
        ({"files": {"a": "b"}}, "No file of the program says %socket%"),
        ({"files": {"a": "%socket% %cell%"}}, "%cell% is no placeholder"),
        ({"files": {"../a": "%socket%"}}, "'../a' is no plain name"),
        ({"geometry": "/etc/start"}, "is no plain name"),
        ({"geometry_format": "poscar"}, "ASE writes no geometry in the format 'poscar'"),
        ({"files": "a"}, "files"),
    ],
)
def test_settings_that_could_not_serve_are_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        engine(**wrong)


def test_a_site_without_the_command_says_how_it_is_set(monkeypatch, lif):
    monkeypatch.delenv("SSEFW_SOCKET_CMD", raising=False)
    with pytest.raises(ConfigurationError, match="Set SSEFW_SOCKET_CMD to it"):
        engine().static(lif)


CAMPAIGN = """\
campaign: springs
pool: {path: lif.cif}
engine: {code: socket, options: {program: springs, files: {program.in: "socket %socket%"}}}
relax: {skip: true}
supercell: {min_length: 4}
md: {temperatures: [900, 600], length: 3}
"""


def test_a_plan_tries_a_few_steps_to_know_what_they_cost(site, lif, tmp_path, ssefw):
    lif.to(filename=str(tmp_path / "lif.cif"))
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    said = ssefw("plan", "c.yaml", "--probe", "3").stdout
    assert "Core-hours at the pace of 3 steps of springs on this machine." in said
    assert (site / "asked").read_text() == "5"  # forces at the start, a step to begin with, three
    assert not (tmp_path / "ssefw-store").exists()
    guessed = json.loads(ssefw("plan", "c.yaml", "--json").stdout)
    tried = json.loads(ssefw("plan", "c.yaml", "--json", "--probe", "3").stdout)
    assert tried["core_hours"] < guessed["core_hours"] / 10  # springs are no electrons


def test_a_plan_without_dynamics_has_nothing_to_try(site, lif, tmp_path, ssefw):
    lif.to(filename=str(tmp_path / "lif.cif"))
    (tmp_path / "c.yaml").write_text(CAMPAIGN.partition("supercell")[0] + "neb: {}\n")
    done = ssefw("plan", "c.yaml", "--probe", "3", check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: The campaign springs has no dynamics that could be tried."


CP2K = Path(__file__).parents[2] / "data" / "cp2k" / "licl.yaml"


@pytest.mark.skipif(shutil.which("cp2k.psmp") is None, reason="CP2K is not installed")
def test_a_campaign_on_the_real_cp2k(tmp_path):
    """Its classical force field: a step takes milliseconds, and the way is that of its DFT."""
    command = {"SSEFW_SOCKET_CMD": "cp2k.psmp -i cp2k.inp"}
    work_here(submit=CP2K, folder=tmp_path, env=command)
    with connect(str(tmp_path / "st")) as connection:
        (outcome,) = connection.results.find(Outcome)
    assert outcome.status == "bound", outcome.reason
    assert outcome.provenance.engine == "cp2k"
