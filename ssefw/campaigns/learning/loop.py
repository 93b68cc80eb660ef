"""The closed loop of a campaign: rank, compute a batch, learn, rank again, until a rule ends it.

All candidates are on the launch pad from the start, those whose turn has not come with a negative
priority, which one hold keeps from running. To let a candidate run is to give it a positive one.
There is no other state: whoever dies at any moment, `advance` finds in the store which candidates
run, which are concluded, and which wait.
"""

from dataclasses import dataclass
from typing import Any

from ssefw.campaigns.file import FeedbackSpec, campaign_of
from ssefw.campaigns.learning.acquisition import NextCandidate, acquisition_order, expected_hits
from ssefw.campaigns.learning.models import feedback_of
from ssefw.campaigns.learning.rerank import Reranked, rerank
from ssefw.campaigns.steering.budget import hold_if_spent
from ssefw.campaigns.steering.control import Part, set_priority
from ssefw.campaigns.steering.holds import Hold, end_loop, hold, holds
from ssefw.data.labels.sets import class_of
from ssefw.documents import CampaignRecord, Outcome
from ssefw.store import Connection

__all__ = ["Turn", "advance", "begin_loop", "is_loop", "outlook"]

WAIT = "their turn has not come"

OPEN = ["READY", "RUNNING", "RESERVED"]


@dataclass(frozen=True)
class Turn:
    """What came of looking whether the loop goes on.

    Attributes
    ----------
    released
        Candidates that may run now.
    is_over
        Whether no further batch will come.
    hits
        Outcomes so far whose conductivity is at or above the threshold.
    reason
        What was done and why, in a sentence.
    """

    released: tuple[NextCandidate, ...]
    is_over: bool
    hits: int
    reason: str
    reranked: Reranked | None = None


def is_loop(record: CampaignRecord) -> bool:
    """Whether a campaign computes its candidates in batches."""
    return feedback_of(record).batch is not None


def begin_loop(connection: Connection, campaign: str) -> None:
    """Keep the candidates of a loop from running before their turn; call it before adding them."""
    hold(connection, Hold(campaign, "loop", below=0, reason=WAIT))


def advance(connection: Connection, record: CampaignRecord) -> Turn:
    """Let the next batch run if the one before is done and no rule ends the loop.

    Raises
    ------
    DataError
        If the labels cannot train the system.
    """
    spec = feedback_of(record)
    hits = _hits(connection, record, spec.threshold)

    def turn(reason: str, *, is_over: bool, done: Reranked | None = None) -> Turn:
        said = f"The loop ends: {reason}." if is_over else reason
        end_loop(connection, record.campaign, reason=reason if is_over else WAIT, is_over=is_over)
        return Turn(released=(), is_over=is_over, hits=hits, reason=said, reranked=done)

    if spec.batch is None:
        return turn("the campaign's block feedback has no batch", is_over=True)
    waiting, running = _open_candidates(connection, record.campaign)
    if running:
        return turn(f"{len(running)} candidates of the batch are not done yet.", is_over=False)
    done = rerank(connection, record, feedback=spec)
    if reason := _ends(connection, record, spec, hits=hits, n_waiting=len(waiting)):
        return turn(reason, is_over=True, done=done)
    choices = acquisition_order(
        [entry for entry in done.ranking.entries if entry.candidate_id in waiting],
        core_hours={item.candidate_id: item.core_hours for item in record.candidates},
        exploration=spec.exploration,
        per_framework=spec.per_framework,
        specie=campaign_of(record).specie,
    )[: spec.batch]
    hope = expected_hits(choices)
    if not choices:
        return turn("no candidate that waits can be scored", is_over=True, done=done)
    if spec.min_expected is not None and hope < spec.min_expected:
        reason = f"the next {len(choices)} hold {hope:.2g} hits, fewer than {spec.min_expected:g}"
        return turn(reason, is_over=True, done=done)
    end_loop(connection, record.campaign, reason=WAIT, is_over=False)
    for place, choice in enumerate(choices):
        part = Part(record.campaign, (choice.candidate_id,))
        set_priority(connection, part, len(choices) - place)
    names = ", ".join(map(str, choices))
    return Turn(
        released=tuple(choices),
        is_over=False,
        hits=hits,
        reason=f"{hits} hits so far; next {names} ({hope:.2g} hits expected).",
        reranked=done,
    )


def outlook(connection: Connection, record: CampaignRecord) -> str:
    """Return what `advance` would do, in words; no model is fitted and nothing is changed."""
    spec = feedback_of(record)
    if spec.batch is None:
        return "The loop would end: the campaign's block feedback has no batch."
    waiting, running = _open_candidates(connection, record.campaign)
    if running:
        return f"{len(running)} candidates of the batch are not done yet."
    hits = _hits(connection, record, spec.threshold)
    if reason := _ends(connection, record, spec, hits=hits, n_waiting=len(waiting)):
        return f"The loop would end: {reason}."
    return (
        f"{hits} hits so far; the outcomes would be learned from and "
        f"{min(spec.batch, len(waiting))} of {len(waiting)} candidates that wait be chosen."
    )


def _open_candidates(connection: Connection, campaign: str) -> tuple[set[str], set[str]]:
    """Return the candidates that wait for their turn, and those that have it and are not done."""
    waiting: set[str] = set()
    running: set[str] = set()
    query: dict[str, Any] = {"spec.campaign": campaign, "state": {"$in": OPEN}}
    cancelled = [item.query for item in holds(connection, campaign) if item.kind == "cancel"]
    if cancelled:
        query["$nor"] = cancelled
    wanted = {"spec.candidate": True, "spec._priority": True}
    for firework in connection.launchpad.fireworks.find(query, wanted):
        spec = firework["spec"]
        (waiting if spec.get("_priority", 0) < 0 else running).add(spec["candidate"])
    return waiting - running, running


def _hits(connection: Connection, record: CampaignRecord, threshold: float) -> int:
    return sum(
        outcome.conductivity is not None
        and class_of(outcome.conductivity.conductivity, threshold=threshold) == 1
        for outcome in connection.results.find(Outcome, campaign=record.campaign)
    )


def _ends(
    connection: Connection, record: CampaignRecord, spec: FeedbackSpec, *, hits: int, n_waiting: int
) -> str:
    if not n_waiting:
        return "no candidate is left"
    if spec.target is not None and hits >= spec.target:
        return f"{hits} hits are found, {spec.target} were asked for"
    return hold_if_spent(connection, record)[0]
