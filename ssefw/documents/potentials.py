"""A potential that was taught: what it learned, how it was judged, and what that took."""

from typing import Annotated, Any

from pydantic import Field

from ssefw.documents.base import Document, Provenance
from ssefw.units import CoreHours, EnergyPerAtom, Pressure, Pure, Seconds, Temperature, TimePs, Unit

Force = Annotated[float, Unit("eV/angstrom")]


class FitError(Document):
    """Root mean square errors on frames that no fit saw: the ends of the teacher's own runs.

    Attributes
    ----------
    temperature
        Of the run; None for all runs together.
    by_element
        Of the forces on each element.
    size
        Root mean square of the forces themselves.
    """

    force: Force
    energy: EnergyPerAtom
    stress: Pressure | None = None
    temperature: Temperature | None = None
    by_element: dict[str, Force] = Field(default_factory=dict)
    size: Force | None = None


class AskedFrame(Document):
    """A frame of an exploration that the teacher labelled, and why.

    Attributes
    ----------
    temperature, time
        Of the exploration, and after how long it was seen there.
    disagreement
        Of the two students on the force of an atom at most.
    excess
        By how many ranges of training the surroundings of an atom lay outside of it.
    """

    temperature: Temperature
    time: TimePs
    disagreement: Force
    excess: Pure


class Parity(Document):
    """Some components of forces on held-out frames, evenly chosen, by teacher and student."""

    teacher: tuple[Force, ...]
    student: tuple[Force, ...]


class LessonRound(Document):
    """One round of the loop in which two students explore, ask and learn.

    Attributes
    ----------
    ran
        How long each exploration was.
    lost
        Whether it ended where the students no longer knew what they did.
    labels
        Frames that the teacher labelled for this round.
    errors
        After it.
    potential
        Content hash of the first student after it.
    asked
        Why each frame was labelled.
    """

    ran: tuple[TimePs, ...]
    lost: tuple[bool, ...]
    labels: int
    errors: FitError
    potential: str = ""
    asked: tuple[AskedFrame, ...] = ()


class PhysicsCheck(Document):
    """One comparison of a student with its teacher, and the numbers that it rests on.

    Attributes
    ----------
    temperature
        Of the run of the teacher that it is compared with; None where there is none.
    """

    name: str
    passed: bool
    words: str
    temperature: Temperature | None = None


class LearnedPotential(Document):
    """A potential that was taught a compound: by another potential, or by frames of DFT.

    Attributes
    ----------
    potential
        Content hash of its weights, by which results know it.
    form
        What it is: a NEP, or a universal potential with a correction of that form.
    base
        The universal potential that was tuned; empty for a student, which stands alone.
    specie
        The mobile ion, whose motion was compared.
    structures
        Formulas of the crystals, one for each arrangement.
    teacher
        Name of the engine whose energies and forces it learned.
    level_of_theory
        Of its labels: the teacher with its settings, or the method of frames that were given.
    training_set
        Content hash of all labelled frames, which lie in the store under it.
    n_labels, n_evaluations
        Frames in the training set, and times that the teacher computed forces in all.
    settings
        How it was taught; among them the seed.
    errors
        On held-out frames: of all, then of each temperature.
    parity
        Forces of the student beside those of its teacher.
    first_errors
        Of the first fit; of a tuned potential those of the universal one, its energies shifted.
    lineage
        Content hashes of the potentials it grew out of, the first first; of a tuned one those of
        the corrections whose mean it adds.
    stable
        Whether every exploration of the last round came to its end.
    accepted
        Whether it is stable and all checks hold.
    reason
        Why it was not accepted.
    holds_to
        Hottest temperature up to which all comparisons hold, of a student that was not accepted
        for a hotter one alone; else None.
    wall_time, core_hours
        What teaching and judging took, of all processes that worked at it.
    teacher_core_hours
        Of these what an engine took that was asked for labels in jobs of their own.
    """

    potential: str
    form: str = "NEP4"
    base: str = ""
    species: tuple[str, ...]
    specie: str
    structures: tuple[str, ...]
    teacher: str
    level_of_theory: str
    training_set: str
    n_labels: int
    n_evaluations: int
    settings: dict[str, Any]
    errors: tuple[FitError, ...]
    first_errors: FitError | None = None
    rounds: tuple[LessonRound, ...] = ()
    parity: Parity | None = None
    lineage: tuple[str, ...] = ()
    stable: bool
    checks: tuple[PhysicsCheck, ...] = ()
    accepted: bool
    reason: str = ""
    holds_to: Temperature | None = None
    wall_time: Seconds = 0.0
    core_hours: CoreHours = 0.0
    teacher_core_hours: CoreHours = 0.0
    provenance: Provenance = Field(default_factory=Provenance)


class Lesson(Document):
    """What an outcome owes to a potential that was taught for it; see `LearnedPotential`.

    Attributes
    ----------
    potential
        Content hash of the student; it ran the dynamics if it was accepted, if only up to some
        temperature, else the teacher did.
    base
        The universal potential that was tuned to the teacher; empty for a student. Where it was
        not accepted nobody ran dynamics.
    reason
        Why it was not accepted.
    ran_to
        Temperature up to which it ran the dynamics, though it was not accepted for hotter ones.
    n_evaluations, n_labels
        Times that the teacher computed forces, and frames that were learned or held out.
    first
        Of the teacher, where it was tuned for this candidate itself; its cost comes on top.
    """

    potential: str
    base: str = ""
    teacher: str
    accepted: bool
    reason: str = ""
    ran_to: Temperature | None = None
    n_evaluations: int
    n_labels: int
    wall_time: Seconds = 0.0
    core_hours: CoreHours = 0.0
    first: "Lesson | None" = None
