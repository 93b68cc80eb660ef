"""A disordered crystal as a candidate: its ordered cells are replicas, and their spread counts.

    order --> relax #0, #1, ... --> climb --> md 600 K #0, #1, ... --> climb --> outcome

Each arrangement is relaxed and simulated in the cell in which it was ordered. None is dropped
silently: one that fails is named in the outcome with its reason, and the triage rejects the crystal
only where no arrangement passes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from jobflow import CURRENT_JOB, Flow, Job, Maker, Response, job
from pymatgen.core import Structure

from ssefw import analysis
from ssefw.documents import (
    DETERMINED_WITHIN,
    Arrangement,
    Barrier,
    Candidate,
    Diffusivity,
    Gate,
    Lesson,
    Ordering,
    OrderingSettings,
    Outcome,
    RelaxResult,
    Trajectory,
)
from ssefw.errors import ConfigurationError, DataError
from ssefw.makers.candidate import CandidateMaker
from ssefw.makers.disordered.adaptive_arrangements import ArrangementChoice, Climber, choose_runs
from ssefw.makers.disordered.arrangements import (
    arrangements_of,
    choice_gate,
    ordering_gate,
    triage_of,
)
from ssefw.makers.failures import LENIENT, failures_recorded, recorded_failures
from ssefw.makers.gates import failed, relaxation_gate
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.outcome import conclude_candidate, core_hours, with_search
from ssefw.makers.recorded import RECORDED, Recorded, recorded_lesson
from ssefw.makers.replacement import replaced_by
from ssefw.makers.state import as_stored, longest
from ssefw.makers.volume import volume_gate
from ssefw.settings import load_settings
from ssefw.store import ResultStore
from ssefw.store.results.arrangements import usual_spread

__all__ = ["DisorderedMaker"]

Stage = Literal["relaxed", "expanded", "triage", "ladder"]


@dataclass
class DisorderedMaker(Maker):
    """Bring a disordered crystal to its `Outcome`.

    Attributes
    ----------
    study
        What is done with an ordered candidate; each arrangement is treated alike.
    orderings
        Which arrangements, and how many are simulated.
    n_relaxed
        So many are relaxed, and those of lowest energy are simulated; None if all that are relaxed
        are.
    """

    study: CandidateMaker
    orderings: OrderingSettings
    n_relaxed: int | None = None
    name: str = "disordered"

    def make(self, candidate: Candidate) -> Flow:
        """Return the graph; its output is the outcome."""
        if self.study.bvse is None:
            jobs: list[Job] = [self.order(candidate)]
        else:
            barrier = self.study.bvse.make(candidate)
            jobs = [barrier, self.order(candidate, barrier=barrier.output)]
        return Flow([*jobs], output=jobs[-1].output, name=candidate.formula)

    @job(output_schema=Outcome, config=LENIENT)
    def order(
        self, candidate: Candidate, *, barrier: Barrier | None = None
    ) -> Outcome | Response[Outcome]:
        """Order the crystal and relax each arrangement; the precheck was made on the average."""
        with failures_recorded():
            gates = [] if self.study.bvse is None else [self.study.gate(barrier)]
            if failed(gates):
                return self._conclude(candidate, gates=gates)
            try:
                # Compiled kernels, which only this job needs.
                from ssefw.data.orderings import order_crystal  # noqa: PLC0415

                n_relaxed = max(self.orderings.number, self.n_relaxed or 0)
                wanted = self.orderings.model_copy(update={"number": n_relaxed})
                found = order_crystal(candidate.structure, wanted)
            except DataError as error:
                gates.append(
                    Gate(name="orderings", passed=False, code="no_cell", message=str(error))
                )
                return self._conclude(candidate, gates=gates)
            gates.append(ordering_gate(found))
            relaxations = [
                replace(self.study.relax, name=f"relax #{ordering.index}").make(ordering.structure)
                for ordering in found.orderings
            ]
            after = self.after_relaxations(
                candidate=candidate,
                orderings=found.orderings,
                relaxed=[relaxation.output for relaxation in relaxations],
                gates=gates,
            )
            return replaced_by(relaxations, after)

    def after_relaxations(
        self,
        *,
        candidate: Candidate,
        orderings: Sequence[Ordering],
        relaxed: Sequence[Any],
        gates: Sequence[Gate],
    ) -> Job:
        """Return the job that goes on with relaxed arrangements.

        Parameters
        ----------
        candidate
            The disordered crystal.
        orderings
            Its ordered cells.
        relaxed
            References to what their relaxations give.
        gates
            That it has passed.
        """
        return self.climb(
            candidate=candidate,
            orderings=orderings,
            relaxed=relaxed,
            gates=gates,
            stage="relaxed",
            lesson=None,
        )

    def simulated_cell(self, ladder: LadderMaker, relaxed: RelaxResult) -> Structure:  # noqa: ARG002
        """Return the cell of dynamics: the one in which the crystal was ordered."""
        return relaxed.structure

    @job(output_schema=Outcome, config=LENIENT)
    def climb(
        self,
        *,
        candidate: Candidate,
        orderings: Sequence[Ordering],
        relaxed: Sequence[RelaxResult | None],
        gates: Sequence[Gate],
        stage: Stage,
        tried: Sequence[Sequence[float]] = (),
        lengths: Sequence[Sequence[float]] = (),
        diffusivities: Sequence[Sequence[Diffusivity | None]] = (),
        trajectories: Sequence[Sequence[Trajectory | None]] = (),
        lesson: Lesson | Recorded | None = RECORDED,
    ) -> Outcome | Response[Outcome]:
        """Run the next temperatures of each arrangement, or conclude where none is left.

        Parameters
        ----------
        relaxed
            Of each ordering; None where relaxation failed.
        stage
            What was done last.
        tried
            For each ordering the temperatures (K) of its ladder so far, also those that failed.
        lengths
            To which (ps) each of these was to be brought; the ladder's own if there is none.
        diffusivities, trajectories
            For each ordering, of the triage too; a run that failed is None.
        lesson
            Of the potential that runs the dynamics, if it was taught.
        """
        with failures_recorded():
            ladder = self._ladder()
            each = zip(tried, lengths or [()] * len(tried), strict=True)
            done = [ladder.asked(*pair) for pair in each] or [{} for _ in orderings]
            known = [longest(found) for found in diffusivities] or [[] for _ in orderings]
            runs = [as_stored(found) for found in trajectories] or [[] for _ in orderings]
            reasons = self.obstacles(relaxed)
            alive = [i for i, reason in enumerate(reasons) if not reason]
            gates = list(gates)
            if ladder.volume is not None and alive and stage == "relaxed":
                jobs, cells = self._expansions(ladder, candidate, orderings, relaxed, alive)
                after = self.climb(
                    candidate=candidate,
                    orderings=orderings,
                    relaxed=cells,
                    gates=gates,
                    stage="expanded",
                    lesson=lesson,
                )
                return replaced_by(jobs, after)
            if stage == "expanded":
                gates.append(volume_gate([cell.thermal for cell in relaxed if cell is not None]))
                stage = "relaxed"
            if stage == "triage" and ladder.triage is not None and alive:
                gates.append(triage_of(known, ladder, alive))
            wanted: dict[int, dict[float, float]] = {}
            if not failed(gates):
                if ladder.adaptive is not None and (stage != "relaxed" or ladder.triage is None):
                    choice = self._choose(ladder, alive, done, known, runs)
                    wanted = {i: ladder.asked_for(run) for i, run in choice.runs.items()}
                    gates.append(choice_gate(choice))
                else:
                    wanted = {i: self._next(ladder, stage, done[i], known[i]) for i in alive}
            if not any(wanted.values()):
                arrangements = arrangements_of(
                    orderings,
                    relaxed,
                    reasons,
                    known,
                    runs,
                    temperature=ladder.conductivity_temperature,
                    prefactor_spread=ladder.prefactor_spread,
                )
                outcome = self._conclude(
                    candidate,
                    gates=gates,
                    arrangements=arrangements,
                    relaxed=relaxed,
                    runs=runs,
                    lesson=recorded_lesson(candidate.id) if isinstance(lesson, str) else lesson,
                )
                return self._confirmed(outcome, ladder, candidate)
            is_triage = stage == "relaxed" and ladder.triage is not None
            jobs = []
            points: list[list[Any]] = [list(found) for found in known]
            ledgers: list[list[Any]] = [list(found) for found in runs]
            for i, asked in wanted.items():
                result = relaxed[i]
                for temperature, length in sorted(asked.items(), reverse=True):
                    assert result is not None
                    md, estimate = ladder.rung(
                        self.simulated_cell(ladder, result),
                        candidate,
                        temperature=temperature,
                        length=length,
                        suffix=f" #{orderings[i].index}",
                    )
                    jobs += [md, estimate]
                    points[i].append(estimate.output)
                    ledgers[i].append(md.output)
                if not is_triage:
                    done[i] |= asked
            after = self.climb(
                candidate=candidate,
                orderings=orderings,
                relaxed=relaxed,
                gates=gates,
                stage="triage" if is_triage else "ladder",
                tried=[list(asked) for asked in done],
                lengths=[list(asked.values()) for asked in done],
                diffusivities=points,
                trajectories=ledgers,
                lesson=lesson,
            )
            return replaced_by(jobs, after)

    def _expansions(
        self,
        ladder: LadderMaker,
        candidate: Candidate,
        orderings: Sequence[Ordering],
        relaxed: Sequence[RelaxResult | None],
        alive: Sequence[int],
    ) -> tuple[list[Job], list[Any]]:
        """Return the jobs that bring arrangements to the volume at a temperature, and the cells."""
        jobs: list[Job] = []
        cells: list[Any] = list(relaxed)
        for i in alive:
            result = relaxed[i]
            assert result is not None
            maker = ladder.volume_maker(suffix=f" #{orderings[i].index}")
            search = maker.jobs(self.simulated_cell(ladder, result), candidate_id=candidate.id)
            applied = maker.apply(result, search[-1].output)
            jobs += [*search, applied]
            cells[i] = applied.output
        return jobs, cells

    def _confirmed(
        self, outcome: Outcome, ladder: LadderMaker, candidate: Candidate
    ) -> Outcome | Response[Outcome]:
        """Return the outcome, or what looks at it once more."""
        if ladder.confirm is None:
            return outcome
        cells = [
            (a.ordering.index, self.simulated_cell(ladder, a.relaxed), a.diffusivities)
            for a in outcome.arrangements
            if a.relaxed is not None
        ]
        return ladder.confirm.start(outcome, cells, candidate=candidate, ladder=ladder)

    def _ladder(self) -> LadderMaker:
        if self.study.ladder is None:
            raise ConfigurationError(
                "A disordered candidate needs dynamics (md): bands are computed of ordered "
                "crystals. Order it with `ssefw pool order` and give its cells to a campaign."
            )
        return self.study.ladder

    def obstacles(self, relaxed: Sequence[RelaxResult | None]) -> list[str]:
        """Return for each arrangement why it gets no dynamics; empty if it does."""
        reasons = [self._obstacle(result) for result in relaxed]
        if self.n_relaxed is None:
            return reasons
        energies = {
            i: result.energy_per_atom
            for i, result in enumerate(relaxed)
            if result is not None and not reasons[i]
        }
        number = self.orderings.number
        for i in sorted(energies, key=lambda i: energies[i])[number:]:
            reasons[i] = f"not simulated: {number} arrangements relax to a lower energy"
        return reasons

    def _obstacle(self, relaxed: RelaxResult | None) -> str:
        """Return why an arrangement gets no dynamics; empty if it does."""
        if relaxed is None:
            return "its relaxation failed, or its volume at a temperature was not found"
        limits = {
            "max_volume_change": self.study.max_volume_change,
            "max_force": self.study.max_force,
        }
        gate = relaxation_gate(relaxed, **limits)
        return "" if gate.passed else gate.message

    def _next(
        self,
        ladder: LadderMaker,
        stage: Stage,
        tried: Mapping[float, float],
        known: Sequence[Diffusivity],
    ) -> dict[float, float]:
        """Return the temperatures (K) that an arrangement runs next, and how long (ps)."""
        if stage == "relaxed" and ladder.triage is not None:
            return {ladder.triage.temperature: ladder.triage.length}
        if tried:
            return {}
        melted = min((d.temperature for d in known if d.regime == "melted"), default=math.inf)
        return {t: ladder.length for t in ladder.temperatures if t < melted}

    def _choose(
        self,
        ladder: LadderMaker,
        alive: Sequence[int],
        tried: Sequence[Mapping[float, float]],
        known: Sequence[Sequence[Diffusivity]],
        runs: Sequence[Sequence[Trajectory]],
    ) -> ArrangementChoice:
        """Return what an adaptive ladder runs next: more of an arrangement, or another one."""
        assert ladder.adaptive is not None
        # Each would go on for ever: how narrow is narrow enough is asked of them together.
        endless = ladder.adaptive.model_copy(
            update={"interval_decades": 0.0, "max_core_hours": None}
        )
        threads = load_settings().settings.threads
        climbers = []
        for i in alive:
            fit = None
            if known[i]:
                fit = analysis.fit_conductivity(
                    known[i], temperature=ladder.conductivity_temperature
                )
            following = ladder.choice(
                tried=tried[i], diffusivities=known[i], trajectories=runs[i], policy=endless
            )
            hours = core_hours(runs[i], threads=threads)
            n_values = len({d.temperature for d in known[i] if d.tracer.kind == "value"})
            climbers.append(Climber(bool(tried[i]), fit, n_values, following, hours))
        choice = choose_runs(climbers, ladder.adaptive, scale=_usual_spread())
        return replace(choice, runs={alive[i]: run for i, run in choice.runs.items()})

    def _conclude(
        self,
        candidate: Candidate,
        *,
        gates: Sequence[Gate],
        arrangements: Sequence[Arrangement] = (),
        relaxed: Sequence[RelaxResult | None] = (),
        runs: Sequence[Sequence[Trajectory]] = (),
        lesson: Lesson | None = None,
    ) -> Outcome:
        campaign = CURRENT_JOB.job.metadata.get("campaign", "")
        threads = load_settings().settings.threads
        there = [result for result in relaxed if result is not None]
        lowest = min(there, key=lambda result: result.energy_per_atom, default=None)
        fits = [a.conductivity for a in arrangements if a.conductivity is not None]
        pooled, spread = (None, None)
        if fits:
            pooled, spread = analysis.pool_conductivities(fits, scale=_usual_spread())
            unused = [a for a in arrangements if a.conductivity is None]
            warnings = [f"arrangement {a.ordering.index}: {a.reason}" for a in unused]
            pooled = pooled.model_copy(update={"warnings": (*pooled.warnings, *warnings)})
        ladder = self.study.ladder
        outcome = conclude_candidate(
            candidate,
            campaign=campaign,
            temperature=ladder.conductivity_temperature if ladder else 300.0,
            gates=gates,
            relaxed=lowest,
            diffusivities=[d for a in arrangements for d in a.diffusivities],
            trajectories=[run for group in runs for run in group],
            failures=recorded_failures(candidate=candidate.id, campaign=campaign),
            threads=threads,
            conductivity=pooled,
            lesson=lesson,
            determined_within=ladder.determined_within if ladder else DETERMINED_WITHIN,
        )
        # One of the relaxations is counted.
        others = [result for result in there if result is not lowest]
        seconds = sum(result.wall_time for result in others)
        cost = outcome.cost.model_copy(
            update={
                "wall_time": outcome.cost.wall_time + seconds,
                "core_hours": outcome.cost.core_hours + seconds * threads / 3600.0,
            }
        )
        for result in others:
            cost = with_search(cost, result.thermal)
        update = {"arrangements": tuple(arrangements), "arrangement_spread": spread, "cost": cost}
        return outcome.model_copy(update=update)


def _usual_spread() -> float:
    return usual_spread(ResultStore(CURRENT_JOB.store))
