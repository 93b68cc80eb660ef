"""Put campaigns on the launch pad."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ssefw.campaigns.learning.loop import begin_loop
from ssefw.campaigns.planning.change import SettingsChange, as_begun, retire
from ssefw.campaigns.planning.cost import Pace
from ssefw.campaigns.planning.plan import Plan
from ssefw.campaigns.planning.template import WorkflowEntry, entries
from ssefw.campaigns.steering.budget import lift_budget
from ssefw.data import HeldCandidate
from ssefw.documents import Barrier, CampaignRecord, ExcludedCandidate, PlannedCandidate
from ssefw.errors import LaunchError
from ssefw.progress import counted
from ssefw.store import Connection
from ssefw.store.candidates import keep_candidates
from ssefw.store.frames.stages import StageStore

__all__ = ["Submitted", "campaign_record", "put_on", "submit"]

BATCH = 100
"""Candidates that are put on the launch pad at a time."""


@dataclass(frozen=True)
class Submitted:
    """How many candidates a submission added, and how many were there before."""

    added: int
    present: int


def campaign_record(plan: Plan, *, pace: Pace | None = None) -> CampaignRecord:
    """Return the record of a plan, with everything a report needs.

    Parameters
    ----------
    pace
        Of the dynamics, where runs of the engine have been seen.
    """
    estimates = [
        plan.estimate(candidate, pace=pace)
        for candidate in counted(plan.candidates, "estimating costs")
    ]
    return CampaignRecord(
        campaign=plan.spec.campaign,
        plan_key=plan.key,
        spec=plan.spec.model_dump(mode="json", exclude={"pool": {"structures"}}),
        belongings=tuple(sorted(dict(_belongings(plan)))),
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
                core_hours_most=estimate.core_hours_most,
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
    change: SettingsChange | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Submitted:
    """Add the candidates of a plan that are not on the launch pad yet.

    A campaign whose file names no potential goes on with the one it was begun with.

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
    name, plan = plan.spec.campaign, as_begun(plan, connection)
    if change is not None:
        retire(connection, change, plan)
    known = _known(connection, plan)
    _deposit(connection, plan)
    record = campaign_record(plan)
    connection.results.add(record, candidate="", campaign=name)
    lift_budget(connection, record)
    if plan.is_loop:
        begin_loop(connection, name)
    wanted = [(item, rank) for item, rank in plan.ranked() if item.id not in known]
    _hand_on_barriers(connection, plan, [item for item, _ in wanted])
    count, added = len(plan.candidates) - len(wanted), 0
    rest = entries(plan, wanted)
    while batch := list(islice(rest, BATCH)):
        added += _add(connection, plan, batch, is_first=not added)
        count += len(batch)
        progress(count)
    return Submitted(added=added, present=len(plan.candidates) - added)


def _deposit(connection: Connection, plan: Plan) -> None:
    """Put into the store what the engines of a plan need, for workers on other machines."""
    for key, payload in _belongings(plan):
        if not connection.blobs.exists(key):
            connection.blobs.put(key, payload)


def _belongings(plan: Plan) -> Iterator[tuple[str, bytes]]:
    for engine in plan.engines:
        yield from engine.belongings()
    if plan.spec.learn is not None and plan.spec.learn.frames_from:
        from ssefw.campaigns.planning.lesson import given_frames  # noqa: PLC0415  numba

        if (given := given_frames(plan.spec.learn)) is not None:
            yield given


def _hand_on_barriers(
    connection: Connection, plan: Plan, candidates: Sequence[HeldCandidate]
) -> None:
    """Keep the barriers that filters have computed where the gate looks for its own."""
    stages, gate = StageStore(connection.blobs), plan.maker.bvse
    if gate is None:
        return
    for candidate in candidates:
        barrier = plan.barriers.get(candidate.id)
        if barrier is None:
            continue
        key = gate.key(candidate.whole)
        if stages.get(key, Barrier) is None:
            stages.put(key, barrier)


