"""Outcomes become one label set whoever reads them, and labels re-rank what is left."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.learning.acquisition import acquisition_order, framework_of
from ssefw.campaigns.learning.feedback import import_outcomes, ingest
from ssefw.campaigns.learning.loop import advance
from ssefw.campaigns.learning.models import campaign_materials, feedback_of, reproduce
from ssefw.campaigns.learning.rerank import rerank, steps_of, update_priorities
from ssefw.campaigns.learning.tested import prediction_test
from ssefw.campaigns.planning.change import change_of
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.submission import submit
from ssefw.campaigns.running.watch import latest_record
from ssefw.campaigns.steering.budget import lift_budget
from ssefw.campaigns.steering.control import Part
from ssefw.campaigns.steering.holds import add_spending
from ssefw.documents import LabelSet, RankedCandidate, Reranking
from ssefw.errors import ConfigurationError, DataError, StoreError
from ssefw.report.page import write_report
from ssefw.report.wording import estimate_words
from ssefw.screening.conductivity.quantiles import PREDICTED
from ssefw.settings import Settings
from ssefw.store import connect
from ssefw.store.connection import CANDIDATES
from ssefw.store.results.query import Ask
from tests.outcomes import bound, outcome
from tests.rock_salts import ROCK_SALTS, poscar


@pytest.fixture
def campaign(tmp_path):
    """The file of a campaign of five rock salts that learns from its outcomes."""

    def write(**feedback):
        content = {
            "campaign": "salts",
            "pool": {
                "structures": [
                    {"name": name, "poscar": poscar(name, a)} for name, a in ROCK_SALTS.items()
                ]
            },
            "engine": {"calculator": "ase.calculators.emt.EMT"},
            "md": {"temperatures": [600, 900], "length": 2},
            "feedback": {"settings": {"n_splits": 3, "members": ["gb"]}, **feedback},
        }
        path = tmp_path / "salts.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def store(tmp_path):
    with connect(tmp_path / "store") as connection:
        yield connection


def html_report(connection, campaign):
    """Return the report of a campaign as its file has it."""
    page = Path(str(connection.address)).parent / "report.html"
    path = write_report(connection, campaign, Settings(), output=page, frames=False)
    return path.read_text()


def submitted(connection, path):
    submit(make_plan(read_campaign(path)), connection)
    return latest_record(connection, "salts")


def conclude(connection, record, formula, sigma=None, **fields):
    """Store the outcome of a candidate and take its jobs off the launch pad's queue."""
    identity = next(c.candidate_id for c in record.candidates if c.formula == formula)
    found = outcome(formula, sigma, candidate_id=identity, campaign="salts", **fields)
    connection.results.add(found, candidate=identity, campaign="salts")
    done = {"$set": {"state": "COMPLETED"}}
    connection.launchpad.fireworks.update_many({"spec.candidate": identity}, done)


def test_ingesting_twice_is_one_label_set(store):
    store.results.add(outcome("Li2O", bound(1e-9)), candidate="a", campaign="x")
    store.results.add(outcome("LiCl", status="rejected"), candidate="b", campaign="x")
    first, second = ingest(store), ingest(store)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.key == second.key
    assert store.results.count(LabelSet) == 1
    assert [label.formula for label in first.labels.labels] == ["Li2O"]
    assert "rejected" in first.labels.rejects[0][1]


def test_the_order_of_outcomes_does_not_matter(tmp_path):
    versions = set()
    for number, order in enumerate([(0, 1), (1, 0)]):
        with connect(tmp_path / f"s{number}") as connection:
            for place in order:
                formula = ("Li2O", "LiCl")[place]
                connection.results.add(outcome(formula, 1e-5), candidate=formula, campaign="x")
            versions.add(ingest(connection).labels.version)
    assert len(versions) == 1


def test_a_campaign_without_outcomes_is_named(store):
    with pytest.raises(StoreError, match="no outcomes of campaign 'y'; it has none"):
        ingest(store, campaigns=["y"])


def test_outcomes_from_elsewhere_are_added_once_and_bad_lines_named(store, tmp_path):
    file = tmp_path / "dft.jsonl"
    good = outcome("Li6PS5Cl", 2e-3, engine="vasp-6").as_dict()
    bad = {**good, "status": "measured"}
    file.write_text("\n".join([json.dumps(good), json.dumps(bad), "{not json"]))
    done = import_outcomes(store, file)
    assert (done.added, done.present) == (1, 0)
    assert [source for source, _ in done.refused] == ["dft.jsonl:2", "dft.jsonl:3"]
    assert import_outcomes(store, file).present == 1
    assert [label.kind for label in ingest(store).labels.labels] == ["aimd"]


