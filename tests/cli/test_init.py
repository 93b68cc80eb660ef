"""``ssefw init``: campaign files that come along, where it is installed."""

import pytest

from tests.conftest import REPOSITORY

NAMES = sorted(path.stem for path in (REPOSITORY / "workflows").glob("*.yaml"))


def test_without_a_name_every_campaign_that_comes_along_is_listed(ssefw):
    lines = ssefw("init").stdout.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    assert all(20 < len(line) <= 100 for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_one_of_the_repository_with_its_commands_as_they_are_there(
    ssefw, tmp_path, name
):
    ssefw("init", name, "--to", "new/folder")
    written = (tmp_path / "new/folder" / f"{name}.yaml").read_text()
    original = (REPOSITORY / "workflows" / f"{name}.yaml").read_text()
    assert written == original.replace("workflows/", "")


def test_what_is_written_can_be_planned(ssefw, tmp_path):
    ssefw("init", "quickstart")
    assert "3 candidates" in ssefw("plan", "quickstart.yaml").stdout


def test_a_file_that_is_there_stays(ssefw, tmp_path):
    (tmp_path / "quickstart.yaml").write_text("mine")
    done = ssefw("init", "quickstart", check=False)
    assert done.returncode == 1
    assert "exists" in done.stderr
    assert (tmp_path / "quickstart.yaml").read_text() == "mine"


def test_a_name_that_is_none_is_answered_with_those_there_are(ssefw):
    done = ssefw("init", "quikstart", check=False)
    assert done.returncode == 1
    assert "laskowski2023_neb, quickstart" in done.stderr
