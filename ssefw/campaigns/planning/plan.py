"""From a campaign file to jobflow graphs, and what they would cost; nothing is written."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from jobflow import Flow, Job
from pymatgen.core import Structure

from ssefw.campaigns.file import AdaptiveSpec, CampaignSpec, ConfirmSpec, MDSpec, NebSpec
from ssefw.campaigns.planning.cost import Estimated, Pace, estimate
from ssefw.campaigns.planning.engines import engine_of, make_engine
from ssefw.campaigns.planning.orderings import ordering_settings, with_cells
from ssefw.campaigns.planning.refusals import certainly_too_large
from ssefw.campaigns.planning.selection import Excluded, select
from ssefw.data import HeldCandidate, Reject, candidate_from_text, hold, merge_candidates
from ssefw.data.labels.sources import find_label_set
from ssefw.data.pools import check_properties, hold_candidates
from ssefw.documents import Barrier, CascadeStep
from ssefw.engines import Engine, MDSettings, NebSettings, settings_hash
from ssefw.engines.migration import MigrationSettings
from ssefw.errors import ConfigurationError, DataError, LaunchError
from ssefw.makers import (
    AdaptivePolicy,
    BarrierMaker,
    CandidateMaker,
    ConfirmMaker,
    DiffusivityMaker,
    DisorderedMaker,
    LadderMaker,
    LengthPolicy,
    MDMaker,
    NebMaker,
    RelaxMaker,
    Triage,
    VolumePolicy,
)
from ssefw.screening.base import check_screener

__all__ = ["Plan", "candidate_maker", "make_plan"]

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "ssefw")
HEAVY = ("relax", "learn", "label", "md ", "neb ")
"""Names of the stages that want a compute node; all others are light."""


@dataclass(frozen=True)
class Plan:
    """What would run.

    Attributes
    ----------
    cells
        Atoms in the ordered cells of each disordered candidate, by its id.
    barriers
        What the gate would compute and filters have computed, by candidate.
    """

    spec: CampaignSpec
    maker: CandidateMaker
    candidates: tuple[HeldCandidate, ...]
    excluded: tuple[Excluded, ...]
    steps: tuple[CascadeStep, ...]
    rejects: tuple[Reject, ...]
    merged: tuple[tuple[str, str], ...]
    cells: Mapping[str, int] = field(default_factory=dict)
    barriers: Mapping[str, Barrier] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Hash of everything that changes the numbers of a candidate.

        How crystals are ordered is part of it where there is one to order.
        """
        return settings_hash(self.disordered if self.cells else self.maker)

    @cached_property
    def disordered(self) -> DisorderedMaker:
        """The maker of the graph of a disordered candidate."""
        parts: dict[str, Any] = {
            "study": self.maker,
            "orderings": ordering_settings(self.spec),
            "n_relaxed": self.spec.orderings.relax,
        }
        learn = self.spec.learn
        if learn is None:
            return DisorderedMaker(**parts)
        # Compiled kernels, which a plan without a lesson does not need.
        from ssefw.makers.learn import LearningDisorderedMaker  # noqa: PLC0415
        from ssefw.makers.tune import TuningDisorderedMaker  # noqa: PLC0415

        is_tuned = learn.base is not None
        return TuningDisorderedMaker(**parts) if is_tuned else LearningDisorderedMaker(**parts)

    @property
    def engines(self) -> list[Engine]:
        """The engines that compute."""
        maker = self.maker
        found = [maker.relax.engine]
        if maker.neb is not None:
            found += [maker.neb.engine, *([maker.neb.first] if maker.neb.first else [])]
        if maker.ladder is not None:
            found.append(maker.ladder.md.engine)
            if maker.ladder.confirm is not None and maker.ladder.confirm.engine is not None:
                found.append(maker.ladder.confirm.engine)
        return found

    @property
    def is_loop(self) -> bool:
        """Whether candidates wait until a batch takes them."""
        return self.spec.feedback is not None and self.spec.feedback.batch is not None

    def flows(self) -> Iterator[tuple[HeldCandidate, Flow]]:
        """Yield the graph of each candidate, best first."""
        for candidate, priority in self.ranked():
            yield candidate, self.flow(candidate, priority=priority)

    def ranked(self) -> Iterator[tuple[HeldCandidate, int]]:
        """Yield each candidate and its priority, best first; negative for those that wait."""
        last = len(self.candidates) + 1 if self.is_loop else 0
        for rank, candidate in enumerate(self.candidates):
            yield candidate, len(self.candidates) - rank - last

    def title(self, candidate: HeldCandidate) -> str:
        """Return what the graph of a candidate is called."""
        return f"{self.spec.campaign}: {candidate.formula}"

    def job_uuid(self, candidate: HeldCandidate, name: str) -> str:
        """Return the uuid of a job of a candidate; the same for the same settings."""
        identity = f"{self.spec.campaign}/{candidate.id}/{self.key}/{name}"
        return str(uuid.uuid5(NAMESPACE, identity))

    def estimate(self, candidate: HeldCandidate, *, pace: Pace | None = None) -> Estimated:
        """Return the size and cost of a candidate; see `ssefw.campaigns.planning.cost`."""
        replicas = self.spec.orderings.number if candidate.id in self.cells else 1
        size = self.cells.get(candidate.id)
        return estimate(self.maker, candidate, pace=pace, n_atoms=size, replicas=replicas)

    def _first_cell(self, candidate: HeldCandidate) -> Structure:
        """Return the crystal, or the first of its ordered cells."""
        if candidate.is_ordered:
            return candidate.structure
        from ssefw.data.orderings import order_crystal  # noqa: PLC0415  compiled kernels

        one = ordering_settings(self.spec).model_copy(update={"number": 1})
        return order_crystal(candidate.structure, one).orderings[0].structure

    def first_dynamics_cell(self, candidate: HeldCandidate) -> Structure:
        """Return the cell that a candidate's dynamics would have, were it not relaxed."""
        structure, ladder = self._first_cell(candidate), self.maker.ladder
        is_ordered = candidate.id not in self.cells
        return ladder.supercell(structure) if is_ordered and ladder else structure

    def input_files(self, candidate: HeldCandidate) -> dict[str, str]:
        """Return the input files of a candidate's relaxation and of its dynamics.

        The dynamics are shown for the cell before relaxation.

        Raises
        ------
        ConfigurationError
            If the engine works without input files.
        """
        engine, ladder = self.maker.relax.engine, self.maker.ladder
        structure = self._first_cell(candidate)
        first: Literal["static", "relax"] = "static" if self.maker.relax.skip else "relax"
        files = engine.input_files(
            structure,
            first,
            fmax=self.maker.relax.fmax,
            max_steps=self.maker.relax.max_steps,
            relax_cell=self.maker.relax.relax_cell,
        )
        found = {f"{first}/{name}": text for name, text in files.items()}
        if ladder is None:
            return found
        cell = self.first_dynamics_cell(candidate)
        steps = ladder.steps(ladder.length)
        for temperature in ladder.temperatures:
            settings = ladder.settings_at(temperature, candidate=candidate.whole)
            files = engine.input_files(cell, "md", settings=settings, steps=steps)
            found |= {f"md {temperature:g} K/{name}": text for name, text in files.items()}
        return found

    def flow(self, candidate: HeldCandidate, *, priority: int) -> Flow:
        """Return the graph of a candidate."""
        flow = (self.disordered if candidate.id in self.cells else self.maker).make(candidate.whole)
        flow.name = self.title(candidate)
        for job in flow.jobs:
            if not isinstance(job, Job):
                raise TypeError(f"{job} is a flow within the flow of a candidate")
            job.set_uuid(self.job_uuid(candidate, job.name))
        flow.update_metadata(
            {"campaign": self.spec.campaign, "candidate": candidate.id}, dynamic=True
        )
        light: dict[str, Any] = {"_category": "light", "_priority": priority}
        flow.update_config({"manager_config": light, "pass_manager_config": False}, dynamic=True)
        for stage in HEAVY:
            own = stage.strip()
            category = own if own in self.spec.resources else "heavy"
            heavy = {"manager_config": light | {"_category": category}}
            flow.update_config(heavy, name_filter=stage, dynamic=True)
        return flow