def test_a_file_without_outcomes_is_refused(store, tmp_path):
    (tmp_path / "dft.jsonl").write_text('{"formula": "Li2O"}')
    with pytest.raises(DataError, match="holds no outcome"):
        import_outcomes(store, tmp_path / "dft.jsonl")


def test_new_labels_change_the_ranking_and_it_says_why(store, campaign):
    record = submitted(store, campaign())
    conclude(store, record, "LiF", bound(1e-12))
    conclude(store, record, "LiCl", 5e-3)
    conclude(store, record, "LiH", status="failed", reason="no energy")
    found = rerank(store, record).record
    by_formula = {change.formula: change for change in found.changes}
    assert len(found.changes) == 5
    assert by_formula["LiCl"].score_after > by_formula["LiCl"].score_before
    assert by_formula["LiF"].score_after < by_formula["LiF"].score_before
    assert by_formula["LiCl"].after == 1
    assert "0.005 [" in by_formula["LiCl"].why
    assert "LiCl" in by_formula["LiBr"].why or "LiF" in by_formula["LiBr"].why
    assert len(found.new_labels) == 2
    assert any("no energy" in reason for _, reason in found.refused)


def test_reranking_without_new_outcomes_is_the_same_record(store, campaign):
    record = submitted(store, campaign())
    conclude(store, record, "LiF", bound(1e-12))
    first, again = rerank(store, record), rerank(store, record)
    assert first.record == again.record
    assert store.results.count(Reranking) == 1


def test_a_later_round_starts_from_the_ranking_before_it(store, campaign):
    record = submitted(store, campaign())
    conclude(store, record, "LiF", bound(1e-12))
    first = rerank(store, record).record
    conclude(store, record, "LiCl", 5e-3)
    second = rerank(store, record).record
    assert second.ranking_before == first.ranking_after
    assert second.labels_before == first.labels_after
    assert second.new_labels[0][0].endswith("LiCl")
    assert len(second.new_labels) == 1


def test_a_bound_that_decides_nothing_moves_nobody(store, campaign):
    record = submitted(store, campaign())
    conclude(store, record, "LiF", bound(1.0))
    found = rerank(store, record).record
    assert [c.score_before for c in found.changes] == [c.score_after for c in found.changes]
    assert any("< 1 S/cm" in change.why for change in found.changes)


def test_a_blind_campaign_does_not_know_its_own_compositions(store, campaign):
    record = submitted(store, campaign(blind=True))
    conclude(store, record, "LiI", 3e-7)
    found = rerank(store, record).record
    assert found.labels_before.startswith("starter-blind ")
    assert [offset.pairs[0][0] for offset in found.offsets] == ["LiI"]
    seeing = feedback_of(record).model_copy(update={"blind": False})
    kept = rerank(store, record, feedback=seeing).record
    lithium_iodide = next(change for change in kept.changes if change.formula == "LiI")
    assert "another label" in lithium_iodide.why


def test_a_stored_ranking_is_made_again_from_its_labels(store, campaign):
    record = submitted(store, campaign())
    conclude(store, record, "LiF", bound(1e-12))
    found = rerank(store, record).record
    for key in (found.ranking_before, found.ranking_after):
        difference = reproduce(store, record, key)
        assert (difference.n_entries, difference.largest) == (5, 0.0)
    assert reproduce(store, record, found.ranking_after[:20]).largest == 0.0
    for key, said in (("record-", "2 rankings begin"), ("x", "No ranking begins")):
        with pytest.raises(StoreError, match=said):
            reproduce(store, record, key)


def structures_of(connection, campaign="salts"):
    record = latest_record(connection, campaign)
    return {
        material.formula: round(material.structure.lattice.volume, 6)
        for material in campaign_materials(connection, record)
    }


def test_structures_of_candidates_are_on_record(store, campaign):
    submitted(store, campaign())
    found = structures_of(store)
    assert found["LiCl"] == pytest.approx(5.14**3 / 4, abs=1e-6)
    store.launchpad.fireworks.delete_many({})
    assert structures_of(store) == found


def test_a_store_without_records_of_candidates_has_their_structures(store, campaign):
    submitted(store, campaign())
    found = structures_of(store)
    store.database[CANDIDATES].delete_many({})
    assert structures_of(store) == found
    store.launchpad.fireworks.delete_many({})
    with pytest.raises(DataError, match="not in the store any more"):
        structures_of(store)


