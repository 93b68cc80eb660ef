"""The tasks of docs/tasks.md, done as printed, and the printed commands in a folder of a reader."""

import json
import re

import click
import pandas as pd
import pytest

from ssefw.cli import ssefw as program
from ssefw.store import connect
from tests.campaigns.test_vasp_campaign import CAMPAIGN as VASP_CAMPAIGN
from tests.conftest import CAMPAIGN, REPOSITORY, run_ssefw
from tests.docs.commands import PAGES, command_lines, python_blocks, shell_block
from tests.outcomes import bound, outcome

PAGE = REPOSITORY / "docs/tasks.md"
FAST = """\
specie: Cu
engine: {calculator: ase.calculators.emt.EMT}
supercell: {min_length: 3, max_atoms: 40}
"""
"""What stands beside the campaign file of the page, so that it takes seconds."""

READING = {
    ("status",), ("jobs",), ("schema",), ("results", "find"), ("results", "show"),
    ("labels", "show"), ("labels", "stats"), ("config", "show"), ("pool", "check"),
    ("pool", "show"), ("feedback", "history"), ("feedback", "check"), ("config", "check"), ("log",),
}  # fmt: skip
"""Of those that go on, as `status --watch` and `serve`, other tests see the end."""
LINES = {
    line.words: line
    for page in PAGES
    for line in command_lines(page)
    if {line.words[:1], line.words[:2]} & READING and not {"-w", "--watch", "-f"} & {*line.words}
}


def _can_try(words):
    """Whether a command can say what it would do."""
    command, context = program, click.Context(program)
    for word in words:
        found = command.get_command(context, word) if isinstance(command, click.Group) else None
        if found is None:
            break
        command = found
    return any("--dry-run" in item.opts for item in command.params)


WRITING = {
    line.words: line for page in PAGES for line in command_lines(page) if _can_try(line.words)
}


@pytest.mark.slow
def test_from_a_structure_of_ones_own_to_a_report(tmp_path, copper):
    (tmp_path / "my-structures").mkdir()
    copper.to(tmp_path / "my-structures/cu.cif")
    text = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
    assert "length: 50" in text
    (tmp_path / "mine.yaml").write_text(
        text.replace("length: 50", "length: 1.0, equilibration: 0.2, steps_per_frame: 5").replace(
            "[600, 750, 900, 1050]", "[600, 750]"
        )
        + FAST
    )
    said = [
        run_ssefw(*words, folder=tmp_path)
        for words in shell_block(PAGE, "From installation to a report of your own CIF")
    ]
    assert len(said) == 5
    assert (tmp_path / "mine/mine/report.html").exists()
    assert "mine/mine/report.html" in said[-1].stdout + said[-1].stderr


@pytest.mark.slow
def test_from_a_failed_vasp_job_to_its_outcar_and_a_rerun(tmp_path, ssefw, li2o):
    (tmp_path / "pool").mkdir()
    li2o.to(tmp_path / "pool/li2o.cif")
    (tmp_path / "c.yaml").write_text(VASP_CAMPAIGN)
    program = str(REPOSITORY / "tests/fake_vasp/vasp_std")
    mended = {"SSEFW_VASP_CMD": program, "SSEFW_VASP_GAMMA_CMD": program}
    crash = {"step": 2, "do": "exit", "code": 139, "stderr": "forrtl: SIGSEGV"}
    (tmp_path / "fake.json").write_text(json.dumps({"events": [crash] * 6}))
    broken = mended | {"FAKE_VASP": str(tmp_path / "fake.json")}
    ran = ("run", "c.yaml", "--store", "mine")
    assert run_ssefw(*ran, folder=tmp_path, env=broken, check=False).returncode == 3

    lines = shell_block(PAGE, "From a failed VASP job to its OUTCAR and a rerun")
    *looks, rerun, resume = lines
    status, jobs, log = (ssefw(*words) for words in looks)
    assert "relax of Li2O: VASP failed" in status.stdout
    folder = jobs.stdout.partition("folder: ")[2].split()[0]
    assert f"{folder}/OUTCAR" in log.stderr
    assert "FREE ENERGIE OF THE ION-ELECTRON SYSTEM" in log.stdout
    path = re.search(r"^less \$\(ssefw (.*)\)$", PAGE.read_text(), re.MULTILINE)[1].split()
    assert ssefw(*path).stdout.strip() == f"{folder}/OUTCAR"
    ssefw(*rerun)
    done = run_ssefw(*resume, folder=tmp_path, env=mended)
    assert "1 of 1 candidates concluded. Report" in done.stderr


def test_from_a_thousand_outcomes_to_a_table(ssefw, tmp_path):
    """Of each hundred 60 are values from 1e-7 to 1e-2 S/cm, and the others are bounds."""
    expected = 0
    with connect(tmp_path / "mine") as connection, connection.whole():
        for k in range(1000):
            sigma = 10.0 ** (-7 + 5 * (k % 100) / 60) if k % 100 < 60 else bound(1e-2)
            expected += isinstance(sigma, float) and sigma / 10**0.3 >= 1e-4
            item = outcome("LiCl", sigma, candidate_id=f"{k:016x}")
            connection.results.add(item, candidate=item.candidate_id, campaign="x")
    (text,) = python_blocks(PAGE)
    names = {}
    exec(text.replace('open("mine"', f'open("{tmp_path}/mine"'), names)
    table = names["table"]
    assert isinstance(table, pd.DataFrame)
    assert len(table) == expected > 100
    assert (table["sigma_lower_s_per_cm"] >= 1e-4).all()
    assert table["sigma_s_per_cm"].is_monotonic_decreasing
    (words,) = shell_block(PAGE, "From a store of 1,000 outcomes to a table of the good ones")
    ssefw(*words)
    assert len((tmp_path / "good.csv").read_text().splitlines()) == 1 + expected


@pytest.fixture
def reader(ssefw, finished_campaign, tmp_path, copper):
    """A folder as pages take for granted: stores by their names, a campaign file, structures."""
    folder, _ = finished_campaign
    for name in ("demo", "mine", "ssefw-store"):
        (tmp_path / name).symlink_to(folder / "st")
    for name in ("campaign.yaml", "my-campaign.yaml", "mine.yaml"):
        (tmp_path / name).write_text(CAMPAIGN)
    (tmp_path / "my-structures").mkdir()
    copper.to(tmp_path / "my-structures/cu.cif")
    return ssefw


@pytest.mark.parametrize("words", sorted(LINES), ids=lambda words: " ".join(words)[:60])
def test_a_printed_command_that_reads_answers_or_says_in_one_line_why_not(reader, words):
    done = reader(*words, check=False)
    assert done.returncode in {0, 1, 2}, done.stderr
    if done.returncode:
        *_, last = done.stderr.strip().splitlines()
        assert last.startswith("Error: ")
    elif "--json" in words and done.stdout.startswith("{"):
        json.loads(done.stdout.splitlines()[0])


@pytest.mark.parametrize("words", sorted(WRITING), ids=lambda words: " ".join(words)[:60])
def test_a_printed_command_that_writes_says_what_it_would_do_or_why_not(reader, words):
    done = reader(*words, *([] if {"-n", "--dry-run"} & {*words} else ["--dry-run"]), check=False)
    assert done.returncode in {0, 1, 2}, done.stderr
    if done.returncode:
        *_, last = done.stderr.strip().splitlines()
        assert last.startswith("Error: ")
