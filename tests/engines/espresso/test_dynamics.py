"""Dynamics with pw.x as a server of forces, with a stand-in for pw.x."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data import decode_chunk, join_chunks
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.inputs import read_geometry, read_option
from ssefw.engines.ipi import forces, server
from ssefw.engines.programs import works_in
from ssefw.errors import ConfigurationError, EngineError

FAKE = Path(__file__).parents[1] / "fake_ipi.py"
HOT = MDSettings(temperature=600.0, steps_per_frame=2, frames_per_chunk=3, seed=3)
STEPS = 16


@pytest.fixture
def li2s():
    """The primitive cell of Li2S."""
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.708), ["S", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    return cell.get_primitive_structure()


@pytest.fixture
def site(tmp_path, monkeypatch, pseudos):
    """A site whose pw.x is the stand-in; `tell` it what goes wrong."""
    folder = tmp_path / "fake"
    folder.mkdir()
    monkeypatch.setenv("FAKE_IPI", str(folder))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("SSEFW_PW_CMD", f"{sys.executable} -S -E {FAKE}")
    monkeypatch.setattr(forces, "SIGNALS_LAG", 0.0)
    monkeypatch.setattr(server, "POLL", 0.02)
    return folder


def tell(site, *events):
    (site / "events.json").write_text(json.dumps(events))


def starts(site):
    return (site / "starts").read_text().split()


def advance(structure, folder, *, stop=lambda: None, until=STEPS):
    run = RunDirectory(folder, key="k")
    reason = EspressoEngine().md(structure, HOT, run, until=until, stop=stop)
    return reason, run


def frames(run):
    return join_chunks(decode_chunk(file.read_bytes()) for file in run.chunk_files())


class StopAt:
    """A check that asks to stop once the stand-in was asked for so many geometries."""

    def __init__(self, site, asked, error=None):
        self.counter, self.asked, self.error = site / "asked", asked, error

    def __call__(self):
        if self.counter.exists() and int(self.counter.read_text() or 0) >= self.asked:
            if self.error is not None:
                raise self.error
            return "preempted"
        return None


class Clock:
    """A clock that runs fast while the stand-in is frozen: nothing waits for it."""

    def __init__(self, file):
        self.file, self.ahead = file, 0.0

    def monotonic(self):
        if self.file.exists() and Path("/proc", self.file.read_text()).exists():
            self.ahead += 86400.0
        return time.monotonic() + self.ahead


@pytest.fixture
def undisturbed(site, li2s, tmp_path):
    """A run that nothing befell, and the stand-in as new."""
    reason, run = advance(li2s, tmp_path / "whole")
    assert reason == "complete"
    assert len(starts(site)) == 1
    for name in ("asked", "starts"):
        (site / name).unlink()
    return frames(run)


def same(one, other):
    assert np.array_equal(one.positions, other.positions)
    assert np.array_equal(one.energies, other.energies)
    assert np.array_equal(one.forces, other.forces)
    assert np.array_equal(one.state["momenta"], other.state["momenta"])
    assert one.n_frames == STEPS // HOT.steps_per_frame + 1


def test_pw_x_lives_on_from_step_to_step_and_what_it_computed_is_kept(undisturbed, site, li2s):
    # Springs of 0.05 Hartree/bohr^2 to 0.1 bohr from where each atom began.
    spring, away = 0.05 * 27.211386 / 0.52917721**2, 0.1 * 0.52917721
    moves = undisturbed.positions - undisturbed.positions[0] - away
    assert undisturbed.forces == pytest.approx(-spring * moves, abs=2e-4)
    assert undisturbed.energies == pytest.approx(0.5 * spring * (moves**2).sum((1, 2)), abs=1e-3)
    stress = -undisturbed.energies / li2s.volume
    assert undisturbed.stresses[:, 1, 1] == pytest.approx(stress, rel=1e-4)
    text = (site / "last.in").read_text()
    assert read_option(text, "control", "calculation") == "md"
    assert read_option(text, "system", "nosym") == ".true."
    assert "K_POINTS gamma" in text


@pytest.mark.parametrize("asked", [1, 4, 11])
def test_a_run_that_is_told_to_stop_goes_on_where_it_was(undisturbed, site, li2s, tmp_path, asked):
    reason, run = advance(li2s, tmp_path / "run", stop=StopAt(site, asked))
    assert reason == "preempted"
    reason, run = advance(li2s, tmp_path / "run")
    assert reason == "complete"
    same(frames(run), undisturbed)
    # At most the step that was broken off is computed again.
    assert int((site / "asked").read_text()) in {STEPS + 1, STEPS + 2}
    assert [part.end_reason for part in run.segments()][-1] == "complete"


def test_a_worker_that_was_killed_loses_the_step_it_was_at(undisturbed, site, li2s, tmp_path):
    with pytest.raises(RuntimeError, match="as good as dead"):
        advance(li2s, tmp_path / "run", stop=StopAt(site, 6, RuntimeError("as good as dead")))
    _, run = advance(li2s, tmp_path / "run")
    same(frames(run), undisturbed)
    assert int((site / "asked").read_text()) <= STEPS + 3
    for pid in starts(site):
        assert not works_in(int(pid), run.path / "espresso")


def test_what_befalls_pw_x_is_mended_and_on_the_ledger(
    undisturbed, site, li2s, tmp_path, monkeypatch
):
    monkeypatch.setattr(server, "time", Clock(site / "frozen"))
    tell(site, [3, "die"], [6, "scf"], [9, "freeze"], [14, "die"])
    reason, run = advance(li2s, tmp_path / "run")
    assert reason == "complete"
    same(frames(run), undisturbed)
    assert len(starts(site)) == 5
    events = [event for part in run.segments() for event in part.events]
    assert sum("pw.x was started again" in event for event in events) == 4
    assert any("mixing_beta = 0.15" in event for event in events)
    assert any("said nothing for" in event for event in events)
    text = (site / "last.in").read_text()
    assert read_option(text, "electrons", "mixing_beta") == "0.15"
    # It starts at the geometry that is asked for, so that its first density is of use.
    positions, _ = read_geometry(text)
    # The 14th time it was asked, after three that were in vain: step 10, which is frame 5.
    assert positions == pytest.approx(undisturbed.positions[5], abs=1e-4)
    assert any("killed by signal 9" in event for event in events)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([[n, "exit"] for n in (2, 3, 4)], "3 times in a row .*: it is Monday"),
        ([[n, "scf"] for n in range(2, 9)], r"pw.x failed in \S+: convergence NOT achieved after"),
    ],
)
def test_what_nothing_mends_is_one_line(site, li2s, tmp_path, events, message):
    tell(site, *events)
    with pytest.raises(EngineError, match=message) as caught:
        advance(li2s, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert caught.value.directory == tmp_path / "run" / "espresso"


def test_too_few_slots_for_the_ranks_is_said_with_advice(site, li2s, tmp_path, monkeypatch):
    text = "There are not enough slots available in the system to satisfy the 64"
    monkeypatch.setenv("SSEFW_PW_CMD", f"{sys.executable} -S -E -c 'raise SystemExit(\"{text}\")'")
    with pytest.raises(EngineError, match=r"not enough slots .*; start no more ranks"):
        advance(li2s, tmp_path / "run")


def test_a_preset_for_energies_has_no_dynamics(site, li2s, tmp_path):
    with pytest.raises(ConfigurationError, match="'hull' is for energies and has no dynamics"):
        EspressoEngine(preset="hull").md(
            li2s, HOT, RunDirectory(tmp_path / "run", key="k"), until=STEPS
        )