def test_candidates_of_earlier_settings_stay_beside_those_of_now(store, campaign):
    path = campaign()
    submitted(store, path)
    path.write_text(path.read_text().replace("900", "1000"))
    plan = make_plan(read_campaign(path))
    change = change_of(plan, store)
    submit(plan, store, change=change)
    names = [item["campaign"] for item in store.database[CANDIDATES].find({})]
    assert Counter(names) == {"salts": 5, change.earlier: 5}


def test_the_queue_is_reordered(store, campaign):
    record = submitted(store, campaign())
    conclude(store, record, "LiCl", 5e-3)
    choices = update_priorities(store, record, rerank(store, record).ranking)
    assert {choice.formula for choice in choices} == {"LiF", "LiBr", "LiI", "LiH"}
    for place, choice in enumerate(choices):
        jobs = Part("salts", (choice.candidate_id,)).query
        priorities = {job["spec"]["_priority"] for job in store.launchpad.fireworks.find(jobs)}
        assert priorities == {len(choices) - place}


def runnable(connection):
    from ssefw.campaigns.steering.holds import without_held

    query = {**without_held(connection, {"spec.campaign": "salts"}), "state": "READY"}
    return {job["spec"]["candidate"] for job in connection.launchpad.fireworks.find(query)}


def test_a_loop_computes_batches_until_its_target(store, campaign):
    record = submitted(store, campaign(batch=2, target=1))
    names = {item.candidate_id: item.formula for item in record.candidates}
    assert runnable(store) == set()
    turn = advance(store, record)
    assert {choice.candidate_id for choice in turn.released} == runnable(store)
    assert len(turn.released) == 2
    again = advance(store, record)
    assert not again.released
    assert "2 candidates of the batch are not done" in again.reason
    for choice in turn.released:
        conclude(store, record, choice.formula, bound(1e-12))
    turn = advance(store, record)
    assert len(turn.released) == 2
    for identity in runnable(store):
        conclude(store, record, names[identity], 5e-3)
    turn = advance(store, record)
    assert turn.is_over
    assert turn.hits == 2
    assert "2 hits are found, 1 were asked for" in turn.reason
    assert runnable(store) == set()


def test_a_loop_ends_when_the_next_batch_promises_too_little(store, campaign):
    record = submitted(store, campaign(batch=2, min_expected=2.0))
    turn = advance(store, record)
    assert turn.is_over
    assert "fewer than 2" in turn.reason


def test_a_loop_ends_when_its_budget_is_spent(store, campaign):
    record = submitted(store, campaign(batch=2))
    rich = record.model_copy(update={"spec": {**record.spec, "budget": {"core_hours": 100.0}}})
    poor = record.model_copy(update={"spec": {**record.spec, "budget": {"core_hours": 1.0}}})
    add_spending(store, "salts", core_hours=2.0)
    turn = advance(store, poor)
    assert turn.is_over
    assert "core-hours" in turn.reason
    assert not turn.released
    lift_budget(store, rich)
    assert len(advance(store, rich).released) == 2


def test_a_loop_takes_what_promises_most_for_a_predicted_core_hour(store, campaign):
    record = submitted(store, campaign(batch=1))
    order = {entry.formula: entry for entry in rerank(store, record).ranking.entries}
    best, second = list(order)[:2]
    costs = tuple(
        item.model_copy(update={"core_hours": 0.1 if item.formula == second else 1000.0})
        for item in record.candidates
    )
    (first,) = advance(store, record.model_copy(update={"candidates": costs})).released
    assert first.formula == second != best
    hope = order[second].score + 0.5 * (order[second].spread or 0.0)
    assert first.gain == pytest.approx(min(1.0, hope) / 0.1)


def test_candidates_are_found_by_their_elements(store, campaign):
    submitted(store, campaign())
    found = store.results.ask("candidates", Ask(elements=["Cl"]))
    assert [item.formula for item in found] == ["LiCl"]
    assert len(list(store.results.ask("candidates", Ask(), limit=3, skip=3))) == 2
    with pytest.raises(DataError, match="no 'min_sigma' yet"):
        list(store.results.ask("candidates", Ask(min_sigma=1e-3)))


def test_a_rule_of_a_loop_without_a_batch_is_refused(campaign):
    with pytest.raises(ConfigurationError, match="give batch"):
        read_campaign(campaign(target=3))


def test_label_files_are_found_beside_the_campaign(campaign, tmp_path):
    (tmp_path / "mine.csv").write_text("formula,sigma (S/cm)\nLi2O,1e-9\n")
    spec = read_campaign(campaign(labels=["starter", "mine.csv"]))
    assert spec.feedback.labels == ("starter", str((tmp_path / "mine.csv").resolve()))


