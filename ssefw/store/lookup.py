"""Candidates by the words people have for them: id, formula, name, or the beginning of an id."""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ssefw.data.compositions import composition_id, parse_formula, spellings
from ssefw.documents import CampaignRecord, Outcome
from ssefw.errors import DataError, StoreError
from ssefw.mistakes import shown
from ssefw.store.connection import JOBS, Connection

__all__ = [
    "Named",
    "candidate_ids",
    "check_campaign",
    "known_candidates",
    "names_of",
    "nearest",
    "pick",
]

SUGGESTED = 3
LIKENESS = 0.6
"""Of difflib, below which two words have little in common; its own default."""
SHORTEST_PREFIX = 3
"""Characters of an id that may stand for all of it; fewer would hit by chance."""


@dataclass(frozen=True)
class Named:
    """A candidate with everything it is called."""

    candidate_id: str
    formula: str
    names: tuple[str, ...] = ()


def names_of(sources: Iterable[str]) -> tuple[str, ...]:
    """Return what people call a candidate, by what its entries in pools are called.

    ``pool/li2o.cif`` is also li2o.cif and li2o; ``Li10GeP2S12 (LGPS)`` is also each of the two.
    """
    found: dict[str, None] = {}
    for source in filter(None, sources):
        path = PurePath(source)
        outside, *within = re.split(r"[()]", source) if " (" in source else (source,)
        for name in (source, path.name, path.name.partition(".")[0], outside, *within):
            found[name.strip()] = None
    return tuple(name for name in found if name)


def pick(known: Iterable[Named], word: str) -> list[str]:
    """Return the ids of the candidates that a word means, best reading first; none if none.

    An id is meant before a formula, a formula in any spelling before a name, in upper or lower
    case, and a name before the beginning of an id.
    """
    everything = list(known)
    formulas, lower = set(spellings(word)), word.casefold()
    readings: tuple[Callable[[Named], bool], ...] = (
        lambda item: item.candidate_id == word,
        lambda item: item.formula in formulas,
        lambda item: any(name.casefold() == lower for name in item.names),
        lambda item: len(word) >= SHORTEST_PREFIX and item.candidate_id.startswith(word),
    )
    for is_meant in readings:
        if found := [item.candidate_id for item in everything if is_meant(item)]:
            return list(dict.fromkeys(found))
    return []


def candidate_ids(connection: Connection, word: str, *, campaign: str | None = None) -> list[str]:
    """Return the ids of the candidates that a word means, in a campaign or in all of a store.

    Raises
    ------
    StoreError
        If there is none; the message has what is near.
    """
    planned = list(_planned(connection, campaign))
    found = pick(planned, word)
    for where in ({"candidate_id": word}, {"formula": {"$in": list(spellings(word))}}):
        # Outcomes are looked up in an index, whatever their number.
        found += _of_outcomes(connection, where, campaign)
    if not found:
        known = [*planned, *_with_outcomes(connection, campaign)]
        found = pick(known, word)
    if not found:
        place = f"campaign {campaign!r}" if campaign else f"the store {connection.address}"
        raise StoreError(f"There is no candidate {shown(word)} in {place}{nearest(known, word)}")
    return list(dict.fromkeys(found))


def known_candidates(connection: Connection, campaign: str | None = None) -> Iterator[Named]:
    """Yield the candidates of campaigns, planned or with an outcome; some twice."""
    yield from _planned(connection, campaign)
    yield from _with_outcomes(connection, campaign)


def check_campaign(connection: Connection, campaign: str) -> None:
    """Refuse the name of a campaign of which the store knows nothing.

    Raises
    ------
    StoreError
        If there is none of this name; the message has those that are like it, or all.
    """
    jobs = connection.database[JOBS]
    if jobs.find_one({"metadata.campaign": campaign}, {"_id": True}) is not None:
        return
    records = jobs.find({"output.@class": CampaignRecord.__name__}, {"output.campaign": True})
    there = list(dict.fromkeys(record["output"]["campaign"] for record in records))
    if close := difflib.get_close_matches(campaign, there, n=1, cutoff=LIKENESS):
        said = f"Did you mean {close[0]!r}?"
    else:
        said = f"It holds {', '.join(there)}." if there else "It holds none yet."
    raise StoreError(f"The store {connection.address} has no campaign {shown(campaign)}. {said}")


def nearest(known: Iterable[Named], word: str) -> str:
    """Return the end of a message that something is not there: what is, and is like it."""
    everything = list(known)
    if not everything:
        return "; it has none yet."
    called: dict[str, str] = {}
    for item in everything:
        shown = f"{item.formula} ({item.candidate_id})"
        for name in (item.formula, *item.names, item.candidate_id):
            called.setdefault(name.casefold(), shown)
    close = [called[name] for name in difflib.get_close_matches(
        word.casefold(), called, n=2 * SUGGESTED, cutoff=LIKENESS)]  # fmt: skip
    close += [f"{item.formula} ({item.candidate_id})" for item in _same_elements(everything, word)]
    if near := list(dict.fromkeys(close))[:SUGGESTED]:
        return f". Did you mean {' or '.join(near)}?"
    formulas = list(dict.fromkeys(item.formula for item in everything))
    first = ", ".join(formulas[:SUGGESTED]) + (" ..." if len(formulas) > SUGGESTED else "")
    return f". It has {first}: give a formula, a name or an id; `ssefw results` lists them."


def _same_elements(known: Iterable[Named], word: str) -> Iterator[Named]:
    try:
        wanted = parse_formula(word)
    except DataError:
        return
    for item in known:
        try:
            composition = parse_formula(item.formula)
        except DataError:
            continue
        if composition_id(composition) == composition_id(wanted) or (
            composition.chemical_system == wanted.chemical_system
        ):
            yield item


def _of_outcomes(connection: Connection, where: dict[str, Any], campaign: str | None) -> list[str]:
    query: dict[str, Any] = {f"output.{name}": value for name, value in where.items()}
    query["output.@class"] = Outcome.__name__
    if campaign:
        query["metadata.campaign"] = campaign
    found = connection.database[JOBS].find(query, {"output.candidate_id": True})
    return list(dict.fromkeys(record["output"]["candidate_id"] for record in found))


def _planned(connection: Connection, campaign: str | None) -> Iterator[Named]:
    """Yield the candidates of campaigns as they were submitted."""
    for record in connection.results.find(CampaignRecord, campaign=campaign):
        for item in record.candidates:
            names = names_of((item.source, *item.aliases))
            yield Named(item.candidate_id, item.formula, names)


def _with_outcomes(connection: Connection, campaign: str | None) -> Iterator[Named]:
    query: dict[str, Any] = {"output.@class": Outcome.__name__}
    if campaign:
        query["metadata.campaign"] = campaign
    wanted = {"output.candidate_id": True, "output.formula": True}
    for record in connection.database[JOBS].find(query, wanted):
        yield Named(record["output"]["candidate_id"], record["output"]["formula"])
