"""Molecular dynamics at several temperatures, the first of them a triage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobflow import Job, Maker, Response, job
from pymatgen.core import Structure

from ssefw.data import expand_to_length
from ssefw.documents import (
    DETERMINED_WITHIN,
    Barrier,
    Candidate,
    Diffusivity,
    Document,
    Gate,
    Lesson,
    Outcome,
    RelaxResult,
    ThermalVolume,
    Trajectory,
)
from ssefw.engines import MDSettings
from ssefw.errors import DataError
from ssefw.makers.adaptive import AdaptivePolicy, NextTemperatures
from ssefw.makers.confirm import ConfirmMaker
from ssefw.makers.diffusivity import DiffusivityMaker
from ssefw.makers.failures import LENIENT, failures_recorded
from ssefw.makers.gates import triage_gate
from ssefw.makers.length import LengthPolicy
from ssefw.makers.md import MDMaker, drawn_seed
from ssefw.makers.outcome import core_hours
from ssefw.makers.recorded import RECORDED, Recorded
from ssefw.makers.replacement import replaced_by
from ssefw.makers.state import CandidateState, as_stored, longest, present
from ssefw.makers.volume import VolumeMaker, VolumePolicy, at_temperature, volume_gate
from ssefw.settings import load_settings
from ssefw.units import Pure, Temperature, TimePs

__all__ = ["LadderMaker", "Triage"]


class Triage(Document):
    """A short run at one temperature that decides whether the others are worth their cost."""

    temperature: Temperature
    length: TimePs
    min_hops: Pure = 5.0


@dataclass
class LadderMaker(Maker):
    """From a relaxed structure to a conductivity, through dynamics at several temperatures.

    Attributes
    ----------
    md
        Its engine and settings; the temperature and the seed are set for each rung.
    temperatures
        Rungs of the ladder, K.
    length, equilibration
        Duration of each run, and of its start that analysis leaves out, ps.
    policy
        Whether a run is continued beyond `length`; without one all are equally long.
    adaptive
        With one, `temperatures` are what it may choose from, and of the runs that may go on by the
        policy of length it chooses one at a time; without, all of them are run, each on its own.
    min_length, max_atoms
        The supercell: least distance between opposite faces (angstrom) and most atoms.
    conductivity_temperature
        Where the conductivity is wanted, K.
    determined_within
        Decades that its interval may be wide to count as determined.
    prefactor_spread
        Decades of a prior on the prefactor, if there is one; see `fit_conductivity`.
    volume
        How the cell at a temperature is looked for; without one dynamics have that of relaxation.
    confirm
        How a hit is looked at once more, if it is.
    """

    md: MDMaker
    temperatures: tuple[float, ...] = (600.0, 800.0, 1000.0, 1200.0)
    length: float = 50.0
    equilibration: float = 2.0
    policy: LengthPolicy | None = None
    adaptive: AdaptivePolicy | None = None
    min_length: float = 10.0
    max_atoms: int = 400
    triage: Triage | None = None
    max_volume_change: float = 0.3
    max_force: float = 0.5
    conductivity_temperature: float = 300.0
    determined_within: float = DETERMINED_WITHIN
    prefactor_spread: float | None = None
    volume: VolumePolicy | None = None
    confirm: ConfirmMaker | None = None
    diffusivity: DiffusivityMaker = field(default_factory=DiffusivityMaker)
    name: str = "ladder"

    @job(output_schema=Outcome, config=LENIENT)
    def make(
        self,
        relaxed: RelaxResult | None,
        *,
        candidate: Candidate,
        gates: Sequence[Gate] = (),
        barrier: Barrier | Recorded | None = RECORDED,
        lesson: Lesson | Recorded | None = RECORDED,
    ) -> Outcome | Response[Outcome]:
        """Go on with a relaxed structure.

        Parameters
        ----------
        relaxed
            None where relaxation failed.
        candidate
            What was relaxed.
        gates
            That it has passed; that of relaxation is asked here, unless it is among them.
        barrier
            From NEB, if bands were computed.
        lesson
            Of the potential that runs the dynamics, if it was taught.
        """
        with failures_recorded():
            return self.start(
                CandidateState.handed_on(
                    candidate, relaxed=relaxed, gates=gates, barrier=barrier, lesson=lesson
                )
            )

    def start(self, state: CandidateState) -> Outcome | Response[Outcome]:
        """Go on with a candidate, in its job, if its structure is fit for dynamics."""
        relaxed = state.relaxed
        if relaxed is None:
            return self._conclude(state)
        state = state.checked(max_volume_change=self.max_volume_change, max_force=self.max_force)
        if not state.is_rejected and (large := self.size_gate([relaxed.structure])):
            state = state.after(large)
        if state.is_rejected:
            return self._conclude(state)
        return self._begin(state, relaxed.structure)

    def _begin(self, state: CandidateState, structure: Structure) -> Outcome | Response[Outcome]:
        """Run the first dynamics of a structure that is fit for them."""
        supercell = self.supercell(structure)
        if self.volume is not None and state.relaxed is not None and not state.relaxed.thermal:
            search = self.volume_maker().jobs(supercell, candidate_id=state.candidate.id)
            return replaced_by(search, self.expanded(search[-1].output, **state.arguments()))
        if self.triage is None:
            return self._climb(supercell, state, self.temperatures)
        rung = self.rung(
            supercell,
            state.candidate,
            temperature=self.triage.temperature,
            length=self.triage.length,
        )
        decision = self.decide(
            supercell,
            **state.arguments(),
            trajectory=rung[0].output,
            diffusivity=rung[1].output,
        )
        return replaced_by(rung, decision)

    @job(output_schema=Outcome, config=LENIENT)
    def expanded(
        self,
        volume: ThermalVolume | None,
        *,
        candidate: Candidate,
        gates: Sequence[Gate],
        relaxed: RelaxResult,
        barrier: Barrier | Recorded | None = RECORDED,
        lesson: Lesson | Recorded | None = RECORDED,
    ) -> Outcome | Response[Outcome]:
        """Go on with the cell at a temperature.

        Parameters
        ----------
        volume
            None where none was found.
        candidate, gates, relaxed, barrier, lesson
            As in `make`.
        """
        with failures_recorded():
            state = CandidateState.handed_on(
                candidate, relaxed=relaxed, gates=gates, barrier=barrier, lesson=lesson
            ).after(volume_gate([volume]))
            if volume is None:
                return self._conclude(state)
            state = replace(state, relaxed=at_temperature(relaxed, volume))
            return self.start(state)

    @job(output_schema=Outcome, config=LENIENT)
    def decide(
        self,
        supercell: Structure,
        *,
        candidate: Candidate,
        gates: Sequence[Gate],
        relaxed: RelaxResult,
        trajectory: Trajectory | None,
        diffusivity: Diffusivity | None,
        barrier: Barrier | Recorded | None = RECORDED,
        lesson: Lesson | Recorded | None = RECORDED,
    ) -> Outcome | Response[Outcome]:
        """Climb the ladder after triage, or conclude with the bound that triage gave.

        Parameters
        ----------
        supercell
            What is simulated.
        candidate, gates, relaxed, barrier, lesson
            As in `make`.
        trajectory, diffusivity
            Of the triage; None where it failed.
        """
        with failures_recorded():
            state = CandidateState.handed_on(
                candidate, relaxed=relaxed, gates=gates, barrier=barrier, lesson=lesson
            ).having(present([diffusivity]), present([trajectory]))
            if self.triage is None or trajectory is None or diffusivity is None:
                return self._conclude(state.having([], state.trajectories))
            state = state.after(triage_gate(diffusivity, min_hops=self.triage.min_hops))
            if state.is_rejected:
                return self._conclude(state)
            rungs = self.temperatures
            if diffusivity.regime == "melted":
                rungs = tuple(t for t in rungs if t < diffusivity.temperature)
            return self._climb(supercell, state, rungs)

    @job(output_schema=Outcome, config=LENIENT)
    def conclude(
        self,
        *,
        candidate: Candidate,
        gates: Sequence[Gate],
        relaxed: RelaxResult,
        diffusivities: Sequence[Diffusivity | None],
        trajectories: Sequence[Trajectory | None],
        barrier: Barrier | Recorded | None = RECORDED,
        lesson: Lesson | Recorded | None = RECORDED,
    ) -> Outcome | Response[Outcome]:
        """Fit what the rungs have given.

        Parameters
        ----------
        candidate, gates, relaxed, barrier, lesson
            As in `make`.
        diffusivities, trajectories
            Of the rungs; None where one failed.
        """
        with failures_recorded():
            state = CandidateState.handed_on(
                candidate, relaxed=relaxed, gates=gates, barrier=barrier, lesson=lesson
            )
            return self._conclude(state.having(longest(diffusivities), as_stored(trajectories)))

    @job(output_schema=Outcome, config=LENIENT)
    def choose(
        self,
        supercell: Structure,
        *,
        candidate: Candidate,
        gates: Sequence[Gate],
        relaxed: RelaxResult,
        tried: Sequence[float],
        diffusivities: Sequence[Diffusivity | None],
        trajectories: Sequence[Trajectory | None],
        lengths: Sequence[float] = (),
        barrier: Barrier | Recorded | None = RECORDED,
        lesson: Lesson | Recorded | None = RECORDED,
    ) -> Outcome | Response[Outcome]:
        """Run what tells most next, or conclude when that is enough.

        Parameters
        ----------
        supercell
            What is simulated.
        candidate, gates, relaxed, barrier, lesson
            As in `make`.
        tried
            Temperatures (K) that were run, also those that failed.
        diffusivities, trajectories
            Of all runs so far; None where one failed.
        lengths
            To which (ps) each of `tried` was to be brought; the ladder's own if there is none.
        """
        with failures_recorded():
            state = CandidateState.handed_on(
                candidate, relaxed=relaxed, gates=gates, barrier=barrier, lesson=lesson
            ).having(longest(diffusivities), as_stored(trajectories))
            return self._choose(supercell, replace(state, tried=self.asked(tried, lengths)))

    def volume_maker(self, *, suffix: str = "") -> VolumeMaker:
        """Return what looks for the cell at a temperature; `suffix` ends the names of its jobs."""
        assert self.volume is not None
        return VolumeMaker(md=self.md, policy=self.volume, suffix=suffix)

    def size_gate(self, crystals: Sequence[Structure]) -> Gate | None:
        """Return the gate that fails where the simulated cell of a crystal is too large."""
        try:
            for crystal in crystals:
                self.supercell(crystal)
        except DataError as error:
            return Gate(name="supercell", passed=False, code="too_large", message=str(error))
        return None

    def supercell(self, structure: Structure) -> Structure:
        """Return the cell that is simulated."""
        return expand_to_length(structure, min_length=self.min_length, max_atoms=self.max_atoms)

    def steps(self, length: float) -> int:
        """Return the steps of a run of `length` ps, a whole number of frames."""
        settings = self.md.settings
        frames = round(length * 1000.0 / (settings.timestep * settings.steps_per_frame))
        return max(1, frames) * settings.steps_per_frame

    def goal(self, length: float) -> float:
        """Return the ps that a run of about `length` ps has when it is complete."""
        return self.steps(length) * self.md.settings.timestep / 1000.0

    def asked(self, tried: Sequence[float], lengths: Sequence[float] = ()) -> dict[float, float]:
        """Return how long (ps) each temperature (K) was to be run, as a job was told."""
        return dict(zip(tried, lengths or [self.goal(self.length)] * len(tried), strict=True))

    def asked_for(self, choice: NextTemperatures) -> dict[float, float]:
        """Return the temperatures (K) of a choice, and how long (ps) each is to become."""
        return dict.fromkeys(choice.temperatures, self.goal(choice.length))

    def settings_at(self, temperature: float, *, candidate: Candidate) -> MDSettings:
        """Return the settings of one rung (K), which has a seed of its own."""
        seed = drawn_seed(self.md.settings.seed, candidate.id, f"{temperature:.6g}")
        return self.md.settings.model_copy(update={"temperature": temperature, "seed": seed})

    def _climb(
        self, supercell: Structure, state: CandidateState, temperatures: Sequence[float]
    ) -> Outcome | Response[Outcome]:
        if self.adaptive is not None:
            return self._choose(supercell, state)
        rungs = [
            self.rung(supercell, state.candidate, temperature=temperature, length=self.length)
            for temperature in sorted(temperatures, reverse=True)
        ]
        end = self.conclude(
            **state.arguments(),
            diffusivities=[*state.diffusivities, *(estimate.output for _, estimate in rungs)],
            trajectories=[*state.trajectories, *(md.output for md, _ in rungs)],
        )
        return replaced_by([part for rung in rungs for part in rung], end)

    def choice(
        self,
        *,
        tried: Mapping[float, float],
        diffusivities: Sequence[Diffusivity],
        trajectories: Sequence[Trajectory],
        policy: AdaptivePolicy | None = None,
    ) -> NextTemperatures:
        """Return which temperatures (K) an adaptive policy would run next, how long, and why.

        Parameters
        ----------
        tried
            Temperatures (K) that were run, also those that failed, and how long (ps) they were to
            be.
        diffusivities, trajectories
            What runs have given.
        policy
            In the place of the ladder's own.
        """
        policy = policy or self.adaptive
        assert policy is not None
        done = {run.temperature: run.n_steps * run.timestep / 1000.0 for run in trajectories}
        hours = core_hours(trajectories, threads=load_settings().settings.threads)
        return policy.choose(
            diffusivities,
            temperatures=self.temperatures,
            tried=tried,
            temperature=self.conductivity_temperature,
            length=self.length,
            skipped=self.equilibration,
            length_policy=self.policy,
            done=done,
            hours_per_ps=hours / sum(done.values()) if done else 0.0,
            hours=hours,
        )

    def _choose(self, supercell: Structure, state: CandidateState) -> Outcome | Response[Outcome]:
        choice = self.choice(
            tried=state.tried,
            diffusivities=state.diffusivities,
            trajectories=state.trajectories,
        )
        state = state.after(
            Gate(
                name="ladder",
                passed=True,
                code=choice.code,
                message=choice.reason,
                numbers=choice.numbers,
            )
        )
        if not choice.temperatures:
            return self._conclude(state)
        rungs = [
            self.rung(supercell, state.candidate, temperature=temperature, length=choice.length)
            for temperature in choice.temperatures
        ]
        tried = {**state.tried, **self.asked_for(choice)}
        after = self.choose(
            supercell,
            **state.arguments(),
            tried=list(tried),
            lengths=list(tried.values()),
            diffusivities=[*state.diffusivities, *(estimate.output for _, estimate in rungs)],
            trajectories=[*state.trajectories, *(md.output for md, _ in rungs)],
        )
        return replaced_by([part for rung in rungs for part in rung], after)

    def rung(
        self,
        supercell: Structure,
        candidate: Candidate,
        *,
        temperature: float,
        length: float,
        suffix: str = "",
    ) -> list[Job]:
        """Return the jobs of one temperature: dynamics, and what they say.

        Parameters
        ----------
        temperature
            In K.
        length
            In ps.
        suffix
            Of the names of the jobs.
        """
        settings = self.settings_at(temperature, candidate=candidate)
        label = f"{temperature:g} K{suffix}"
        maker = replace(self.md, settings=settings, name=f"md {label}")
        md = maker.make(
            supercell,
            candidate_id=candidate.id,
            steps=self.steps(length),
            equilibration_steps=round(self.equilibration * 1000.0 / settings.timestep),
        )
        # A triage ends as it is, and of an adaptive ladder no run goes on by itself.
        goes_on = self.adaptive is None and length == self.length
        estimate = replace(
            self.diffusivity,
            name=f"diffusivity {label}",
            md=maker if goes_on else None,
            policy=self.policy if goes_on else None,
        ).make(md.output)
        return [md, estimate]

    def _conclude(self, state: CandidateState) -> Outcome | Response[Outcome]:
        outcome = state.concluded(
            temperature=self.conductivity_temperature,
            determined_within=self.determined_within,
            prefactor_spread=self.prefactor_spread,
        )
        if self.confirm is None or state.relaxed is None or not state.diffusivities:
            return outcome
        cells = [(None, self.supercell(state.relaxed.structure), state.diffusivities)]
        return self.confirm.start(outcome, cells, candidate=state.candidate, ladder=self)
