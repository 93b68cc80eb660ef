"""How a student is taught, and what the loop that teaches it ended with."""

from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from monty.json import MSONable
from pydantic import Field

from ssefw.engines.students.acceptance import TeacherRun
from ssefw.nep import NEP, FitErrors, LabelledFrame, TrainingSettings
from ssefw.units import (
    AskedCount,
    AskedCountOrNone,
    AskedMembers,
    AskedSeed,
    AskedTemperature,
    AskedTimePs,
)

__all__ = ["TIMESTEP", "LabelReason", "LearnSettings", "LearnedStudent", "Round"]

TIMESTEP = 2.0
"""fs, of the teacher's runs."""

Temperatures = Annotated[tuple[AskedTemperature, ...], Field(min_length=1)]


@dataclass(frozen=True)
class LearnSettings(MSONable):
    """How a student is taught.

    Attributes
    ----------
    temperatures
        K, of the teacher's own runs: hot, middle and cold, since a student trained on hot frames
        alone is wrong at 300 K.
    teacher_time
        ps of each of those runs.
    frames
        How many of their frames are labelled, in all.
    rattled
        Frames displaced and strained at random besides.
    explore_temperatures
        K, of the students' runs; the hottest above any that will be asked for.
    explore_time
        ps of each of those runs.
    long_time
        ps of one more run, by the potential itself at the hottest of `temperatures`, once all of
        them were survived. What happens once in 50 ps is not seen in 20; whoever survives no
        longer run is not accepted.
    labels
        Most labels a round.
    rounds
        Most rounds.
    fit
        Form of the students and the first fit.
    refit_steps
        Steps of the fits after it.
    seed
        Of everything drawn.
    budget
        Times that the teacher may compute forces, its own runs included; where they are spent the
        loop ends with what it has.
    """

    temperatures: Temperatures = (1000.0, 700.0, 400.0)
    teacher_time: AskedTimePs = 2.0
    frames: AskedMembers = 150
    rattled: AskedCountOrNone = 30
    explore_temperatures: Temperatures = (1100.0, 700.0, 350.0)
    explore_time: AskedTimePs = 20.0
    long_time: AskedTimePs = 100.0
    labels: AskedMembers = 32
    rounds: AskedMembers = 8
    fit: TrainingSettings = field(default_factory=TrainingSettings)
    refit_steps: AskedCount = 2500
    seed: AskedSeed = 0
    budget: AskedCount | None = None

    @property
    def first_evaluations(self) -> int:
        """Of the teacher for one structure before the loop: its runs, and labels."""
        per_run = round(1000.0 * self.teacher_time / TIMESTEP) + 1
        return len(self.temperatures) * per_run + self.frames + self.rattled


class LabelReason(NamedTuple):
    """Why a frame was labelled.

    Attributes
    ----------
    temperature, time
        K, of the exploration, and the ps after which it was seen there.
    disagreement, excess
        Of the two students on the force of an atom (eV/A), and of the surroundings of an atom over
        the range of training.
    """

    temperature: float
    time: float
    disagreement: float
    excess: float


@dataclass(frozen=True)
class Round:
    """One round of the loop.

    Attributes
    ----------
    survived
        ps that the student ran at each exploration, negative where it was lost at its end.
    labels
        Labels that the teacher gave.
    errors
        Of the first student after the round, on frames held back from the teacher's runs.
    potential
        Content hash of that student.
    asked
        Why each frame was labelled, those included that were left out for their forces.
    """

    survived: tuple[float, ...]
    labels: int
    errors: FitErrors
    potential: str
    asked: tuple[LabelReason, ...] = ()


@dataclass(frozen=True)
class LearnedStudent:
    """What the loop ended with.

    Attributes
    ----------
    student, second
        The potential, and the one it was compared with.
    teacher_runs
        The teacher's own dynamics, for acceptance.
    first_errors
        Of the first fit on the held-out frames.
    rounds
        What each round showed.
    stable
        Whether the last round's runs all came to their end.
    frames
        Labelled frames that were learned.
    held_out
        Those that were not, with the temperature (K) of their run.
    first
        Content hash of the first fit.
    n_evaluations
        Times that the teacher computed forces.
    seconds, core_hours
        Of all processes that worked at it.
    """

    student: NEP
    second: NEP
    teacher_runs: tuple[TeacherRun, ...]
    first_errors: FitErrors
    rounds: tuple[Round, ...]
    stable: bool
    frames: tuple[LabelledFrame, ...]
    held_out: tuple[tuple[float, tuple[LabelledFrame, ...]], ...]
    first: str
    n_evaluations: int
    seconds: float
    core_hours: float

    @property
    def n_labels(self) -> int:
        """Frames that the teacher labelled, the held-out ones included."""
        return len(self.frames) + sum(len(frames) for _, frames in self.held_out)
