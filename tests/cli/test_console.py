"""What others wrote is shown as it is: never as a style, never as a command to the terminal."""

import io
import re
from pathlib import Path

import pytest
from fireworks import FWAction, FWorker
from rich.live import Live
from rich.table import Table

from ssefw.campaigns.running.watch import latest_record, snapshot
from ssefw.cli import console
from ssefw.cli.campaign.progress import view
from ssefw.cli.say import say
from ssefw.store import connect
from tests.conftest import CAMPAIGN
from tests.outcomes import outcome

SOURCES = sorted(Path(console.__file__).parent.rglob("*.py"))
HOSTILE = ["no energy in [/scratch/x]", "[/bold]x", "[bold red]x", "[link=file:///x]x", ":smile:"]


@pytest.fixture
def screen():
    """A console of this program that writes to memory."""
    return console._Verbatim(file=io.StringIO(), width=200)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_in_brackets_is_shown_as_it_is(screen, text):
    table = Table(title=text, caption=text)
    table.add_column(text)
    table.add_row(text)
    screen.print(table)
    screen.print(text)
    assert screen.file.getvalue().count(text) == 5


def test_no_line_commands_the_terminal(capsys):
    say("Li\x1b]0;owned\x07\x9b2J\tCl\nnext")
    assert capsys.readouterr().out == "Li\\x1b]0;owned\\x07\\x9b2J\tCl\nnext\n"


def test_all_lines_go_where_they_are_made_harmless():
    for path in SOURCES:
        if path.name != "say.py":
            assert not re.search(r"click\.s?echo\(|(?<![.\w])print\(", path.read_text()), path


def test_no_text_commands_the_terminal(screen):
    table = Table("name")
    table.add_row("\x1b]0;title\x07\x1b[2J\x9b31mLiCl")
    screen.print(table)
    assert not set("\x1b\x07\x9b") & set(screen.file.getvalue())
    assert "LiCl" in screen.file.getvalue()


@pytest.mark.parametrize("text", HOSTILE[:2])
def test_a_message_in_brackets_leaves_results_readable(ssefw, tmp_path, text):
    with connect(tmp_path / "st", create=True) as connection:
        failed = outcome("LiCl", candidate_id="abc", status="failed", reason=text)
        connection.results.add(failed, candidate="abc", campaign="x")
    assert text in ssefw("results", "--store", "st").stdout
    assert text in ssefw("results", "find", "outcomes", "--store", "st").stdout
    assert text in ssefw("results", "show", "abc", "--store", "st").stdout


def test_a_failed_job_in_a_folder_of_brackets_leaves_status_readable(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    ssefw("submit", "c.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        _, launch = connection.launchpad.checkout_fw(FWorker(), str(tmp_path))
        trace = "Traceback\nEngineError: no energy in [/scratch/x]"
        action = FWAction(stored_data={"_exception": {"_stacktrace": trace}})
        connection.launchpad.complete_launch(launch, action, "FIZZLED")
    assert "no energy in [/scratch/x]" in ssefw("status", "--store", "st").stdout


def test_a_live_view_shows_names_as_they_are(ssefw, tmp_path, screen):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    ssefw("submit", "c.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        record = latest_record(connection, "small")
        now = snapshot(connection, record, tmp_path)
    now = type(now)(**vars(now) | {"stages": {("[/bold]md", "READY"): 1}})
    with Live(console=screen) as live:
        live.update(view(now, record))
    assert "[/bold]md" in screen.file.getvalue()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_only_one_module_makes_consoles_and_none_reads_markup(path):
    text = path.read_text()
    assert path.name == "console.py" or not re.search(r"import Console\b|rich\.print", text)
    assert "from_markup" not in text
    assert not re.search(r"TextColumn\((?![^)]*markup=False)", text)
