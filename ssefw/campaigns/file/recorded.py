"""The campaign file of a record: what was submitted, typed as it is when it is read from a file."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ssefw.campaigns.file.campaign import CampaignSpec
from ssefw.campaigns.file.engine import EngineSpec
from ssefw.documents import CampaignRecord

__all__ = ["BAND_ENGINES", "campaign_of", "unknown_blocks"]

BAND_ENGINES = ("engine", "first")
"""Keys of the block ``neb`` that name an engine."""
KEPT = 64
"""Files that are kept as they were read: a page, or a turn of a loop, asks many times for one."""


def campaign_of(record: CampaignRecord) -> CampaignSpec:
    """Return the campaign file of a record; what it does not state has its default.

    Structures that the file held are no part of the record. A block that this version does not
    understand (see `unknown_blocks`) is as if the file did not have it, so that all else of a
    campaign of another version can be shown and gone on with.
    """
    return _read(json.dumps(record.spec), record.campaign)[0]


def unknown_blocks(record: CampaignRecord) -> tuple[str, ...]:
    """Return the blocks of a record's file that this version does not understand."""
    return _read(json.dumps(record.spec), record.campaign)[1]


@lru_cache(maxsize=KEPT)
def _read(text: str, campaign: str) -> tuple[CampaignSpec, tuple[str, ...]]:
    blocks = _as_written(json.loads(text)) | {"campaign": campaign}
    try:
        return CampaignSpec.model_validate(blocks), ()
    except ValidationError:
        known, unknown = {}, sorted(set(blocks) - set(CampaignSpec.model_fields))
    for name, field in CampaignSpec.model_fields.items():
        if name in blocks:
            kind: Any = field.annotation
            try:
                known[name] = TypeAdapter(kind).validate_python(blocks[name])
            except ValidationError:
                unknown.append(name)
    return CampaignSpec.model_construct(**known), tuple(unknown)


def _as_written(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the blocks of a record as a file would have them."""
    pool = record.get("pool") or {}
    blocks = {**record, "pool": {**pool, "path": pool.get("path") or "none"}}
    blocks["engine"] = _engine(record.get("engine") or {})
    if lesson := record.get("learn"):
        teacher = _engine(lesson["teacher"]) if lesson.get("teacher") else None
        blocks["learn"] = {**lesson, "teacher": teacher}
        blocks["engine"] = teacher or blocks["engine"]  # who teaches relaxes, too
    if (second := record.get("confirm")) and second.get("engine"):
        blocks["confirm"] = {**second, "engine": _engine(second["engine"])}
    if bands := record.get("neb"):
        engines = {key: _engine(bands[key]) for key in BAND_ENGINES if bands.get(key)}
        blocks["neb"] = {**bands, **engines}
    return blocks


def _engine(block: Mapping[str, Any]) -> EngineSpec | Mapping[str, Any]:
    """Return an engine, or its block as it stands if this version does not understand it."""
    try:
        return EngineSpec.of_record(block)
    except ValidationError:
        return block
