"""Candidates are found by whatever people call them, and what is not there is said with what is."""

import pytest

from ssefw.documents import CampaignRecord, PlannedCandidate
from ssefw.errors import StoreError
from ssefw.store import connect
from ssefw.store.lookup import candidate_ids, check_campaign, names_of
from tests.outcomes import outcome

PLANNED = (
    ("3f2a9c51d7e04b68", "Li10Ge(PS6)2", "Li10GeP2S12 (LGPS)"),
    ("91bb2c51d7e04b68", "Li3YCl6", "pool/mp-676361.cif"),
    ("3f00000000000000", "LiCl", "halides.jsonl:7"),
    ("5500000000000000", "LiCl", "rocksalt.vasp"),
)


@pytest.fixture
def connection(tmp_path):
    with connect(tmp_path / "st") as found:
        candidates = tuple(
            PlannedCandidate(
                candidate_id=key, formula=formula, source=source, n_atoms=1, md_steps=1
            )
            for key, formula, source in PLANNED
        )
        record = CampaignRecord(campaign="x", plan_key="", spec={}, candidates=candidates)
        found.results.add(record, candidate="", campaign="x")
        done = outcome("LiCl", 1e-5, candidate_id=PLANNED[2][0])
        found.results.add(done, candidate=done.candidate_id, campaign="x")
        other = outcome("Li2O", 1e-7, candidate_id="77", campaign="old")
        found.results.add(other, candidate="77", campaign="old")
        yield found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("LGPS", [0]),
        ("lgps", [0]),
        ("Li10GeP2S12", [0]),
        ("GeP2Li10S12", [0]),
        ("Li₁₀GeP₂S₁₂", [0]),
        ("Li10GeP2S12 (LGPS)", [0]),
        ("mp-676361", [1]),
        ("mp-676361.cif", [1]),
        ("pool/mp-676361.cif", [1]),
        ("91b", [1]),
        ("91bb2c51d7e04b68", [1]),
        ("Li2Cl2", [2, 3]),
        ("rocksalt", [3]),
        ("halides.jsonl:7", [2]),
    ],
)
def test_a_word_finds(connection, word, found):
    assert sorted(candidate_ids(connection, word)) == sorted(PLANNED[k][0] for k in found)
    assert sorted(candidate_ids(connection, word, campaign="x")) == sorted(
        PLANNED[k][0] for k in found
    )


def test_candidates_of_another_campaign_are_found_without_its_record(connection):
    assert candidate_ids(connection, "OLi2") == ["77"]
    with pytest.raises(StoreError, match="no candidate 'Li2O' in campaign 'x'"):
        candidate_ids(connection, "Li2O", campaign="x")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("LGSP", r"Did you mean Li10Ge\(PS6\)2 \(3f2a"),
        ("Li3YCl7", r"Did you mean Li3YCl6 \(91bb"),
        ("Li20GeP2S12", r"Did you mean Li10Ge\(PS6\)2"),
        ("zzz", "It has Li10Ge.PS6.2, Li3YCl6, LiCl"),
        ("3f", "give a formula, a name or an id"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_near(connection, word, said):
    with pytest.raises(StoreError, match=said):
        candidate_ids(connection, word)


def test_a_campaign_that_is_not_there_is_said_with_what_is_near(connection):
    check_campaign(connection, "x")
    check_campaign(connection, "old")  # its record is elsewhere
    with pytest.raises(StoreError, match=r"no campaign 'sulfides'. It holds x"):
        check_campaign(connection, "sulfides")


def test_names():
    assert names_of(["a/b.tar.cif"]) == ("a/b.tar.cif", "b.tar.cif", "b")
    assert names_of(["", "copper"]) == ("copper",)
    assert names_of(["X (Y)"]) == ("X (Y)", "X", "Y")
