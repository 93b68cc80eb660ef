"""The folder of a run: whole files or none, one process at a time, a full disk in one line."""

import datetime as dt
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from ssefw.data import Chunk
from ssefw.engines import RunDirectory, read_progress
from ssefw.errors import BusyError, EngineError


def chunk(first_frame, *, n_frames=5, segment=0):
    rng = np.random.default_rng(first_frame)
    return Chunk(
        first_step=first_frame,
        last_step=first_frame + n_frames,
        first_frame=first_frame,
        positions=rng.normal(size=(n_frames, 4, 3)),
        energies=np.zeros(n_frames),
        temperatures=np.full(n_frames, 300.0),
        cell=np.eye(3),
        notes={"segment": segment},
    )


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run", key="k", about={"candidate": "c"})


def test_a_folder_of_another_run_is_refused(run):
    with pytest.raises(EngineError, match="holds the run k, not other"):
        RunDirectory(run.path, key="other")


def test_a_damaged_chunk_is_set_aside_and_the_one_before_is_the_last(run):
    run.append(chunk(0))
    run.append(chunk(5))
    newest = run.chunk_files()[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    assert run.last_chunk().first_frame == 0
    assert newest.with_suffix(".damaged").exists()


def test_a_segment_whose_process_said_nothing_was_killed(run):
    run.begin_segment(0, velocities="drawn")
    run.append(chunk(0))
    (segment,) = run.segments()
    assert segment.end_reason == "killed"
    assert (segment.first_step, segment.last_step, segment.n_frames) == (0, 5, 5)


def test_a_segment_knows_the_cores_it_had(run, monkeypatch):
    monkeypatch.setenv("SSEFW_THREADS", "2")
    run.begin_segment(0, velocities="drawn")
    run.append(chunk(0))
    monkeypatch.setenv("SSEFW_QUEUE_CORES", "128")
    run.begin_segment(1, velocities="continued")
    run.append(chunk(5, segment=1))
    monkeypatch.delenv("SSEFW_QUEUE_CORES")
    run.ranks = 4
    run.begin_segment(2, velocities="continued")
    run.append(chunk(10, segment=2))
    assert [segment.cores for segment in run.segments()] == [2, 128, 8]


def test_only_what_is_new_is_reported(run):
    run.begin_segment(0, velocities="drawn")
    run.append(chunk(0))
    run.end_segment(0, reason="preempted")
    run.begin_segment(1, velocities="continued")
    run.append(chunk(5, segment=1))
    run.end_segment(1, reason="complete")
    (segment,) = run.segments(after=5)
    assert segment.end_reason == "complete"
    assert [part.first_frame for part in run.chunks_of(segment)] == [5]


def test_two_processes_do_not_work_in_one_folder(run):
    again = RunDirectory(run.path, key=run.key)
    with run.lock(), pytest.raises(BusyError, match="Another process"), again.lock():
        pass


def test_the_folder_is_held_by_the_file_that_is_there(run):
    """Who has it may empty it, and somebody else may wait with the file that was removed."""
    with run.lock():
        run.clear()
        again = RunDirectory(run.path, key=run.key)
        with again.lock(), pytest.raises(BusyError), RunDirectory(run.path, key=run.key).lock():
            pass


def test_drafts_of_a_killed_process_are_swept_up(run):
    for name in (".chunk-000000005.npz.123", ".segment-0001.json.7", ".run.json.99"):
        (run.path / name).write_text("half")
    with run.lock():
        left = sorted(path.name for path in run.path.glob(".*"))
    assert left == [".run.json.99"]  # of one that may be about to ask for the folder
    os.utime(run.path / ".run.json.99", (0, 0))
    with run.lock():
        assert not list(run.path.glob(".*"))


TEN_DAYS = dt.timedelta(days=10)


class Ahead(dt.datetime):
    """A clock that somebody has set."""

    @classmethod
    def now(cls, tz=None):
        return dt.datetime.now(tz) + TEN_DAYS


def test_what_a_segment_took_does_not_follow_the_date(run, monkeypatch):
    run.begin_segment(0, velocities="drawn")
    run.append(chunk(0))
    monkeypatch.setattr("ssefw.engines.run_directory.datetime", Ahead)
    run.end_segment(0, reason="complete")
    (segment,) = run.segments()
    assert segment.wall_time < 60.0


def test_neither_does_that_of_a_segment_whose_process_was_killed(run):
    run.begin_segment(0, velocities="drawn")
    run.append(chunk(0))
    run.note_progress(step=5, until=10, steps_per_second=2.0)
    later = time.time() + TEN_DAYS.total_seconds()
    os.utime(run.chunk_files()[0], (later, later))
    after = RunDirectory(run.path, key=run.key)
    assert after.segments()[0].wall_time < 60.0
    after.begin_segment(1, velocities="continued")
    after.append(chunk(5, segment=1))
    after.note_progress(step=10, until=10, steps_per_second=2.0)
    assert after.segments()[0].wall_time < 60.0


def test_progress_names_the_candidate(run):
    run.note_progress(step=5, until=10, steps_per_second=2.0)
    note = read_progress(run.path)
    assert (note["candidate"], note["step"], note["until"]) == ("c", 5, 10)


def test_clearing_leaves_files_of_the_engine(run):
    run.begin_segment(0, velocities="drawn")
    run.append(chunk(0))
    (run.path / "OUTCAR").write_text("")
    run.clear()
    assert [path.name for path in run.path.iterdir()] == ["OUTCAR"]


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="SSEFW_SCRATCH"):
        RunDirectory(tmp_path / "file" / "run", key="k")


def test_a_full_disk_is_one_clear_error_and_leaves_nothing_torn(tmp_path):
    # A limit on the size of files acts like a disk that is full.
    script = """
        import resource, signal, sys
        import numpy as np
        from pathlib import Path
        from ssefw.data import Chunk
        from ssefw.engines import RunDirectory
        from ssefw.errors import BusyError, EngineError
        run = RunDirectory(Path(sys.argv[1]), key="k")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        positions = np.random.default_rng(0).normal(size=(50, 100, 3))
        chunk = Chunk(first_step=0, last_step=50, first_frame=0, positions=positions,
                      energies=np.zeros(50), temperatures=np.zeros(50), cell=np.eye(3))
        try:
            run.append(chunk)
        except EngineError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Cannot write" in done.stdout
    assert "Free space" in done.stdout
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["run.json"]
