"""Options and files that are none: one line on stderr, and nothing is written or waited for."""

import os
import stat
import threading
from pathlib import Path

import pytest
import yaml

from ssefw.store import connect
from tests.analysis.readers.test_readers import written
from tests.conftest import CAMPAIGN
from tests.outcomes import outcome


def fails(done, *words):
    """Assert an error in one line, with these words in it."""
    assert done.returncode in {1, 2}, done.stdout + done.stderr
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("Error: ")
    assert len(last) < 500
    for word in words:
        assert word in last, last


@pytest.fixture
def outcomes(ssefw, tmp_path):
    """The command line in a folder whose store `st` has an outcome."""
    with connect(tmp_path / "st") as connection:
        item = outcome("LiCl", 1e-4, candidate_id="a" * 16)
        connection.results.add(item, candidate=item.candidate_id, campaign="x")
    return ssefw


@pytest.mark.parametrize("kind", ["outcomes", "trajectories", "labels"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--formula", ""], ["A formula is empty"]),
        (["--formula", "Li("], ["'Li('", "do not balance"]),
        (["--formula", "LGPS"], ["'LGPS' cannot be read"]),
        (["--candidate", "Cu" * 2000], ["There is no candidate 'CuCu"]),
    ],
)
def test_what_is_no_formula_is_not_one_of_which_nothing_is_known(outcomes, kind, given, words):
    fails(outcomes("results", "find", kind, *given, "--store", "st", check=False), *words)


def test_a_campaign_without_a_name_is_none(outcomes):
    done = outcomes("results", "find", "--campaign", "", "--store", "st", check=False)
    fails(done, "has no campaign ''")


def test_a_worker_for_a_campaign_that_is_not_there_says_so(outcomes):
    done = outcomes("work", "--campaign", "X", "--no-wait", "--store", "st", check=False)
    fails(done, "has no campaign 'X'")


@pytest.mark.parametrize("name", ["bad host", "a\nb", "host:8400", "https://host", ""])
def test_a_name_of_a_proxy_that_no_host_has(outcomes, name):
    done = outcomes("serve", "--port", 0, "--allow-host", name, "--store", "st", check=False)
    fails(done, "--allow-host", "without port")


def test_a_short_token_is_told_without_a_secret_in_the_sentence(outcomes, tmp_path):
    (tmp_path / "file").write_text("short\n")
    done = outcomes("serve", "--port", 0, "--token-file", "file", "--store", "st", check=False)
    fails(done, "its first line needs at least 20 letters and digits")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("rounds=1.5", ["rounds must be a whole number", "got 1.5"]),
        ("rounds=0", ["rounds must be a whole number at least 1"]),
        ("frames=1e99", ["frames must be"]),
        ("temperatures=[]", ["temperatures"]),
        ("temperatures=[0]", ["temperatures"]),
        ("teacher_time=nan", ["teacher_time must be a number above 0"]),
        ("fit.neurons=0", ["neurons must be a whole number at least 1"]),
        ("fit.radial_cutoff=.inf", ["radial_cutoff must be"]),
        ("fit.angular_cutoff=7", ["at most fit.radial_cutoff"]),
        ("fit=1", ["fit is a block"]),
        ("fit.nosuch=1", ["no setting 'nosuch'"]),
        ("round=3", ["did you mean 'rounds'?"]),
    ],
)
def test_a_setting_of_a_lesson_that_cannot_be(ssefw, tmp_path, copper, setting, words):
    copper.to(tmp_path / "cu.cif")
    fails(ssefw("potential", "train", "cu.cif", "--set", setting, check=False), *words)


def test_an_empty_calculator_is_not_the_default_one(ssefw, tmp_path, copper):
    copper.to(tmp_path / "cu.cif")
    done = ssefw("potential", "train", "cu.cif", "--calculator", "", "--specie", "Cu", check=False)
    fails(done, "--calculator is empty")


