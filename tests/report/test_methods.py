"""A report names the publications of what the campaign used, and of nothing else."""

import re

import pytest

from ssefw.documents import CampaignRecord
from ssefw.report.methods import methods_of

MD = {"thermostat": "nose-hoover", "temperatures": [600], "length": 10}
OLD_DEFAULT = {"code": "ase", "calculator": None}
SEVENNET = OLD_DEFAULT | {"potential": "sevennet-l3i5"}
CHGNET = OLD_DEFAULT | {"potential": "chgnet"}
STUDENT = OLD_DEFAULT | {"potential": "a1b2c3d4e5f6"}


@pytest.mark.parametrize(
    ("spec", "there", "not_there"),
    [
        ({"engine": OLD_DEFAULT, "md": MD}, {"CHGNet", "Hoover"}, {"VASP", "elastic", "SevenNet"}),
        ({"engine": SEVENNET, "md": MD}, {"SevenNet", "Hoover"}, {"VASP", "elastic", "CHGNet"}),
        ({"engine": STUDENT, "md": MD}, {"Hoover"}, {"CHGNet", "SevenNet"}),
        ({"engine": {"code": "vasp"}, "md": MD | {"thermostat": "langevin"}},
         {"VASP", "PBE", "atomate2"}, {"CHGNet", "Hoover"}),
        ({"engine": CHGNET, "neb": {"engine": {"code": "espresso"}}, "bvse": {}},
         {"ESPRESSO", "elastic", "CHGNet"}, {"VASP", "Hoover"}),
        ({"engine": {"calculator": "ase.calculators.emt.EMT"}, "bvse": {"max_barrier": 1.0}},
         {"bond-valence"}, {"CHGNet"}),
    ],
)  # fmt: skip
def test_methods_are_those_that_were_used(spec, there, not_there):
    record = CampaignRecord(campaign="x", plan_key="", spec=spec, candidates=())
    found = methods_of(record)
    text = " ".join(f"{item.used_for} {item.text}" for item in found)
    assert all(word in text for word in there)
    assert not any(word in text for word in not_there)
    assert "FireWorks" in text
    assert len(found) == len(set(found))
    assert all(re.fullmatch(r"10\.\d{4,}/\S+", item.doi) for item in found)
