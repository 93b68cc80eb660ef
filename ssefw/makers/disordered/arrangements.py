"""What the arrangements of a disordered crystal have given, and the decisions made on them."""

from collections.abc import Sequence

from ssefw import analysis
from ssefw.documents import (
    Arrangement,
    Conductivity,
    Diffusivity,
    Gate,
    Ordering,
    Orderings,
    RelaxResult,
    Trajectory,
)
from ssefw.makers.disordered.adaptive_arrangements import ArrangementChoice
from ssefw.makers.gates import triage_gate
from ssefw.makers.ladder import LadderMaker

__all__ = ["arrangements_of", "choice_gate", "ordering_gate", "triage_of"]


def ordering_gate(found: Orderings) -> Gate:
    """Say what the ordered cells are, and what of the composition they changed."""
    changes = ", ".join(f"{e} {n:+.2f}" for e, n in found.changes.items() if abs(n) >= 0.005)
    return Gate(
        name="orderings",
        passed=True,
        code="ok",
        message="; ".join(
            [
                f"{len(found.orderings)} arrangements in a cell of {found.n_atoms} atoms, "
                f"{found.error:.2%} of the atoms changed" + (f" ({changes})" if changes else ""),
                *found.warnings,
            ]
        ),
        numbers={
            "n_arrangements": float(len(found.orderings)),
            "n_atoms": float(found.n_atoms),
            "composition_error": found.error,
        },
    )


def choice_gate(choice: ArrangementChoice) -> Gate:
    """Say what an adaptive ladder runs next, and why."""
    return Gate(
        name="ladder",
        passed=True,
        code=choice.code,
        message=choice.reason,
        numbers=choice.numbers,
    )


def triage_of(
    known: Sequence[Sequence[Diffusivity]], ladder: LadderMaker, alive: Sequence[int]
) -> Gate:
    """Return the gate of the arrangement that hopped most: one that passes is enough."""
    assert ladder.triage is not None
    found = [d for i in alive for d in known[i] if d.temperature == ladder.triage.temperature]
    if not found:
        return Gate(
            name="triage",
            passed=True,
            code="undetermined",
            message="no triage gave a diffusivity; the ladder will tell",
        )
    most = max(found, key=lambda diffusivity: diffusivity.n_hops)
    return triage_gate(most, min_hops=ladder.triage.min_hops)


def arrangements_of(
    orderings: Sequence[Ordering],
    relaxed: Sequence[RelaxResult | None],
    reasons: Sequence[str],
    known: Sequence[Sequence[Diffusivity]],
    runs: Sequence[Sequence[Trajectory]],
    *,
    temperature: float,
    prefactor_spread: float | None = None,
) -> list[Arrangement]:
    """Return what each arrangement gave, its conductivity at a temperature (K).

    Parameters
    ----------
    orderings
        The ordered cells.
    relaxed
        Of each; None where that failed.
    reasons
        Why each has no dynamics; empty where it has.
    known, runs
        Diffusivities and trajectories of each.
    temperature
        In K.
    prefactor_spread
        As for `conclude_candidate`.
    """
    energies = [result.energy_per_atom for result in relaxed if result is not None]
    made = []
    for ordering, result, reason, found, own in zip(
        orderings, relaxed, reasons, known, runs, strict=True
    ):
        fit = None
        if found:
            fit = analysis.fit_conductivity(
                found, temperature=temperature, prefactor_spread=prefactor_spread
            )
        made.append(
            Arrangement(
                ordering=ordering,
                reason=reason or _why_unfit(fit, own),
                relaxed=result,
                above_lowest=result.energy_per_atom - min(energies) if result else None,
                conductivity=fit,
                diffusivities=tuple(sorted(found, key=lambda d: d.temperature)),
                trajectory_keys=tuple(run.key for run in own),
            )
        )
    return made


def _why_unfit(fit: Conductivity | None, runs: Sequence[Trajectory]) -> str:
    if fit is not None:
        return ""
    return "no temperature gave a diffusivity" if runs else "not simulated: the ladder ended before"