def test_a_campaign_without_the_block_has_defaults(store, campaign):
    record = submitted(store, campaign())
    bare = record.model_copy(update={"spec": {**record.spec, "feedback": None}})
    assert feedback_of(bare).labels == ("starter",)


def entry(formula, score, spread=0.0):
    return RankedCandidate(candidate_id=formula, formula=formula, score=score, spread=spread)


def test_copies_of_one_framework_wait_for_their_turn():
    entries = [entry(f"Li{n}PS4", 0.9 - n / 100) for n in range(1, 6)] + [entry("Li3YCl6", 0.3)]
    order = [choice.formula for choice in acquisition_order(entries, per_framework=2)]
    assert order[:3] == ["Li1PS4", "Li2PS4", "Li3YCl6"]
    assert sorted(order) == sorted(item.formula for item in entries)


def test_the_cheaper_of_two_equals_goes_first():
    entries = [entry("Li2O", 0.5), entry("Li2S", 0.5)]
    hours = {"Li2O": 10.0, "Li2S": 1.0}
    assert [c.formula for c in acquisition_order(entries, core_hours=hours)] == ["Li2S", "Li2O"]


def test_uncertainty_is_worth_a_look():
    entries = [entry("Li2O", 0.5), entry("Li2S", 0.45, spread=0.3)]
    assert acquisition_order(entries)[0].formula == "Li2S"
    assert acquisition_order(entries, exploration=0.0)[0].formula == "Li2O"


def test_a_framework_is_what_is_left_without_the_ion():
    assert framework_of("Li6PS5Cl") == framework_of("Li5.5PS4.5Cl1.5") == "Cl-P-S"
    assert framework_of("Li3N") == "N"


@pytest.fixture
def numbered(store, campaign):
    """A campaign whose system predicts the number, with a value and a bound computed."""
    record = submitted(store, campaign(system="conductivity", settings={"folds": 2}, blind=True))
    rerank(store, record)
    conclude(store, record, "LiF", bound(1e-12))
    conclude(store, record, "LiCl", 5e-3)
    return rerank(store, record).record


def test_a_reranking_tells_conductivities_before_and_after(numbered):
    by_formula = {change.formula: change for change in numbered.changes}
    predicted = by_formula["LiBr"]
    for sigma in (predicted.sigma_before, predicted.sigma_after):
        assert (sigma.method, sigma.level, sigma.unit) == (PREDICTED, 0.9, "S/cm")
        assert sigma.lower < sigma.value < sigma.upper
    assert by_formula["LiCl"].sigma_after.value == 5e-3
    assert by_formula["LiF"].sigma_after.kind == "upper_bound"


def test_predictions_are_held_against_what_was_computed(store, numbered):
    before = {c.formula: c.sigma_before for c in numbered.changes}
    test = prediction_test(steps_of(store, numbered))
    chlorine = before["LiCl"]
    holds = chlorine.lower <= 5e-3 <= chlorine.upper
    assert (test.n, test.n_values) == (2, 1)
    assert test.held == holds + (before["LiF"].lower <= 1e-12)
    assert test.error == pytest.approx(abs(math.log10(chlorine.value / 5e-3)))
    page = html_report(store, "salts")
    assert str(test) in page
    assert "σ before (S/cm)" in page
    assert estimate_words(chlorine) in page


def test_a_campaign_of_classes_has_no_numbers_to_test(store, campaign):
    record = submitted(store, campaign())
    conclude(store, record, "LiCl", 5e-3)
    found = rerank(store, record).record
    assert prediction_test([found]) is None
    assert "σ before (S/cm)" not in html_report(store, "salts")


def test_the_command_tells_the_numbers_and_takes_another_system(store, numbered, ssefw, caplog):
    folder = str(store.address)
    said = ssefw("feedback", "rerank", "salts", "--store", folder)
    assert "sigma (S/cm)" in said.stdout
    assert "of 2 computed conductivities agree" in said.stderr
    record = json.loads(ssefw("feedback", "rerank", "salts", "--store", folder, "--json").stdout)
    assert record["prediction_test"]["n"] == 2
    assert any(change["sigma_after"]["kind"] == "value" for change in record["changes"])
    # Settings of the campaign's own system are none of another one.
    other = ("--system", "sendek2017", "--no-queue")
    refused = ssefw("feedback", "rerank", "salts", *other, "--store", folder, check=False)
    assert "38 labels have no structure, and sendek2017 leaves them out" in caplog.text
    assert "of the 3 labels" in refused.stderr
