"""A dry run says what would be done, and changes not a byte of a store."""

import hashlib
import json

import pytest

from ssefw.store import connect
from tests.conftest import CAMPAIGN
from tests.outcomes import outcome

LOOP = "feedback: {batch: 1}\n"


@pytest.fixture
def store(ssefw, tmp_path):
    """The command line, where a campaign with one outcome is in the store `st`."""
    (tmp_path / "c.yaml").write_text(CAMPAIGN + LOOP)
    ssefw("submit", "c.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        item = outcome("Cu", 1e-4, candidate_id="a" * 16).model_copy(update={"campaign": "small"})
        connection.results.add(item, candidate=item.candidate_id, campaign="small")
    (tmp_path / "more.jsonl").write_text(json.dumps(item.as_dict()) + "\n")
    return ssefw


def contents(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        # SQLite's index of the log is made anew by whoever opens the file.
        if path.is_file() and path.suffix not in {".sqlite-shm", ".sqlite-wal"}
        and not path.name.endswith(("-shm", "-wal"))
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["feedback", "ingest", "--outcomes", "more.jsonl"], "1 outcomes of more.jsonl would be"),
        (["feedback", "rerank"], "would be fitted to"),
        (["feedback", "next"], "would be learned from"),
        (["results", "build"], "would be computed"),
        (["store", "archive", "small", "a.archive"], "would be written to a.archive"),
        (["store", "backup", "b.backup"], "would be written to b.backup"),
        (["store", "check", "st", "--repair"], ""),
        (["store", "delete", "small"], "would be deleted"),
        (["work"], "jobs are ready and would run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(store, tmp_path, words, said):
    before = contents(tmp_path)
    done = store(*words, "--dry-run", "--store", "st", check=False)
    assert said in done.stdout
    assert "Error" not in done.stderr
    assert contents(tmp_path) == before


def test_a_dry_copy_counts_and_refuses_what_the_copy_would(store, tmp_path):
    before = contents(tmp_path)
    told = json.loads(store("store", "copy", "st", "new", "-n", "--json").stdout)
    assert told["records"] > 2
    assert told["dry_run"] is True
    assert "not copied to itself" in store("store", "copy", "st", "st", "-n", check=False).stderr
    assert contents(tmp_path) == before
