"""What a worker takes by FireWorks' own file."""

import pytest

from ssefw.campaigns.running.fireworker import FireWorker, read_fireworker
from ssefw.errors import ConfigurationError
from ssefw.store import connect
from tests.conftest import CAMPAIGN, REPOSITORY


def written(folder, text):
    (folder / "w.yaml").write_text(text)
    return folder / "w.yaml"


def test_the_file_of_the_project_takes_everything():
    assert read_fireworker(REPOSITORY / "my_fworker.yaml") == FireWorker("local", "", {})


def test_category_and_query_in_either_form(tmp_path):
    text = "name: n\ncategory: [relax, md]\nquery: {spec.campaign: x}\n"
    found = read_fireworker(written(tmp_path, text))
    assert found == FireWorker("n", "relax,md", {"spec.campaign": "x"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: x\n", "unknown key 'names'"),
        ("- 1\n", "no file of a FireWorks worker"),
        ("env: {vasp_cmd: x}\n", "'env' does not reach the jobs"),
        ("query: '{'\n", "'query' is not JSON"),
        ("query: [1]\n", "'query' is a filter"),
    ],
)
def test_what_is_no_such_file_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_fireworker(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_worker_takes_what_the_file_says_and_nothing_else(tmp_path, ssefw):
    (tmp_path / "small.yaml").write_text(CAMPAIGN)
    ssefw("submit", "small.yaml", "--store", "st")
    command = ("work", "--store", "st", "--no-wait", "--fworker")
    other = 'query: \'{"spec.campaign": "another"}\'\n'
    assert ssefw(*command, written(tmp_path, other)).stderr.startswith("0 jobs run")
    relaxed = ssefw(*command, written(tmp_path, "name: login\ncategory: [heavy]\n")).stderr
    assert not relaxed.startswith("0 jobs run")
    with connect(tmp_path / "st") as connection:
        names = connection.launchpad.launches.distinct("fworker.env.fworker")
        categories = connection.launchpad.fireworks.distinct(
            "spec._category", {"state": "COMPLETED"}
        )
    assert names == ["login"]
    assert categories == ["heavy"]
