"""What of a campaign is held, in words, and the command that lets it go on."""

import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from ssefw.campaigns.steering.holds import Hold
from ssefw.documents import CampaignRecord

__all__ = ["hold_line", "hold_record", "release_of", "worth_saying"]

SHOWN = 3

HELD = {
    "pause": "is paused",
    "cancel": "is cancelled",
    "budget": "is held by its budget",
    "loop": "computes a batch at a time",
}


def worth_saying(holds: Iterable[Hold], *, is_done: bool) -> Iterator[Hold]:
    """Yield the holds that somebody may want to lift: not the loop of a campaign that has ended."""
    return (item for item in holds if not (item.kind == "loop" and (is_done or item.is_over)))


def hold_line(item: Hold, record: CampaignRecord) -> str:
    """Return what is held, how, and what lets it go on."""
    formulas = {planned.candidate_id: planned.formula for planned in record.candidates}
    named = [f"{formulas.get(key, '?')} ({key})" for key in item.candidates[:SHOWN]]
    if len(item.candidates) > SHOWN:
        named.append(f"{len(item.candidates) - SHOWN} more")
    part = " of ".join(filter(None, [item.stage, ", ".join(named)])) or item.campaign
    reason = f": {item.reason}" if item.reason and item.kind != "loop" else ""
    return f"{part} {HELD[item.kind]}{reason} ({_remedy(item)})"


def hold_record(item: Hold, record: CampaignRecord) -> dict[str, Any]:
    """Return the same for programs."""
    formulas = {planned.candidate_id: planned.formula for planned in record.candidates}
    return {
        "kind": item.kind,
        "candidates": [
            {"candidate_id": key, "formula": formulas.get(key)} for key in item.candidates
        ],
        "stage": item.stage or None,
        "reason": item.reason,
        "release": release_of(item),
    }


def release_of(item: Hold) -> str:
    """Return the command that lets what is held go on."""
    words = ["ssefw", "resume", item.campaign]
    if item.kind == "budget":
        return "ssefw submit FILE"
    if item.kind == "loop":
        return shlex.join(words)
    for key in item.candidates:
        words += ["--candidate", key]
    if item.stage:
        words += ["--stage", item.stage]
    if item.kind == "cancel" and not (item.candidates or item.stage):
        words.append("--all")
    return shlex.join(words)


def _remedy(item: Hold) -> str:
    if item.kind == "budget":
        return "submit it again with a larger one"
    if item.kind == "loop":
        return "`ssefw resume` and `ssefw feedback next` release the next"
    verb = "takes that back" if item.kind == "cancel" else "goes on"
    return f"`{release_of(item)}` {verb}"
