"""From the block ``learn`` of a campaign file to what teaches."""

import logging
from collections.abc import Callable
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path

from ssefw.campaigns.file import CampaignSpec, LearnSpec, MDSpec
from ssefw.engines import Engine
from ssefw.engines.ase import AseEngine
from ssefw.engines.potentials.names import POTENTIALS, no_potential
from ssefw.engines.students import (
    LearnSettings,
    StudentEngine,
    labelled_files,
    read_together,
)
from ssefw.engines.students.frame_files import coarse_sampling
from ssefw.engines.tuning import ActiveSettings, TuneSettings
from ssefw.errors import ConfigurationError, DataError
from ssefw.makers import LadderMaker
from ssefw.makers.learn import LearningLadderMaker, LearnMaker
from ssefw.makers.learn.given import as_blob
from ssefw.makers.tune import FEWEST, TuneMaker, TuningLadderMaker
from ssefw.nep import TrainingSettings

__all__ = ["given_frames", "learning_ladder"]

logger = logging.getLogger(__name__)

FIRST_LABELS, FIRST_RATTLED = 40, 8
"""Of a universal potential that is tuned: a label may be an hour of many cores."""


LadderOf = Callable[[MDSpec, Engine], LadderMaker]
"""Makes a ladder of a campaign from a block like ``md``, for an engine."""


def learning_ladder(
    spec: CampaignSpec, md: MDSpec, engine: Engine, ladder_of: LadderOf
) -> LearningLadderMaker | TuningLadderMaker:
    """Return the ladder that a student climbs, or a universal potential that is tuned.

    Parameters
    ----------
    spec
        With a block ``learn``.
    md
        Its dynamics.
    engine
        The teacher.
    ladder_of
        Makes a ladder of the campaign.

    Raises
    ------
    ConfigurationError
        If the teacher is no potential, or is a student itself.
    """
    learn = spec.learn
    assert learn is not None
    if learn.base is not None:
        return tuning_ladder(spec, learn, md, engine, ladder_of)
    return student_ladder(spec, learn, md, engine, ladder_of)


def student_ladder(
    spec: CampaignSpec, learn: LearnSpec, md: MDSpec, engine: Engine, ladder_of: LadderOf
) -> LearningLadderMaker:
    """Return the ladder that a student climbs, or its teacher where it is not accepted.

    Parameters
    ----------
    spec
        The campaign.
    learn
        How it is taught.
    md, engine, ladder_of
        As in `learning_ladder`.

    Raises
    ------
    ConfigurationError
        If the teacher is no potential, or is a student itself.
    """
    if learn.frames_from:
        raise ConfigurationError(
            "learn.frames_from: a student learns what its teacher says, and frames of another "
            "level would be mixed with that. A universal potential can begin with them, learn: "
            "{base: sevennet-l3i5}; `ssefw potential train --frames` teaches frames alone."
        )
    if not isinstance(engine, AseEngine) or isinstance(engine, StudentEngine):
        raise ConfigurationError(
            f"learn: the teacher is {engine.name}; a universal potential or another calculator of "
            "ASE can teach, engine: {potential: sevennet-l3i5}. To such an engine a universal "
            "potential is tuned, learn: {base: sevennet-l3i5}."
        )
    settings = LearnSettings(
        temperatures=learn.temperatures,
        teacher_time=learn.length,
        frames=learn.frames,
        rattled=learn.rattled,
        explore_temperatures=learn.explore.temperatures,
        explore_time=learn.explore.length,
        long_time=learn.accept.stable,
        labels=learn.explore.labels,
        rounds=learn.explore.rounds,
        fit=TrainingSettings(**learn.student.model_dump(exclude={"refit_steps"}), seed=learn.seed),
        refit_steps=learn.student.refit_steps,
        seed=learn.seed,
        budget=learn.budget,
    )
    if learn.budget is not None and settings.first_evaluations > learn.budget:
        raise ConfigurationError(
            f"learn.budget: {learn.budget} evaluations of the teacher are fewer than its own runs "
            f"and first labels need, {settings.first_evaluations}."
        )
    ladder = ladder_of(md, StudentEngine())
    return LearningLadderMaker(
        **{part.name: getattr(ladder, part.name) for part in fields(LadderMaker)},
        learn=LearnMaker(
            teacher=engine,
            settings=settings,
            min_length=learn.cell.min_length,
            max_atoms=learn.cell.max_atoms,
            specie=spec.specie,
            stable=learn.accept.stable,
        ),
        # The teacher cannot afford the student's cells.
        otherwise=replace(
            ladder_of(learn.otherwise, engine),
            min_length=learn.cell.min_length,
            max_atoms=learn.cell.max_atoms,
        ),
    )


