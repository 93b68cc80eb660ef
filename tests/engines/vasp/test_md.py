"""Dynamics with VASP: whatever stops it, the trajectory goes on without gap or doubled frame."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from atomate2.vasp.jobs.base import get_vasp_task_document
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Vasprun

from ssefw.data import join_chunks
from ssefw.engines import MDSettings, RunDirectory, stopping
from ssefw.engines.stopping import install_signal_handlers, stop_check
from ssefw.engines.vasp import VaspEngine, leg, policy, watch
from ssefw.engines.vasp.process import end_processes, processes_in
from ssefw.errors import DiskFullError, EngineError

pytestmark = [
    pytest.mark.filterwarnings("ignore:POTCAR data with symbol"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING"),
]

VASP = VaspEngine(preset="kang2022")
WARM = MDSettings(temperature=600.0, steps_per_frame=5, frames_per_chunk=4, seed=3)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(leg, "POLL", 0.05)


@pytest.fixture
def lif():
    """Rock-salt LiF with the sites in an order that VASP does not want."""
    cubic = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.026), ["F", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    return Structure.from_sites([cubic[k] for k in (0, 4, 1, 5, 2, 6, 3, 7)])


_TRUTH = []


@pytest.fixture
def truth(vasp_site, lif, tmp_path):
    """Positions of an undisturbed run of 60 steps, computed once."""
    if not _TRUTH:
        run = RunDirectory(tmp_path / "undisturbed", key="k")
        assert VASP.md(lif, WARM, run, until=60) == "complete"
        _TRUTH.append(positions(run))
    return _TRUTH[0]


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run", key="k")


def joined(run):
    return join_chunks(c for s in run.segments() for c in run.chunks_of(s))


def positions(run):
    return joined(run).positions


def steps_written(run):
    """Ionic steps that the running VASP has written."""
    for folder in leg.latest_legs(run)[-1:]:
        file = folder / "vasprun.xml"
        if file.exists():
            return file.read_bytes().count(b"</calculation>")
    return 0


def stop_after(run, n):
    """Ask to stop when the next VASP has written n ionic steps."""
    before = len(leg.latest_legs(run))
    return lambda: (
        "preempted" if len(leg.latest_legs(run)) > before and steps_written(run) >= n else None
    )


def ends(run):
    return [segment.end_reason for segment in run.segments()]


def test_frames_energies_and_temperatures_are_those_of_vasp(vasp_site, lif, run):
    VASP.md(lif, WARM, run, until=60)
    whole = joined(run)
    assert (whole.first_step, whole.last_step, whole.n_frames) == (0, 60, 13)
    assert np.allclose(whole.positions[0], lif.cart_coords)
    vasprun = Vasprun(run.path / "vasp-0000" / "vasprun.xml.gz", parse_potcar_file=False)
    assert len(vasprun.ionic_steps) == 61
    assert np.allclose(whole.energies, [s["e_fr_energy"] for s in vasprun.ionic_steps[::5]])
    kinetic = np.array([s["kinetic"] for s in vasprun.ionic_steps[::5]])
    assert np.allclose(whole.temperatures, 2 * kinetic / (21 * 8.617333262e-5))
    assert whole.temperatures[0] == pytest.approx(600.0, abs=0.1)


def test_atomate2_reads_the_packed_files_of_a_leg(vasp_site, lif, run):
    VASP.md(lif, WARM, run, until=20)
    names = {file.name for file in (run.path / "vasp-0000").iterdir()}
    assert {"OUTCAR.gz", "vasprun.xml.gz", "XDATCAR.gz", "CONTCAR", "INCAR"} <= names
    assert not {"OUTCAR", "vasprun.xml"} & names
    task = get_vasp_task_document(run.path / "vasp-0000")
    assert len(task.calcs_reversed[0].output.ionic_steps) == 21


def test_a_stopped_run_continues_as_if_it_had_not_been_stopped(vasp_site, lif, run, truth):
    vasp_site.tell(step_time=0.02)
    reasons = [VASP.md(lif, WARM, run, until=60, stop=stop_after(run, 12)) for _ in range(3)]
    vasp_site.tell()
    VASP.md(lif, WARM, run, until=60)
    assert reasons == ["preempted"] * 3
    assert ends(run)[:3] == ["preempted"] * 3
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_a_contcar_one_step_ahead_is_recognized_and_spares_a_step(vasp_site, lif, run, truth):
    vasp_site.tell(contcar="ahead")
    for until in (20, 40, 60):
        VASP.md(lif, WARM, run, until=until)
    assert [Incar.from_file(f / "INCAR")["NSW"] for f in leg.latest_legs(run)] == [21, 20, 20]
    # The velocities that the stand-in leaves with it are half a step old.
    assert np.abs(positions(run) - truth).max() < 0.05


def test_a_longer_run_continues_a_complete_one(vasp_site, lif, run, truth):
    VASP.md(lif, WARM, run, until=30)
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    assert [s.velocities for s in run.segments()] == ["drawn", "continued"]
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_a_vasp_that_dies_is_started_again_from_its_last_step(vasp_site, lif, run, truth):
    vasp_site.tell({"step": 34, "do": "exit", "code": 139, "stderr": "Segmentation fault\n"})
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    first, second = run.segments()
    assert (first.end_reason, first.last_step, second.first_step) == ("killed", 32, 32)
    assert "exit code 139; Segmentation fault" in first.events[0]
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_torn_files_cost_one_step_and_the_thermostat_only(vasp_site, lif, run, truth):
    vasp_site.tell({"step": 34, "do": "torn"})
    VASP.md(lif, WARM, run, until=60)
    assert run.segments()[0].last_step == 31
    now = positions(run)
    assert np.abs(now[:7] - truth[:7]).max() < 1e-6
    # Another thermostat, and velocities to second order: near, not equal.
    assert 1e-7 < np.abs(now[7] - truth[7]).max() < 0.02


def test_a_recoverable_error_of_the_electrons_is_corrected_and_told(vasp_site, lif, run, truth):
    error = "Error EDDDAV: Call to ZHEGV failed. Returncode = 8 1 8"
    vasp_site.tell({"step": 20, "do": "say", "text": error, "then": "exit", "code": 1})
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    first = run.segments()[0]
    assert first.end_reason == "corrected"
    assert "edddav (VaspErrorHandler): ALGO = All" in first.events[0]
    assert Incar.from_file(run.path / "vasp-0001" / "INCAR")["ALGO"] == "All"
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_electrons_that_did_not_converge_are_told(vasp_site, lif, run, truth):
    vasp_site.tell({"step": 10, "do": "unconverged"}, {"step": 40, "do": "unconverged"})
    VASP.md(lif, WARM, run, until=60)
    (only,) = run.segments()
    told = "2 of 60 ionic steps did not converge within 100 electronic steps"
    assert only.events == (told,)


def test_electrons_that_never_converge_are_solved_in_another_way(
    vasp_site, lif, run, truth, monkeypatch
):
    monkeypatch.setattr(watch, "ASK_EVERY", 0.1)
    vasp_site.tell(*({"step": k, "do": "unconverged"} for k in range(10, 40)), step_time=0.08)
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    first = run.segments()[0]
    assert first.end_reason == "corrected"
    assert "Non-converging job (NonConvergingErrorHandler): ALGO = Normal" in first.events[0]
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_an_error_before_the_first_chunk_stays_on_the_ledger(vasp_site, lif, run, truth):
    error = "Error EDDDAV: Call to ZHEGV failed."
    vasp_site.tell({"step": 2, "do": "say", "text": error, "then": "exit", "code": 1})
    VASP.md(lif, WARM, run, until=60)
    (only,) = run.segments()
    assert "edddav" in only.events[0]
    assert np.abs(positions(run) - truth).max() < 1e-6


def test_an_error_without_remedy_at_the_first_step_is_one_clear_line(vasp_site, lif, run):
    error = "Error EDDDAV: Call to ZHEGV failed."
    vasp_site.tell({"step": 1, "do": "say", "text": error, "then": "exit", "code": 1})
    with pytest.raises(EngineError, match=r"VaspErrorHandler.*before its first.*no remedy"):
        VASP.md(lif, WARM, run, until=60)


def test_a_remedy_that_would_change_the_physics_is_refused(vasp_site, lif, run):
    error = "LAPACK: Routine ZPOTRF failed! 4 25 1"
    vasp_site.tell({"step": 20, "do": "say", "text": error, "then": "exit", "code": 1})
    with pytest.raises(EngineError, match=r"POTIM = 1.0.*would change the physics"):
        VASP.md(lif, WARM, run, until=60)
    assert run.segments()[0].last_step == 18
    assert "zpotrf" in run.segments()[0].events[0]


@pytest.mark.parametrize("action", ["hang", "deaf"])
def test_a_frozen_vasp_is_ended_and_started_again(  # noqa: PLR0917 - fixtures
    vasp_site, lif, run, truth, monkeypatch, action
):
    monkeypatch.setattr(policy, "FROZEN_AFTER", 0.8)
    monkeypatch.setattr(watch, "ASK_EVERY", 0.2)
    monkeypatch.setattr("ssefw.engines.vasp.process.HARD", 0.5)
    vasp_site.tell({"step": 25, "do": action})
    before = time.monotonic()
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    assert time.monotonic() - before < 20
    assert run.segments()[0].end_reason == "corrected"
    assert "Frozen job" in run.segments()[0].events[0]
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_a_vasp_that_does_not_stop_when_told_is_killed(vasp_site, lif, run, truth, monkeypatch):
    monkeypatch.setattr(watch, "GRACE", 0.5)
    vasp_site.tell({"step": 25, "do": "hang"})
    assert VASP.md(lif, WARM, run, until=60, stop=stop_after(run, 24)) == "preempted"
    (first,) = run.segments()
    assert (first.last_step, first.events) == (23, ("VASP did not stop in time and was killed",))
    VASP.md(lif, WARM, run, until=60)
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_a_vasp_that_has_finished_but_does_not_exit_is_ended(vasp_site, lif, run, monkeypatch):
    monkeypatch.setattr(watch, "LINGER", 0.5)
    vasp_site.tell(linger=600.0)
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    assert "did not exit" in run.segments()[0].events[0]


def test_a_full_disk_is_one_clear_line_and_nothing_is_lost(vasp_site, lif, run, truth):
    vasp_site.tell({"step": 44, "do": "full"})
    with pytest.raises(DiskFullError, match=r"disk below .* is full.*continues from its last"):
        VASP.md(lif, WARM, run, until=60)
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    assert run.segments()[1].first_step == 42
    assert np.abs(positions(run) - truth).max() < 1e-4


@pytest.mark.parametrize("where", ["append", "note_progress"])
def test_steps_that_cannot_be_stored_now_are_stored_later(  # noqa: PLR0917 - fixtures
    vasp_site, lif, run, truth, monkeypatch, where
):
    full = OSError(28, "No space left on device")

    def refuse(*_, **__):
        raise EngineError("Cannot write: No space left on device.") from full

    def refuse_plainly(*_, **__):
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(run, where, refuse if where == "append" else refuse_plainly)
        with pytest.raises(EngineError, match="No space left"):
            VASP.md(lif, WARM, run, until=60)
    written = steps_written(run) - 1
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    first = run.segments()[0]
    assert first.last_step >= written - 2  # CONTCAR is often torn when this VASP is killed
    assert first.last_step == 60 or "No space left" in first.events[0]
    now, kept = positions(run), first.last_step // 5 + 1
    assert len(now) == len(truth)
    assert np.abs(now[:kept] - truth[:kept]).max() < 1e-5


def test_death_before_the_first_step_is_one_clear_line(vasp_site, lif, run):
    vasp_site.tell({"step": 1, "do": "exit", "code": 127, "stderr": "libmkl.so: not found\n"})
    with pytest.raises(EngineError, match=r"exit code 127\): libmkl.so: not found"):
        VASP.md(lif, WARM, run, until=60)
    assert run.segments() == []


def test_a_stopcar_of_the_user_ends_the_run_cleanly(vasp_site, lif, run, truth):
    def put_stopcar():
        if (run.path / "vasp-0000" / "CONTCAR").exists() and not run.segments():
            (run.path / "vasp-0000" / "STOPCAR").write_text("LSTOP = .TRUE.")

    vasp_site.tell(step_time=0.03)
    assert VASP.md(lif, WARM, run, until=60, stop=put_stopcar) == "preempted"
    vasp_site.tell()
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_slow_steps_are_aborted_and_the_broken_one_is_not_kept(
    vasp_site, lif, run, truth, monkeypatch
):
    monkeypatch.setattr(watch, "QUICK", 0.0)
    vasp_site.tell(step_time=0.03)
    assert VASP.md(lif, WARM, run, until=60, stop=stop_after(run, 22)) == "preempted"
    stopped = run.segments()[0].last_step
    vasp_site.tell()
    VASP.md(lif, WARM, run, until=60)
    kept = stopped // 5 + 1
    assert np.abs(positions(run)[:kept] - truth[:kept]).max() < 1e-5
    assert np.abs(positions(run)[kept] - truth[kept]).max() < 0.02


def test_velocities_that_vasp_ignores_are_noticed(vasp_site, lif, run):
    VASP.md(lif, WARM, run, until=30)
    vasp_site.tell(ignore_velocities=True)
    with pytest.raises(EngineError, match="did not start from the velocities of step 30"):
        VASP.md(lif, WARM, run, until=60)
    assert run.segments()[-1].last_step == 30


def test_an_exploding_run_is_an_error_with_a_remedy(vasp_site, lif, run):
    wild = MDSettings(temperature=600.0, timestep=60.0, steps_per_frame=5, seed=3)
    with pytest.raises(EngineError, match=r"exploded.*lower the time step"):
        VASP.md(lif, wild, run, until=60)


def test_a_ramp_heats_in_its_own_leg_and_survives_interruption(vasp_site, lif, run):
    ramp = WARM.model_copy(update={"heat_from": 100.0, "heating_steps": 40})
    vasp_site.tell(step_time=0.02)
    VASP.md(lif, ramp, run, until=60, stop=stop_after(run, 12))
    vasp_site.tell()
    VASP.md(lif, ramp, run, until=60)
    assert joined(run).temperatures[0] == pytest.approx(100.0, abs=0.1)
    tags = [Incar.from_file(f / "INCAR") for f in leg.latest_legs(run)]
    stopped = run.segments()[0].last_step
    assert [t["TEBEG"] for t in tags] == [100, pytest.approx(100 + 12.5 * stopped), 600]
    assert [t["TEEND"] for t in tags] == [600, 600, 600]
    assert [t["NSW"] for t in tags] == [41, 41 - stopped, 21]


def test_langevin_dynamics_run_in_segments(vasp_site, lif, run):
    noisy = WARM.model_copy(update={"thermostat": "langevin", "damping": 50.0})
    for until in (30, 60):
        assert VASP.md(lif, noisy, run, until=until) == "complete"
    tags = Incar.from_file(run.path / "vasp-0001" / "INCAR")
    assert (tags["MDALGO"], tags["LANGEVIN_GAMMA"]) == (3, [20.0, 20.0])
    assert joined(run).n_frames == 13


def start(lif, run, results=None):
    """Run the dynamics in a process of its own."""

    def work():
        install_signal_handlers()
        reason = VASP.md(lif, WARM, run, until=60, stop=stop_check())
        results.put(reason)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


def wait_for_step(run, step):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if steps_written(run) > step:
            return
        time.sleep(0.02)
    raise TimeoutError


def test_sigterm_leads_to_a_clean_stop(vasp_site, lif, run, truth):
    vasp_site.tell(step_time=0.05)
    results = multiprocessing.get_context("fork").SimpleQueue()
    process = start(lif, run, results)
    wait_for_step(run, 12)
    process.terminate()
    process.join(20)
    assert results.get() == "preempted"
    vasp_site.tell()
    VASP.md(lif, WARM, run, until=60)
    assert ends(run) == ["preempted", "complete"]
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_a_sigterm_that_hits_vasp_too_is_a_preemption(vasp_site, lif, run, truth, monkeypatch):
    asked = []
    vasp_site.tell({"step": 20, "do": "exit", "code": 143}, step_time=0.01)
    monkeypatch.setattr(watch.Watch, "check", lambda *_, **__: asked.append(1) or False)
    stop = lambda: "preempted" if asked else None  # noqa: E731
    assert VASP.md(lif, WARM, run, until=60, stop=stop) == "preempted"
    assert ends(run) == ["preempted"]


def test_chunks_are_written_while_vasp_runs(vasp_site, lif, run):
    seen = []

    def look():
        seen.append((steps_written(run), len(run.chunk_files())))

    vasp_site.tell(step_time=0.02)
    VASP.md(lif, WARM, run, until=60, stop=look)
    assert max(n_chunks for steps, n_chunks in seen if steps < 61) == 2


def test_chunks_suffice_when_the_scratch_of_vasp_is_lost(vasp_site, lif, run, truth):
    vasp_site.tell(step_time=0.05)
    process = start(lif, run)
    wait_for_step(run, 27)
    process.kill()
    process.join()
    end_processes(run.path / "vasp-0000", soft=0.0)
    shutil.rmtree(run.path / "vasp-0000")
    vasp_site.tell()
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    first, second = run.segments()
    assert (first.end_reason, first.last_step, second.first_step) == ("killed", 20, 20)
    now = positions(run)
    assert np.abs(now[:5] - truth[:5]).max() < 1e-5
    assert np.abs(now[5] - truth[5]).max() < 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_random_misfortunes_leave_one_trajectory(vasp_site, lif, run, truth, seed):
    rng = np.random.default_rng(seed)
    fates = [
        {"do": "exit", "code": 1},
        {"do": "killed"},
        {"do": "say", "text": "Error EDDDAV: Call to ZHEGV failed.", "then": "exit"},
        {"do": "full"},
    ]
    vasp_site.tell(*({"step": int(rng.integers(2, 25)), **rng.choice(fates)} for _ in range(4)))
    for _ in range(6):
        with contextlib.suppress(EngineError, DiskFullError):  # a death at the first step
            VASP.md(lif, WARM, run, until=60)
    assert vasp_site.left == []
    whole = joined(run)
    assert (whole.last_step, whole.n_frames) == (60, 13)
    assert np.abs(whole.positions - truth).max() < 1e-3


def test_the_end_of_the_allocation_leads_to_a_clean_stop(vasp_site, lif, run, truth, monkeypatch):
    vasp_site.tell(step_time=0.05)
    end = time.time() + 1e6
    monkeypatch.setenv("SSEFW_END_TIME", str(end))

    # The end comes near after some steps, however long these take here.
    def clock():
        return end - 30.0 if steps_written(run) > 5 else time.time()

    monkeypatch.setattr(stopping, "time", SimpleNamespace(time=clock))
    assert VASP.md(lif, WARM, run, until=60, stop=stop_check()) == "walltime"
    monkeypatch.delenv("SSEFW_END_TIME")
    vasp_site.tell()
    VASP.md(lif, WARM, run, until=60)
    assert ends(run) == ["walltime", "complete"]
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_after_kill_9_the_files_on_scratch_are_picked_up(vasp_site, lif, run, truth):
    vasp_site.tell(step_time=0.05)
    process = start(lif, run)
    wait_for_step(run, 27)
    process.kill()
    process.join()
    vasp_site.tell()
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    first = run.segments()[0]
    assert first.end_reason == "killed"
    assert first.last_step >= 26
    assert "outlived its worker" in first.events[0]
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_kill_9_of_vasp_and_worker_together_loses_no_step(vasp_site, lif, run, truth):
    vasp_site.tell(step_time=0.05)
    process = start(lif, run)
    wait_for_step(run, 27)
    process.kill()
    for pid in processes_in(run.path / "vasp-0000"):
        os.kill(pid, signal.SIGKILL)
    process.join()
    vasp_site.tell()
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    assert run.segments()[0].last_step >= 26
    assert np.abs(positions(run) - truth).max() < 1e-4


def test_a_leg_whose_beginning_was_purged_leaves_no_gap(vasp_site, lif, run, truth):
    for until in (20, 40):
        VASP.md(lif, WARM, run, until=until)
    note = run.path / "vasp-0001" / "leg.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "closed": False}))  # killed
    for file in run.chunk_files()[:1]:
        file.unlink()
    assert run.connect(step=0, frame=0)
    assert VASP.md(lif, WARM, run, until=60) == "complete"
    whole = joined(run)
    assert (whole.first_step, whole.last_step, whole.n_frames) == (0, 60, 13)
    assert np.abs(whole.positions - truth).max() < 1e-4
    assert "vasp-0001 is left out" in " ".join(run.segments()[0].events)
