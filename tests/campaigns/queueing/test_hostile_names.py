"""Names from a campaign, a queue.yaml or a folder never become a line of a shell."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ssefw.campaigns.file import CampaignSpec
from ssefw.campaigns.queueing.keepers import keeper_files
from ssefw.campaigns.queueing.site import Site, parse_site
from ssefw.errors import ConfigurationError, LaunchError
from ssefw.schedulers import SCHEDULERS, Resources

EVIL = ["a\ntouch pwned", "a\r\ntouch pwned", "a touch", "a;touch pwned", "$(touch pwned)", "`id`"]
ODD_FOLDERS = [
    "my site",
    "$(touch pwned)",
    "it's 100% `touch pwned`",
    'a "quoted" \\ back;slash',
    "%h %% $HOME ${HOME}",
    "plain",
]


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
@pytest.mark.parametrize("key", ["queue", "account", "directives"])
def test_no_option_of_a_job_becomes_a_line_of_the_shell(tmp_path, scheduler, key):
    for text in EVIL[:2] if key == "directives" else EVIL:
        value = [text] if key == "directives" else text
        site = yaml.safe_dump({"scheduler": scheduler, "resources": {key: value}})
        with pytest.raises(ConfigurationError, match=key):
            parse_site(site, tmp_path / "queue.yaml")
        campaign = {"campaign": "c", "pool": {"path": "p"}, "md": {"length": 1}}
        with pytest.raises(ValueError, match=key):
            CampaignSpec.model_validate({**campaign, "resources": {"md": {key: value}}})


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
@pytest.mark.parametrize("changes", [{"account": "a\nid"}, {"directives": ("-x\nid",)}], ids=str)
def test_a_script_is_not_written_with_a_line_break_in_an_option(scheduler, changes):
    queue = SCHEDULERS[scheduler]
    with pytest.raises(LaunchError, match="control characters"):
        queue.header(Resources(**changes), name="n", log=Path("/s/l"))
    with pytest.raises(LaunchError, match="control characters"):
        queue.header(Resources(), name="n", log=Path("/s\nid/l"))


@pytest.mark.parametrize("name", ODD_FOLDERS)
@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def test_a_job_script_runs_in_a_folder_of_any_name(tmp_path, monkeypatch, scheduler, name):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", spy(folder))
    script = Site(scheduler=scheduler).script(
        Resources(queue="cpu", directives=("--constraint=a b",)),
        name="n",
        log=folder / "job.log",
        settings=folder / "settings.yaml",
        arguments=["work", "--campaign", "c"],
    )
    run(["bash", "-c", script], tmp_path)
    assert told(folder)[0] == str(folder / "settings.yaml")
    assert told(folder)[-3:] == ["work", "--campaign", "c"]
    assert not list(tmp_path.rglob("pwned"))


def test_the_head_of_a_script_names_a_log_in_a_folder_with_spaces(tmp_path):
    log = Path("/s/my site/100%/job.log")
    heads = {name: q.header(Resources(), name="n", log=log) for name, q in SCHEDULERS.items()}
    assert '#SBATCH --output="/s/my site/100%%/job.log"' in heads["slurm"]
    assert '#PBS -o "/s/my site/100%/job.log"' in heads["pbs"]
    assert '#BSUB -o "/s/my site/100%/job.log"' in heads["lsf"]


def spy(folder):
    """Put a Python into a folder that writes down its settings and arguments; return its path."""
    program = folder / "python"
    program.write_text(
        '#!/bin/bash\nprintf "%s\\n" "$SSEFW_SETTINGS" "$@" > "$(dirname "$0")/told"\necho said\n'
    )
    program.chmod(0o755)
    return str(program)


def told(folder):
    return (folder / "told").read_text().splitlines()


def run(command, folder, **more):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **more}
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=60
    )


@pytest.fixture(params=ODD_FOLDERS)
def site(request, tmp_path, monkeypatch):
    """A folder of an odd name with a Python that tells how it was started, and the files."""
    folder = tmp_path / "sites" / request.param
    folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", spy(folder))
    return folder, keeper_files(folder)


def started_well(folder, ending):
    assert told(folder)[0] == str(folder / "settings.yaml")
    assert told(folder)[-4:] == ["-m", "ssefw", "launch", ending]
    assert not list(folder.parent.parent.rglob("pwned"))


def test_the_launcher_of_tmux_starts_in_a_folder_of_any_name(site, tmp_path):
    folder, files = site
    fake = tmp_path / "bin/tmux"
    fake.parent.mkdir()
    fake.write_text('#!/bin/bash\n[ "$*" = "" ] || shift 4\nexec "$@"\n')  # new-session -d -s ssefw
    fake.chmod(0o755)
    run(["bash", "-c", files["launcher.sh"]], tmp_path, PATH=f"{fake.parent}:{os.environ['PATH']}")
    started_well(folder, "--stay")
    assert (folder / "launcher.log").read_text() == "said\n"


def test_the_line_for_cron_runs_in_a_folder_of_any_name(site, tmp_path):
    folder, files = site
    (line,) = (x for x in files["launcher.cron"].splitlines() if not x.startswith("#"))
    command = line.split(" ", 5)[5]
    # cron takes a backslash from a percent sign, and ends the command at a bare one.
    run(["sh", "-c", command.replace("\\%", "\0").partition("%")[0].replace("\0", "%")], tmp_path)
    started_well(folder, "--once")
    assert (folder / "launcher.log").read_text() == "said\n"


def test_the_unit_of_systemd_runs_in_a_folder_of_any_name(site, tmp_path):
    folder, files = site
    (line,) = (x for x in files["launcher.service"].splitlines() if x.startswith("ExecStart="))
    words = [
        word.replace("%%", "%").replace("$$", "$")
        for word in shlex.split(line.removeprefix("ExecStart="))
    ]
    run(words, tmp_path)
    started_well(folder, "--stay")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(site, tmp_path):
    _, files = site
    unit = tmp_path / "ssefw.service"
    unit.write_text(files["launcher.service"])
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", unit],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert "ssefw.service" not in done.stderr, done.stderr


def test_a_folder_with_a_line_break_is_refused(tmp_path):
    with pytest.raises(LaunchError, match="control character"):
        keeper_files(tmp_path / "a\nb")


@pytest.mark.parametrize("scheduler", ["slurm", "pbs", "lsf"])
@pytest.mark.parametrize(
    "option",
    [
        ["--account", "a\ntouch pwned"],
        ["--queue", "a b"],
        ["--walltime", '1:00:00"\nsetup: touch pwned'],
    ],
    ids=str,
)
def test_init_site_writes_nothing_of_a_hostile_answer(ssefw, tmp_path, scheduler, option):
    done = ssefw("init-site", scheduler, "--to", "my site", *option, check=False)
    assert done.returncode in {1, 2}
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "my site").exists()


def test_init_site_writes_into_a_folder_with_a_space(ssefw, tmp_path):
    ssefw("init-site", "slurm", "--to", "my site", "--walltime", "1-00:00:00", "--account", "p:1")
    site = parse_site((tmp_path / "my site/queue.yaml").read_text(), Path("queue.yaml"))
    assert site.resources.minutes == 24 * 60
    assert site.resources.account == "p:1"
