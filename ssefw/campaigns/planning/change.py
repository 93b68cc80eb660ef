"""A campaign whose settings were changed: what of it stays, what is computed again, and the change.

Relaxations, barriers and trajectories lie in the blob store by what they were computed from. So new
settings need no bookkeeping: the jobs of all candidates are submitted anew, and a stage whose input
and settings are as before finds its result there. What the earlier settings gave stays on record,
as a campaign of another name.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ssefw.campaigns.file import campaign_of, unknown_blocks
from ssefw.campaigns.file.recorded import BAND_ENGINES
from ssefw.campaigns.planning.lesson_cost import lessons_of
from ssefw.campaigns.planning.plan import Plan, candidate_maker
from ssefw.campaigns.running.watch import latest_record
from ssefw.documents import CampaignRecord, Outcome
from ssefw.engines import settings_hash
from ssefw.engines.potentials.names import DEFAULT_POTENTIAL
from ssefw.errors import ConfigurationError, LaunchError
from ssefw.makers import CandidateMaker
from ssefw.store import Connection
from ssefw.store.connection import CANDIDATES, JOBS

__all__ = ["SettingsChange", "as_begun", "change_of", "maker_of", "retire"]

logger = logging.getLogger(__name__)

BUSY = ("RUNNING", "RESERVED")
NO_NUMBER = ("campaign", "pool", "filters", "screen", "resources", "budget")
"""Parts of a campaign file that change no number of a candidate."""


@dataclass(frozen=True)
class SettingsChange:
    """What other settings mean for a campaign in the store.

    Attributes
    ----------
    key
        Of the plan that is in the store.
    settings
        What differs, as ``md.length: 50 -> 100``.
    stages
        For each stage, what becomes of it.
    """

    campaign: str
    key: str
    settings: tuple[str, ...]
    stages: tuple[str, ...]

    @property
    def earlier(self) -> str:
        """The name under which the results so far stay on record."""
        return _earlier(self.campaign, self.key)

    def __str__(self) -> str:
        """All of it, a line each."""
        return "\n".join(
            [
                f"Campaign {self.campaign} is in the store with other settings:",
                *(f"  {line}" for line in self.settings),
                "With the new ones:",
                *(f"  {line}" for line in self.stages),
                f"Outcomes so far stay on record as campaign {self.earlier}.",
            ]
        )


def as_begun(plan: Plan, connection: Connection) -> Plan:
    """Return a plan with the potential that its campaign was begun with, if its file names none.

    What the default is changes from one version to another; what a campaign computes with does not.
    """
    begun = _as_begun(plan, connection)
    if begun is not plan:
        logger.warning(
            "Campaign %s was begun with the default of an earlier version, %s, and goes on with "
            "it. To change that, name another: engine: {potential: %s}.",
            plan.spec.campaign, begun.spec.engine.potential, DEFAULT_POTENTIAL,
        )  # fmt: skip
    return begun


def _as_begun(plan: Plan, connection: Connection) -> Plan:
    name, spec = plan.spec.campaign, plan.spec
    if connection.launchpad.workflows.find_one({"metadata.campaign": name}, {"_id": True}) is None:
        return plan
    record = latest_record(connection, name).spec
    engine, neb = spec.engine.as_begun(record["engine"]), spec.neb
    if neb is not None:
        bands = record.get("neb") or {}
        engines = {key: getattr(neb, key) for key in BAND_ENGINES}
        neb = neb.model_copy(
            update={key: own and own.as_begun(bands.get(key)) for key, own in engines.items()}
        )
    begun = spec.model_copy(update={"engine": engine, "neb": neb})
    return plan if begun == spec else replace(plan, spec=begun, maker=candidate_maker(begun))


def change_of(plan: Plan, connection: Connection) -> SettingsChange | None:
    """Return how a plan differs from the campaign of its name, or None if nothing has to change."""
    name, plan = plan.spec.campaign, _as_begun(plan, connection)
    there = connection.launchpad.workflows.find_one({"metadata.campaign": name}, {"metadata": True})
    key = there["metadata"].get("plan", "") if there else plan.key
    if key == plan.key:
        return None
    record = latest_record(connection, name)
    done = _done(connection, name)
    before = None if unknown_blocks(record) else campaign_of(record).model_dump(mode="json")
    return SettingsChange(
        campaign=name,
        key=key,
        settings=tuple(
            _differences(
                before or record.spec,
                plan.spec.model_dump(mode="json"),
            )
        ),
        stages=tuple(_stages(maker_of(record), plan.maker, done)),
    )


def retire(connection: Connection, change: SettingsChange, plan: Plan) -> None:
    """Put what is in the store of a campaign under another name, for new settings in its place.

    Raises
    ------
    LaunchError
        If jobs of it run; nothing is changed then.
    """
    with connection.whole():
        _stop(connection, change.campaign)
        # The same settings once more, after others: their jobs have the same ids.
        _rename(connection, _earlier(change.campaign, plan.key), None)
        _rename(connection, change.campaign, change.earlier)


def _earlier(campaign: str, key: str) -> str:
    return f"{campaign}@{key[:8]}"


def _stop(connection: Connection, campaign: str) -> None:
    """Let no job of a campaign start any more, unless one runs."""
    fireworks = connection.launchpad.fireworks
    ready = {"spec.campaign": campaign, "state": "READY"}
    ids = [item["fw_id"] for item in fireworks.find(ready, {"fw_id": True})]
    chosen = {"fw_id": {"$in": ids}}
    fireworks.update_many({**chosen, **ready}, {"$set": {"state": "PAUSED"}})
    busy = {"spec.campaign": campaign, "state": {"$in": list(BUSY)}}
    if count := fireworks.count_documents(busy):
        fireworks.update_many({**chosen, "state": "PAUSED"}, {"$set": {"state": "READY"}})
        raise LaunchError(
            f"{count} jobs of campaign {campaign!r} run with the earlier settings: let them store "
            f"what they have with `ssefw pause {campaign} --now`, and submit again."
        )


def _rename(connection: Connection, campaign: str, name: str | None) -> None:
    """Give all of a campaign's jobs and results another name, or forget them."""
    launchpad, jobs = connection.launchpad, connection.database[JOBS]
    if name is not None:
        # An outcome says itself of which campaign it is.
        outcomes = {"metadata.campaign": campaign, "output.@class": Outcome.__name__}
        jobs.update_many(outcomes, {"$set": {"output.campaign": name}})
    places = (
        (jobs, "metadata.campaign"),
        (connection.database[CANDIDATES], "campaign"),
        (launchpad.fireworks, "spec.campaign"),
        (launchpad.workflows, "metadata.campaign"),
    )
    for collection, field in places:
        if name is None:
            collection.delete_many({field: campaign})
            continue
        if field == "spec.campaign" or collection is launchpad.workflows:
            unfinished = {field: campaign, "state": {"$nin": ["COMPLETED", "FIZZLED"]}}
            collection.update_many(unfinished, {"$set": {"state": "ARCHIVED"}})
        collection.update_many({field: campaign}, {"$set": {field: name}})


