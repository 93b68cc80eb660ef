"""Everything that is done with one candidate: the gates, relaxation, bands and the ladder."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobflow import Flow, Job, Maker, Response, job

from ssefw import bvse
from ssefw.documents import Barrier, Candidate, Gate, Outcome, RelaxResult
from ssefw.engines import settings_hash
from ssefw.errors import ConfigurationError
from ssefw.makers.failures import LENIENT, WATCHED, failures_recorded
from ssefw.makers.gates import barrier_gate, neb_gate
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.neb import NebMaker
from ssefw.makers.relax import RelaxMaker
from ssefw.makers.replacement import replaced_by
from ssefw.makers.site import computed_once
from ssefw.makers.state import CandidateState

__all__ = ["BarrierMaker", "CandidateMaker"]


@dataclass
class BarrierMaker(Maker):
    """Find the bond-valence barrier of a candidate, and what is the most it may be.

    Attributes
    ----------
    max_barrier
        Highest barrier of the easiest path that goes on, eV.
    resolution
        Spacing of the energy grid, angstrom.
    """

    max_barrier: float = 0.6
    resolution: float = 0.2
    specie: str = "Li"
    name: str = "bvse"

    def key(self, candidate: Candidate) -> str:
        """Return the key of a candidate's barrier, which is computed once."""
        return settings_hash("bvse", candidate.structure, self.specie, self.resolution)

    @job(output_schema=Barrier, config=WATCHED)
    def make(self, candidate: Candidate) -> Barrier:
        """Return the barrier."""
        with failures_recorded():
            key = self.key(candidate)
            barrier = computed_once(key, Barrier, lambda: self._barrier(candidate))
            return barrier.model_copy(update={"candidate_id": candidate.id})

    def _barrier(self, candidate: Candidate) -> Barrier:
        return bvse.site_energy_barrier(
            candidate.structure, ion=self.specie, resolution=self.resolution
        )


@dataclass
class CandidateMaker(Maker):
    """Bring one candidate to its `Outcome`.

    Attributes
    ----------
    bvse
        The precheck, if any; a structure that it rejects is not relaxed.
    neb
        Barriers of hops, if any, before dynamics.
    ladder
        Dynamics; without it the barrier is all that is asked for.
    """

    relax: RelaxMaker
    ladder: LadderMaker | None = None
    bvse: BarrierMaker | None = None
    neb: NebMaker | None = None
    max_volume_change: float = 0.3
    max_force: float = 0.5
    name: str = "candidate"

    def make(self, candidate: Candidate) -> Flow:
        """Return the graph; its output is the outcome."""
        if self.bvse is None:
            jobs = self._study(candidate, gates=())
        else:
            barrier = self.bvse.make(candidate)
            jobs = [barrier, self.check(candidate, barrier=barrier.output)]
        return Flow([*jobs], output=jobs[-1].output, name=candidate.formula)

    @job(output_schema=Outcome, config=LENIENT)
    def check(
        self, candidate: Candidate, *, barrier: Barrier | None
    ) -> Outcome | Response[Outcome]:
        """Go on when the barrier is low enough, or when it could not be calculated."""
        with failures_recorded():
            state = CandidateState(candidate).after(self.gate(barrier))
            if state.is_rejected:
                return self._conclude(state)
            *first, last = self._study(candidate, gates=state.gates)
            return replaced_by(first, last)

    @job(output_schema=Outcome, config=LENIENT)
    def find_barrier(
        self, relaxed: RelaxResult | None, *, candidate: Candidate, gates: Sequence[Gate]
    ) -> Outcome | Response[Outcome]:
        """Go on to the bands of a structure that stayed itself when it was relaxed."""
        with failures_recorded():
            state = CandidateState(candidate, relaxed, gates=tuple(gates))
            state = state.checked(
                max_volume_change=self.max_volume_change, max_force=self.max_force
            )
            if relaxed is None or self.neb is None or state.is_rejected:
                return self._conclude(state)
            bands = self.neb.jobs(relaxed, candidate=candidate)
            after = self.after_bands(
                bands[-1].output,
                candidate=candidate,
                relaxed=relaxed,
                gates=list(state.gates),
            )
            return replaced_by(bands, after)

    @job(output_schema=Outcome, config=LENIENT)
    def after_bands(
        self,
        barrier: Barrier | None,
        *,
        candidate: Candidate,
        relaxed: RelaxResult,
        gates: Sequence[Gate],
    ) -> Outcome | Response[Outcome]:
        """Go on to dynamics, where these are asked for and the barrier is low enough.

        Parameters
        ----------
        barrier
            Of the bands; None where they failed.
        candidate
            What is studied.
        relaxed
            Its structure.
        gates
            That it has passed.
        """
        with failures_recorded():
            state = CandidateState(candidate, relaxed, gates=tuple(gates), barrier=barrier)
            limit = self.neb.max_barrier if self.neb else None
            if barrier is not None and limit is not None:
                state = state.after(neb_gate(barrier, max_barrier=limit))
            if self.ladder is None or state.is_rejected:
                return self._conclude(state)
            return self.ladder.start(state)

    def gate(self, barrier: Barrier | None) -> Gate:
        """Return the gate of the precheck; a barrier that is not known passes."""
        if self.bvse is None or barrier is None:
            return Gate(
                name="bvse",
                passed=True,
                code="undetermined",
                message="the bond-valence barrier could not be calculated; dynamics will tell",
            )
        return barrier_gate(barrier, max_barrier=self.bvse.max_barrier)

    def _study(self, candidate: Candidate, *, gates: Sequence[Gate]) -> list[Job]:
        relaxed = self.relax.make(candidate.structure)
        if self.neb is not None:
            end = self.find_barrier(relaxed.output, candidate=candidate, gates=list(gates))
        elif self.ladder is not None:
            end = self.ladder.make(
                relaxed.output, candidate=candidate, gates=list(gates), barrier=None, lesson=None
            )
        else:
            raise ConfigurationError("A candidate needs dynamics, bands, or both.")
        return [relaxed, end]

    def _conclude(self, state: CandidateState) -> Outcome:
        return state.concluded(
            temperature=self.ladder.conductivity_temperature if self.ladder else 300.0,
            goal="conductivity" if self.ladder else "barrier",
        )
