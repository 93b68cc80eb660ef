"""Teach students frames that are there already, such as those of AIMD runs, with nobody to ask.

Without a teacher the loop has one round: two students are fitted and explore. Where they do not
agree, or leave what they know, more frames are wanted; these are written down to be calculated.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from ssefw.engines.base import settings_hash
from ssefw.engines.stopping import InterruptionError, StopCheck, never_stop
from ssefw.engines.students.acceptance import TeacherRun
from ssefw.engines.students.claim import claim
from ssefw.engines.students.clock import Clock
from ssefw.engines.students.exploration import choose, explore
from ssefw.engines.students.frame_files import LabelledRun
from ssefw.engines.students.learning import HELD_OUT, fitted_pair
from ssefw.engines.students.lesson_records import TIMESTEP, LearnedStudent, LearnSettings, Round
from ssefw.engines.students.lessons import frames_hash
from ssefw.engines.students.teacher import Snapshot
from ssefw.errors import DataError
from ssefw.files import replacing
from ssefw.nep import LabelledFrame, errors_on

__all__ = ["WANTED", "as_teacher", "divided", "learn_frames", "tells_time"]

WANTED = "wanted.extxyz"
"""Frames that the students would have asked a teacher about."""

FEWEST = 10
"""Frames in all, of which two are held out."""


def learn_frames(
    runs: Sequence[LabelledRun],
    folder: Path,
    settings: LearnSettings,
    *,
    stop: StopCheck = never_stop,
    say: Callable[[str], None],
) -> LearnedStudent:
    """Teach students the frames of runs of one level of theory.

    Parameters
    ----------
    runs
        Of `ssefw.engines.students.frame_files.read_together`; the end of each is held out.
    folder
        Where the loop keeps what it has; a folder of other frames or settings is refused.
    settings
        How; what is said of a teacher does not matter.
    stop, say
        Asked between steps, and told of each as it ends.

    Raises
    ------
    InterruptionError
        If `stop` asked to stop; call again to go on.
    DataError
        If there are too few frames, or the folder belongs to another lesson.
    """
    frames, held_out = divided(runs)
    unseen = [frame for _, part in held_out for frame in part]
    claim(folder, settings_hash(frames_hash([*frames, *unseen]), settings))
    clock = Clock(folder)

    def check() -> None:
        if (reason := stop()) is not None:
            raise InterruptionError(
                f"Learning was stopped ({reason}); run it again to go on.", directory=folder
            )

    students = fitted_pair(folder, 0, frames, settings, before=None, check=check)
    errors = errors_on(students[0], unseen)
    say(f"fit: {1e3 * errors.force:.0f} meV/A, {1e3 * errors.energy:.1f} meV/atom, held out")
    starts = [_snapshot(run.frames[0]) for run in runs]
    survived, wanted = [], []
    for k, temperature in enumerate(settings.explore_temperatures):
        check()
        seen = explore(
            students if k % 2 else students[::-1],
            starts[k % len(starts)],
            temperature=temperature,
            duration=settings.explore_time,
            seed=1000 * (settings.seed + 1) + k,
        )
        survived.append(seen.duration if seen.survived else -max(seen.duration, 1e-3))
        wanted += [seen.frames[k] for k in choose(seen, settings.labels)]
        say(f"explored {seen.duration:.3g} ps at {temperature:g} K")
    _write_wanted(folder / WANTED, wanted)
    say(f"{len(wanted)} frames want a label: {folder / WANTED}")
    clock.write()
    return LearnedStudent(
        student=students[0],
        second=students[1],
        teacher_runs=tuple(as_teacher(run) for run in runs if tells_time(run)),
        first_errors=errors,
        rounds=(Round(tuple(survived), 0, errors, students[0].digest),),
        stable=all(duration > 0 for duration in survived),
        frames=tuple(frames),
        held_out=held_out,
        first=students[0].digest,
        n_evaluations=len(frames) + len(unseen),
        seconds=clock.seconds(),
        core_hours=clock.core_hours(),
    )


SHORT = 5
"""Frames of a run below which none is a fifth of it."""


def divided(
    runs: Sequence[LabelledRun], *, share: float = HELD_OUT
) -> tuple[list[LabelledFrame], tuple[tuple[float, tuple[LabelledFrame, ...]], ...]]:
    """Return what is learned, and what is not with the temperature (K; 0 if unknown) of its run.

    Runs of a few frames, such as single points, are divided as if they were one.

    Parameters
    ----------
    runs
        Of one level of theory.
    share
        Of each run that is not learned, its end.

    Raises
    ------
    DataError
        If they are too few.
    """
    together = [run for run in runs if len(run.frames) < SHORT]
    parts = [
        (run.theory.temperature or 0.0, run.frames) for run in runs if len(run.frames) >= SHORT
    ]
    parts.append((0.0, tuple(frame for run in together for frame in run.frames)))
    frames: list[LabelledFrame] = []
    held_out: dict[float, tuple[LabelledFrame, ...]] = {}
    for temperature, part in parts:
        n_kept = round(len(part) * (1.0 - share))
        frames += part[:n_kept]
        held_out[temperature] = held_out.get(temperature, ()) + part[n_kept:]
    count = sum(len(run.frames) for run in runs)
    if count < FEWEST or not any(held_out.values()):
        raise DataError(f"{count} frames are too few to learn from; give at least {FEWEST}.")
    return frames, tuple((t, part) for t, part in held_out.items() if part)


def _snapshot(frame: LabelledFrame) -> Snapshot:
    return frame.symbols, frame.positions, frame.cell


def _stride(run: LabelledRun) -> int | None:
    """Return every how many frames of a run lie a whole number of a student's steps apart."""
    step = run.theory.timestep
    if step is None:
        return None
    for stride in range(1, 21):
        steps = stride * step / TIMESTEP
        if steps >= 5 and abs(steps - round(steps)) < 1e-3 * steps:
            return stride
    return None


def tells_time(run: LabelledRun) -> bool:
    """Whether motion can be compared: dynamics at one temperature with no frame left out."""
    is_whole = not run.refused and run.theory.temperature is not None
    stride = _stride(run)
    return is_whole and stride is not None and len(run.frames) // stride >= 20


def as_teacher(run: LabelledRun) -> TeacherRun:
    """Return a run of which `tells_time` is true as one to compare motion with."""
    stride = _stride(run)
    assert stride is not None
    assert run.theory.temperature is not None
    assert run.theory.timestep is not None
    frames = [_snapshot(frame) for frame in run.frames[::stride]]
    steps = round(stride * run.theory.timestep / TIMESTEP)
    return TeacherRun(run.theory.temperature, _unwrapped(frames), steps * TIMESTEP)


def _unwrapped(frames: Sequence[Snapshot]) -> list[Snapshot]:
    """Return frames whose atoms do not jump across the cell."""
    found = [frames[0]]
    for symbols, positions, cell in frames[1:]:
        before = found[-1][1]
        apart = positions - before
        apart -= np.rint(apart @ np.linalg.inv(cell)) @ cell
        found.append((symbols, before + apart, cell))
    return found


def _write_wanted(path: Path, wanted: Sequence[Snapshot]) -> None:
    images = [Atoms(list(s), positions=x, cell=cell, pbc=True) for s, x, cell in wanted]
    with replacing(path) as draft:
        if images:
            write(draft, images, format="extxyz")
        else:
            draft.write_text("")
