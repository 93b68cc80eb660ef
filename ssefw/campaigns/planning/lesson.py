"""From the block ``learn`` of a campaign file to what teaches."""

from collections.abc import Callable
from dataclasses import fields, replace

from ssefw.campaigns.file import CampaignSpec, LearnSpec
from ssefw.engines import Engine
from ssefw.engines.ase import AseEngine
from ssefw.engines.potentials.names import POTENTIALS, no_potential
from ssefw.engines.students import LearnSettings, StudentEngine
from ssefw.engines.tuning import ActiveSettings, TuneSettings
from ssefw.errors import ConfigurationError
from ssefw.makers import LadderMaker
from ssefw.makers.learn import LearningLadderMaker, LearnMaker
from ssefw.makers.tune import FEWEST, TuneMaker, TuningLadderMaker
from ssefw.nep import TrainingSettings

__all__ = ["learning_ladder"]

FIRST_LABELS, FIRST_RATTLED = 40, 8
"""Of a universal potential that is tuned: a label may be an hour of many cores."""


def learning_ladder(
    spec: CampaignSpec,
    engine: Engine,
    otherwise: LadderMaker,
    ladder_with: Callable[[Engine], LadderMaker],
) -> LearningLadderMaker | TuningLadderMaker:
    """Return the ladder that a student climbs, or a universal potential that is tuned.

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
    if learn.base is not None:
        return tuning_ladder(spec, learn, engine, ladder_with)
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


def tuning_ladder(
    spec: CampaignSpec,
    learn: LearnSpec,
    engine: Engine,
    ladder_with: Callable[[Engine], LadderMaker],
) -> TuningLadderMaker:
    """Return the ladder that a universal potential climbs once it is tuned to an engine.

    Parameters
    ----------
    spec, learn
        The campaign, and its block ``learn`` with a `base`.
    engine
        What is asked for labels.
    ladder_with
        Makes the campaign's ladder for an engine.

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
    if learn.budget is not None and learn.budget < first:
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
    # It climbs as fast as the potential does before it is tuned.
    ladder = ladder_with(base)
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
        ),
    )


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
