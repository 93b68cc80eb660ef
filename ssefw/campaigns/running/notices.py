"""Tells people what they want to know without looking.

A campaign is done, its jobs fail of a new cause, or its budget is spent.

A notice goes to a webhook, as JSON that Slack and its like understand too, and to a command. It is
sent once, whoever sees first that it is due: workers' supervisors, launchers and servers all look.
"""

import json
import logging
import os
import shlex
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from ssefw.campaigns.running.causes import FailedJob, failed_jobs
from ssefw.campaigns.running.watch import Snapshot
from ssefw.masking import masked
from ssefw.settings import Settings
from ssefw.store import Connection

__all__ = ["NOTICES", "Notice", "is_wanted", "send_due"]

logger = logging.getLogger(__name__)

NOTICES = "notices"
"""Collection of what was sent."""
SECONDS_TO_SEND = 10.0
"""A receiver that does not answer must not hold up a launcher."""


@dataclass(frozen=True)
class Notice:
    """Something that people want to be told.

    Attributes
    ----------
    key
        Two notices of the same key are the same.
    text
        In one sentence.
    """

    event: Literal["done", "failures", "budget"]
    campaign: str
    key: str
    text: str


def is_wanted(settings: Settings) -> bool:
    """Whether anybody is to be told."""
    return bool(settings.notify_url or settings.notify_command)


def send_due(connection: Connection, now: Snapshot, settings: Settings) -> list[Notice]:
    """Send what is due and was not sent; return what was sent from here."""
    if not is_wanted(settings):
        return []
    sent = []
    for notice in _due(connection, now):
        if _claimed(connection, notice):
            _send(notice, settings)
            sent.append(notice)
    return sent


def _due(connection: Connection, now: Snapshot) -> Iterator[Notice]:
    """Yield what is so now, sent or not."""
    name = now.campaign
    if now.is_done and now.n_candidates:
        state = f"{now.concluded} of {now.n_candidates} candidates concluded"
        failed = f", {len(now.failed)} jobs failed" if now.failed else ""
        key = f"{name}/done/{now.concluded}/{len(now.failed)}"
        yield Notice("done", name, key, f"Campaign {name} is done: {state}{failed}.")
    if now.failed:
        first: dict[str, FailedJob] = {}
        for job in failed_jobs(connection, name):
            first.setdefault(job.cause.name, job)
        for cause, job in first.items():
            text = f"Jobs of campaign {name} fail of a new cause, {cause}: {job.message}"
            key = f"{name}/failures/{cause}"
            yield Notice("failures", name, key, f"{text} {job.cause.action}")
    for hold in now.holds:
        if hold.kind == "budget":
            key = f"{name}/budget/{now.budget}"
            yield Notice("budget", name, key, f"Campaign {name} is held: {hold.reason}.")


def _claimed(connection: Connection, notice: Notice) -> bool:
    """Whether it falls to this process to send a notice; of several, to one."""
    notices = connection.database[NOTICES]
    if notices.find_one({"_id": notice.key}, {"_id": True}) is not None:
        return False
    new = {"campaign": notice.campaign, "time": time.time()}
    put = notices.update_one({"_id": notice.key}, {"$setOnInsert": new}, upsert=True)
    return put.upserted_id is not None


def _send(notice: Notice, settings: Settings) -> None:
    """Send a notice; a receiver that fails is named in the log, and nothing else happens."""
    if settings.notify_url:
        try:
            _post(settings.notify_url, notice)
        except (OSError, ValueError, urllib.error.URLError) as error:
            logger.warning("The notice %r was not taken: %s", notice.text, masked(str(error)))
    if settings.notify_command:
        try:
            _run(settings.notify_command, notice)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            logger.warning("The command for the notice %r failed: %s", notice.text, error)


def _post(url: str, notice: Notice) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"notify_url must begin with https:// or http://, not {url[:20]!r}")
    body = json.dumps(asdict(notice)).encode()
    headers = {"content-type": "application/json", "user-agent": "ssefw"}
    request = urllib.request.Request(url, body, headers)
    urllib.request.urlopen(request, timeout=SECONDS_TO_SEND).close()


def _run(command: str, notice: Notice) -> None:
    """Run the command with the text as its last argument, and all of it in its environment."""
    said = {
        "SSEFW_NOTICE_EVENT": notice.event,
        "SSEFW_NOTICE_CAMPAIGN": notice.campaign,
        "SSEFW_NOTICE_TEXT": notice.text,
    }
    subprocess.run(
        [*shlex.split(command), notice.text],
        env=os.environ | said,
        timeout=SECONDS_TO_SEND,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
