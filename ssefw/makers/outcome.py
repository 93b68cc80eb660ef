"""What became of a candidate, from whatever its jobs have left."""

from collections.abc import Sequence
from typing import Literal

from ssefw import analysis
from ssefw.documents import (
    DETERMINED_WITHIN,
    Barrier,
    Candidate,
    Conductivity,
    Cost,
    Diffusivity,
    Failure,
    Gate,
    Lesson,
    Outcome,
    OutcomeStatus,
    Provenance,
    RelaxResult,
    ThermalVolume,
    Trajectory,
)
from ssefw.makers.gates import failed
from ssefw.store.results.reanalysis import ANALYSIS, judged_value

__all__ = ["conclude_candidate", "core_hours", "with_search"]

SECONDS_PER_HOUR = 3600.0

PROTOCOL = "XRDMatch, 4 x 32 ps"
PROTOCOL_PICOSECONDS = 128.0
"""Four temperatures, each 2 ps of heating and 30 ps: the preset ``xrdmatch`` of VASP."""


def conclude_candidate(
    candidate: Candidate,
    *,
    campaign: str,
    temperature: float,
    gates: Sequence[Gate] = (),
    relaxed: RelaxResult | None = None,
    diffusivities: Sequence[Diffusivity] = (),
    trajectories: Sequence[Trajectory] = (),
    failures: Sequence[Failure] = (),
    barrier: Barrier | None = None,
    goal: Literal["conductivity", "barrier"] = "conductivity",
    threads: int = 1,
    conductivity: Conductivity | None = None,
    lesson: Lesson | None = None,
    determined_within: float = DETERMINED_WITHIN,
    prefactor_spread: float | None = None,
) -> Outcome:
    """Return the outcome, the conductivity at `temperature` (K) fitted where there are points.

    Parameters
    ----------
    barrier
        From NEB.
    goal
        What the campaign asks for; a barrier answers the question only where it is the goal.
    conductivity
        In the place of a fit to `diffusivities`, where these are not of one cell.
    lesson
        Of the potential that ran the dynamics.
    determined_within
        Decades that its interval may be wide to count as determined.
    prefactor_spread
        Of a prior on the prefactor; see `fit_conductivity`.
    """
    found = sorted(diffusivities, key=lambda diffusivity: diffusivity.temperature)
    if conductivity is None and found:
        conductivity = analysis.fit_conductivity(
            found, temperature=temperature, prefactor_spread=prefactor_spread
        )
    if goal == "barrier":
        status, reason = _judge_barrier(barrier, gates, failures)
    else:
        status, reason = _judge(conductivity, gates, failures, within=determined_within)
        if status == "bound" and found:
            reason = f"{reason}; {_where_hops_were_seen(found)}"
    return Outcome(
        candidate_id=candidate.id,
        formula=candidate.formula,
        campaign=campaign,
        status=status,
        reason=reason,
        conductivity=conductivity,
        barrier=barrier,
        diffusivities=tuple(found),
        gates=tuple(gates),
        failures=tuple(failures),
        relaxed=relaxed,
        trajectory_keys=tuple(trajectory.key for trajectory in trajectories),
        lesson=lesson,
        cost=_with_lesson(_cost(relaxed, trajectories, barrier, threads=threads), lesson),
        provenance=_analyzed(relaxed.provenance if relaxed else Provenance()),
    )


def _analyzed(provenance: Provenance) -> Provenance:
    versions = {**provenance.versions, ANALYSIS: analysis.ANALYSIS_VERSION}
    return provenance.model_copy(update={"versions": versions})


def _judge(
    conductivity: Conductivity | None,
    gates: Sequence[Gate],
    failures: Sequence[Failure],
    *,
    within: float,
) -> tuple[OutcomeStatus, str]:
    gate = failed(gates)
    if conductivity is None:
        if gate is not None:
            return "rejected", gate.message
        if failures:
            return "failed", f"{failures[0].stage}: {failures[0].message}"
        return "undetermined", "no temperature gave a diffusivity"
    sigma = conductivity.conductivity
    if sigma.kind == "value":
        return judged_value(sigma, within)
    if sigma.kind == "undetermined":
        return "undetermined", sigma.reason
    return "bound", gate.message if gate else sigma.reason


def _where_hops_were_seen(diffusivities: Sequence[Diffusivity]) -> str:
    """Return down to which temperature ions hopped often enough for a value; in order of T."""
    values = [d.temperature for d in diffusivities if d.tracer.kind == "value"]
    if values:
        return f"hops were seen down to {min(values):g} K"
    solid = [d.temperature for d in diffusivities if d.regime != "melted"]
    return f"no diffusion was seen up to {max(solid):g} K" if solid else "it melted"


def _judge_barrier(
    barrier: Barrier | None, gates: Sequence[Gate], failures: Sequence[Failure]
) -> tuple[OutcomeStatus, str]:
    if (gate := failed(gates)) is not None:
        return "rejected", gate.message
    if barrier is not None:
        easiest = barrier.barrier_1d
        return ("undetermined", easiest.reason) if easiest.value is None else ("determined", "")
    if failures:
        return "failed", f"{failures[0].stage}: {failures[0].message}"
    return "undetermined", "no hop gave a barrier"


def core_hours(trajectories: Sequence[Trajectory], *, threads: int) -> float:
    """Return what the dynamics of some trajectories took.

    Segments know their cores; `threads` is what those had that do not.
    """
    segments = [segment for run in trajectories for segment in run.segments]
    return sum(s.wall_time * (s.cores or threads) for s in segments) / SECONDS_PER_HOUR


def with_search(cost: Cost, volume: ThermalVolume | None) -> Cost:
    """Return a cost with that of the search for a volume at a temperature."""
    if volume is None:
        return cost
    return cost.model_copy(
        update={
            "wall_time": cost.wall_time + volume.wall_time,
            "core_hours": cost.core_hours + volume.core_hours,
            "md_steps": cost.md_steps + volume.md_steps,
        }
    )


def _with_lesson(cost: Cost, lesson: Lesson | None) -> Cost:
    if lesson is None:
        return cost
    cost = _with_lesson(cost, lesson.first)
    return cost.model_copy(
        update={
            "wall_time": cost.wall_time + lesson.wall_time,
            "core_hours": cost.core_hours + lesson.core_hours,
        }
    )


def _cost(
    relaxed: RelaxResult | None,
    trajectories: Sequence[Trajectory],
    barrier: Barrier | None,
    *,
    threads: int,
) -> Cost:
    # Relaxations and bands run where dynamics do.
    cores = max((s.cores or threads for run in trajectories for s in run.segments), default=threads)
    hours = core_hours(trajectories, threads=threads)
    before = relaxed.wall_time if relaxed else 0.0
    beside = barrier.wall_time if barrier else 0.0
    seconds = sum(segment.wall_time for run in trajectories for segment in run.segments)
    volume = relaxed.thermal if relaxed else None
    picoseconds = sum(run.n_steps * run.timestep for run in trajectories) / 1000.0
    relaxation = before * cores / SECONDS_PER_HOUR
    fixed = relaxation + hours / picoseconds * PROTOCOL_PICOSECONDS if picoseconds else None
    cost = Cost(
        wall_time=before + seconds + beside,
        core_hours=relaxation + hours + beside * cores / SECONDS_PER_HOUR,
        md_steps=sum(run.n_steps for run in trajectories),
        atom_steps=sum(run.n_steps * len(run.structure) for run in trajectories),
        protocol=PROTOCOL if fixed is not None else "",
        protocol_core_hours=fixed,
    )
    return with_search(cost, volume)
