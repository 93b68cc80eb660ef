"""Conductivities are derived again when frames or the analysis are new, and only then."""

import shutil

import pytest

from ssefw.analysis import ANALYSIS_VERSION
from ssefw.campaigns.derive import derive
from ssefw.campaigns.learning.feedback import ingest, stored_label_set
from ssefw.data.hops import find_hops
from ssefw.documents import (
    Barrier,
    CampaignRecord,
    Estimate,
    LabelSet,
    NebPath,
    Outcome,
    RelaxResult,
)
from ssefw.engines.migration.hop_records import hop_record
from ssefw.engines.migration.percolation import percolation_barrier
from ssefw.errors import StoreError
from ssefw.store import connect
from ssefw.store.results.query import Ask
from ssefw.store.results.reanalysis import reanalyzed
from tests.outcomes import conductivity, outcome, value

EMT = {"EMT": "mlip"}


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
    for concluded in outcomes:
        found = documents[concluded.candidate_id]
        assert found["analysis_version"]
        assert found["conductivity"]["conductivity"]["upper"] == pytest.approx(
            concluded.conductivity.conductivity.upper
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


def test_outcomes_say_the_version_of_their_analysis(connection):
    for found in connection.results.find(Outcome):
        assert found.provenance.versions["analysis"] == ANALYSIS_VERSION


def test_deriving_with_the_same_analysis_changes_no_label(connection):
    before = ingest(connection, specie="Cu", methods=EMT)
    derive(connection)
    assert ingest(connection, specie="Cu", methods=EMT).key == before.key
    assert len(before.labels.labels) == 2


def test_a_better_analysis_makes_new_labels_and_the_old_ones_stay(connection, monkeypatch):
    """No physics is run: the frames are those of the campaign, and no job is added."""
    before = ingest(connection, specie="Cu", methods=EMT)
    jobs = connection.launchpad.fireworks.count_documents({})

    from ssefw.makers import DiffusivityMaker

    ordinary = DiffusivityMaker.estimate

    def sharper(self, ledger, store):
        found = ordinary(self, ledger, store)
        closer = {"upper": found.tracer.upper / 4.0}
        return found.model_copy(update={"tracer": found.tracer.model_copy(update=closer)})

    monkeypatch.setattr(DiffusivityMaker, "estimate", sharper)
    derive(connection, version="next")
    after = ingest(connection, specie="Cu", methods=EMT)
    assert after.is_new
    assert connection.launchpad.fireworks.count_documents({}) == jobs
    for old, new in zip(before.labels.labels, after.labels.labels, strict=True):
        assert new.row_id == old.row_id
        assert new.conductivity.upper < 0.5 * old.conductivity.upper
        assert new.reference == f"{old.reference}, analysis next"
    kept = stored_label_set(connection, f"{before.labels.name} {before.labels.version}")
    assert kept == before.labels
    assert ingest(connection, specie="Cu", methods=EMT).key == after.key
    assert connection.results.count(LabelSet) == 2
    found = list(connection.results.ask("conductivities", Ask(), sort="sigma"))
    assert {item.analysis_version for item in found} == {"next"}
    assert len(found) == 2


def derived(fit, *, version="2", problems=()):
    return {
        "x/id-Li2O": {
            "analysis_version": version,
            "conductivity": fit and fit.as_dict(),
            "diffusivities": [],
            "problems": [{"trajectory": "", "reason": text} for text in problems],
        }
    }


def test_an_outcome_has_the_status_of_its_newest_analysis():
    before = outcome("Li2O", 1e-3)
    assert reanalyzed(before, {}) is before
    assert reanalyzed(before, derived(conductivity(value(1e-6)), version="1")) is before
    now = reanalyzed(before, derived(conductivity(value(1e-6))))
    assert (now.status, now.conductivity.conductivity.value) == ("determined", 1e-6)
    now = reanalyzed(before, derived(conductivity(Estimate.below(1e-9, unit="S/cm", reason="x"))))
    assert now.status == "bound"
    now = reanalyzed(before, derived(None, problems=["two temperatures are too few"]))
    assert (now.status, now.reason) == ("undetermined", "two temperatures are too few")


def test_conductivities_are_asked_for_by_what_the_newest_analysis_says(tmp_path):
    with connect(tmp_path / "st") as connection:
        for formula, sigma in (("Li2O", 1e-3), ("LiCl", 1e-5)):
            item = outcome(formula, sigma)
            connection.results.add(item, candidate=item.candidate_id, campaign="x")
        record = derived(conductivity(value(1e-7)))["x/id-Li2O"]
        connection.database["conductivities"].insert_one({"key": "x/id-Li2O", **record})

        def formulas(**asked):
            found = connection.results.ask("conductivities", Ask(**asked), sort="sigma")
            return [item.formula for item in found]

        assert formulas() == ["LiCl", "Li2O"]
        assert formulas(min_sigma=1e-4) == []
        assert formulas(max_sigma=1e-6) == ["Li2O"]
        assert formulas(max_sigma=1e-6, elements=["Cl"]) == []


def band(kind, forward):
    return NebPath(
        energies=(0.0, forward, 0.0),
        lengths=(0.0, 1.0, 2.0),
        max_forces=(0.0, 0.0, 0.0),
        status="converged",
        climbed=True,
        forward=forward,
        reverse=forward,
        hop=hop_record(kind),
    )


def test_barriers_are_joined_anew_from_their_bands(tmp_path, li2o):
    """A barrier on record that its bands do not give is put right, and makes another label."""
    kinds = find_hops(li2o, specie="Li", max_length=3.5)
    bands = {kind: band(kind, 0.3 + 0.1 * number) for number, kind in enumerate(kinds)}
    right = percolation_barrier(li2o, bands, specie="Li", candidate_id="id-Li2O")
    wrong = right.model_copy(
        update={"barrier_3d": Estimate(value=0.9, lower=0.8, upper=1.0, unit="eV")}
    )
    relaxed = RelaxResult(
        structure=li2o, energy=0.0, energy_per_atom=0.0, converged=True, n_steps=1, max_force=0.0,
        volume_change=0.0, wall_time=0.0,
    )  # fmt: skip
    concluded = outcome("Li2O", status="determined", engine="espresso")
    concluded = concluded.model_copy(update={"barrier": wrong, "relaxed": relaxed})
    spec = {"specie": "Li", "neb": {"max_hop": 3.5}}
    record = CampaignRecord(campaign="x", plan_key="p", spec=spec, candidates=())
    with connect(tmp_path / "st") as connection:
        for item in (record, relaxed, wrong, concluded):
            candidate = "" if item is record else "id-Li2O"
            connection.results.add(item, candidate=candidate, campaign="x")
        before = ingest(connection).labels.labels[0]
        derive(connection, version="next")
        (document,) = connection.database["barriers"].find({})
        assert document["barrier"]["barrier_3d"]["value"] == pytest.approx(right.barrier_3d.value)
        assert document["problems"] == []
        after = ingest(connection).labels.labels[0]
    assert after.kind == before.kind == "neb"
    assert after.conductivity.value > 1e3 * before.conductivity.value


def test_a_barrier_whose_crystal_is_gone_stays_and_says_why(tmp_path, li2o):
    kind = find_hops(li2o, specie="Li", max_length=3.5)[0]
    barrier = percolation_barrier(li2o, {kind: band(kind, 0.3)}, specie="Li", candidate_id="c")
    with connect(tmp_path / "st") as connection:
        connection.results.add(barrier, candidate="c", campaign="x")
        derive(connection)
        (document,) = connection.database["barriers"].find({})
        assert "cannot be joined anew" in document["problems"][0]["reason"]
        assert document["barrier"]["barrier_3d"]["value"] == barrier.barrier_3d.value


def test_a_label_set_that_is_not_kept_is_named(connection):
    with pytest.raises(StoreError, match="no label set 'computed 12'"):
        stored_label_set(connection, "computed 12")