def _known(connection: Connection, plan: Plan) -> set[str]:
    """Return the candidates that are on the launch pad with all their jobs.

    Of those whose jobs are missing, a submission to a server was killed or is at it.

    Raises
    ------
    LaunchError
        If they are there with other settings.
    """
    name = plan.spec.campaign
    there = list(
        connection.launchpad.workflows.find(
            {"metadata.campaign": name}, {"metadata": True, "nodes": True}
        )
    )
    plans = {workflow["metadata"].get("plan", "") for workflow in there}
    if other := plans - {plan.key}:
        raise LaunchError(
            f"The store {connection.address} holds a campaign {name!r} with other settings "
            f"({sorted(map(str, other))[0]}, these are {plan.key}). See with `ssefw plan FILE` "
            "what they change and go on with `ssefw submit FILE --yes`, or give this campaign "
            "another name."
        )
    if not _has_all(connection, [node for workflow in there for node in workflow["nodes"]]):
        for workflow in list(there):
            if not _has_all(connection, workflow["nodes"]):
                there.remove(workflow)
                _forget_unnamed(connection, workflow)
    return {workflow["metadata"]["candidate"] for workflow in there}


def _forget_unnamed(connection: Connection, workflow: Mapping[str, Any]) -> None:
    """Take off a workflow without all its jobs whose id does not say whose it is.

    Earlier versions gave such ids, and the submission of this one was killed.
    """
    if not isinstance(workflow["_id"], str):
        connection.launchpad.workflows.delete_one({"_id": workflow["_id"]})
        connection.launchpad.fireworks.delete_many({"fw_id": {"$in": workflow["nodes"]}})


def _has_all(connection: Connection, nodes: Sequence[int]) -> bool:
    fireworks = connection.launchpad.fireworks
    return bool(fireworks.count_documents({"fw_id": {"$in": nodes}}) >= len(nodes))


def _add(
    connection: Connection, plan: Plan, batch: Sequence[WorkflowEntry], *, is_first: bool
) -> int:
    """Put workflows on the launch pad that are not there, and return how many.

    The id of a workflow's document is made of campaign, settings and candidate, so that of any
    number of submissions at the same time one adds it. In a folder all of the batch is added or
    nothing. On a server the workflow comes first; where a submission is killed before it has added
    the jobs, the next one adds those that are missing, under the numbers that the workflow says.

    Parameters
    ----------
    connection
        The store.
    plan
        The campaign.
    batch
        Workflows of candidates that were not known.
    is_first
        Whether to look once more, now that nobody else writes, if the settings are the same.
    """

    def ids() -> list[str]:
        if is_first:
            _known(connection, plan)
        found = _free_ids(connection, plan, batch)
        given = [entry.candidate for entry in batch]
        keep_candidates(connection, given, campaign=plan.spec.campaign, plan=plan.key)
        return found

    return put_on(connection, batch, ids)


def put_on(
    connection: Connection, batch: Sequence[WorkflowEntry], ids_of: Callable[[], Sequence[str]]
) -> int:
    """Put workflows on the launch pad whose ids are not there, and return how many.

    Parameters
    ----------
    connection
        The store.
    batch
        The workflows.
    ids_of
        Returns the id of each; it is called when nobody else writes.
    """
    launchpad = connection.launchpad
    with connection.whole():
        ids = list(ids_of())
        number = launchpad.get_new_fw_id(quantity=sum(len(entry.fireworks) for entry in batch))
        wanted = []
        for entry, _id in zip(batch, ids, strict=True):
            wanted.append({**entry.numbered(number).workflow, "_id": _id})
            number += len(entry.fireworks)
        added: int = launchpad.add_new(launchpad.workflows, wanted, key="_id")
        first = {
            workflow["_id"]: min(workflow["nodes"])
            for workflow in launchpad.workflows.find({"_id": {"$in": ids}}, {"nodes": True})
        }
        numbered = [entry.numbered(first[_id]) for entry, _id in zip(batch, ids, strict=True)]
        # Those that run first come last: a job never runs before all of its workflow is there.
        launchpad.add_new(
            launchpad.fireworks,
            [job for entry in numbered for job in list(entry.fireworks.values())[::-1]],
            key="fw_id",
        )
    return added


def _free_ids(connection: Connection, plan: Plan, batch: Sequence[WorkflowEntry]) -> list[str]:
    """Return ids for workflows that no workflow of another campaign has.

    Earlier settings stay on record as a campaign of another name, and may become those that hold.
    """
    name = plan.spec.campaign
    ids = [f"{name}/{plan.key}/{entry.workflow['metadata']['candidate']}" for entry in batch]
    while True:
        there = connection.launchpad.workflows.find({"_id": {"$in": ids}}, {"metadata": True})
        taken = {item["_id"] for item in there if item["metadata"].get("campaign") != name}
        if not taken:
            return ids
        ids = [f"{_id}'" if _id in taken else _id for _id in ids]
