"""Results are found by type, campaign and candidate, and are what was stored."""

import pytest
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Response, job
from jobflow.managers.fireworks import flow_to_workflow

from ssefw.documents import Barrier, Diffusivity, Document, Estimate, Label, Outcome
from ssefw.errors import StoreError
from tests.outcomes import outcome


def label(number, temperature=300.0):
    return Label(
        candidate_id=f"candidate-{number}",
        formula="Li2O",
        conductivity=Estimate.undetermined("no data", unit="S/cm"),
        temperature=temperature,
        kind="experiment",
    )


@pytest.fixture
def results(connection):
    return connection.results


def stored(connection, output, *, uuid="job-1", index=1, **metadata):
    """Keep what a job has put out, in jobflow's form."""
    record = {"uuid": uuid, "index": index, "output": output, "metadata": metadata, "hosts": []}
    connection.job_store.update(record)


def test_records_are_found_by_campaign_candidate_and_stage(connection, results):
    for number in range(6):
        stored(
            connection,
            label(number).as_dict(),
            uuid=f"job-{number}",
            campaign="even" if number % 2 == 0 else "odd",
            candidate=f"candidate-{number}",
            stage="md" if number < 3 else "neb",
        )
    assert list(results.find(Label, campaign="odd")) == [label(1), label(3), label(5)]
    assert list(results.find(Label, candidate="candidate-4")) == [label(4)]
    assert list(results.find(Label, campaign="even", stage="md")) == [label(0), label(2)]
    assert results.count(Label) == 6
    assert results.count(Label, campaign="no such") == 0


def test_only_the_asked_type_is_found(connection, results):
    stored(connection, label(1).as_dict())
    stored(connection, {"some": "dictionary"}, uuid="job-2")
    assert list(results.find(Diffusivity)) == []
    assert list(results.find(Barrier)) == []
    assert results.count(Label) == 1


@pytest.mark.parametrize(
    ("where", "numbers"),
    [
        ({"temperature": {"$gt": 500}}, [6, 7, 8, 9]),
        ({"temperature": 500.0}, [5]),
        ({"conductivity.kind": "undetermined"}, list(range(10))),
        ({"$or": [{"temperature": {"$lt": 100}}, {"candidate_id": "candidate-7"}]}, [0, 7]),
        ({"$nor": [{"temperature": {"$lt": 800}}]}, [8, 9]),
    ],
)
def test_where_asks_for_fields_of_the_record(connection, results, where, numbers):
    for number in range(10):
        stored(connection, label(number, 100.0 * number).as_dict(), uuid=f"job-{number}")
    found = [
        int(record.candidate_id.rpartition("-")[2]) for record in results.find(Label, where=where)
    ]
    assert found == numbers
    assert results.count(Label, where=where) == len(numbers)


def test_of_a_job_that_ran_again_only_the_last_output_counts(connection, results):
    for index, temperature in [(1, 300.0), (3, 900.0), (2, 600.0)]:
        stored(connection, label(1, temperature).as_dict(), index=index)
    assert list(results.find(Label)) == [label(1, 900.0)]
    assert results.count(Label) == 1
    assert list(results.find(Label, where={"temperature": 600.0})) == []
    assert results.get("job-1") == label(1, 900.0)


def test_a_job_whose_last_output_is_of_another_type_is_not_found(connection, results):
    stored(connection, label(1).as_dict(), index=1)
    stored(connection, None, index=2)
    assert list(results.find(Label)) == []


def test_more_records_than_a_batch_come_in_order(connection, results):
    for number in range(0, 250, 50):
        connection.job_store.update(
            [
                {"uuid": f"{249 - i:04d}", "index": 1, "output": label(i).as_dict(), "metadata": {}}
                for i in range(number, number + 50)
            ]
        )
    found = [record.candidate_id for record in results.find(Label)]
    assert found == [f"candidate-{i}" for i in range(250)]


def test_records_may_be_added_while_others_are_read(connection, results):
    for number in range(3):
        results.add(label(number), candidate="c", campaign="x")
    for number, _ in enumerate(results.find(Label), start=10):
        results.add(label(number), candidate="c", campaign="x")
    assert results.count(Label) == 6


def test_an_unknown_key_is_refused(results):
    with pytest.raises(StoreError, match="There is no record 'nothing'"):
        results.get("nothing")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"invented": 1}, "cannot be read as Label: .*invented"),
        ({"temperature": "hot"}, "cannot be read as Label: .*temperature"),
        ({"temperature": None}, "cannot be read as Label"),
    ],
)
def test_a_record_that_does_not_fit_its_class_is_refused_with_its_key(
    connection, results, change, reason
):
    stored(connection, label(1).as_dict() | change, uuid="job-17")
    with pytest.raises(StoreError, match=f"Record 'job-17' {reason}"):
        list(results.find(Label))


def test_a_record_of_a_class_that_is_gone_is_refused(connection, results):
    stored(connection, label(1).as_dict() | {"@class": "Lable"}, uuid="job-17")
    with pytest.raises(StoreError, match=r"Record 'job-17' (is|cannot be read)"):
        results.get("job-17")


def test_a_record_that_is_no_document_is_refused(connection, results):
    stored(connection, {"some": "dictionary"}, uuid="job-17")
    with pytest.raises(StoreError, match="is 'dict', not a Document"):
        results.get("job-17")


def test_a_record_made_again_at_another_time_is_the_same(results):
    first, again = outcome("LiCl", 5e-3), outcome("LiCl", 5e-3)
    assert first.conductivity.provenance.created != again.conductivity.provenance.created
    keys = {results.add(item, candidate="c", campaign="a") for item in (first, again)}
    assert len(keys) == results.count(Outcome) == 1


def test_the_same_record_of_another_campaign_is_another(results):
    first = results.add(label(1), candidate="c", campaign="a")
    assert results.add(label(1), candidate="c", campaign="b") != first
    assert results.count(Label) == 2


@job
def measure(temperature):
    return label(1, temperature)


@job
def measure_again(temperature):
    return Response(output=label(1, temperature), replace=measure(temperature + 100))


def test_what_a_job_puts_out_is_found_by_its_metadata(connection, results):
    flow = measure_again(300.0)
    flow.update_metadata({"campaign": "test", "candidate": "c", "stage": "md"}, dynamic=True)
    connection.launchpad.add_wf(flow_to_workflow(flow, store=None))
    rapidfire(connection.launchpad, FWorker(), strm_lvl="CRITICAL")
    (found,) = results.find(Label, campaign="test", candidate="c", stage="md")
    assert found == label(1, 400.0)
    assert results.get(flow.uuid) == found
    assert isinstance(found, Document)
