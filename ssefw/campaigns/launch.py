"""Put campaigns on the launch pad."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from ssefw.campaigns.budget import lift_budget
from ssefw.campaigns.change import Change, retire
from ssefw.campaigns.loop import begin_loop
from ssefw.campaigns.plan import Plan
from ssefw.campaigns.template import Entry, entries
from ssefw.documents import CampaignRecord, ExcludedCandidate, PlannedCandidate
from ssefw.errors import LaunchError
from ssefw.store import Connection

__all__ = ["Submitted", "campaign_record", "submit"]

BATCH = 100
"""Candidates that are put on the launch pad at a time."""


@dataclass(frozen=True)
class Submitted:
    """How many candidates a submission added, and how many were there before."""

    added: int
    present: int


def campaign_record(plan: Plan) -> CampaignRecord:
    """Return the record of a plan, with everything a report needs."""
    estimates = [plan.estimate(candidate) for candidate in plan.candidates]
    return CampaignRecord(
        campaign=plan.spec.campaign,
        plan_key=plan.key,
        spec=plan.spec.model_dump(mode="json", exclude={"pool": {"structures"}}),
        candidates=tuple(
            PlannedCandidate(
                candidate_id=candidate.id,
                formula=candidate.formula,
                source=candidate.source,
                aliases=candidate.aliases,
                reference=candidate.reference,
                n_atoms=estimate.n_atoms,
                md_steps=estimate.md_steps,
                core_hours=estimate.core_hours,
            )
            for candidate, estimate in zip(plan.candidates, estimates, strict=True)
        ),
        excluded=(
            *(
                ExcludedCandidate(
                    source=item.source,
                    formula=item.formula,
                    candidate_id=item.candidate_id,
                    code=item.code,
                    reason=item.reason,
                )
                for item in plan.excluded
            ),
            *(
                ExcludedCandidate(source=item.source, code="unreadable", reason=item.reason)
                for item in plan.rejects
            ),
        ),
    )


def submit(
    plan: Plan,
    connection: Connection,
    *,
    change: Change | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Submitted:
    """Add the candidates of a plan that are not on the launch pad yet.

    Parameters
    ----------
    change
        What `change_of` says, if a campaign of this name with other settings is to go on with
        these.
    progress
        Called with the number of candidates handled so far.

    Raises
    ------
    LaunchError
        If a campaign of this name exists with other settings; nothing is added.
    """
    name = plan.spec.campaign
    if change is not None:
        retire(connection, change, plan)
    known = _known(connection, name)
    if other := set(known.values()) - {plan.key}:
        raise LaunchError(
            f"The store {connection.address} holds a campaign {name!r} with other settings "
            f"({sorted(map(str, other))[0]}, these are {plan.key}). See with `ssefw plan FILE` "
            "what they change and go on with `ssefw submit FILE --yes`, or give this campaign "
            "another name."
        )
    record = campaign_record(plan)
    connection.results.add(record, candidate="", campaign=name)
    lift_budget(connection, record)
    if plan.is_loop:
        begin_loop(connection, name)
    wanted = [(item, rank) for item, rank in plan.ranked() if item.id not in known]
    count = len(plan.candidates) - len(wanted)
    rest = entries(plan, wanted)
    while batch := list(islice(rest, BATCH)):
        _add(connection, batch)
        count += len(batch)
        progress(count)
    return Submitted(added=len(wanted), present=len(plan.candidates) - len(wanted))


def _known(connection: Connection, campaign: str) -> dict[str, str]:
    """Return the candidates on the launch pad and their plans.

    A submission to a server that was killed may have left workflows some of whose jobs are missing;
    these go, and are submitted again.
    """
    launchpad = connection.launchpad
    found = {
        workflow["metadata"]["candidate"]: workflow
        for workflow in launchpad.workflows.find(
            {"metadata.campaign": campaign}, {"metadata": True, "nodes": True}
        )
    }
    nodes = [node for workflow in found.values() for node in workflow["nodes"]]
    if launchpad.fireworks.count_documents({"fw_id": {"$in": nodes}}) < len(nodes):
        for candidate, workflow in list(found.items()):
            part = {"fw_id": {"$in": workflow["nodes"]}}
            if launchpad.fireworks.count_documents(part) < len(workflow["nodes"]):
                launchpad.workflows.delete_one({"nodes": workflow["nodes"][0]})
                launchpad.fireworks.delete_many(part)
                del found[candidate]
    return {
        candidate: workflow["metadata"].get("plan", "") for candidate, workflow in found.items()
    }


def _add(connection: Connection, batch: Sequence[Entry]) -> None:
    """Put workflows on the launch pad, all or, where a server is killed, the first of them."""
    launchpad = connection.launchpad
    with connection.whole():
        first = launchpad.get_new_fw_id(quantity=sum(len(entry.fireworks) for entry in batch))
        numbered = []
        for entry in batch:
            numbered.append(entry.numbered(first))
            first += len(entry.fireworks)
        launchpad.workflows.insert_many([entry.workflow for entry in numbered])
        # Those that run first come last: a job never runs before all of its workflow is there.
        launchpad.fireworks.insert_many(
            [job for entry in numbered for job in list(entry.fireworks.values())[::-1]]
        )
