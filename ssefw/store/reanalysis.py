"""Outcomes as a newer analysis of the same frames sees them.

`ssefw results build` keeps what it derives in a collection of its own. An outcome stays what its
campaign concluded; whoever learns from conductivities takes the newer one.
"""

from collections.abc import Mapping
from typing import Any

from monty.json import MontyDecoder

from ssefw.documents import Conductivity, Diffusivity, Outcome, OutcomeStatus

__all__ = ["ANALYSIS", "CONDUCTIVITIES", "newer_analyses", "reanalyzed", "version_of"]

CONDUCTIVITIES = "conductivities"
ANALYSIS = "analysis"
"""Under which an outcome's provenance says the version of its analysis."""

FIRST = "1"
"""The version of outcomes that say none."""

STATUS: dict[str, OutcomeStatus] = {
    "value": "determined",
    "upper_bound": "bound",
    "lower_bound": "bound",
    "undetermined": "undetermined",
}


def version_of(outcome: Outcome) -> str:
    """Return the version of the analysis that an outcome rests on."""
    return outcome.provenance.versions.get(ANALYSIS, FIRST)


def newer_analyses(database: Any) -> dict[str, dict[str, Any]]:
    """Return what was derived anew, by campaign and candidate, with a slash between."""
    return {record["key"]: record for record in database[CONDUCTIVITIES].find({})}


def reanalyzed(outcome: Outcome, derived: Mapping[str, Any]) -> Outcome:
    """Return an outcome with the conductivity of another version of the analysis, if it has one.

    One without dynamics, and one whose analysis is of the same version, stays as it is.
    """
    record = derived.get(f"{outcome.campaign}/{outcome.candidate_id}")
    if record is None or record["analysis_version"] == version_of(outcome):
        return outcome
    decoder = MontyDecoder()
    fit = decoder.process_decoded(record["conductivity"]) if record["conductivity"] else None
    points = decoder.process_decoded(record["diffusivities"])
    reasons = [problem["reason"] for problem in record["problems"]]
    if fit is not None:
        status, reason = STATUS[fit.conductivity.kind], fit.conductivity.reason
    else:
        status, reason = "undetermined", reasons[0] if reasons else "no temperature could be used"
    versions = {**outcome.provenance.versions, ANALYSIS: record["analysis_version"]}
    return outcome.model_copy(
        update={
            "status": status,
            "reason": reason,
            "conductivity": _checked(fit),
            "diffusivities": tuple(item for item in points if isinstance(item, Diffusivity)),
            "provenance": outcome.provenance.model_copy(update={"versions": versions}),
        }
    )


def _checked(fit: Any) -> Conductivity | None:
    return fit if isinstance(fit, Conductivity) else None
