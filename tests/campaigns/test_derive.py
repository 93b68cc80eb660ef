"""Conductivities are derived again when frames or the analysis are new, and only then."""

import shutil

import pytest

from ssefw.campaigns.derive import derive
from ssefw.documents import Barrier, Estimate, Outcome
from ssefw.store import connect


@pytest.fixture
def connection(finished_campaign, tmp_path):
    folder, _ = finished_campaign
    shutil.copytree(folder / "st", tmp_path / "st")
    with connect(tmp_path / "st") as connection:
        yield connection


def test_derived_conductivities_are_those_of_the_outcomes(connection):
    derive(connection)
    documents = {item["candidate_id"]: item for item in connection.database.conductivities.find({})}
    outcomes = list(connection.results.find(Outcome))
    assert len(documents) == len(outcomes) == 2
    for outcome in outcomes:
        derived = documents[outcome.candidate_id]
        assert derived["analysis_version"]
        assert derived["conductivity"]["conductivity"]["upper"] == pytest.approx(
            outcome.conductivity.conductivity.upper
        )


def test_only_what_is_new_is_derived(connection):
    assert [(item.computed, item.present) for item in derive(connection)] == [(2, 0), (0, 0)]
    assert [(item.computed, item.present) for item in derive(connection)] == [(0, 2), (0, 0)]
    assert derive(connection, version="next")[0].computed == 2
    assert connection.database.conductivities.count_documents({}) == 2


def test_barriers_are_collected_once(connection):
    energy = Estimate(value=0.3, lower=0.29, upper=0.31, unit="eV")
    barrier = Barrier(
        candidate_id="c",
        formula="Li2O",
        specie="Li",
        method="bvse",
        barrier_1d=energy,
        barrier_2d=energy,
        barrier_3d=energy,
    )
    connection.results.add(barrier, candidate="c", campaign="small")
    assert [(item.computed, item.present) for item in derive(connection)][-1] == (1, 0)
    assert [(item.computed, item.present) for item in derive(connection)][-1] == (0, 1)
