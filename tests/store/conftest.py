"""A store that is open."""

import jobflow
import pytest

from ssefw.store import connect


@pytest.fixture
def connection(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with connect(tmp_path / "store") as connection:
        connection.database.file.connection.execute("PRAGMA synchronous = OFF")
        monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", connection.job_store)
        yield connection
