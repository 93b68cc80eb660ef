"""The files of a new site, with comments for whoever opens them first."""

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from ssefw.campaigns.queueing.keepers import keeper_files
from ssefw.campaigns.queueing.site import write_private
from ssefw.errors import LaunchError
from ssefw.store import Address

__all__ = ["SiteAnswers", "site_files", "write_site"]

QUEUE = """\
# The queue of this site and what a job of ssefw asks for. Read by `ssefw launch`.
scheduler: {scheduler}          # slurm, pbs or lsf
resources:                # a campaign file may ask for other resources stage by stage
  nodes: {nodes}
  tasks_per_node: {tasks}       # MPI ranks of each node
  cpus_per_task: {threads}        # threads of each rank
  gpus_per_node: {gpus}
  walltime: {walltime}    # H:MM:SS or D-HH:MM:SS; runs that need longer go on in the next job
  queue: {queue}             # {queue_word}; null is the site's default
  account: {account}           # who pays; null is your default
  directives: []          # any other option, as the manual writes it: {directive}
limits:
  jobs: {jobs}                # in the queue at a time, waiting and running
  waiting: {waiting}              # of these, waiting
  per_job: 1              # ready calculations for which one queue job is submitted
idle: {idle}                  # seconds a worker waits for new work before it ends its queue job
offline: {offline}            # true: compute nodes reach no database, jobs go there as files
setup: |                  # shell lines before the worker starts
  # module load vasp/6.4
"""

WORDS = {
    "slurm": ("the partition", '["--constraint=cpu"]'),
    "pbs": ("the queue", '["-l place=excl"]'),
    "lsf": ("the queue", """['-R "span[hosts=1]"']"""),
}
"""What each scheduler calls its queues, and an option of it as an example."""

SETTINGS = """\
# Where ssefw keeps results and finds programs on this site. Readable by you only: the store's
# address may hold a password. SSEFW_<KEY> in the environment outranks a line here.
"""

LAUNCHPAD = """\
# For FireWorks' own commands (lpad, qlaunch); ssefw itself reads settings.yaml.
host: {host}
uri_mode: true
name: {name}
"""

FW_CONFIG = """\
# For FireWorks' own commands: workers say every five minutes that they live.
CONFIG_FILE_DIR: .
PING_TIME_SECS: 300
RUN_EXPIRATION_SECS: 1200
"""


@dataclass(frozen=True)
class SiteAnswers:
    """What must be known of a site; None leaves it to the queue or to the defaults."""

    scheduler: str
    store: str
    scratch: str | None = None
    queue: str | None = None
    account: str | None = None
    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: int = 1
    gpus_per_node: int = 0
    walltime: str = "24:00:00"
    jobs: int = 10
    waiting: int = 5
    vasp_cmd: str | None = None
    pw_cmd: str | None = None
    socket_cmd: str | None = None
    potcar_dir: str | None = None
    pseudo_dir: str | None = None
    offline: bool = False


def site_files(answers: SiteAnswers, folder: Path) -> dict[str, str]:
    """Return the files by name.

    Parameters
    ----------
    folder
        Where they will be.

    Raises
    ------
    StoreError
        If compute nodes reach no database and the frames would be in it.
    """
    if answers.offline:
        Address(answers.store).without_server()
    queue_word, directive = WORDS[answers.scheduler]
    queue = QUEUE.format(
        scheduler=answers.scheduler,
        queue_word=queue_word,
        directive=directive,
        nodes=answers.nodes,
        tasks=answers.tasks_per_node,
        threads=answers.cpus_per_task,
        gpus=answers.gpus_per_node,
        walltime=_text(answers.walltime),
        queue=_word(answers.queue),
        account=_word(answers.account),
        jobs=answers.jobs,
        waiting=answers.waiting,
        # Offline, the next job comes with the next look of the launcher only.
        idle=90 if answers.offline else 30,
        offline=str(answers.offline).lower(),
    )
    names = ("store", "scratch", "vasp_cmd", "pw_cmd", "socket_cmd", "potcar_dir", "pseudo_dir")
    settings = {name: value for name in names if (value := getattr(answers, name)) is not None}
    files = {
        "queue.yaml": queue,
        "settings.yaml": SETTINGS + yaml.safe_dump(settings, sort_keys=False),
    }
    if answers.store.startswith("mongodb"):
        name = answers.store.partition("?")[0].rpartition("/")[2] or "ssefw"
        files["my_launchpad.yaml"] = LAUNCHPAD.format(host=_word(answers.store), name=_word(name))
        files["FW_config.yaml"] = FW_CONFIG
    return files | keeper_files(folder.absolute())


def write_site(folder: Path, files: dict[str, str], *, overwrite: bool) -> list[Path]:
    """Write the files of a site, readable by their owner only.

    Raises
    ------
    LaunchError
        If one of them exists and is not to be overwritten; nothing is written.
    """
    paths = [folder / name for name in files]
    if not overwrite and (there := [path for path in paths if path.exists()]):
        raise LaunchError(f"{there[0]} exists: give another folder with --to, or --overwrite.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path, text in zip(paths, files.values(), strict=True):
        write_private(path, text)
    return paths


def _word(value: str | None) -> str:
    """Return a value as YAML writes it on one line."""
    if value is not None and not value.isprintable():
        return _text(value)
    return yaml.safe_dump(value, width=math.inf).partition("\n")[0]


def _text(value: str) -> str:
    """Return a text in double quotes, as YAML writes it on one line."""
    return yaml.safe_dump(value, default_style='"', width=math.inf).partition("\n")[0]
