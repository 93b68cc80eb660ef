"""Nothing secret is shown: in addresses, messages, logs, records of failures."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ssefw.cli import main, ssefw
from ssefw.errors import ConfigurationError, StoreError
from ssefw.masking import MaskingFormatter, masked, masked_address
from ssefw.settings import has_password, load_settings, with_password
from ssefw.store import Address, connect

REPOSITORY = Path(__file__).parents[1]
SECRET = "s3cretX"

words = st.text(st.characters(codec="utf-8", exclude_characters=" \t\n\r&"), max_size=12)
secrets = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8).map(
    lambda text: f"{SECRET}{text}{SECRET}"
)
options = st.sampled_from(
    [
        "tlsCertificateKeyFilePassword",
        "authMechanismProperties",
        "sslkeypassword",
        "proxyPassword",
        "access_token",
        "TLSCERTIFICATEKEYFILEPASSWORD",
    ]
)


@given(password=secrets, option=options, value=secrets.map(lambda text: text.replace("&", "%26")))
def test_an_address_never_shows_what_is_secret_in_it(password, option, value):
    address = Address(f"mongodb+srv://user:{password}@host/db?tls=true&{option}={value}&w=1")
    for shown in (str(address), repr(address), f"{address}", f"{address!s:>5}", address.masked):
        assert SECRET not in shown
    assert "mongodb+srv://user" in address.masked
    assert SECRET in str.__str__(address)


@given(before=words, password=secrets.filter(lambda text: not any(map(str.isspace, text))))
def test_no_message_shows_the_password_of_an_address_in_it(before, password):
    shown = masked(f"{before} mongodb://user:{password}@host:1/db does not answer ({before})")
    assert SECRET not in shown
    assert "mongodb://user:***@host:1/db" in shown


@pytest.mark.parametrize(
    "text",
    [
        f"password: {SECRET}",
        f"'db_password': '{SECRET} with blanks'",
        f'{{"token": "{SECRET}", "n": 1}}',
        f"MONGO_PWD={SECRET}",
        f"api_key = {SECRET}",
        f"?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}&w=1",
    ],
)
def test_what_is_named_as_a_secret_is_not_shown(text):
    assert SECRET not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "Give the next k-point mesh: 2 2 2, see https://host/docs?page=1.",
        "/scratch/me@node/run-1: Li3YCl6 at 900 K",
        "mongodb://host:27017/ssefw?blobs=/shared/frames",
        "Put the password into a file.",
    ],
)
def test_what_is_no_secret_is_shown(text):
    assert masked(text) == text
    assert masked_address(text) == text


def test_log_lines_hide_what_anybody_logs():
    record = logging.makeLogRecord({"msg": "at %s", "args": (f"mongodb://u:{SECRET}@host",)})
    assert MaskingFormatter("%(message)s").format(record) == "at mongodb://u:***@host"


@pytest.fixture
def file(monkeypatch, tmp_path):
    path = tmp_path / "settings.yaml"
    monkeypatch.setenv("SSEFW_SETTINGS", str(path))
    return path


@pytest.mark.parametrize(
    "text",
    [
        f"sotre: mongodb://u:{SECRET}@host/db\n",
        f"db_pass: {SECRET}\n",
        f"store: [mongodb://u:{SECRET}@host/db]\n",
        f"store: mongodb://u:{SECRET}@host/db\n  bad: indent: {SECRET}\n",
        f"store: 'mongodb://u:{SECRET}@host/db\n",
        f"a: &x {SECRET}\nb: *{SECRET}\n",
        f"{SECRET}\n",
    ],
)
def test_a_wrong_settings_file_is_not_quoted(file, text, capsys):
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert SECRET not in str(caught.value)
    with pytest.raises(SystemExit):
        main(["config", "show"])
    out, err = capsys.readouterr()
    assert SECRET not in out + err


@pytest.mark.parametrize(
    "address",
    [
        f"mongodb://user:{SECRET}@127.0.0.1:9/db?tlsCertificateKeyFilePassword={SECRET}",
        f"mongodb://user:{SECRET}@127.0.0.1:x9/db",
        f"mongodb://user:{SECRET}@127.0.0.1:9/db?nosuch={SECRET}",
        f"mongodb://user:{SECRET}@127.0.0.1:9/db?tls=maybe",
        f"mongodb://user:{SECRET}:@@127.0.0.1:9/db",
    ],
)
@pytest.mark.filterwarnings("ignore:Unknown option|The value of tls:UserWarning")
def test_an_address_that_cannot_be_used_is_not_quoted_with_its_password(address):
    with pytest.raises(StoreError) as caught:
        connect(address, timeout=0.2)
    assert f"user:{SECRET}" not in str(caught.value)
    assert f"Password={SECRET}" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("mongodb://me@host/db", "mongodb://me:p%40%2F%3A%20%25@host/db"),
        (
            "mongodb+srv://me:@host/db?tls=true",
            "mongodb+srv://me:p%40%2F%3A%20%25@host/db?tls=true",
        ),
        ("mongodb://me:known@host/db", "mongodb://me:known@host/db"),
        ("mongodb://host/db", "mongodb://host/db"),
        ("/data/me@home", "/data/me@home"),
    ],
)
def test_the_password_of_a_store_comes_from_a_variable_or_a_file(
    file, tmp_path, monkeypatch, address, expected
):
    (tmp_path / "password").write_text("p@/: %\n")
    file.write_text(f"store: {address}\nstore_password_file: {tmp_path / 'password'}\n")
    assert load_settings().settings.store == expected
    file.write_text(f"store: {address}\n")
    monkeypatch.setenv("SSEFW_STORE_PASSWORD", "p@/: %")
    assert load_settings().settings.store == expected


@given(st.text(min_size=1, max_size=20).filter(lambda t: t.encode("utf-8", "ignore").decode() == t))
def test_any_password_survives_its_way_into_an_address(password):
    from pymongo.uri_parser import parse_uri

    address = with_password("mongodb://me@host/db", password)
    assert parse_uri(address)["password"] == password
    assert has_password(address)
    assert not has_password("mongodb://me@host/db")


def test_a_missing_password_file_is_one_clear_line(file):
    file.write_text("store: mongodb://me@host/db\nstore_password_file: /no/such/file\n")
    with pytest.raises(ConfigurationError, match="/no/such/file"):
        load_settings()


def test_a_password_behind_store_is_warned_of_or_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("SSEFW_STORE", raising=False)
    found = CliRunner().invoke(
        ssefw, ["config", "show", "--store", f"mongodb://me:{SECRET}@127.0.0.1:9/db"]
    )
    assert "Warning: other users of this machine see the password" in found.output
    assert SECRET not in found.output
    found = CliRunner().invoke(ssefw, ["config", "show", "--store", "mongodb://me:@127.0.0.1:9/db"])
    assert found.exit_code == 2
    assert "SSEFW_STORE_PASSWORD" in found.output


def test_files_of_a_site_that_are_only_shown_hide_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv("SSEFW_STORE", f"mongodb://me:{SECRET}@host/db")
    found = CliRunner().invoke(ssefw, ["init-site", "slurm", "--to", str(tmp_path), "--dry-run"])
    assert found.exit_code == 0
    assert SECRET not in found.output
    found = CliRunner().invoke(ssefw, ["init-site", "slurm", "--to", str(tmp_path)])
    assert found.exit_code == 0
    written = {path.name: path for path in tmp_path.iterdir()}
    assert SECRET in written["settings.yaml"].read_text()
    for path in written.values():
        if SECRET in path.read_text():
            assert path.stat().st_mode & 0o077 == 0, path


def test_workers_do_not_show_the_address_to_whoever_lists_processes(tmp_path):
    """What a supervisor starts has the address in its environment, not among its arguments."""
    code = (
        "import subprocess, sys; from pathlib import Path\n"
        "from ssefw.campaigns.running import supervise; from ssefw.settings import Settings\n"
        f"settings = Settings(store='mongodb://me:{SECRET}@127.0.0.1:9/db')\n"
        "crew = supervise.WorkerProcesses(settings, 'c')\n"
        "crew.start(1, log=Path(sys.argv[1]) / 'log')\n"
        "print(Path(f'/proc/{crew.processes[0].pid}/cmdline').read_text())\n"
        "crew.processes[0].kill(); crew.processes[0].wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "work" in done.stdout
    assert SECRET not in done.stdout
