"""Answers that no single record is: labels out of label sets, conductivities out of outcomes.

They are put together as they are read, by the same demands that the store makes of records.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import nlargest, nsmallest
from itertools import islice
from typing import Any

from mongomock.filtering import filter_applies

from ssefw.documents import FoundConductivity, Label, LabelSet, Outcome
from ssefw.errors import DataError
from ssefw.store.results.query import SORTS, Ask, lies_in, matching_formulas
from ssefw.store.results.reanalysis import version_of

__all__ = ["conductivities_of", "demands_of_outcomes", "fits", "labels_among", "ordered"]

ONLY_OF_LABELS = {"kind_of_label": None, "source": None}


def labels_among(sets: Iterable[LabelSet], ask: Ask) -> Iterator[Label]:
    """Yield the labels of sets that somebody asks for, each statement once.

    Raises
    ------
    DataError
        If labels do not have what is asked for.
    """
    if ask.status is not None or ask.gate is not None:
        raise DataError("Labels have no status and no gates; ask for outcomes.")
    plain = replace(ask, source=None, campaign=None)
    seen = set()
    for labels in sets:
        right = set(matching_formulas({label.formula for label in labels.labels}, ask))
        where = plain.where("labels", formulas=sorted(right) if ask.asks_composition else None)
        if ask.candidates:
            where["candidate_id"] = {"$in": list(ask.candidates)}
        for label in labels.labels:
            key = (label.row_id, label.formula, label.kind, str(label.conductivity))
            if key in seen or label.formula not in right:
                continue
            if _has_source(label, ask) and filter_applies(where, _plain(label, where)):
                seen.add(key)
                yield label


def _has_source(label: Label, ask: Ask) -> bool:
    said = (label.row_id, label.reference, *label.sources)
    if ask.campaign is not None and not any(x.startswith(f"{ask.campaign}/") for x in said):
        return False
    return ask.source is None or any(ask.source.lower() in text.lower() for text in said)


def _plain(document: Any, where: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a document that a filter looks at."""
    found: dict[str, Any] = document.model_dump(include=set(_fields(where)))
    return found


def _fields(where: dict[str, Any]) -> Iterator[str]:
    for name, demand in where.items():
        if name.startswith("$"):
            for part in demand:
                yield from _fields(part)
        else:
            yield name.partition(".")[0]


def demands_of_outcomes(ask: Ask) -> Ask:
    """Return what outcomes must have so that a conductivity of theirs can be an answer."""
    if ask.kind_of_label is not None or ask.source is not None:
        raise DataError("Conductivities have no kind or source of label; ask for labels.")
    if ask.temperature is None:
        return ask
    # At another temperature than that of the fit, its value says nothing.
    return replace(ask, temperature=None, min_sigma=None, max_sigma=None)


def fits(outcome: Outcome, where: dict[str, Any]) -> bool:
    """Return whether an outcome meets a filter on its fields, as the store would say."""
    return bool(filter_applies(where, _plain(outcome, where)))


def conductivities_of(outcome: Outcome, ask: Ask) -> Iterator[FoundConductivity]:
    """Yield the conductivities of an outcome in the range, at the temperature that is asked for."""
    fit = outcome.conductivity
    if fit is None:
        return
    rows = [(fit.temperature, fit.conductivity, False, True)]
    if ask.temperature is not None:
        rows += [(p.temperature, p.conductivity, True, p.is_used) for p in fit.points]
        rows = [row for row in rows if row[0] == ask.temperature][:1]
    for temperature, sigma, is_simulated, is_used in rows:
        if lies_in(sigma, ask.min_sigma, ask.max_sigma, reading=ask.reading):
            yield FoundConductivity(
                candidate_id=outcome.candidate_id,
                formula=outcome.formula,
                campaign=outcome.campaign,
                engine=outcome.provenance.engine,
                temperature=temperature,
                conductivity=sigma,
                activation_energy=fit.activation_energy,
                is_simulated=is_simulated,
                is_used=is_used,
                analysis_version=version_of(outcome),
                fit=fit,
            )


def ordered(
    found: Iterable[Any], kind: str, sort: str | None, *, reverse: bool, at_most: int | None = None
) -> list[Any]:
    """Return the first documents in an order of their kind; what has no value comes last.

    Of documents that are read as they are asked for, no more than `at_most` are held.

    Parameters
    ----------
    found
        The documents.
    kind
        What they are.
    sort
        The field they are sorted by; as they come without.
    reverse
        Largest first.
    at_most
        How many are wanted.
    """
    if sort is None:
        return list(islice(found, at_most))
    field, direction = SORTS[kind][sort]
    downwards = (direction < 0) != reverse
    nothing: list[Any] = []

    def value(item: Any) -> Any:
        for name in field.split("."):
            item = getattr(item, name, None)
        return item

    def known() -> Iterator[Any]:
        for item in found:
            if value(item) is not None:
                yield item
            elif at_most is None or len(nothing) < at_most:
                nothing.append(item)

    if at_most is None:
        return sorted(known(), key=value, reverse=downwards) + nothing
    first = nlargest if downwards else nsmallest
    return (first(at_most, known(), key=value) + nothing)[:at_most]