def make_plan(spec: CampaignSpec, *, workers: int = 1) -> Plan:
    """Read and filter the pool.

    Parameters
    ----------
    spec
        The campaign.
    workers
        Processes that read a large pool; a script that asks for several must not run again where
        it is imported.

    Raises
    ------
    DataError
        If the pool or a label set of the feedback cannot be read.
    ConfigurationError
        If there is no such screening system, or it has no such setting.
    LaunchError
        If no candidate is left.
    """
    maker = candidate_maker(spec)
    _check_feedback(spec)
    maker.relax.engine.check()
    if (
        maker.ladder is not None
        and maker.ladder.confirm is not None
        and maker.ladder.confirm.engine
    ):
        maker.ladder.confirm.engine.check()
    if maker.neb is not None:
        maker.neb.engine.check()
        if maker.neb.first is not None:
            maker.neb.first.check()
    given, merged, rejects = _read(spec, workers=workers)
    chosen = select(given, spec)
    too_large = tuple(certainly_too_large(maker, chosen.candidates))
    ids = {item.candidate_id for item in too_large}
    left = [item for item in chosen.candidates if item.id not in ids]
    candidates, cells, unordered = with_cells(left, spec)
    refused = (*too_large, *unordered)
    excluded = (*chosen.excluded, *refused)
    if not candidates:
        why = ""
        if excluded:
            why = f"; the first: {excluded[0].formula} {excluded[0].reason.removesuffix('.')}"
        raise LaunchError(
            f"No candidate is left of the {len(given)} of the pool{why}. "
            "Loosen the filters or limits, or give another pool."
        )
    return Plan(
        spec=spec,
        maker=maker,
        candidates=candidates,
        excluded=excluded,
        steps=chosen.steps,
        rejects=tuple(rejects),
        merged=tuple(merged),
        cells=cells,
        barriers=chosen.barriers,
    )


