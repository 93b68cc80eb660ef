"""The indices of the collection of job outputs, so that no question that is asked reads it all.

A folder looks up each field of a question and intersects what it finds, so that it has an index for
each; in a server one index answers, whose first fields are the record's class and one that is
asked for. The uuid ends each order: equal values have an order too, and pages do not overlap.
"""

from ssefw.store.query import RANGES, SORTS

__all__ = ["CLASS", "folder_indices", "server_indices"]

Fields = list[tuple[str, int]]

CLASS = "output.@class"
PLAIN = ("uuid", "index", "name")
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


def server_indices() -> list[Fields]:
    """Return the indices of a server: the class, then what is asked for or sorted by."""
    fields = [*FILTERED.values(), "conductivity.temperature", "temperature"]
    fields += [
        f"{field}.{end}"
        for kind in RECORDS
        for field in RANGES[kind]
        if field
        for end in ("value", "lower", "upper")
    ]
    fields += [field for kind in RECORDS for field, _ in SORTS[kind].values()]
    ordered = [_by(field) for field in dict.fromkeys(f"output.{field}" for field in fields)]
    # The formulas that there are, for questions by element.
    single: list[Fields] = [[(field, 1)] for field in (*PLAIN, "output.formula")]
    return [*single, OF_METADATA, [(CLASS, 1), ("metadata.candidate", 1)], *ordered]


def folder_indices() -> list[Fields]:
    """Return the indices of a folder: each field by itself, and the orders of outcomes."""
    sigma, energy = RANGES["outcomes"]
    fields = [*PLAIN, CLASS, "metadata.campaign", "metadata.candidate"]
    fields += [f"output.{field}" for field in FILTERED.values()]
    fields += [f"output.{sigma}.{end}" for end in ("value", "lower", "upper")]
    fields.append(f"output.{energy}.value")
    single: list[Fields] = [[(field, 1)] for field in fields]
    both = [f"output.{field}.value" for field in (sigma, energy)]
    ordered = [_by(field, direction) for field in both for direction in (-1, 1)]
    others = [SORTS["outcomes"][name] for name in ("formula", "cost")]
    ordered += [_by(f"output.{field}", direction) for field, direction in others]
    return [*single, OF_METADATA, *ordered]


def _by(field: str, direction: int = 1) -> Fields:
    return [(CLASS, 1), (field, direction), ("uuid", direction)]
