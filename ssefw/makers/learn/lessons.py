"""What all potentials have in common that are taught for one candidate, however that is done."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from jobflow import CURRENT_JOB, Job, Response

from ssefw.documents import LearnedPotential, Lesson, Outcome
from ssefw.engines.ase import AseEngine
from ssefw.engines.potentials.tuned import TunedPotential
from ssefw.engines.students import frames_bytes, take_in, weights_key, write_card
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.replacement import replaced_by
from ssefw.makers.site import keep_blob
from ssefw.makers.state import CandidateState
from ssefw.nep import NEP, LabelledFrame

__all__ = ["climbing_with", "keep_potential", "lesson_first"]


def keep_potential(
    model: NEP | TunedPotential, found: LearnedPotential, frames: Sequence[LabelledFrame]
) -> LearnedPotential:
    """Keep a potential and its training set in the store and on the shelf; return its record."""
    provenance = found.provenance.model_copy(update={"job_id": CURRENT_JOB.job.uuid})
    found = found.model_copy(update={"provenance": provenance})
    keep_blob(weights_key(model.digest, type(model)), model.to_bytes())
    keep_blob(f"potentials/{found.training_set}.npz", frames_bytes(frames))
    take_in(model)
    with contextlib.suppress(OSError):  # the store has it
        write_card(found)
    return found


def lesson_first(
    lesson: Job, climb: Callable[..., Job], state: CandidateState, **more: Lesson
) -> Response[Outcome]:
    """Run a lesson, and then what climbs with what was taught; it is handed `more`, too."""
    after = climb(
        lesson.output,
        relaxed=state.relaxed,
        candidate=state.candidate,
        gates=list(state.gates),
        barrier=state.barrier,
        **more,
    )
    return replaced_by([lesson], after)


def climbing_with(ladder: LadderMaker, engine: AseEngine) -> LadderMaker:
    """Return the plain ladder of one with a lesson, for the potential that was taught."""
    plain = LadderMaker(**{part.name: getattr(ladder, part.name) for part in fields(LadderMaker)})
    return replace(plain, md=replace(ladder.md, engine=engine))
