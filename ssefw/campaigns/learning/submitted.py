"""Crystals as they were submitted, from the jobs of their candidates."""

from collections.abc import Mapping
from typing import Any

from pymatgen.core import Structure

from ssefw.documents import Candidate
from ssefw.errors import DataError
from ssefw.store import Connection
from ssefw.store.decoding import decoded_record

__all__ = ["submitted_structure"]


def submitted_structure(connection: Connection, campaign: str, candidate_id: str) -> Structure:
    """Return the structure of a candidate, disordered where it was.

    Raises
    ------
    DataError
        If its jobs are not on the launch pad any more.
    """
    query = {"spec.campaign": campaign, "spec.candidate": candidate_id}
    for firework in connection.launchpad.fireworks.find(query, {"spec._tasks": True}):
        found = _candidate_in(firework["spec"].get("_tasks"))
        if found is not None:
            return found.structure
    raise DataError(
        f"The structure of candidate {candidate_id} is not on the launch pad any more; rank it "
        "with a system that needs the composition only."
    )


def _candidate_in(value: Any) -> Candidate | None:
    """Return the candidate among the arguments of a job."""
    if isinstance(value, Mapping):
        if value.get("@class") == "Candidate":
            found = decoded_record(dict(value))
            return found if isinstance(found, Candidate) else None
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for item in value if (found := _candidate_in(item))), None)
    return None
