"""Settings: environment before file before default, and where each came from."""

from pathlib import Path

import pytest

from ssefw.errors import ConfigurationError
from ssefw.settings import load_settings


@pytest.fixture
def file(monkeypatch, tmp_path):
    path = tmp_path / "settings.yaml"
    monkeypatch.setenv("SSEFW_SETTINGS", str(path))
    return path


def test_the_environment_outranks_the_file_and_the_file_the_default(file, monkeypatch):
    file.write_text("threads: 2\nstore: /data/store\n")
    monkeypatch.setenv("SSEFW_THREADS", "4")
    loaded = load_settings()
    assert loaded.settings.threads == 4
    assert loaded.settings.store == "/data/store"
    assert loaded.settings.vasp_cmd == "vasp_std"
    assert loaded.sources["threads"] == "SSEFW_THREADS"
    assert loaded.sources["store"] == str(file)
    assert loaded.sources["vasp_cmd"] == "default"


def test_no_file_is_no_error(file):
    assert load_settings().settings.store == "ssefw-store"


def test_an_unknown_key_names_the_file_and_the_known_keys(file):
    file.write_text("sotre: x\n")
    with pytest.raises(ConfigurationError, match=r"'sotre'.*settings\.yaml.*Known keys: .*store"):
        load_settings()


@pytest.mark.parametrize("text", ["- 1\n", "a: [\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(file, text):
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"settings\.yaml"):
        load_settings()


def test_scratch_is_beside_a_folder_store_and_in_scratch_for_a_server(monkeypatch, tmp_path):
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "st"))
    assert load_settings().settings.scratch_folder() == tmp_path / "st" / "scratch"
    monkeypatch.setenv("SSEFW_STORE", "mongodb://host/ssefw")
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    assert load_settings().settings.scratch_folder() == Path("/scratch/me/ssefw-scratch")
