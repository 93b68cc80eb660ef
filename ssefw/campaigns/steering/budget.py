"""A campaign that has spent its budget is held; a budget that was raised lets it go on."""

from ssefw.campaigns.file import BudgetSpec, campaign_of
from ssefw.campaigns.steering.holds import Hold, hold, lift, spent
from ssefw.documents import CampaignRecord
from ssefw.store import Connection

__all__ = ["budget_of", "hold_if_spent", "lift_budget"]


def budget_of(record: CampaignRecord) -> BudgetSpec:
    """Return what a campaign may take."""
    return campaign_of(record).budget or BudgetSpec()


def overspent(connection: Connection, record: CampaignRecord) -> str:
    """Return what is spent of the budget if that is all, else an empty string."""
    limit = budget_of(record).core_hours
    if limit is None:
        return ""
    total = spent(connection, record.campaign)
    return f"{total:.3g} of {limit:g} core-hours are spent" if total >= limit else ""


def hold_if_spent(connection: Connection, record: CampaignRecord) -> tuple[str, bool]:
    """Hold a campaign whose budget is spent; return why, and whether this is new."""
    reason = overspent(connection, record)
    new = Hold(campaign=record.campaign, kind="budget", reason=reason)
    return reason, bool(reason) and hold(connection, new)


def lift_budget(connection: Connection, record: CampaignRecord) -> None:
    """Let a campaign go on whose budget is larger than what is spent."""
    if not overspent(connection, record):
        lift(connection, record.campaign, kinds=("budget",))
