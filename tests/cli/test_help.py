"""Help is fast, complete and true."""

import json
import re
import subprocess
import sys

import pytest

from ssefw.cli import COMMANDS
from ssefw.cli import ssefw as group
from tests.conftest import CAMPAIGN

HEAVY = ["torch", "sklearn", "jobflow", "fireworks", "atomate2", "maggma", "matplotlib", "pymatgen"]


def test_the_package_and_its_command_line_import_nothing_heavy(tmp_path):
    code = f"import sys, ssefw, ssefw.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


UNUSED = ["torch", "sklearn", "pandas", "numba", "atomate2", "custodian", "matplotlib", "ase.mep"]


def test_a_plan_of_ordered_crystals_imports_nothing_that_it_does_not_use(tmp_path):
    (tmp_path / "small.yaml").write_text(
        CAMPAIGN + "feedback: {labels: [starter], settings: {n_splits: 3}}\n"
    )
    code = (
        "import sys; from ssefw.cli import ssefw; "
        "ssefw(['plan', 'small.yaml'], standalone_mode=False); "
        f"print([m for m in {UNUSED} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_lists_every_command(ssefw):
    shown = ssefw("--help").stdout
    for name, (_, text) in COMMANDS.items():
        assert re.search(rf"^  {name} ", shown, re.MULTILINE)
        assert text.split(".")[0][:40] in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(ssefw, name):
    assert "Usage: ssefw " + name in ssefw(name, "--help").stdout


def all_commands():
    for name in COMMANDS:
        command = group.get_command(None, name)
        yield name, command
        for sub, inner in getattr(command, "commands", {}).items():
            yield f"{name} {sub}", inner


@pytest.mark.parametrize(("name", "command"), list(all_commands()), ids=str)
def test_every_command_says_what_it_does_and_shows_an_example(name, command):
    assert command.help
    assert len(command.help.splitlines()[0]) <= 100
    options = [item for item in command.params if hasattr(item, "show_default")]
    assert not [item.name for item in options if item.default == "" and item.show_default is None]
    is_plain_group = hasattr(command, "commands") and not command.invoke_without_command
    assert is_plain_group or (command.epilog or "").startswith(f"Example: ssefw {name}")


def test_completion_is_offered_for_bash():
    done = subprocess.run(
        [sys.executable, "-m", "ssefw"],
        env={"_SSEFW_COMPLETE": "bash_source", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "complete" in done.stdout


def test_config_show_says_where_each_value_came_from(ssefw, monkeypatch):
    monkeypatch.setenv("SSEFW_THREADS", "3")
    records = [json.loads(line) for line in ssefw("config", "show", "--json").stdout.splitlines()]
    by_name = {record["name"]: record for record in records}
    assert by_name["threads"] == {"name": "threads", "value": 3, "source": "SSEFW_THREADS"}
    assert by_name["workers"]["source"] == "default"


def test_config_check_tells_what_is_missing_from_what_is_wrong(ssefw, monkeypatch, tmp_path):
    monkeypatch.setenv("SSEFW_VASP_CMD", "mpirun-that-is-not vasp_std")
    monkeypatch.setenv("SSEFW_PSEUDO_DIR", str(tmp_path / "none"))
    done = ssefw("config", "check", "--json", check=False)
    states = {item["name"]: item for item in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert states["store"]["state"] == "ok"
    assert states["engine ase"]["state"] == "ok"
    assert states["vasp_cmd"]["state"] == "error"
    assert states["potcar_dir"]["state"] == "missing"
    assert states["pseudo_dir"]["state"] == "error"
    assert "SSEFW_VASP_CMD" in states["vasp_cmd"]["message"]
