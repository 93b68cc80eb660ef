"""A record gives its campaign file back, typed, also where this version does not know all of it."""

import pytest

from ssefw.campaigns.file import CampaignSpec, campaign_of, unknown_blocks
from ssefw.campaigns.file.recorded import _read
from ssefw.campaigns.planning.change import maker_of
from ssefw.documents import CampaignRecord

STRUCTURE = {"name": "LiF", "cif": "data_LiF"}
FILE = {
    "campaign": "salts",
    "specie": "Na",
    "pool": {"structures": [STRUCTURE]},
    "bvse": {"max_barrier": 0.4},
    "md": {"temperatures": [600, 900], "length": 10, "triage": {"temperature": 900, "length": 5}},
    "neb": {"first": {"potential": "chgnet"}, "engine": {"code": "espresso"}},
    "resources": {"md": {"walltime": "2:00:00"}},
    "budget": {"core_hours": 10},
    "feedback": {"batch": 2},
}


def record(**blocks):
    spec = CampaignSpec.model_validate(FILE | blocks)
    kept = spec.model_dump(mode="json", exclude={"pool": {"structures"}})
    return CampaignRecord(campaign="salts", plan_key="", spec=kept, candidates=())


@pytest.mark.parametrize(
    "blocks",
    [
        {},
        {"engine": {"code": "vasp", "preset": "fast"}},
        {"engine": {"calculator": "ase.calculators.emt.EMT", "options": {"asap_cutoff": True}}},
        {"filters": [{"band_gap": {"at_least": 1.0}}], "screen": {"model": "m.model"}},
        {"learn": {}},
        {"volume": {"mode": "experiment"}},
        {"volume": {"mode": "thermal", "temperature": 300}},
        {"confirm": {"engine": {"code": "vasp"}}},
    ],
)
def test_a_record_says_what_the_file_said(blocks):
    written = CampaignSpec.model_validate(FILE | blocks)
    read = campaign_of(record(**blocks))
    assert read.model_dump(exclude={"pool"}) == written.model_dump(exclude={"pool"})
    assert unknown_blocks(record(**blocks)) == ()


def test_who_teaches_relaxes():
    read = campaign_of(record(learn={"teacher": {"potential": "chgnet"}}))
    assert read.engine.potential == read.learn.teacher.potential == "chgnet"


def test_a_record_is_parsed_once():
    read = campaign_of(record())
    before = _read.cache_info().misses
    assert campaign_of(record()) is read
    assert _read.cache_info().misses == before


def test_blocks_of_another_version_leave_the_rest_readable():
    known = record()
    strange = {**known.spec, "md": {**known.spec["md"], "later": 1}, "later": {"x": 1}}
    found = known.model_copy(update={"spec": strange})
    assert unknown_blocks(found) == ("later", "md")
    read = campaign_of(found)
    assert read.md is None
    assert (read.specie, read.budget.core_hours, read.neb.first.potential) == ("Na", 10, "chgnet")
    assert maker_of(found) is None


def test_an_engine_that_this_version_does_not_know_leaves_the_rest_readable():
    known = record()
    found = known.model_copy(update={"spec": {**known.spec, "engine": {"code": "later"}}})
    assert unknown_blocks(found) == ("engine",)
    assert campaign_of(found).specie == "Na"


def test_a_record_without_a_file_has_the_defaults():
    bare = CampaignRecord(campaign="x", plan_key="", spec={}, candidates=())
    assert (campaign_of(bare).campaign, campaign_of(bare).specie) == ("x", "Li")
