"""From the block ``learn`` of a campaign file to what teaches."""

from collections.abc import Callable
from dataclasses import fields, replace

from ssefw.campaigns.file import CampaignSpec
from ssefw.engines import Engine
from ssefw.engines.ase import AseEngine
from ssefw.engines.students import LearnSettings, StudentEngine
from ssefw.errors import ConfigurationError
from ssefw.makers import LadderMaker
from ssefw.makers.learn import LearningLadderMaker, LearnMaker
from ssefw.nep import TrainingSettings

__all__ = ["learning_ladder"]


def learning_ladder(
    spec: CampaignSpec,
    engine: Engine,
    otherwise: LadderMaker,
    ladder_with: Callable[[Engine], LadderMaker],
) -> LearningLadderMaker:
    """Return the ladder that a student climbs.

    Parameters
    ----------
    spec
        With a block ``learn``.
    engine
        The teacher.
    otherwise
        What the teacher climbs where its student is not accepted.
    ladder_with
        Makes the campaign's ladder for an engine.

    Raises
    ------
    ConfigurationError
        If the teacher is no potential, or is a student itself.
    """
    learn = spec.learn
    assert learn is not None
    if not isinstance(engine, AseEngine) or isinstance(engine, StudentEngine):
        raise ConfigurationError(
            f"learn: the teacher is {engine.name}; a universal potential or another calculator of "
            "ASE can teach, engine: {potential: sevennet-l3i5}."
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
    ladder = ladder_with(StudentEngine())
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
            otherwise, min_length=learn.cell.min_length, max_atoms=learn.cell.max_atoms
        ),
    )
