"""Outcomes as a newer analysis of the same frames sees them.

`ssefw results build` keeps what it derives in a collection of its own. An outcome stays what its
campaign concluded; whoever learns from conductivities takes the newer one.
"""

from collections.abc import Mapping
from typing import Any

from ssefw.documents import (
    DETERMINED_WITHIN,
    Barrier,
    Conductivity,
    Diffusivity,
    Estimate,
    Outcome,
    OutcomeStatus,
)
from ssefw.store.decoding import decoded_record

__all__ = [
    "ANALYSIS",
    "BARRIERS",
    "CONDUCTIVITIES",
    "judged_value",
    "newer_analyses",
    "reanalyzed",
    "version_of",
]

CONDUCTIVITIES, BARRIERS = "conductivities", "barriers"
ANALYSIS = "analysis"
"""Under which an outcome's provenance says the version of its analysis."""

FIRST = "1"
"""The version of outcomes that say none."""

BELOW_VALUES: dict[str, OutcomeStatus] = {
    "upper_bound": "bound",
    "lower_bound": "bound",
    "undetermined": "undetermined",
}


def judged_value(sigma: Estimate, within: float = DETERMINED_WITHIN) -> tuple[OutcomeStatus, str]:
    """Return whether a conductivity counts as determined, and why it does not.

    Its interval may be `within` decades wide.
    """
    width = sigma.decades
    if width is None or width <= within:
        return "determined", ""
    return "indicative", f"the interval is {width:.2g} decades wide, more than {within:g}"


def version_of(outcome: Outcome) -> str:
    """Return the version of the analysis that an outcome rests on."""
    return outcome.provenance.versions.get(ANALYSIS, FIRST)


def newer_analyses(database: Any) -> dict[str, dict[str, Any]]:
    """Return what was derived anew, by its key.

    That is campaign/candidate of a conductivity, candidate/ion/method of a barrier.
    """
    return {
        record["key"]: record for name in (CONDUCTIVITIES, BARRIERS) for record in
        database[name].find({})
    }  # fmt: skip


def reanalyzed(outcome: Outcome, derived: Mapping[str, Any]) -> Outcome:
    """Return an outcome with what another version of the analysis says of it, if there is any.

    One whose analysis is of the same version stays as it is.
    """
    if outcome.conductivity is None and outcome.barrier is not None:
        return _with_barrier(outcome, outcome.barrier, derived)
    record = derived.get(f"{outcome.campaign}/{outcome.candidate_id}")
    if record is None or record["analysis_version"] == version_of(outcome):
        return outcome
    own = record.get("arrangements") or {}
    if outcome.arrangements and not own:
        return outcome  # of a version that made one line of all its runs
    fit = decoded_record(record["conductivity"]) if record["conductivity"] else None
    points = decoded_record(record["diffusivities"])
    reasons = [problem["reason"] for problem in record["problems"]]
    if fit is not None:
        sigma = fit.conductivity
        if sigma.kind == "value":
            status, reason = judged_value(sigma)
        else:
            status, reason = BELOW_VALUES[sigma.kind], sigma.reason
    else:
        status, reason = "undetermined", reasons[0] if reasons else "no temperature could be used"
    versions = {**outcome.provenance.versions, ANALYSIS: record["analysis_version"]}
    return outcome.model_copy(
        update={
            "status": status,
            "reason": reason,
            "conductivity": _checked(fit),
            "diffusivities": tuple(item for item in points if isinstance(item, Diffusivity)),
            **_of_arrangements(outcome, record),
            "provenance": outcome.provenance.model_copy(update={"versions": versions}),
        }
    )


def _of_arrangements(outcome: Outcome, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changes of the arrangements of a disordered crystal."""
    if not outcome.arrangements:
        return {}
    points = [p for p in decoded_record(record["diffusivities"]) if isinstance(p, Diffusivity)]
    fits = {int(index): decoded_record(fit) for index, fit in record["arrangements"].items()}
    arrangements = []
    for item in outcome.arrangements:
        fit = _checked(fits.get(item.ordering.index))
        own = tuple(p for p in points if p.trajectory_key in item.trajectory_keys)
        arrangements.append(item.model_copy(update={"conductivity": fit, "diffusivities": own}))
    spread = record["arrangement_spread"]
    return {
        "arrangements": tuple(arrangements),
        "arrangement_spread": decoded_record(spread) if spread else None,
    }


def _with_barrier(outcome: Outcome, barrier: Barrier, derived: Mapping[str, Any]) -> Outcome:
    record = derived.get(f"{outcome.candidate_id}/{barrier.specie}/{barrier.method}")
    if record is None or record["analysis_version"] == version_of(outcome):
        return outcome
    found = decoded_record(record["barrier"])
    versions = {**outcome.provenance.versions, ANALYSIS: record["analysis_version"]}
    provenance = outcome.provenance.model_copy(update={"versions": versions})
    return outcome.model_copy(update={"barrier": found, "provenance": provenance})


def _checked(fit: Any) -> Conductivity | None:
    return fit if isinstance(fit, Conductivity) else None
