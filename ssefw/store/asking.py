"""What somebody who asks for results means, and why there may be no answer."""

from dataclasses import replace

from ssefw.documents import LabelSet, Outcome
from ssefw.errors import StoreError
from ssefw.mistakes import shown
from ssefw.store.connection import Connection
from ssefw.store.lookup import (
    Named,
    candidate_ids,
    check_campaign,
    known_candidates,
    nearest,
    pick,
)
from ssefw.store.results.query import Ask

__all__ = ["understood", "why_nothing"]


def understood(connection: Connection, kind: str, ask: Ask) -> Ask:
    """Return a question with the ids of the candidate that it names by a word.

    Raises
    ------
    StoreError
        If there is no such campaign or candidate; the message has what is near.
    """
    # Labels may come from a campaign of another store.
    if ask.campaign is not None and kind != "labels":
        check_campaign(connection, ask.campaign)
    if not isinstance(ask.candidate, str):
        return ask
    return replace(ask, candidate=_ids(connection, kind, ask.candidate, ask.campaign))


def _ids(connection: Connection, kind: str, word: str, campaign: str | None) -> tuple[str, ...]:
    """Return the ids that a word means; of labels, also those that no campaign has."""
    try:
        return tuple(candidate_ids(connection, word, campaign=campaign))
    except StoreError:
        if kind != "labels":
            raise
        known = [
            Named(label.candidate_id, label.formula)
            for labels in connection.results.find(LabelSet)
            for label in labels.labels
        ]
        if not (found := pick(known, word)):
            raise
        return tuple(found)


def why_nothing(connection: Connection, kind: str, ask: Ask) -> str:
    """Return why no record is an answer, with what is near or still to come."""
    known = [] if kind == "labels" else list(known_candidates(connection, ask.campaign))
    if known and ask.formula and not pick(known, ask.formula):
        return f"There is no candidate {shown(ask.formula)}{nearest(known, ask.formula)}"
    if kind != "outcomes":
        return f"No {kind} fit."
    there = connection.results.count(Outcome, campaign=ask.campaign)
    if not there:
        return "There is no outcome yet. `ssefw status` shows how far the campaigns are."
    has_range = not (ask.min_sigma is ask.max_sigma is ask.min_ea is ask.max_ea is None)
    more = ""
    if has_range and ask.reading == "certain":
        more = " Only what is certain counts; --possible takes what is not excluded."
    return f"None of the {there} outcomes fits.{more}"
