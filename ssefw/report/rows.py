"""One line for each candidate: what tables, files and the report show of an outcome."""

from collections.abc import Iterable
from typing import Any

from ssefw.documents import OUTCOME_STATUSES, Barrier, Estimate, Label, Outcome
from ssefw.report.lessons import lesson_words
from ssefw.store.results.arrangements import arrangement_of_runs

__all__ = ["CSV_COLUMNS", "flat", "label_record", "levels", "rank_outcomes", "summary"]

CSV_COLUMNS = (
    "campaign",
    "candidate_id",
    "name",
    "formula",
    "source",
    "status",
    "temperature_k",
    "sigma_kind",
    "sigma_s_per_cm",
    "sigma_lower_s_per_cm",
    "sigma_upper_s_per_cm",
    "sigma_level",
    "activation_energy_ev",
    "activation_energy_lower_ev",
    "activation_energy_upper_ev",
    "neb_barrier_1d_ev",
    "neb_barrier_2d_ev",
    "neb_barrier_3d_ev",
    "core_hours",
    "reason",
)


def sigma(outcome: Outcome) -> Estimate | None:
    """Return the conductivity of an outcome, if it came to one."""
    return outcome.conductivity.conductivity if outcome.conductivity else None


def rank_outcomes(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the best conductors first, then bounds from high to low, then what has no number."""

    def key(outcome: Outcome) -> tuple[int, float, str]:
        estimate = sigma(outcome)
        number = 0.0
        if estimate is not None:
            number = next((x for x in (estimate.value, estimate.upper, estimate.lower) if x), 0.0)
        return OUTCOME_STATUSES.index(outcome.status), -number, outcome.formula

    return sorted(outcomes, key=key)


def summary(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome without its curves, for programs."""
    # It takes scipy, which a server is not to wait for when it starts.
    from ssefw.data.labels.experiment import expected_in_experiment  # noqa: PLC0415

    conductivity, expected = outcome.conductivity, expected_in_experiment(outcome)
    places = arrangement_of_runs(outcome)
    return {
        "campaign": outcome.campaign,
        "candidate_id": outcome.candidate_id,
        "formula": outcome.formula,
        "status": outcome.status,
        "reason": outcome.reason,
        "temperature_k": conductivity.temperature if conductivity else None,
        "sigma_s_per_cm": _estimate(sigma(outcome)),
        "sigma_of_straight_line_s_per_cm": _estimate(
            conductivity.statistics if conductivity else None
        ),
        "sigma_collective_s_per_cm": _estimate(conductivity.collective if conductivity else None),
        "sigma_expected_in_experiment_s_per_cm": _estimate(
            expected.conductivity if expected else None
        ),
        "expectation": expected.basis if expected else None,
        "haven_ratio": _estimate(conductivity.haven if conductivity else None),
        "extrapolation": conductivity.extrapolation if conductivity else None,
        "activation_energy_ev": _estimate(conductivity.activation_energy if conductivity else None),
        "barrier_ev": _barrier(outcome.barrier),
        "volume": _volume(outcome),
        "confirmations": [
            {
                "temperature_k": look.temperature,
                "engine": look.engine,
                "n_atoms": look.n_atoms,
                "n_atoms_before": look.n_atoms_before,
                "arrangement": look.arrangement,
                "diffusivity_cm2_per_s": _estimate(
                    look.diffusivity.tracer if look.diffusivity else None
                ),
                "ratio": _estimate(look.ratio),
                "agrees": look.agrees,
            }
            for look in outcome.confirmations
        ],
        "diffusivities": [
            {
                "temperature_k": point.temperature,
                "arrangement": places.get(point.trajectory_key),
                "regime": point.regime,
                "diffusivity_cm2_per_s": _estimate(point.tracer),
                "duration_ps": point.duration,
                "n_hops": point.n_hops,
                "mean_temperature_k": point.mean_temperature,
                "warnings": list(point.warnings),
            }
            for point in outcome.diffusivities
        ],
        "arrangements": [
            {
                "index": item.ordering.index,
                "above_lowest_ev_per_atom": item.above_lowest,
                "electrostatic_above_lowest_ev_per_atom": item.ordering.above_lowest,
                "sigma_s_per_cm": _estimate(
                    item.conductivity.conductivity if item.conductivity else None
                ),
                "reason": item.reason,
            }
            for item in outcome.arrangements
        ],
        "arrangement_spread_decades": _estimate(outcome.arrangement_spread),
        "gates": [gate.model_dump(mode="json") for gate in outcome.gates],
        "failures": [failure.model_dump(mode="json") for failure in outcome.failures],
        "warnings": list(outcome.warnings),
        "lesson": outcome.lesson.model_dump(mode="json") if outcome.lesson else None,
        "taught": lesson_words(outcome.lesson, md_steps=outcome.cost.md_steps),
        "cost": outcome.cost.model_dump(mode="json"),
    }


def _volume(outcome: Outcome) -> dict[str, Any] | None:
    """Return the volume that was simulated, by how it differs from the structures before it."""
    if (relaxed := outcome.relaxed) is None:
        return None
    thermal = relaxed.thermal
    return {
        "angstrom3_per_atom": relaxed.structure.volume / len(relaxed.structure),
        "change_on_relaxation": relaxed.volume_change,
        "temperature_k": thermal.temperature if thermal else None,
        "expansion": _estimate(thermal.expansion if thermal else None),
    }


def label_record(label: Label) -> dict[str, Any]:
    """Return a label for programs, without its structure."""
    return {
        "candidate_id": label.candidate_id,
        "name": label.row_id,
        "formula": label.formula,
        "kind": label.kind,
        "level_of_theory": label.level_of_theory,
        "quantity": label.quantity,
        "temperature_k": label.temperature,
        "lowest_temperature_k": label.lowest_temperature,
        "sigma_s_per_cm": _estimate(label.conductivity),
        "sigma_as_computed_s_per_cm": _estimate(label.as_computed),
        "n_reports": label.n_reports,
        "cluster": label.group,
        "reference": label.reference,
        "sources": list(label.sources),
        "has_structure": label.structure is not None,
    }


def flat(outcome: Outcome, *, name: str = "", source: str = "") -> dict[str, Any]:
    """Return one row of a table whose columns are `CSV_COLUMNS`.

    Parameters
    ----------
    name, source
        What the candidate is called, and its entries in the pool.
    """
    found = summary(outcome) | {"name": name, "source": source}
    conductivity = found["sigma_s_per_cm"] or {}
    energy = found["activation_energy_ev"] or {}
    return {
        **{column: found[column] for column in CSV_COLUMNS[:7]},
        "sigma_kind": conductivity.get("kind"),
        "sigma_s_per_cm": conductivity.get("value"),
        "sigma_lower_s_per_cm": conductivity.get("lower"),
        "sigma_upper_s_per_cm": conductivity.get("upper"),
        "sigma_level": conductivity.get("level"),
        "activation_energy_ev": energy.get("value"),
        "activation_energy_lower_ev": energy.get("lower"),
        "activation_energy_upper_ev": energy.get("upper"),
        "neb_barrier_1d_ev": _level(outcome.barrier, 1),
        "neb_barrier_2d_ev": _level(outcome.barrier, 2),
        "neb_barrier_3d_ev": _level(outcome.barrier, 3),
        "core_hours": outcome.cost.core_hours,
        "reason": outcome.reason,
    }


def levels(barrier: Barrier) -> tuple[Estimate, Estimate, Estimate]:
    """Return the barriers of crossing in one, two and three dimensions."""
    return barrier.barrier_1d, barrier.barrier_2d, barrier.barrier_3d


def _level(barrier: Barrier | None, dimension: int) -> float | None:
    return None if barrier is None else levels(barrier)[dimension - 1].value


def _barrier(barrier: Barrier | None) -> dict[str, Any] | None:
    if barrier is None:
        return None
    found = {f"{k}d": _estimate(level) for k, level in enumerate(levels(barrier), start=1)}
    bands = [
        {
            "hop_angstrom": band.hop.length if band.hop else None,
            "n_equivalent": band.hop.n_equivalent if band.hop else None,
            "status": band.status,
            "reason": band.reason,
            "forward_ev": band.forward,
            "reverse_ev": band.reverse,
        }
        for band in barrier.bands
    ]
    return {**found, "bands": bands, "warnings": list(barrier.warnings)}


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimate.plain()