def _check_feedback(spec: CampaignSpec) -> None:
    """Refuse now what would otherwise fail when the last job is done."""
    if spec.feedback is not None:
        check_screener(spec.feedback.system, spec.feedback.settings)
        for source in spec.feedback.labels:
            find_label_set(source)


def _read(
    spec: CampaignSpec, *, workers: int
) -> tuple[list[HeldCandidate], list[tuple[str, str]], list[Reject]]:
    """Return the candidates of the pool, the sources of those that were merged, and the rest."""
    rejects: list[Reject] = []
    found: list[HeldCandidate] = []
    if spec.pool.path is not None:
        found += hold_candidates(
            spec.pool.path, strict=spec.pool.strict, rejects=rejects, workers=workers
        )
    for inline in spec.pool.structures:
        text, fmt = (inline.cif, "cif") if inline.cif else (inline.poscar, "poscar")
        try:
            check_properties(inline.properties, source=inline.name)
            candidate = candidate_from_text(
                text, name=inline.name, fmt=fmt, reference=inline.reference
            )
        except DataError as error:
            if spec.pool.strict:
                raise
            rejects.append(Reject(inline.name, str(error)))
            continue
        properties = {"properties": {**candidate.properties, **inline.properties}}
        found.append(hold(candidate.model_copy(update=properties)))
    if not found:
        raise DataError(f"The pool holds no readable structure: {rejects[0].reason}")
    return *merge_candidates(found), rejects


def candidate_maker(spec: CampaignSpec) -> CandidateMaker:
    """Return the maker of the graph of one candidate."""
    engine, relax = make_engine(spec), spec.relax
    return CandidateMaker(
        bvse=BarrierMaker(
            max_barrier=spec.bvse.max_barrier,
            resolution=spec.bvse.resolution,
            specie=spec.specie,
        )
        if spec.bvse
        else None,
        relax=RelaxMaker(
            engine=engine,
            fmax=relax.fmax,
            max_steps=relax.max_steps,
            relax_cell=relax.relax_cell and spec.volume.mode != "experiment",
            skip=relax.skip,
        ),
        neb=_neb_maker(spec, spec.neb, engine) if spec.neb else None,
        ladder=_ladder_of(spec, spec.md, engine) if spec.md else None,
        max_volume_change=relax.max_volume_change,
    )


