"""``ssefw neb`` with a quick calculator."""

import json

import pytest
from click.testing import CliRunner

from ssefw.cli.neb import command

QUICK = ["--specie", "Cu", "--max-length", "2.8", "--min-length", "5", "--images", "3"]
EMT = ["--option", "calculator=ase.calculators.emt.EMT"]


@pytest.fixture
def file(copper, tmp_path, monkeypatch):
    """Copper as a CIF file, and a scratch folder."""
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    path = tmp_path / "Cu.cif"
    copper.to(filename=str(path))
    return str(path)


def test_barriers_and_what_crosses_are_printed_as_json(file):
    result = CliRunner().invoke(command, [file, *QUICK, *EMT, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    hop, barrier = (json.loads(line) for line in result.stdout.splitlines())
    assert hop["forward"] == pytest.approx(hop["reverse"], abs=0.002)
    assert barrier["barrier_3d"]["value"] == pytest.approx(hop["forward"], abs=0.002)


def test_dry_run_computes_nothing(file, tmp_path):
    result = CliRunner().invoke(command, [file, *QUICK, "--dry-run"], catch_exceptions=False)
    assert "symmetric" in result.stdout
    assert not (tmp_path / "scratch").exists()


def test_options_that_the_engine_does_not_know_are_a_usage_error(file):
    result = CliRunner().invoke(command, [file, "--option", "nonsense=1"])
    assert result.exit_code == 2
    assert "nonsense" in result.stderr