def tuning_ladder(
    spec: CampaignSpec, learn: LearnSpec, md: MDSpec, engine: Engine, ladder_of: LadderOf
) -> TuningLadderMaker:
    """Return the ladder that a universal potential climbs once it is tuned to an engine.

    Parameters
    ----------
    spec, learn
        The campaign, and its block ``learn`` with a `base`.
    engine
        What is asked for labels.
    md, ladder_of
        As in `learning_ladder`.

    Raises
    ------
    ConfigurationError
        If there is no such potential, or the budget is too small for a first fit.
    """
    assert learn.base is not None
    base = base_engine(learn.base)
    given = learn.model_fields_set
    first = learn.frames if "frames" in given else FIRST_LABELS
    rattled = learn.rattled if "rattled" in given else FIRST_RATTLED
    form = TuneSettings()
    if "student" in given:
        student = learn.student
        fit = replace(form.fit, **student.model_dump(exclude={"refit_steps"}, exclude_unset=True))
        form = replace(form, fit=fit, refit_steps=student.refit_steps)
    if first < FEWEST:
        raise ConfigurationError(
            f"learn.frames: {first} labels are too few to learn from; at least {FEWEST}."
        )
    if learn.budget is not None and learn.budget < first and not learn.frames_from:
        raise ConfigurationError(
            f"learn.budget: {learn.budget} evaluations of {engine.name} are fewer than the first "
            f"{first} labels (learn.frames)."
        )
    stable = learn.accept.stable if "accept" in given else form.stable
    settings = ActiveSettings(
        temperatures=learn.temperatures,
        length=learn.length,
        first=first,
        rattled=rattled,
        labels=learn.explore.labels,
        generations=learn.explore.rounds,
        budget=learn.budget,
        tune=replace(form, stable=stable, seed=learn.seed),
        seed=learn.seed,
    )
    begin = given_frames(learn)
    # It climbs as fast as the potential does before it is tuned.
    ladder = ladder_of(md, base)
    return TuningLadderMaker(
        **{part.name: getattr(ladder, part.name) for part in fields(LadderMaker)},
        learn=TuneMaker(
            teacher=engine,
            base=base,
            settings=settings,
            min_length=learn.cell.min_length,
            max_atoms=learn.cell.max_atoms,
            specie=spec.specie,
            pack=learn.pack,
            given=begin[0] if begin else "",
        ),
        # Until there is a tuned potential the base stands for it.
        student=student_ladder(spec, learn.then, md, base, ladder_of) if learn.then else None,
    )


def given_frames(learn: LearnSpec | None) -> tuple[str, bytes] | None:
    """Return the frames with which a lesson begins, and their key in the store; None without.

    Raises
    ------
    ConfigurationError
        If they cannot be read, are of two levels of theory, or there is none.
    """
    if learn is None or not learn.frames_from:
        return None
    return _read_frames(learn.frames_from)


@lru_cache(maxsize=4)
def _read_frames(places: tuple[str, ...]) -> tuple[str, bytes]:
    for place in places:
        if not Path(place).exists():
            raise ConfigurationError(f"learn.frames_from: {place} is not there")
    try:
        files = {path.resolve() for place in places for path in labelled_files(Path(place))}
        runs = read_together(sorted(files))
    except DataError as error:
        raise ConfigurationError(f"learn.frames_from: {error}") from error
    if left_out := sum(len(run.refused) for run in runs):
        logger.warning(
            "learn.frames_from: %d frames are left out; `ssefw potential frames` says why.",
            left_out,
        )
    for warning in dict.fromkeys(map(coarse_sampling, runs)):
        if warning:
            logger.warning("learn.frames_from: %s", warning)
    return as_blob(runs)


def base_engine(name: str) -> AseEngine:
    """Return the universal potential of a name, or the calculator of an import path.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if name not in POTENTIALS and "." not in name:
        raise ConfigurationError(f"learn.base: {no_potential(name)}")
    engine = AseEngine.named(name)
    engine.check()
    return engine
