"""The indices of the collection of job outputs, so that no question that is asked reads it all.

Each begins with the record's class, goes on with a field that is asked for or sorted by, and ends
with the uuid: equal values have an order too, and pages do not overlap. One such index answers a
range or an order of its field, in a folder as on a MongoDB server.
"""

from ssefw.store.results.query import RANGES, SORTS

__all__ = ["CLASS", "job_indices"]

Fields = list[tuple[str, int]]

CLASS = "output.@class"
OUTPUTS: Fields = [("uuid", 1), ("index", 1)]
"""What jobflow, and the newest output of a job, are looked up by."""

RECORDS = ("outcomes", "trajectories", "diffusivities", "barriers")
"""Kinds that are records; others are put together from these."""

OF_METADATA: Fields = [(CLASS, 1), ("metadata.campaign", 1), ("metadata.candidate", 1)]
FILTERED = {
    "formula": "formula",
    "status": "status",
    "gate": "gates.code",
    "engine": "provenance.engine",
}
"""What outcomes, and mostly others too, are asked by; the option and the field."""


def job_indices() -> list[Fields]:
    """Return the indices: the class, then what is asked for or sorted by."""
    fields = [*FILTERED.values(), "conductivity.temperature", "temperature"]
    fields += [
        f"{field}.{end}"
        for kind in RECORDS
        for field in RANGES[kind]
        if field
        for end in ("value", "lower", "upper")
    ]
    fields += [field for kind in RECORDS for field, _ in SORTS[kind].values()]
    ordered: list[Fields] = [
        [(CLASS, 1), (f"output.{field}", 1), ("uuid", 1)] for field in dict.fromkeys(fields)
    ]
    # The formulas that there are, for questions by element.
    formulas: Fields = [("output.formula", 1)]
    of_candidate: Fields = [(CLASS, 1), ("metadata.candidate", 1)]
    return [OUTPUTS, formulas, OF_METADATA, of_candidate, *ordered]