def _neb_maker(spec: CampaignSpec, neb: NebSpec, engine: Engine) -> NebMaker:
    own = engine_of(neb.engine) if neb.engine else engine
    again = None
    if own != engine:
        again = RelaxMaker(engine=own, fmax=neb.end_fmax, max_steps=neb.end_steps, name="neb relax")
    return NebMaker(
        engine=own,
        settings=MigrationSettings(
            mechanism=neb.mechanism,
            min_length=neb.min_length,
            n_images=neb.images,
            end_fmax=neb.end_fmax,
            end_steps=neb.end_steps,
            path=neb.path,
            charge=neb.charge,
            band=NebSettings(fmax=neb.fmax, max_steps=neb.max_steps, climb=neb.climb),
        ),
        specie=spec.specie,
        hops=neb.hops,
        max_hop=neb.max_hop,
        max_atoms=neb.max_atoms,
        max_hops=neb.max_hops,
        first=engine_of(neb.first) if neb.first else None,
        relax=again,
        converge=neb.converge,
        max_barrier=neb.max_barrier,
    )


def _ladder_of(spec: CampaignSpec, md: MDSpec, engine: Engine) -> LadderMaker:
    if spec.learn is None:
        return _ladder_maker(spec, md, engine)
    # Compiled kernels, which other campaigns do not need.
    from ssefw.campaigns.planning.lesson import learning_ladder  # noqa: PLC0415

    return learning_ladder(spec, md, engine, lambda md, own: _ladder_maker(spec, md, own))


def _confirm_maker(confirm: ConfirmSpec) -> ConfirmMaker:
    return ConfirmMaker(
        engine=engine_of(confirm.engine) if confirm.engine else None,
        size=confirm.size,
        above=confirm.above,
        temperature=confirm.temperature,
        arrangements=confirm.arrangements,
    )


def _ladder_maker(spec: CampaignSpec, md: MDSpec, engine: Engine) -> LadderMaker:
    if spec.volume.mode == "thermal" and not engine.tells_stress:
        raise ConfigurationError(
            f"volume: {engine.name} tells no stress, by which mode: thermal finds the volume; "
            "take mode: relaxed or experiment."
        )
    settings = MDSettings(
        temperature=md.temperatures[0],
        timestep=md.timestep,
        steps_per_frame=md.steps_per_frame,
        thermostat=md.thermostat,
        damping=md.damping,
        seed=md.seed,
        heat_from=md.heating.start if md.heating else None,
        heating_steps=round(md.heating.length * 1000.0 / md.timestep) if md.heating else 0,
    )
    return LadderMaker(
        md=MDMaker(engine=engine, settings=settings),
        temperatures=md.temperatures,
        length=md.length,
        equilibration=md.equilibration,
        min_length=spec.supercell.min_length,
        max_atoms=spec.supercell.max_atoms,
        policy=LengthPolicy(
            relative_error=md.converge.relative_error,
            max_length=md.converge.max_length,
            step=md.converge.step or md.length,
            enough_bound=md.converge.enough_bound,
            min_hops=md.converge.min_hops,
            give_up=md.converge.give_up,
            max_temperature_error=md.converge.max_temperature_error,
        )
        if md.converge
        else None,
        adaptive=AdaptivePolicy(**(md.adaptive or AdaptiveSpec()).model_dump())
        if md.ladder == "adaptive"
        else None,
        triage=Triage(**md.triage.model_dump()) if md.triage else None,
        max_volume_change=spec.relax.max_volume_change,
        conductivity_temperature=spec.conductivity.temperature,
        determined_within=spec.conductivity.determined_within,
        prefactor_spread=spec.conductivity.prefactor_spread,
        volume=VolumePolicy(**spec.volume.model_dump(exclude={"mode"}))
        if spec.volume.mode == "thermal"
        else None,
        confirm=_confirm_maker(spec.confirm) if spec.confirm else None,
        diffusivity=DiffusivityMaker(specie=spec.specie, level=spec.conductivity.level),
    )
