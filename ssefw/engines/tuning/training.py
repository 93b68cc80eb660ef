"""Fine-tune a universal potential to labelled frames of one level of theory.

The potential's own energies, forces and stresses are taken off the labels. An energy for each
element accounts for what the two levels call zero, and a NEP learns the rest. As the weights of the
universal potential stay as they are, nothing that it knows of other compounds is forgotten, and any
calculator of ASE can be tuned.

All that is computed lies in one folder as whole files; killed anywhere, the same call goes on and
ends with the same potential.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ssefw.engines.ase import AseEngine
from ssefw.engines.base import settings_hash
from ssefw.engines.potentials.tuned import TunedPotential
from ssefw.engines.stopping import InterruptionError, StopCheck, never_stop
from ssefw.engines.students.claim import claim
from ssefw.engines.students.clock import Clock
from ssefw.engines.students.frame_files import LabelledRun
from ssefw.engines.students.from_frames import divided
from ssefw.engines.students.learning import HELD_OUT
from ssefw.engines.students.lessons import (
    frames_hash,
    read_frames,
    read_student,
    write_frames,
    write_student,
)
from ssefw.engines.students.teacher import ase_teacher
from ssefw.engines.tuning.settings import TuneSettings
from ssefw.nep import NEP, FitErrors, LabelledFrame, errors_on, fit

__all__ = ["Tuned", "tune"]

Part = tuple[float, tuple[LabelledFrame, ...]]
"""Frames, and the temperature (K) of their run; 0 where it is not known."""

DECIDING = 0.1
"""Share of each run that decides when to stop and is not learned."""

BETTER = 0.97
"""Factor of the force error that a further fit must reach to have been worth it."""


@dataclass(frozen=True)
class Tuned:
    """What tuning ended with.

    Attributes
    ----------
    potential
        The potential.
    frames
        Labelled frames that were learned.
    held_out
        Those that were not, with the temperature (K) of their run; 0 where it is not known.
    residuals
        What the universal potential lacks of the labels of `held_out`, shifts taken off.
    before
        Its errors on them, as the correction's are counted: after shifts.
    fits
        Force error (eV/A) of the first correction on the frames that decide when to stop, after
        each of its fits.
    seconds, core_hours
        Of all processes that worked at it.
    """

    potential: TunedPotential
    frames: tuple[LabelledFrame, ...]
    held_out: tuple[Part, ...]
    residuals: tuple[Part, ...]
    before: FitErrors
    fits: tuple[float, ...]
    seconds: float
    core_hours: float


def tune(
    runs: Sequence[LabelledRun],
    base: AseEngine,
    folder: Path,
    settings: TuneSettings | None = None,
    *,
    unseen: Sequence[LabelledRun] = (),
    stop: StopCheck = never_stop,
    say: Callable[[str], None],
) -> Tuned:
    """Tune a potential to the frames of runs of one level of theory.

    Parameters
    ----------
    runs
        Of `ssefw.engines.students.read_together`. The last tenth of each decides when to stop;
        where there are no others it is the last fifth, of whose second half errors are told.
    base
        The universal potential.
    folder
        Where all is kept; a folder of other frames or settings is refused.
    settings
        How.
    unseen
        Runs that are not learned: errors are told of these.
    stop, say
        Asked between steps, and told of each as it ends.

    Raises
    ------
    InterruptionError
        If `stop` asked to stop; call again to go on.
    DataError
        If there are too few frames, or the folder belongs to something else.
    """
    settings = settings or TuneSettings()
    frames, ends = divided(runs, share=DECIDING if unseen else HELD_OUT)
    deciding, told = list(ends), [_with_temperature(run) for run in unseen]
    if not told:
        deciding = [(t, part[: len(part) // 2]) for t, part in ends]
        told = [(t, part[len(part) // 2 :]) for t, part in ends]
    if not _joined(deciding):
        deciding = told
    parts = [("learned", frames), ("deciding", _joined(deciding)), ("told", _joined(told))]
    claim(folder, settings_hash([frames_hash(part) for _, part in parts], base, settings))
    clock = Clock(folder)

    def check() -> None:
        if (reason := stop()) is not None:
            clock.write()
            raise InterruptionError(
                f"Tuning was stopped ({reason}); run it again to go on.", directory=folder
            )

    def told_and_timed(text: str) -> None:
        clock.write()
        say(text)

    lacking = {
        name: _lacking(part, base, folder / f"{name}.npz", check=check) for name, part in parts
    }
    shifts = _shifts(lacking["learned"])
    lacking = {name: [_shifted(f, shifts) for f in part] for name, part in lacking.items()}
    told_and_timed(f"{base.name} computed {sum(map(len, lacking.values()))} frames")
    members = [
        _fitted(
            folder,
            k,
            lacking["learned"],
            lacking["deciding"],
            settings,
            check=check,
            say=told_and_timed,
        )
        for k in range(settings.members)
    ]
    clock.write()
    return Tuned(
        potential=TunedPotential(
            base=base.name,
            calculator=base.calculator,
            options=base.options,
            shifts=shifts,
            corrections=tuple(one for one, _ in members),
        ),
        frames=tuple(frames),
        held_out=tuple(told),
        residuals=tuple(_like(told, lacking["told"])),
        before=_sizes(lacking["told"]),
        fits=tuple(members[0][1]),
        seconds=clock.seconds(),
        core_hours=clock.core_hours(),
    )


def _lacking(
    frames: Sequence[LabelledFrame], base: AseEngine, path: Path, *, check: Callable[[], None]
) -> list[LabelledFrame]:
    """Return frames with what a potential lacks of their labels, from a file if it is there."""
    if not path.exists():
        label, found = ase_teacher(base), []
        for frame in frames:
            check()
            ours = label([(frame.symbols, frame.positions, frame.cell)])[0]
            assert ours.stress is not None
            found.append(
                replace(
                    frame,
                    energy=frame.energy - ours.energy,
                    forces=frame.forces - ours.forces,
                    stress=None if frame.stress is None else frame.stress - ours.stress,
                )
            )
        write_frames(path, found)
    return read_frames(path)


def _shifts(frames: Sequence[LabelledFrame]) -> dict[str, float]:
    """Return the energy of each element (eV) that the frames lack most alike.

    Where they are all of one composition many sets of shifts do the same; the smallest is taken.
    """
    species = sorted({symbol for frame in frames for symbol in frame.symbols})
    counts = [[frame.symbols.count(symbol) for symbol in species] for frame in frames]
    found, *_ = np.linalg.lstsq(np.array(counts, float), np.array([f.energy for f in frames]))
    return dict(zip(species, found.tolist(), strict=True))


def _shifted(frame: LabelledFrame, shifts: dict[str, float]) -> LabelledFrame:
    return replace(frame, energy=frame.energy - sum(shifts[symbol] for symbol in frame.symbols))


def _with_temperature(run: LabelledRun) -> Part:
    return run.theory.temperature or 0.0, run.frames


def _joined(parts: Sequence[Part]) -> list[LabelledFrame]:
    return [frame for _, part in parts for frame in part]


def _like(parts: Sequence[Part], frames: Sequence[LabelledFrame]) -> list[Part]:
    """Return frames in parts as long as those of others."""
    found, first = [], 0
    for temperature, part in parts:
        found.append((temperature, tuple(frames[first : first + len(part)])))
        first += len(part)
    return found


def _fitted(
    folder: Path,
    member: int,
    frames: Sequence[LabelledFrame],
    deciding: Sequence[LabelledFrame],
    settings: TuneSettings,
    *,
    check: Callable[[], None],
    say: Callable[[str], None],
) -> tuple[NEP, list[float]]:
    """Return the correction that is best on the frames that decide, and how they all were."""
    best: NEP | None = None
    fits: list[float] = []
    for number in range(settings.refits + 1):
        path = folder / f"correction-{member}-{number:02d}.nep"
        if not path.exists():
            check()
            seed = settings.seed + member
            form = replace(settings.fit, seed=seed)
            if best is not None:
                form = form.refit(steps=settings.refit_steps, seed=100 * number + seed)
            write_student(path, fit(frames, form, start=best))
        model = read_student(path)
        error = errors_on(model, deciding).force
        say(f"correction {member + 1}, fit {number + 1}: {1e3 * error:.0f} meV/A")
        is_better = best is None or error < min(fits)
        goes_on = best is None or error < BETTER * min(fits)
        fits.append(error)
        if is_better:
            best = model
        if not goes_on:
            break
    assert best is not None
    return best, fits


def _sizes(frames: Sequence[LabelledFrame]) -> FitErrors:
    """Return what frames hold as if it were errors."""
    stresses = [frame.stress for frame in frames if frame.stress is not None]
    return FitErrors(
        energy=_rms(np.array([frame.energy / len(frame.symbols) for frame in frames])),
        force=_rms(np.concatenate([frame.forces.ravel() for frame in frames])),
        stress=_rms(np.array(stresses)) if stresses else None,
    )


def _rms(values: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))
