"""A site: which queue it has, what its jobs ask for, and how a worker starts in one."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ssefw.campaigns.file import ResourcesSpec
from ssefw.errors import ConfigurationError, LaunchError
from ssefw.files import read_text
from ssefw.files.yaml_text import load_yaml
from ssefw.mistakes import mistakes_in
from ssefw.schedulers import SCHEDULERS, Resources, Scheduler
from ssefw.settings import Settings, settings_file
from ssefw.store import Address
from ssefw.units import AskedCount, AskedSeconds

__all__ = [
    "QUEUE_FILE",
    "QueueLimits",
    "Site",
    "parse_site",
    "read_site",
    "site_folder",
    "write_private",
    "write_settings",
]

QUEUE_FILE = "queue.yaml"
LARGEST_SITE = 2**18
"""Bytes of a file with a few dozen lines."""


class QueueLimits(BaseModel):
    """How many jobs of ssefw may be in the queue at a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: AskedCount = Field(10, description="waiting and running together")
    waiting: AskedCount = Field(5, description="waiting")
    per_job: AskedCount = Field(1, description="ready jobs for which one queue job is submitted")


class Site(BaseModel):
    """What ``queue.yaml`` says.

    Attributes
    ----------
    resources
        What a job asks for where the campaign says nothing else.
    setup
        Shell lines before the worker starts: modules, environment, commands of this site.
    idle
        Seconds for which a worker waits for new work before it gives its allocation back.
    offline
        Compute nodes reach no database; the launcher hands out jobs as files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheduler: Literal["slurm", "pbs", "lsf"]
    resources: ResourcesSpec = ResourcesSpec()
    limits: QueueLimits = QueueLimits()
    setup: str = ""
    idle: AskedSeconds = 30.0
    offline: bool = False

    @property
    def queue(self) -> Scheduler:
        """The queue of this site."""
        return SCHEDULERS[self.scheduler]

    def ask(self, campaign: ResourcesSpec | None) -> Resources:
        """Return what a job asks for; what the campaign says outranks the site."""
        own = self.resources.model_dump(exclude_none=True)
        theirs = campaign.model_dump(exclude_none=True) if campaign else {}
        merged = ResourcesSpec(**own | theirs)
        values = merged.model_dump(exclude_none=True, exclude={"walltime"})
        return Resources(**values, walltime=merged.minutes)

    def worker_command(self, campaign: str, categories: str, *, job_folders: Path) -> list[str]:
        """Return the arguments of ssefw that start a worker."""
        idle = ["--idle", f"{self.idle:g}"]
        if self.offline:
            return ["work", "--offline", str(job_folders), *idle]
        return ["work", "--campaign", campaign, "--category", categories, *idle]

    def script(
        self,
        resources: Resources,
        *,
        name: str,
        log: Path,
        settings: Path,
        arguments: Sequence[str],
    ) -> str:
        """Return the script of a queue job that runs ssefw with some arguments.

        It takes the place of the shell, so that signals of the queue reach it. The store's
        address, which may have a password, is in the settings file and not in the script.

        Parameters
        ----------
        resources
            What the job asks the queue for.
        name
            Of the job.
        log
            Where its output goes.
        settings
            The settings file that it reads.
        arguments
            Of ssefw.
        """
        threads = resources.cpus_per_task
        exports = {
            "SSEFW_SETTINGS": str(settings),
            "SSEFW_QUEUE_CORES": str(resources.cores),
            "SSEFW_THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }
        return "\n".join(
            [
                self.queue.header(resources, name=name, log=log),
                "",
                # What the launcher was started with is in the settings file.
                "unset ${!SSEFW_@}",
                *(f"export {key}={shlex.quote(value)}" for key, value in exports.items()),
                f"cd {shlex.quote(str(log.parent))}",
                self.setup.rstrip(),
                f"exec {shlex.join([sys.executable, '-P', '-m', 'ssefw', *arguments])}",
                "",
            ]
        )


def site_folder() -> Path:
    """Return the folder of the site's files: where the settings file is."""
    return settings_file().parent


def read_site(folder: Path | None = None) -> Site:
    """Read ``queue.yaml``.

    Raises
    ------
    LaunchError
        If there is none.
    ConfigurationError
        If a key or value is wrong.
    """
    path = (folder or site_folder()) / QUEUE_FILE
    if not path.exists():
        raise LaunchError(
            f"There is no {path}: write one with `ssefw init-site slurm` (or pbs, lsf)."
        )
    return parse_site(read_text(path, largest=LARGEST_SITE, error=ConfigurationError), path)


def parse_site(text: str, path: Path) -> Site:
    """Return what the text of a ``queue.yaml`` says; errors name `path`.

    Raises
    ------
    ConfigurationError
        If a key or value is wrong.
    """
    content, _ = load_yaml(text, name=str(path))
    try:
        return Site.model_validate(content)
    except ValidationError as error:
        said = [f"{path}: {what}" for _, what in mistakes_in(error, Site)]
        raise ConfigurationError(*said) from error


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def write_settings(folder: Path, settings: Settings, *, offline: bool = False) -> Path:
    """Write the settings of this process for the workers in the queue, readable by their owner.

    Parameters
    ----------
    offline
        Say where the frames are, but not where the database is.
    """
    # Only what was set: a check tells something that was set from a default.
    values = settings.model_dump(
        mode="json", exclude_defaults=True, exclude={"category", "threads"}
    )
    address = Address(settings.store)
    if offline:
        address = address.without_server()
        if address.blob_folder is not None:  # made here, it proves on a node that this is the disk
            address.blob_folder.mkdir(parents=True, exist_ok=True)
    values |= {"store": str.__str__(address)}
    values |= {"scratch": str(settings.scratch_folder())}
    path = folder / "settings.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    write_private(path, yaml.safe_dump(values, sort_keys=False))
    return path
