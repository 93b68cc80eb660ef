"""The launch pad's documents of thousands of candidates, made from those of one.

To build the graph of a candidate and to write it down for FireWorks takes jobflow and FireWorks ten
milliseconds. The graphs of a campaign differ in the candidate, its name and the ids of the jobs;
these are put in the place of the sample's. All else is the same object in the documents of every
candidate, and a crystal the same in all jobs of one. The template is tried on another candidate
before it is used; where the outcome is not what jobflow and FireWorks make of that one, all graphs
are built one by one.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """The jobs of a sample, and where in them is what is the sample's own."""

    def __init__(self, plan: Plan, sample: HeldCandidate) -> None:
        entry = _built(plan, sample, PRIORITY)
        self._plan = plan
        self._workflow = entry.workflow
        self._samples = {number: _plain(firework) for number, firework in entry.fireworks.items()}
        jobs = [firework["spec"]["_tasks"][0]["job"] for firework in entry.fireworks.values()]
        self._names = {job["uuid"]: job["name"] for job in jobs}
        self._hosts = {host for job in jobs for host in job["hosts"]}
        self._id = sample.id
        words = (self._id, *self._hosts, *self._names, str(PRIORITY))
        own = _own(entry.candidate)
        self._gaps = {
            number: _gaps(firework, own, words) for number, firework in self._samples.items()
        }

    def fill(self, candidate: HeldCandidate, priority: int, *, host: str = "") -> WorkflowEntry:
        """Return the entry of another candidate."""
        record = candidate.whole.as_dict()
        words = {self._id: candidate.id}
        words |= dict.fromkeys(self._hosts, host or str(uuid.uuid4()))
        for old, name in self._names.items():
            words[old] = self._plan.job_uuid(candidate, name)
        words[str(PRIORITY)] = str(priority)
        given = _Given(_own(record), words, priority)
        fireworks = {
            number: _filled(sample, self._gaps[number], given)
            for number, sample in self._samples.items()
        }
        workflow = self._workflow | {
            "name": self._plan.title(candidate),
            "metadata": self._workflow["metadata"] | {"candidate": candidate.id},
        }
        return WorkflowEntry(record, workflow, fireworks)


@dataclass(frozen=True)
class _Given:
    """What a candidate has for the gaps in the sample's jobs."""

    own: Sequence[Any]
    words: Mapping[str, str]
    priority: int


@dataclass(frozen=True)
class _OwnGap:
    """Here is the candidate, or its crystal."""

    number: int

    def filled(self, _: Any, given: _Given) -> Any:
        return given.own[self.number]


@dataclass(frozen=True)
class _WordsGap:
    """Here is a text with an id or the like in it."""

    words: Sequence[str]

    def filled(self, text: str, given: _Given) -> str:
        for word in self.words:
            text = text.replace(word, given.words[word])
        return text


class _PriorityGap:
    """Here is the priority."""

    def filled(self, _: Any, given: _Given) -> int:
        return given.priority


def _gaps(sample: Any, own: Sequence[Any], words: Sequence[str]) -> Any:
    """Return the gap that a part of the sample is, or those in it by key; None if it has none."""
    if sample in own:
        return _OwnGap(own.index(sample))
    if sample == PRIORITY:
        return _PriorityGap()
    if isinstance(sample, str):
        found = [word for word in words if word in sample]
        return _WordsGap(found) if found else None
    if not isinstance(sample, dict | list):
        return None
    parts = sample.items() if isinstance(sample, dict) else enumerate(sample)
    each = {key: _gaps(part, own, words) for key, part in parts}
    return {key: gaps for key, gaps in each.items() if gaps is not None} or None


def _filled(sample: Any, gaps: Any, given: _Given) -> Any:
    """Return the sample with its gaps filled; what has none is not copied."""
    if gaps is None:
        return sample
    if not isinstance(gaps, dict):
        return gaps.filled(sample, given)
    copy = sample.copy()
    for key, within in gaps.items():
        copy[key] = _filled(sample[key], within, given)
    return copy


def _own(record: Mapping[str, Any]) -> list[Any]:
    """Return how a candidate appears in its jobs, the whole before its parts."""
    plain = _plain(record)
    return [plain, plain["structure"]]


def _plain(record: Any) -> Any:
    """Return a record as it is written down: plain types, keys in order."""
    return json.loads(_text(record))


def _text(record: Any) -> str:
    return json.dumps(record, cls=MontyEncoder, sort_keys=True)
