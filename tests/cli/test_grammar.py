"""One grammar: the same word means the same in every command, and old words say what is new."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from ssefw.cli import COMMANDS, SECTIONS
from ssefw.cli import ssefw as group
from ssefw.cli.renamed import RENAMED, modern
from ssefw.documents import ESTIMATE_SCHEMA, Estimate
from tests.cli.test_help import all_commands
from tests.conftest import CAMPAIGN, REPOSITORY

ALL = dict(all_commands())
LEAVES = {
    name: command
    for name, command in ALL.items()
    if not hasattr(command, "commands") or command.invoke_without_command
}
SILENT = {
    "completion install", "completion show", "log", "plan", "results export", "results find",
    "schema", "serve", "work",
}  # fmt: skip
"""Commands whose answer is a file, a text, or has forms of its own."""
WRITES = {
    "cancel", "completion install", "feedback ingest", "feedback next", "feedback rerank", "init",
    "init-site", "launch", "neb", "pause", "potential add", "priority", "rerun", "results build",
    "resume", "run", "store archive", "store backup", "store check", "store copy", "store delete",
    "submit", "work",
}  # fmt: skip
"""Commands that change a campaign or a store, or write what is asked for elsewhere: they can say
first what they would do."""
READS = {
    "analyze", "bvse", "completion show", "config check", "config show", "converge",
    "feedback check", "feedback history", "jobs", "labels export", "labels import", "labels show",
    "labels split", "labels stats", "log", "plan", "pool check", "pool order", "pool show",
    "pool substitute", "potential card", "potential export", "potential frames",
    "potential list", "potential show", "potential train",
    "report", "results", "results export", "results find", "results show", "results table",
    "schema", "screen descriptors", "screen evaluate", "screen explain", "screen patterns",
    "screen rank", "screen shortlist", "screen systems", "screen train", "screen validate",
    "screen votes", "serve", "status",
}  # fmt: skip
"""Commands that answer on stdout, or in the file of ``--out`` or ``--figure``."""
SHOWS_PROGRESS = {
    "analyze", "bvse", "labels import", "neb", "plan", "pool check", "resume", "run",
    "screen descriptors", "screen rank", "screen shortlist", "screen train",
    "screen validate", "submit",
}  # fmt: skip
ASKS = {"cancel", "store delete", "submit"}
OPENS_A_STORE = {
    "cancel", "config check", "config show", "feedback check", "feedback history",
    "feedback ingest", "feedback next", "feedback rerank", "init-site", "jobs", "launch", "log",
    "neb", "pause", "plan", "priority", "report", "rerun", "resume", "results", "results build",
    "results export", "results find", "results show", "results table", "run", "status",
    "store check", "submit",
    "work",
    "bvse", "screen rank",
}  # fmt: skip
RETIRED = {
    "--figures", "--ion", "--mobile", "--no-plot", "--option", "--output", "--plot", "--quite",
}  # fmt: skip
SHORT = {
    "-n": "--dry-run", "-o": "--out", "-q": "--quiet", "-y": "--yes", "-w": "--watch",
    "-f": "--follow", "-v": "--verbose", "-h": "--help", "-k": "-k",
}  # fmt: skip


def options(command):
    return {name: p for p in command.params for name in p.opts if isinstance(p, click.Option)}


@pytest.mark.parametrize("name", LEAVES)
def test_a_command_keeps_the_grammar(name):
    found = options(LEAVES[name])
    assert not RETIRED & set(found)
    for option, parameter in found.items():
        if not option.startswith("--"):
            assert SHORT[option] in parameter.opts
    for short in ("-n", "-o", "-q", "-y"):
        if SHORT[short] in found:
            assert short in found, f"{SHORT[short]} without {short}"
    if "--json" in found:
        assert found["--json"].is_flag
    if "--figure" in found:
        assert isinstance(found["--figure"].type, click.Path)
    if "--workers" in found:
        assert not isinstance(found["--workers"].default, int)
        assert "every core" in found["--workers"].help
    if "--candidate" in found:
        assert found["--candidate"].metavar == "CANDIDATE"


@pytest.mark.parametrize("name", sorted(set(LEAVES) - SILENT))
def test_every_answer_is_there_for_programs(name):
    assert "--json" in options(LEAVES[name])


@pytest.mark.parametrize(
    ("names", "option"),
    [
        (WRITES, "--dry-run"), (SHOWS_PROGRESS, "--quiet"), (ASKS, "--yes"),
        (OPENS_A_STORE, "--store"),
    ],
    ids=["dry-run", "quiet", "yes", "store"],
)  # fmt: skip
def test_commands_that_need_an_option_have_it(names, option):
    for name in names:
        assert option in options(ALL[name]), name


def test_of_every_command_it_is_said_whether_it_writes():
    assert sorted([*WRITES, *READS]) == sorted(LEAVES)


def test_who_asks_or_shows_progress_can_be_told_not_to():
    for name, command in LEAVES.items():
        source = inspect.getsource(command.callback)
        if "click.confirm(" in source:
            assert "--yes" in options(command), name
            assert name in ASKS, name
        if "waiting(" in source or "progress(quiet" in source:
            assert "--quiet" in options(command), name
            assert name in SHOWS_PROGRESS, name


def test_no_command_opens_a_store_that_cannot_be_named():
    for name, command in LEAVES.items():
        source = inspect.getsource(command.callback)
        if "opened(" in source:
            assert "--store" in options(command), name


def test_campaigns_and_candidates_are_called_alike():
    for name, command in LEAVES.items():
        for parameter in command.params:
            if isinstance(parameter, click.Argument) and parameter.name == "campaigns":
                assert parameter.metavar == "[CAMPAIGN]...", name


def test_the_help_has_every_command_in_a_section(ssefw):
    assert sorted(name for names in SECTIONS.values() for name in names) == sorted(COMMANDS)
    shown = ssefw("--help").stdout
    places = [shown.index(f"\n{section}:") for section in SECTIONS]
    assert places == sorted(places)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("command", RENAMED)
def test_an_old_spelling_becomes_the_new_one_and_says_so(command):
    for old, new in RENAMED[command].items():
        assert new in options(ALL[command])
        found, said = modern([*command.split(), "file", old, "x"])
        assert found == [*command.split(), "file", new, "x"]
        assert said == [f"{old} is now {new}; the old spelling goes with the next release."]
        assert modern([*command.split(), f"{old}=x"])[0] == [*command.split(), f"{new}=x"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("analyze XDATCAR --json out.json", "analyze XDATCAR --out out.json"),
        ("analyze --json XDATCAR", "analyze --json XDATCAR"),
        ("analyze XDATCAR --json -", "analyze XDATCAR --json"),
        ("analyze XDATCAR --json", "analyze XDATCAR --json"),
        ("--store s bvse a.cif --json=b.jsonl", "--store s bvse a.cif --out b.jsonl"),
        ("bvse a.cif --plot --folder out", "bvse a.cif --figure out --folder out"),
        ("bvse a.cif --plot", "bvse a.cif --figure ."),
        ("screen evaluate m --json r.json", "screen evaluate m --out r.json"),
        ("-v neb a.cif --plot --option k=1", "-v neb a.cif --set k=1"),
        ("status --json", "status --json"),
        ("results --store s --json", "results --store s --json"),
        ("", ""),
    ],
)
def test_arguments_in_the_spelling_of_today(given, meant):
    found, said = modern(given.split())
    assert found == meant.split()
    assert bool(said) == (given != meant)


def test_json_before_a_file_that_is_there_is_a_flag(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.jsonl").touch()
    assert modern(["bvse", "--json", "pool.jsonl"]) == (["bvse", "--json", "pool.jsonl"], [])


def test_an_old_spelling_works_and_is_told_on_stderr(ssefw, tmp_path, lif):
    lif.to(str(tmp_path / "LiF.cif"))
    done = ssefw("bvse", "LiF.cif", "--resolution", 0.5, "--ion", "Li", "--json", "old.json")
    record = json.loads((tmp_path / "old.json").read_text())
    assert record["specie"].startswith("Li")
    assert "--ion is now --specie" in done.stderr
    assert "--json FILE is now --out FILE" in done.stderr


def test_the_answers_of_a_campaign_are_json(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)

    def asked(*command):
        shown = ssefw(*command, "--store", "st", "--json").stdout
        return [json.loads(line) for line in shown.splitlines()]

    assert asked("submit", "c.yaml", "-n") == [
        {"campaign": "small", "candidates": 2, "dry_run": True}
    ]
    assert asked("run", "c.yaml", "-n")[0]["dry_run"] is True
    assert not (tmp_path / "st").exists()
    assert asked("submit", "c.yaml")[0]["added"] == 2
    assert asked("priority", "--to", 5)[0]["priority"] == 5
    assert asked("pause", "--candidate", "Cu")[0]["dry_run"] is False
    assert len(asked("resume", "-n")[0]["holds"]) == 1
    assert len(asked("resume", "--no-work")[0]["lifted"]) == 1
    assert asked("rerun") == []
    assert asked("cancel", "-y")[0]["asked_to_stop"] == 0
    assert [one["campaign"] for one in asked("status", "small")] == ["small"]


def test_a_dry_run_writes_nothing(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    assert "2 candidates would be run" in ssefw("run", "c.yaml", "--dry-run").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.yaml"]


def test_estimates_have_one_form_and_a_published_schema(ssefw):
    assert json.loads(ssefw("schema", "estimate").stdout) == ESTIMATE_SCHEMA
    for estimate in (
        Estimate(value=1.0, lower=0.5, upper=2.0, unit="eV"),
        Estimate.below(1.0, unit="eV", reason="no hop"),
        Estimate.above(1.0, unit="eV", reason="no path"),
        Estimate.undetermined("too short", unit="eV"),
    ):
        plain = estimate.plain()
        assert set(plain) == set(ESTIMATE_SCHEMA["required"]) == set(ESTIMATE_SCHEMA["properties"])
        assert plain["kind"] in ESTIMATE_SCHEMA["properties"]["kind"]["enum"]


def completions(*words):
    """Return what a shell is offered behind these words; the last is what was typed of the next."""
    *before, typed = words
    found = ShellComplete(group, {}, "ssefw", "_SSEFW_COMPLETE").get_completions(before, typed)
    return [item.value for item in found]


def test_the_shell_completes_commands_campaigns_candidates_systems_and_presets(
    ssefw, tmp_path, monkeypatch
):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    ssefw("submit", "c.yaml", "--store", "st")
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "st"))
    assert completions("st") == ["status", "store"]
    assert completions("status", "") == ["small"]
    assert "Cu3Au" in completions("pause", "small", "--candidate", "Cu")
    assert completions("screen", "train", "--system", "comp") == ["composition"]
    assert completions("screen", "rank", "--preset", "kang") == ["kang2022", "kang2022_stability"]
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "none"))
    assert completions("status", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_installs_itself(ssefw, tmp_path, monkeypatch, shell):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    said = ssefw("completion", "install", "--dry-run").stdout
    assert not (tmp_path / "data").exists()
    said = ssefw("completion", "install").stdout
    path = re.search(r"Wrote (\S+)\. ", said).group(1)
    assert "_SSEFW_COMPLETE" in Path(path).read_text()


def test_completion_asks_which_shell(ssefw, monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "--shell bash, zsh, fish" in ssefw("completion", "install", check=False).stderr


PRINTED = re.compile(r"^\s*(?:\$ )?(ssefw [a-z][^`\n#|>]*)", re.MULTILINE)


def printed():
    """Yield every command line of README and docs, lines that go on joined."""
    for path in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]:
        text = path.read_text().replace("\\\n", " ")
        for block in re.findall(r"```.*?```|(?:^ {4}.*\n)+|`ssefw [^`\n]+`", text, re.S | re.M):
            for line in PRINTED.findall(block.strip("`")):
                words = line.split()
                # A sentence may begin a line with the name of the program, too.
                if words[1] in COMMANDS or " --" in line:
                    yield path.name, " ".join(words)


@pytest.mark.parametrize(("page", "line"), sorted(set(printed())), ids=str)
def test_every_option_printed_in_the_docs_is_one(page, line):
    words = line.split()[1:]
    name = next((n for n in (" ".join(words[:2]), words[0]) if n in ALL), None)
    assert name, f"{page}: {line}"
    found = {**options(ALL[name]), **options(group), "--help": None, "-h": None}
    if hasattr(ALL[name], "commands"):
        for inner in ALL[name].commands.values():
            found |= options(inner)
    secondary = {word for p in ALL[name].params for word in p.secondary_opts}
    for word in words:
        option = word.partition("=")[0].rstrip(".,;:)'\"")
        if re.fullmatch(r"--[a-z][a-z-]+", option):
            assert option in {*found, *secondary}, f"{page}: {option} in {line}"


def test_an_installed_completion_works_in_bash(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ssefw"],
        env={
            "PATH": os.environ["PATH"], "_SSEFW_COMPLETE": "bash_complete",
            "COMP_WORDS": "ssefw sta", "COMP_CWORD": "1", "HOME": str(tmp_path),
        },
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert "plain,status" in done.stdout
