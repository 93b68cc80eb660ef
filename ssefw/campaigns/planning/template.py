"""The launch pad's documents of thousands of candidates, made from those of one.

To build the graph of a candidate and to write it down for FireWorks takes jobflow and FireWorks ten
milliseconds. The graphs of a campaign differ in the candidate, its name and the ids of the jobs;
these are put in the place of the sample's, in text. The template is tried on another candidate
before it is used; where the outcome is not what jobflow and FireWorks make of that one, all graphs
are built one by one.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from jobflow.managers.fireworks import flow_to_workflow
from monty.json import MontyEncoder

from ssefw.campaigns.planning.plan import Plan
from ssefw.data import HeldCandidate

__all__ = ["WorkflowEntry", "entries"]

PRIORITY = 987654321
"""Stands for the priority in the sample."""


@dataclass(frozen=True)
class WorkflowEntry:
    """A workflow and its jobs as they lie on the launch pad, with provisional ids -1, -2, ...

    Attributes
    ----------
    candidate
        What `Candidate.as_dict` gives of whose they are.
    fireworks
        By id; a job comes after those it waits for.
    """

    candidate: dict[str, Any]
    workflow: dict[str, Any]
    fireworks: dict[int, dict[str, Any]]

    def numbered(self, first: int) -> "WorkflowEntry":
        """Return it with ids from `first` on, ready to run."""
        ids = {old: first + place for place, old in enumerate(self.fireworks)}
        links = {old: self.workflow["links"].get(str(old), []) for old in ids}
        waiting = {child for children in links.values() for child in children}
        states = {old: "WAITING" if old in waiting else "READY" for old in ids}
        parents: dict[str, list[int]] = {}
        for old, children in links.items():
            for child in children:
                parents.setdefault(str(ids[child]), []).append(ids[old])
        now = datetime.now(UTC)
        workflow = self.workflow | {
            "nodes": list(ids.values()),
            "links": {str(ids[old]): [ids[child] for child in links[old]] for old in ids},
            "parent_links": parents,
            "fw_states": {str(ids[old]): states[old] for old in ids},
            "state": "READY",
            "created_on": now,
            "updated_on": now,
        }
        stamp = {"created_on": now.isoformat(), "updated_on": now.isoformat()}
        fireworks = {
            ids[old]: firework | stamp | {"fw_id": ids[old], "state": states[old]}
            for old, firework in self.fireworks.items()
        }
        return replace(self, workflow=workflow, fireworks=fireworks)


def entries(plan: Plan, candidates: Iterable[tuple[HeldCandidate, int]]) -> Iterator[WorkflowEntry]:
    """Yield the entries of candidates with their priorities.

    The graph of a disordered candidate holds its own arrangements and is built for itself.
    """
    wanted = list(candidates)
    alike = [entry for entry in wanted if entry[0].id not in plan.cells]
    template = _template(plan, alike) if len(alike) > 2 else None
    for candidate, priority in wanted:
        if template is None or candidate.id in plan.cells:
            yield _built(plan, candidate, priority)
        else:
            yield template.fill(candidate, priority)


def _built(plan: Plan, candidate: HeldCandidate, priority: int) -> WorkflowEntry:
    flow = plan.flow(candidate, priority=priority)
    metadata = {"campaign": plan.spec.campaign, "candidate": candidate.id, "plan": plan.key}
    workflow = flow_to_workflow(flow, metadata=metadata)
    return WorkflowEntry(
        candidate.whole.as_dict(),
        workflow.to_db_dict(),
        {job.fw_id: job.to_db_dict() for job in workflow.fws},
    )


def _template(plan: Plan, candidates: list[tuple[HeldCandidate, int]]) -> "_Template | None":
    template = _Template(plan, candidates[0][0])
    candidate, priority = candidates[-1]
    built = _built(plan, candidate, priority)
    host = next(iter(built.fireworks.values()))["spec"]["_tasks"][0]["job"]["hosts"][-1]
    return template if _same(built, template.fill(candidate, priority, host=host)) else None


def _same(one: WorkflowEntry, other: WorkflowEntry) -> bool:
    first, second = one.numbered(1), other.numbered(1)
    for entry in (first, second):
        for document in (entry.workflow, *entry.fireworks.values()):
            del document["created_on"], document["updated_on"]
    return _text([first.workflow, first.fireworks]) == _text([second.workflow, second.fireworks])


class _Template:
    """The jobs of a sample as text, and what in it is the sample's own."""

    def __init__(self, plan: Plan, sample: HeldCandidate) -> None:
        entry = _built(plan, sample, PRIORITY)
        self._plan = plan
        self._workflow = entry.workflow
        self._texts = {number: _text(firework) for number, firework in entry.fireworks.items()}
        jobs = [firework["spec"]["_tasks"][0]["job"] for firework in entry.fireworks.values()]
        self._names = {job["uuid"]: job["name"] for job in jobs}
        self._hosts = {host for job in jobs for host in job["hosts"]}
        self._sample = _own(sample, entry.candidate)

    def fill(self, candidate: HeldCandidate, priority: int, *, host: str = "") -> WorkflowEntry:
        """Return the entry of another candidate."""
        host, record = host or str(uuid.uuid4()), candidate.whole.as_dict()
        places = dict(zip(self._sample, _own(candidate, record), strict=True))
        places |= dict.fromkeys(self._hosts, host)
        for old, name in self._names.items():
            places[old] = self._plan.job_uuid(candidate, name)
        places[str(PRIORITY)] = str(priority)
        fireworks = {}
        for number, sample in self._texts.items():
            text = sample
            for old, new in places.items():
                text = text.replace(old, new)
            fireworks[number] = json.loads(text)
        workflow = self._workflow | {
            "name": self._plan.title(candidate),
            "metadata": self._workflow["metadata"] | {"candidate": candidate.id},
        }
        return WorkflowEntry(record, workflow, fireworks)


def _own(candidate: HeldCandidate, record: Mapping[str, Any]) -> list[str]:
    """Return how a candidate appears in its jobs, the whole before its parts."""
    return [_text(record), _text(record["structure"]), candidate.id]


def _text(record: Any) -> str:
    return json.dumps(record, cls=MontyEncoder, sort_keys=True)
