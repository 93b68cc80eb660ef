"""Webhooks and commands that are told what happened to a campaign, tried on a local receiver."""

import json
import shlex
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ssefw.campaigns.running.notices import send_due
from ssefw.campaigns.running.watch import latest_record, snapshot
from ssefw.campaigns.steering.holds import Hold, hold
from ssefw.serve.board import Board
from ssefw.settings import Settings
from ssefw.store import connect
from tests.conftest import CAMPAIGN
from tests.job_states import MESSAGE, fail


@pytest.fixture
def receiver():
    """The address of a receiver, and what it has got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()


@pytest.fixture
def connection(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    ssefw("submit", "c.yaml", "--store", "st")
    with connect(tmp_path / "st") as connection:
        yield connection


def tell(connection, settings, folder):
    record = latest_record(connection, "small")
    return send_due(connection, snapshot(connection, record, folder), settings)


def test_a_new_cause_a_spent_budget_and_the_end_are_told_once(connection, receiver, tmp_path):
    url, got = receiver
    settings = Settings(store=str(tmp_path / "st"), notify_url=url)
    assert tell(connection, settings, tmp_path) == []
    fail(connection, tmp_path)
    tell(connection, settings, tmp_path)
    tell(connection, settings, tmp_path)
    (failed,) = got
    assert failed["event"] == "failures"
    assert failed["campaign"] == "small"
    assert MESSAGE in failed["text"]
    hold(connection, Hold("small", "budget", reason="2 of 1 core-hours are spent"))
    tell(connection, settings, tmp_path)
    assert got[1:] == [
        {"event": "budget", "campaign": "small", "key": "small/budget/None",
         "text": "Campaign small is held: 2 of 1 core-hours are spent."}
    ]  # fmt: skip
    hold(connection, Hold("small", "cancel"))
    tell(connection, settings, tmp_path)
    tell(connection, settings, tmp_path)
    assert [item["event"] for item in got] == ["failures", "budget", "done"]


def test_a_server_of_pages_tells_too(connection, receiver, tmp_path):
    url, got = receiver
    fail(connection, tmp_path)
    settings = Settings(store=str(tmp_path / "st"), notify_url=url)
    for read_only, told in ((True, []), (False, ["failures"])):
        board = Board(connection, settings, read_only=read_only)
        board.look()
        board.tell()
        assert [item["event"] for item in got] == told


def test_a_command_gets_the_text_and_no_shell_reads_it(connection, tmp_path):
    told = tmp_path / "told"
    script = tmp_path / "tell.py"
    script.write_text(
        "import os, sys\n"
        f"open({str(told)!r}, 'a').write(os.environ['SSEFW_NOTICE_EVENT'] + sys.argv[-1])\n"
    )
    command = shlex.join([sys.executable, "-S", str(script)])
    settings = Settings(store=str(tmp_path / "st"), notify_command=command)
    hold(connection, Hold("small", "budget", reason=f"$(touch {tmp_path}/broken); `id`"))
    tell(connection, settings, tmp_path)
    assert told.read_text().startswith("budgetCampaign small is held: $(touch")
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize(
    "how",
    [{"notify_url": "http://127.0.0.1:1/x"}, {"notify_url": "file:///etc/passwd"},
     {"notify_command": "no-such-program"}, {"notify_command": "'"}],
    ids=str,
)  # fmt: skip
def test_a_receiver_that_fails_is_named_and_stops_nothing(connection, tmp_path, caplog, how):
    hold(connection, Hold("small", "budget", reason="all is spent"))
    (sent,) = tell(connection, Settings(store=str(tmp_path / "st"), **how), tmp_path)
    assert sent.event == "budget"
    assert "all is spent" in caplog.text


def test_the_address_of_a_webhook_is_not_shown(ssefw, monkeypatch):
    monkeypatch.setenv("SSEFW_NOTIFY_URL", "https://hooks.example.com/services/T0/secret")
    said = ssefw("config", "show", "--json").stdout
    assert "https://hooks.example.com/..." in said
    assert "secret" not in said
