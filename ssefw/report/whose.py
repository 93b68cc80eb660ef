"""Whose a record is: campaign, candidate, its name, formula, and its entries in the pool."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ssefw.documents import CampaignRecord, PlannedCandidate
from ssefw.report.wording import name_words
from ssefw.store import Connection
from ssefw.store.connection import JOBS
from ssefw.store.results.result_store import Found

__all__ = ["NOBODY", "WHOSE", "Owners", "Whose", "whose"]

WHOSE = ("campaign", "candidate_id", "name", "formula", "source")
"""Columns that every table of results begins with."""


@dataclass(frozen=True)
class Whose:
    """Campaign and candidate of a record; what is not known is empty.

    Attributes
    ----------
    name
        What people call the candidate beside its formula, such as LGPS or mp-30406.
    source
        Its entries in the pool: file, row or id, with those of its duplicates.
    """

    campaign: str = ""
    candidate_id: str = ""
    name: str = ""
    formula: str = ""
    source: str = ""

    def columns(self) -> dict[str, Any]:
        """Return the values by the name of the column."""
        return asdict(self)


NOBODY = Whose()


class Owners:
    """Tells whose the records of a store are; each campaign is read once, when it is asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, dict[str, Whose]] = {}

    def named(self, found: Iterable[Found[Any]]) -> Iterator[tuple[Any, Whose]]:
        """Yield the documents, each with whose it is."""
        for item in found:
            campaign = item.campaign or getattr(item.document, "campaign", "")
            candidate = item.candidate_id or getattr(item.document, "candidate_id", "")
            yield item.document, self.of(campaign, candidate)

    def of(self, campaign: str, candidate_id: str) -> Whose:
        """Return what is known of a candidate of a campaign."""
        if campaign and campaign not in self._known:
            self._known[campaign] = dict(self._planned(campaign))
        known = self._known.get(campaign, {})
        return known.get(candidate_id) or Whose(campaign=campaign, candidate_id=candidate_id)

    def _planned(self, campaign: str) -> Iterator[tuple[str, Whose]]:
        query = {"output.@class": CampaignRecord.__name__, "metadata.campaign": campaign}
        # As plain values: a campaign may have tens of thousands.
        for record in self._connection.database[JOBS].find(query, {"output.candidates": True}):
            for item in record["output"]["candidates"]:
                yield item["candidate_id"], _whose(campaign, item)


def whose(campaign: str, planned: PlannedCandidate) -> Whose:
    """Return what a candidate of a campaign is called."""
    return _whose(campaign, dict(planned))


def _whose(campaign: str, item: Mapping[str, Any]) -> Whose:
    sources = [item.get("source") or "", *(item.get("aliases") or ())]
    formula = item["formula"]
    return Whose(
        campaign=campaign,
        candidate_id=item["candidate_id"],
        name=next(filter(None, (name_words(formula, source) for source in sources)), ""),
        formula=formula,
        source="; ".join(filter(None, sources)),
    )
