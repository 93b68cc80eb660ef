"""A student that is taught a compound by the engine, and then runs its dynamics."""

from typing import Annotated

from pydantic import Field, model_validator

from ssefw.campaigns.file.block import Block
from ssefw.campaigns.file.dynamics import ConvergeSpec, MDSpec, SupercellSpec, TriageSpec
from ssefw.campaigns.file.engine import EngineSpec
from ssefw.units import (
    AskedCount,
    AskedCountOrNone,
    AskedLength,
    AskedMembers,
    AskedSeed,
    AskedTemperature,
    AskedTimePs,
    Limits,
)

__all__ = ["AcceptSpec", "ExploreSpec", "LearnSpec", "StudentSpec"]

AskedRounds = Annotated[int, Limits("", least=1, most=100, whole=True)]
AskedPack = Annotated[int, Limits("", least=1, most=1000, whole=True)]


def _teachers_own() -> MDSpec:
    """Return what a universal potential can afford: that of the quick start."""
    return MDSpec(
        temperatures=(600.0, 750.0, 900.0),
        length=8.0,
        converge=ConvergeSpec(relative_error=0.35, max_length=16.0, step=4.0),
        triage=TriageSpec(temperature=750.0, length=2.5),
    )


class ExploreSpec(Block):
    """The students' own dynamics, in which they find what they do not know.

    Attributes
    ----------
    temperatures
        The hottest above any that will be asked for.
    length
        Of each run.
    labels
        Most frames that the teacher labels after a round.
    rounds
        Most rounds.
    """

    temperatures: tuple[AskedTemperature, ...] = Field((1100.0, 700.0, 350.0), min_length=1)
    length: AskedTimePs = 20.0
    labels: AskedCount = 32
    rounds: AskedRounds = 8


class StudentSpec(Block):
    """The form of the student and how it is fitted; see `ssefw.nep.TrainingSettings`.

    Attributes
    ----------
    radial_cutoff, angular_cutoff
        How far atoms see each other, in pairs and in triples.
    n_radial, n_angular, functions
        Channels of each kind, and radial functions each is made of.
    neurons
        Of the hidden layer.
    steps, refit_steps
        Of the first fit and of those after it.
    batch
        Frames of each step.
    """

    radial_cutoff: AskedLength = 6.0
    angular_cutoff: AskedLength = 4.5
    n_radial: AskedCount = 9
    n_angular: AskedCount = 6
    functions: AskedCount = 9
    neurons: AskedCount = 30
    steps: AskedCount = 6000
    refit_steps: AskedCount = 2500
    batch: AskedMembers = 4


class AcceptSpec(Block):
    """What a student is asked beside comparisons with its teacher's runs.

    Attributes
    ----------
    stable
        How long it runs at its hottest temperature without leaving what it knows; so long is one
        of its explorations before.
    """

    stable: AskedTimePs = 100.0


class LearnSpec(Block):
    """Teach a fast potential each compound, and run the dynamics of `md` with it.

    Attributes
    ----------
    teacher
        The engine that teaches and relaxes; by default the campaign's.
    base
        Short name of a universal potential that is tuned to the teacher, instead of a student that
        it teaches: for teachers whose forces are dear, such as `vasp` and `espresso`.
    temperatures, length
        Of the teacher's own runs.
    frames
        How many of their frames are labelled; with `base` by default 40 before its first fit.
    frames_from
        Files and folders of AIMD at the teacher's level of theory, with which a `base` begins.
    rattled
        Frames displaced and strained at random besides.
    cell
        The cells of the lesson, and those in which disordered crystals are ordered.
    pack
        Frames that are labelled by one job, with `base`.
    budget
        Times that the teacher may compute energies and forces for one compound.
    then
        With `base`: the tuned potential teaches a student in turn, by a block like this one.
    otherwise
        Dynamics that the teacher runs where its student is not accepted.
    """

    teacher: EngineSpec | None = None
    base: str | None = Field(None, min_length=1)
    temperatures: tuple[AskedTemperature, ...] = Field((1000.0, 700.0, 400.0), min_length=1)
    length: AskedTimePs = 2.0
    frames: AskedCount = 225
    frames_from: tuple[str, ...] = ()
    rattled: AskedCountOrNone = 30
    cell: SupercellSpec = SupercellSpec(min_length=8.0, max_atoms=200)
    explore: ExploreSpec = ExploreSpec()
    student: StudentSpec = StudentSpec()
    accept: AcceptSpec = AcceptSpec()
    pack: AskedPack = 8
    budget: AskedCount | None = None
    then: "LearnSpec | None" = None
    seed: AskedSeed = 0
    otherwise: MDSpec = Field(default_factory=_teachers_own)

    @model_validator(mode="after")
    def _enough(self) -> "LearnSpec":
        if self.frames < 5 * len(self.temperatures):
            raise ValueError(
                f"frames ({self.frames}) must be at least five for each of the "
                f"{len(self.temperatures)} temperatures"
            )
        if self.then is not None:
            self._check_student(self.then)
        if max(self.explore.temperatures) < max(self.temperatures):
            raise ValueError(
                "explore.temperatures must reach the hottest of the teacher's runs, "
                f"{max(self.temperatures):g} K"
            )
        return self

    def _check_student(self, then: "LearnSpec") -> None:
        if self.base is None:
            raise ValueError("then: it goes with a base, the potential that is tuned before")
        if then.base is not None or then.frames_from or then.then is not None:
            raise ValueError("then: a student has no base, no frames_from, no student of its own")
        if then.teacher is not None:
            raise ValueError("then: its teacher is the potential that was tuned; leave teacher out")