def maker_of(record: CampaignRecord) -> CandidateMaker | None:
    """Return the maker of a record, if this version still understands its settings."""
    try:
        return None if unknown_blocks(record) else candidate_maker(campaign_of(record))
    except ConfigurationError:
        return None


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    before, after = dict(_flat(old)), dict(_flat(new))
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key) and key.partition(".")[0] not in NO_NUMBER:
            yield f"{key}: {_shown(before, key)} -> {_shown(after, key)}"


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _done(connection: Connection, campaign: str) -> dict[str, int]:
    """Return how many jobs of each name are done."""
    question = [
        {"$match": {"spec.campaign": campaign, "state": "COMPLETED"}},
        {"$group": {"_id": "$name", "count": {"$sum": 1}}},
    ]
    found: dict[str, int] = {}
    for group in connection.launchpad.fireworks.aggregate(question):
        # The arrangements of a disordered crystal have a number behind the name of the stage.
        stage = group["_id"].partition(" #")[0]
        found[stage] = found.get(stage, 0) + group["count"]
    return found


def _stages(
    old: CandidateMaker | None, new: CandidateMaker, done: Mapping[str, int]
) -> Iterator[str]:
    """Yield what becomes of each stage."""
    before, after = (_keys(old) if old else {}), _keys(new)
    for stage in ("bvse", "relax", "learn"):
        if stage in after:
            yield f"{stage}: {_verdict(before.get(stage), after[stage], done.get(stage, 0))}"
    if "neb" in after:
        n_bands = sum(count for name, count in done.items() if name.startswith("neb hop"))
        yield f"neb: {_verdict(before.get('neb'), after['neb'], n_bands)}"
    if "volume" in after:
        n_volumes = sum(count for name, count in done.items() if name.startswith("volume md p"))
        yield f"volume: {_verdict(before.get('volume'), after['volume'], n_volumes)}"
    same_md = before.get("md") is not None and before["md"] == after.get("md")
    known = set(_temperatures(old)) if old else set()
    for temperature in _temperatures(new):
        name = f"md {temperature:g} K"
        is_known = temperature in known
        verdict = _verdict("md" if same_md else "", "md" if is_known else None, done.get(name, 0))
        if old is not None and is_known and same_md:
            verdict += _continued(_longest(old, temperature), _longest(new, temperature))
        yield f"{name}: {verdict}"
    yield "diffusivities, fit and gates: again, from what is kept"


def _verdict(before: str | None, after: str | None, done: int) -> str:
    if before is None or after is None:
        return "new"
    return f"kept ({done} done)" if before == after else f"again ({done} done)"


def _continued(before: float, after: float) -> str:
    return f", and goes on from {before:g} to {after:g} ps" if after > before else ""


def _keys(maker: CandidateMaker) -> dict[str, str]:
    """Return for each stage a hash of the settings that its result depends on."""
    ladder = maker.ladder
    relax = settings_hash(maker.relax)
    keys = {"relax": relax}
    if ladder is not None:
        dynamics = ladder.md.settings.model_dump(exclude={"temperature"})
        cell = (ladder.min_length, ladder.max_atoms)
        keys["md"] = settings_hash(relax, ladder.md.engine, dynamics, *cell)
        if lessons := lessons_of(ladder):
            keys["learn"] = settings_hash(relax, *lessons)
            keys["md"] = settings_hash(keys["md"], keys["learn"])
        if ladder.volume is not None:
            keys["volume"] = keys["md"] = settings_hash(keys["md"], ladder.volume)
    if maker.neb is not None:
        keys["neb"] = settings_hash(relax, maker.neb)
    if maker.bvse is not None:
        keys["bvse"] = settings_hash(maker.bvse.specie, maker.bvse.resolution)
    return keys


def _temperatures(maker: CandidateMaker) -> list[float]:
    ladder = maker.ladder
    if ladder is None:
        return []
    triage = [ladder.triage.temperature] if ladder.triage else []
    return sorted({*ladder.temperatures, *triage})


def _longest(maker: CandidateMaker, temperature: float) -> float:
    """Return the length (ps) that a run reaches at least."""
    ladder = maker.ladder
    if ladder is None:
        return 0.0
    if temperature in ladder.temperatures:
        return ladder.length
    return ladder.triage.length if ladder.triage else 0.0
