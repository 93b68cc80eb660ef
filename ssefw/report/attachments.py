"""Files that a page carries within itself, so that one file is all there is to send."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from ssefw.documents import CampaignRecord, Outcome
from ssefw.report.tables import write_csv
from ssefw.report.whose import NOBODY, whose

__all__ = ["Attachment", "campaign_file", "relaxed_cell", "table_of"]


@dataclass(frozen=True)
class Attachment:
    """A file as a link to itself.

    Attributes
    ----------
    name
        Under which a browser saves it.
    """

    name: str
    kind: str
    text: str

    @property
    def address(self) -> str:
        """The content as an address."""
        content = base64.b64encode(self.text.encode()).decode()
        return f"data:{self.kind};charset=utf-8;base64,{content}"


def relaxed_cell(outcome: Outcome) -> Attachment | None:
    """Return the relaxed cell of a candidate as a CIF; None if it has none."""
    if outcome.relaxed is None:
        return None
    name = f"{outcome.formula}-{outcome.candidate_id[:8]}.cif".replace("/", "-")
    return Attachment(name, "chemical/x-cif", outcome.relaxed.structure.to(fmt="cif"))


def table_of(record: CampaignRecord, outcomes: Sequence[Outcome]) -> Attachment:
    """Return the outcomes of a campaign as CSV."""
    owners = {item.candidate_id: whose(record.campaign, item) for item in record.candidates}
    rows = ((item, owners.get(item.candidate_id, NOBODY)) for item in outcomes)
    text = io.StringIO()
    write_csv(rows, text, kind=Outcome)
    return Attachment(f"{record.campaign}.csv", "text/csv", text.getvalue())


def campaign_file(record: CampaignRecord) -> Attachment:
    """Return the campaign file as it was read, with what it left to defaults.

    Structures within the file are named and not repeated.
    """
    text = yaml.safe_dump(record.spec, sort_keys=False, allow_unicode=True)
    return Attachment(f"{record.campaign}.yaml", "application/yaml", text)