def test_a_calculator_that_does_not_know_an_element(ssefw, tmp_path, lif):
    lif.to(tmp_path / "lif.cif")
    calculator = ("--calculator", "ase.calculators.emt.EMT")
    done = ssefw("potential", "train", "lif.cif", *calculator, "--folder", "l", check=False)
    fails(done, "Relaxation with EMT broke down: No EMT-potential for")


def test_a_pipe_is_no_potential_and_is_not_waited_for(ssefw, tmp_path):
    for name in ("nep.txt", "x.nep"):
        os.mkfifo(tmp_path / name)
        fails(ssefw("potential", "add", name, check=False), name, "it is a pipe")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--store", "postgres://h/x", ["mongodb://"]),
        ("--store", "", ["--store", "is empty"]),
        ("--scratch", "~nosuchuser/x", ["there is no such user"]),
        ("--to", "~nosuchuser/x", ["there is no such user"]),
        ("--potcar-dir", " ", ["--potcar-dir", "is empty"]),
        ("--vasp-cmd", "srun\nvasp_std", ["--vasp-cmd", "control character"]),
        ("--walltime", "00:00:00", ["walltime", "longer than nothing"]),
    ],
)
def test_an_answer_about_a_site_that_cannot_be(ssefw, tmp_path, option, value, words):
    given = {"--to": "site", option: value}
    arguments = [word for pair in given.items() for word in pair]
    fails(ssefw("init-site", "slurm", *arguments, check=False), *words)
    assert not (tmp_path / "site").exists()
    assert not (tmp_path / "~nosuchuser").exists()


def test_folders_of_a_site_are_those_of_the_folder_it_was_asked_for_in(ssefw, tmp_path):
    ssefw("init-site", "slurm", "--to", "site", "--scratch", "run", "--pseudo-dir", "../upf")
    settings = yaml.safe_load((tmp_path / "site/settings.yaml").read_text())
    assert settings["scratch"] == str(tmp_path / "run")
    assert Path(settings["pseudo_dir"]).resolve() == tmp_path.parent / "upf"
    assert Path(settings["store"]).is_absolute()


def test_a_store_is_copied_to_a_folder_and_not_to_itself(outcomes, tmp_path):
    (tmp_path / "file").touch()
    fails(outcomes("store", "copy", "st", "file", check=False), "file is no folder")
    (tmp_path / "link").symlink_to("st")
    fails(outcomes("store", "copy", "st", "link", check=False), "not copied to itself")


def test_a_pipe_and_a_link_that_are_written_to_stay_what_they_are(outcomes, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    outcomes("submit", "c.yaml", "--store", "st")
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    outcomes("report", "small", "--store", "st", "-o", "pipe")
    reader.join()
    assert "</html>" in got[0]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    fails(outcomes("report", "small", "--store", "st", "-o", "pipe", check=False), "pipe")
    (tmp_path / "page.html").symlink_to("target.html")
    outcomes("report", "small", "--store", "st", "-o", "page.html")
    assert "</html>" in (tmp_path / "target.html").read_text()
    assert (tmp_path / "page.html").is_symlink()
    outcomes("report", "small", "--store", "st", "-o", "/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        (0.002, "if it was in ps (metal units of LAMMPS), give 2"),
        (2e-15, "if it was in s, give 2"),
        (200, "if it is the time between two frames, give the step"),
    ],
)
def test_a_time_step_in_another_unit_is_told_in_fs(ssefw, tmp_path, step, hint):
    written(tmp_path / "XDATCAR", "xdatcar")
    given = ("--timestep", step, "--stride", 1, "--temperature", 600)
    fails(ssefw("analyze", "XDATCAR", *given, check=False), hint)


@pytest.mark.parametrize("words", [["backup"], ["archive", "x"]])
def test_a_backup_does_not_take_the_place_of_a_pipe(outcomes, tmp_path, words):
    os.mkfifo(tmp_path / "pipe")
    fails(outcomes("store", *words, "pipe", "--store", "st", check=False), "no regular file")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
