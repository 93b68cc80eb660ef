"""Prove a site with one small job through its queue, which looks around on a compute node."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ssefw.campaigns.queueing.site import Site, write_settings
from ssefw.campaigns.queueing.site_check import SiteCheck
from ssefw.errors import LaunchError
from ssefw.schedulers import QueueSilentError
from ssefw.settings import Settings

__all__ = ["check_queue"]

POLL_SECONDS = 2.0
MINUTES = 10


def check_queue(site: Site, settings: Settings, *, timeout: float) -> Iterator[SiteCheck]:
    """Submit a job that runs ``ssefw config check``, wait for it, and yield what it found.

    Parameters
    ----------
    timeout
        Seconds to wait for the job; one that has not ended by then is cancelled.
    """
    name = f"ssefw-{uuid.uuid4().hex[:8]}"
    folder = settings.scratch_folder() / "queue" / name
    folder.mkdir(parents=True)
    log = folder / "job.log"
    resources = replace(site.ask(None), walltime=MINUTES)
    script = folder / "job.sh"
    script.write_text(
        site.script(
            resources,
            name=name,
            log=log,
            settings=write_settings(folder, settings, offline=site.offline),
            arguments=["config", "check", "--json"],
        )
    )
    try:
        job_id = site.queue.submit(script)
    except LaunchError as error:
        yield SiteCheck("queue", "error", str(error))
        return
    began = time.monotonic()
    if not _has_ended(site, job_id, timeout=timeout):
        site.queue.cancel(job_id)
        yield SiteCheck(
            "queue",
            "error",
            f"job {job_id} did not end within {timeout:g} s and was cancelled; the queue may be "
            "long: try again with --timeout",
        )
        return
    reason = site.queue.ending(job_id).reason
    found = list(_read(log))
    said = f"job {job_id} ended after {time.monotonic() - began:.0f} s ({reason})"
    hint = "" if found else f", but left nothing that can be read in {log}"
    yield SiteCheck("queue", "ok" if found else "error", said + hint)
    yield from found


def _has_ended(site: Site, job_id: str, *, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if job_id not in site.queue.jobs([job_id]):
                return True
        except QueueSilentError:
            pass
        time.sleep(POLL_SECONDS)
    return False


def _read(log: Path) -> Iterator[SiteCheck]:
    """Yield what the job printed; modules and the like may print too."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            record = json.loads(line)
            yield SiteCheck(f"compute node: {record['name']}", record["state"], record["message"])
        except (ValueError, KeyError, TypeError):
            continue
