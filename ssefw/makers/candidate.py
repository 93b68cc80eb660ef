"""Everything that is done with one candidate: the gates, relaxation and the ladder."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobflow import CURRENT_JOB, Flow, Job, Maker, Response, job

from ssefw.bvse import site_energy_barrier
from ssefw.documents import Barrier, Candidate, Gate, Outcome
from ssefw.engines import settings_hash
from ssefw.makers.failures import LENIENT, WATCHED, failures_recorded, recorded_failures
from ssefw.makers.gates import barrier_gate, failed
from ssefw.makers.ladder import LadderMaker
from ssefw.makers.outcome import conclude_candidate
from ssefw.makers.relax import RelaxMaker
from ssefw.makers.replacement import replaced_by
from ssefw.makers.site import computed_once

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

    @job(output_schema=Barrier, config=WATCHED)
    def make(self, candidate: Candidate) -> Barrier:
        """Return the barrier."""
        with failures_recorded():
            key = settings_hash("bvse", candidate.structure, self.specie, self.resolution)
            barrier = computed_once(key, Barrier, lambda: self._barrier(candidate))
            return barrier.model_copy(update={"candidate_id": candidate.id})

    def _barrier(self, candidate: Candidate) -> Barrier:
        return site_energy_barrier(candidate.structure, ion=self.specie, resolution=self.resolution)


@dataclass
class CandidateMaker(Maker):
    """Bring one candidate to its `Outcome`.

    Attributes
    ----------
    bvse
        The precheck, if any; a structure that it rejects is not relaxed.
    """

    relax: RelaxMaker
    ladder: LadderMaker
    bvse: BarrierMaker | None = None
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
            gates = [self._gate(barrier)]
            if failed(gates):
                campaign = CURRENT_JOB.job.metadata.get("campaign", "")
                return conclude_candidate(
                    candidate,
                    campaign=campaign,
                    temperature=self.ladder.conductivity_temperature,
                    gates=gates,
                    failures=recorded_failures(candidate=candidate.id, campaign=campaign),
                )
            *first, last = self._study(candidate, gates=gates)
            return replaced_by(first, last)

    def _gate(self, barrier: Barrier | None) -> Gate:
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
        ladder = self.ladder.make(relaxed.output, candidate=candidate, gates=list(gates))
        return [relaxed, ladder]
