"""Bad input: one line that says what, where and what to do; nothing half-written."""

import logging

import pytest

from tests.conftest import CAMPAIGN


def fails(done, *words):
    """Assert one line on stderr with these words, exit code 1 and no traceback."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    for word in words:
        assert word in line, line


@pytest.fixture
def edited(tmp_path):
    """Write the small campaign with one passage replaced."""

    def write(old, new):
        assert old in CAMPAIGN
        path = tmp_path / "edited.yaml"
        path.write_text(CAMPAIGN.replace(old, new, 1))
        return path

    return write


@pytest.mark.parametrize("command", ["run", "plan", "submit"])
def test_a_missing_campaign_file(ssefw, command):
    fails(ssefw(command, "no.yaml", check=False), "no.yaml", "No such file")


def test_broken_yaml_names_file_and_line(ssefw, edited):
    path = edited("md:\n", "md: [\n")
    fails(ssefw("plan", path, check=False), "edited.yaml:", "not valid YAML")


def test_a_campaign_that_is_a_list(ssefw, tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n- 2\n")
    fails(ssefw("plan", "list.yaml", check=False), "not a campaign", "campaign, pool and md")


def test_a_binary_campaign_file(ssefw, tmp_path):
    (tmp_path / "b.yaml").write_bytes(bytes(range(128, 256)))
    fails(ssefw("plan", "b.yaml", check=False), "b.yaml", "not text")


def test_a_mistyped_key_gets_a_suggestion_and_its_line(ssefw, edited):
    path = edited("equilibration: 0.2", "equilibraton: 0.2")
    line = 1 + path.read_text().splitlines().index("  equilibraton: 0.2")
    done = ssefw("plan", path, check=False)
    fails(done, f"edited.yaml:{line}", "'md.equilibraton'", "did you mean 'equilibration'?")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[300, 600]", "[300, hot]", ["md.temperatures.1", "'hot'"]),
        ("[300, 600]", "[]", ["md.temperatures", "at least 1"]),
        ("[300, 600]", "[300, 300]", ["occurs twice"]),
        ("[300, 600]", "[-300]", ["above 0 and at most 100000 K, got -300"]),
        ("equilibration: 0.2", "equilibration: 2.0", ["shorter than length"]),
        ("timestep: 2", "timestep: 0", ["md.timestep", "at least 0.05", "got 0"]),
        ("campaign: small", "campaign: ../evil", ["campaign"]),
        ("campaign: small\n", "", ["'campaign' is missing"]),
        ("calculator: ase.calculators.emt.EMT", "code: gaussian", ["engine.code", "gaussian"]),
    ],
)
def test_a_wrong_value_is_named_with_its_key(ssefw, edited, old, new, words):
    fails(ssefw("plan", edited(old, new), check=False), "edited.yaml:", *words)


def test_a_calculator_that_cannot_be_imported(ssefw, edited):
    path = edited("ase.calculators.emt.EMT", "ase.calculators.emt.EMM")
    fails(ssefw("plan", path, check=False), "ase.calculators.emt.EMM", "import path")


def test_a_pool_that_is_not_there(ssefw, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "campaign: c\npool: {path: nowhere}\nmd: {temperatures: [900], length: 5}\n"
    )
    fails(ssefw("plan", "c.yaml", check=False), "no pool at", "nowhere")


def test_a_pool_of_which_nothing_can_be_read(ssefw, tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool/bad.cif").write_text("data_x\n_cell_length_a ?\n")
    fails(ssefw("pool", "show", "pool", check=False), "no readable structure", "bad.cif")


def test_an_empty_pool_folder(ssefw, tmp_path):
    (tmp_path / "pool").mkdir()
    fails(ssefw("pool", "show", "pool", check=False), "pool", "no readable structure")


def test_a_malformed_file_is_listed_and_skipped_or_stops_with_strict(ssefw, tmp_path):
    pool = tmp_path / "pool"
    pool.mkdir()
    (pool / "bad.cif").write_text("data_x\n_cell_length_a ?\n")
    (pool / "POSCAR-good").write_text("Cu\n1.0\n2.5 0 0\n0 2.5 0\n0 0 2.5\nCu\n1\ndirect\n0 0 0\n")
    done = ssefw("pool", "check", "pool", check=False)
    assert done.returncode == 1
    assert "bad.cif" in done.stdout
    assert "1 candidate, 1 unreadable" in done.stderr
    fails(ssefw("pool", "check", "pool", "--strict", check=False), "bad.cif")


def test_filters_that_leave_nothing(ssefw, edited):
    path = edited("engine:", "filters: [{without_elements: {elements: [Cu]}}]\nengine:")
    fails(ssefw("plan", path, check=False), "No candidate is left", "holds Cu")


def test_a_pool_without_the_mobile_ion(ssefw, edited):
    fails(ssefw("plan", edited("specie: Cu", "specie: Li"), check=False), "has no Li")


@pytest.mark.parametrize("command", ["status", "results", "report"])
def test_a_store_that_is_not_there(ssefw, command):
    fails(ssefw(command, "--store", "nowhere", check=False), "nowhere")


@pytest.mark.parametrize("command", [["status"], ["submit", "small.yaml"], ["results"]])
def test_a_server_that_does_not_answer(ssefw, campaign_file, command):
    address = "mongodb://user:secret@127.0.0.1:1/ssefw"
    done = ssefw(*command, "--store", address, check=False)
    warning, line = done.stderr.strip().splitlines()
    assert "password" in warning
    assert "127.0.0.1" in line
    assert "start the server" in line
    assert done.returncode == 1
    assert "secret" not in done.stderr


def test_an_address_of_another_database(ssefw):
    fails(ssefw("status", "--store", "postgres://h/x", check=False), "mongodb://")


def test_a_campaign_that_is_not_in_the_store(ssefw, campaign_file):
    ssefw("submit", campaign_file, "--store", "st")
    done = ssefw("report", "other", "--store", "st", check=False)
    fails(done, "no campaign 'other'", "small")


def test_a_candidate_that_is_not_in_the_store(ssefw, campaign_file):
    ssefw("submit", campaign_file, "--store", "st")
    fails(ssefw("results", "show", "Xe", "--store", "st", check=False), "'Xe'")


def test_a_store_below_a_file(ssefw, campaign_file, tmp_path):
    (tmp_path / "file").write_text("")
    fails(ssefw("submit", campaign_file, "--store", "file/st", check=False), "file")


def test_wrong_settings_name_their_source(ssefw, monkeypatch):
    monkeypatch.setenv("SSEFW_WORKERS", "many")
    fails(ssefw("config", "show", check=False), "'workers'", "SSEFW_WORKERS")


def test_an_unknown_command_gets_a_suggestion(ssefw):
    done = ssefw("stats", check=False)
    assert done.returncode == 2
    assert "Did you mean 'status'?" in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    from tests.conftest import run_ssefw

    done = run_ssefw("--debug", "plan", "no.yaml", folder=tmp_path, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_a_dry_run_writes_nothing(ssefw, campaign_file, tmp_path):
    done = ssefw("submit", campaign_file, "--dry-run", "--store", "st")
    assert "2 candidates" in done.stdout
    assert not (tmp_path / "st").exists()


def test_plan_writes_nothing(ssefw, campaign_file, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert "Cu" in ssefw("plan", campaign_file).stdout
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_commands_no_terminal(ssefw, tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool/\x1b[31mbad\x07.cif").write_text("nothing")
    (tmp_path / "pool/POSCAR-good").write_text(
        "Cu\n1.0\n2.5 0 0\n0 2.5 0\n0 0 2.5\nCu\n1\ndirect\n0 0 0\n"
    )
    done = ssefw("pool", "check", "pool", check=False)
    assert "bad" in done.stdout
    assert not set("\x1b\x07") & set(done.stdout + done.stderr)


def test_a_log_line_commands_no_terminal():
    from ssefw.cli import _LogLine

    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s", ("\x1b[31mred",), None)
    assert _LogLine("%(name)s: %(message)s").format(record).endswith("x: \\x1b[31mred")


def with_property(edited, value):
    line = "    - name: copper\n"
    return edited(line, f"{line}      properties: {{d: {value}}}\n")


def test_a_date_among_properties_is_text(ssefw, edited):
    done = ssefw("submit", with_property(edited, "2026-01-02"), "--store", "st")
    assert "2" in done.stdout


def test_a_set_among_properties_is_refused_with_its_line(ssefw, edited):
    fails(ssefw("plan", with_property(edited, "!!set {a}"), check=False), "yaml:6", "is no number")


def test_a_number_that_no_database_holds_is_listed(ssefw, edited):
    done = ssefw("plan", with_property(edited, "9" * 25), check=False)
    assert "more than 63" in done.stdout + done.stderr
