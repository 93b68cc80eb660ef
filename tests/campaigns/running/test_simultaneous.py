"""Submissions at the same time add each candidate once, in a folder and on a server."""

import re
import threading
import uuid

import pytest
from bson import ObjectId

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.change import change_of, retire
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.submission import submit
from ssefw.campaigns.steering.holds import Hold, hold, holds
from ssefw.errors import LaunchError
from ssefw.store import connect
from tests.conftest import CAMPAIGN


@pytest.fixture(params=["folder", "server"])
def address(request, tmp_path):
    if request.param == "folder":
        yield tmp_path / "st"
        return
    place = f"{request.getfixturevalue('mongo')}/at_once_{uuid.uuid4().hex[:8]}"
    yield place
    with connect(place) as connection:
        connection.database.client.drop_database(connection.database.name)


def at_the_same_time(count, act):
    """Call a function in several threads, which begin together; return what it returned."""
    barrier, results = threading.Barrier(count), [None] * count

    def one(number):
        barrier.wait()
        try:
            results[number] = act(number)
        except LaunchError as error:
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def counts(address):
    with connect(address) as connection:
        launchpad = connection.launchpad
        nodes = [node for item in launchpad.workflows.find({}) for node in item["nodes"]]
        numbers = [item["fw_id"] for item in launchpad.fireworks.find({})]
    assert sorted(numbers) == sorted(nodes)
    return len(numbers)


def submitted(address, path):
    with connect(address) as connection:
        return submit(make_plan(read_campaign(path)), connection)


def test_each_candidate_is_added_once(address, campaign_file):
    connect(address).close()
    done = at_the_same_time(4, lambda _: submitted(address, campaign_file))
    assert counts(address) == 4  # a relaxation and a ladder of each of two
    assert sum(item.added for item in done) == 2
    assert all(item.added + item.present == 2 for item in done)


def test_of_two_settings_at_the_same_time_one_is_refused(tmp_path, campaign_file):
    other = tmp_path / "other.yaml"
    other.write_text(CAMPAIGN.replace("length: 1.0", "length: 2.0"))
    connect(tmp_path / "st").close()
    paths = (campaign_file, other)
    done = at_the_same_time(2, lambda number: submitted(tmp_path / "st", paths[number]))
    assert sum(isinstance(item, LaunchError) for item in done) == 1
    assert counts(tmp_path / "st") == 4


def test_a_submission_that_was_killed_half_way_is_completed(mongo, campaign_file):
    address = f"{mongo}/half_{uuid.uuid4().hex[:8]}"
    submitted(address, campaign_file)
    with connect(address) as connection:
        before = sorted(connection.launchpad.fireworks.distinct("fw_id"))
        connection.launchpad.fireworks.delete_many({"fw_id": {"$in": before[:3]}})
    assert submitted(address, campaign_file).added == 0
    with connect(address) as connection:
        assert sorted(connection.launchpad.fireworks.distinct("fw_id")) == before
        assert sorted(connection.launchpad.fireworks.distinct("state")) == ["READY", "WAITING"]
        connection.database.client.drop_database(connection.database.name)


def test_a_store_with_doubles_of_an_earlier_version_still_opens(address, campaign_file):
    submitted(address, campaign_file)
    with connect(address) as connection:
        launchpad = connection.launchpad
        for workflow in list(launchpad.workflows.find({})):
            first = launchpad.get_new_fw_id(quantity=2)
            jobs = launchpad.fireworks.find({"fw_id": {"$in": workflow["nodes"]}})
            for number, job in enumerate(list(jobs)):
                launchpad.fireworks.insert_one(job | {"_id": ObjectId(), "fw_id": first + number})
            double = {"_id": ObjectId(), "nodes": [first, first + 1]}
            launchpad.workflows.insert_one(workflow | double)
    assert submitted(address, campaign_file).present == 2
    assert counts(address) == 8


def test_settings_that_were_retired_are_added_again(address, tmp_path, campaign_file):
    submitted(address, campaign_file)
    other = tmp_path / "other.yaml"
    other.write_text(re.sub(r"length: 1.0", "length: 2.0", CAMPAIGN))
    plan = make_plan(read_campaign(other))
    with connect(address) as connection:  # killed before the new ones were added
        retire(connection, change_of(plan, connection), plan)
    assert submitted(address, campaign_file).added == 2
    assert counts(address) == 8


def test_the_same_hold_is_put_in_place_once(address):
    def put(_):
        with connect(address) as connection:
            return hold(connection, Hold("c", "loop", below=0))

    connect(address).close()
    assert sum(at_the_same_time(4, put)) == 1
    with connect(address) as connection:
        assert len(holds(connection, "c")) == 1
