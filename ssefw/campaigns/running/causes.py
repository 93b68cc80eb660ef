"""Why jobs failed, what to do about it, and which causes are worth another try."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ssefw.campaigns.running.lost import INCIDENTS
from ssefw.documents import Failure
from ssefw.store import Connection

__all__ = ["CAUSES", "CAUSE_NAMES", "Cause", "FailedJob", "failed_jobs", "retry_failed"]


@dataclass(frozen=True)
class Cause:
    """A kind of failure.

    Attributes
    ----------
    pattern
        What the traceback of such a failure has.
    retries
        How often the launcher tries again by itself.
    """

    name: str
    pattern: re.Pattern[str]
    action: str
    retries: int = 0


def _cause(name: str, pattern: str, action: str, *, retries: int = 0) -> Cause:
    return Cause(name, re.compile(pattern, re.IGNORECASE), action, retries)


OTHER = _cause("other", "", "Read its traceback: ssefw log CANDIDATE --traceback.")
KILLED = _cause(
    "killed",
    r"(?!)",
    "Its worker died again and again: give the stage more memory or time, then ssefw rerun.",
)
CAUSES = (
    _cause(
        "store",
        r"StoreError|AutoReconnect|ServerSelectionTimeout|NetworkTimeout|database is locked",
        "The database did not answer; see that it runs, then ssefw rerun.",
        retries=5,
    ),
    _cause(
        "disk",
        r"No space left|Disk quota|Errno 28\b|Errno 122\b",
        "Free space in the scratch folder or set SSEFW_SCRATCH, then ssefw rerun.",
        retries=1,
    ),
    _cause(
        "scratch",
        r"PermissionError|Read-only file system|Errno 13\b|Errno 30\b|Stale file handle",
        "Make the scratch folder writable on the compute nodes, then ssefw rerun.",
        retries=2,
    ),
    _cause(
        "memory",
        r"MemoryError|out of memory|oom[-_ ]kill|bad_alloc",
        "Ask for more memory (resources.STAGE.memory in the campaign file), then ssefw rerun.",
    ),
    _cause(
        "program",
        r"not on the PATH|command not found|No such file or directory: '(vasp|pw|neb|mpi|srun)",
        "Load the program in `setup` of queue.yaml or set SSEFW_VASP_CMD ..., then ssefw rerun.",
    ),
    _cause(
        "package",
        r"MissingDependencyError|ModuleNotFoundError|ImportError",
        "Install the package in the environment of the workers, then ssefw rerun.",
    ),
    _cause(
        "convergence",
        r"did not converge|not converged|convergence not achieved|max_steps",
        "Loosen relax.fmax, allow more relax.max_steps, or leave the candidate out.",
    ),
    _cause(
        "analysis",
        r"AnalysisError",
        "The data do not support an answer: simulate longer or hotter.",
    ),
    _cause(
        "engine",
        r"EngineError",
        "Look at its output: ssefw log CANDIDATE; then ssefw rerun, or leave the candidate out.",
    ),
)
ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Warning|Exit): ?")
"""How the last part of a traceback begins, which may go on over several lines."""
CAUSE_NAMES = tuple(cause.name for cause in (*CAUSES, KILLED, OTHER))


@dataclass(frozen=True)
class FailedJob:
    """A failed job, and what it died of.

    Attributes
    ----------
    message
        The whole of it on one line, with what to do where the job knew.
    run_folder
        Where its calculation ran, if it got as far as having a folder.
    traceback
        Empty where its worker died.
    """

    firework_id: int
    name: str
    candidate_id: str
    cause: Cause
    message: str
    run_folder: str | None = None
    traceback: str = ""


def failed_jobs(
    connection: Connection, campaign: str, *, among: Sequence[int] | None = None
) -> Iterator[FailedJob]:
    """Yield the failed jobs of a campaign, all or those among some ids of FireWorks."""
    wanted = {"fw_id": True, "name": True, "launches": True, "spec.candidate": True}
    query: dict[str, Any] = {"spec.campaign": campaign, "state": "FIZZLED"}
    if among is not None:
        query["fw_id"] = {"$in": list(among)}
    fireworks = list(connection.launchpad.fireworks.find(query, wanted))
    noted = list(connection.results.find(Failure, campaign=campaign)) if fireworks else []
    for firework in fireworks:
        launches = firework["launches"]
        launch = None
        if launches:
            launch = connection.launchpad.launches.find_one(
                {"launch_id": launches[-1]}, {"action.stored_data._exception": True}
            )
        trace = _traceback(launch or {})
        message = message_of(trace)
        yield FailedJob(
            firework_id=firework["fw_id"],
            name=firework["name"],
            candidate_id=firework["spec"].get("candidate", ""),
            cause=classify(trace),
            message=message,
            run_folder=next(
                (
                    note.directory
                    for note in reversed(noted)
                    if note.stage == firework["name"] and note.message in message
                ),
                None,
            ),
            traceback=trace,
        )


def message_of(trace: str) -> str:
    """Return the message of the error that a traceback ends with, on one line.

    Errors of ssefw speak for themselves; others are called by their class.
    """
    lines = trace.strip().splitlines()
    if not lines:
        return "its worker died"
    begin = next((k for k in range(len(lines) - 1, 0, -1) if ERROR.match(lines[k])), len(lines) - 1)
    message = " ".join(" ".join(lines[begin:]).split())
    return re.sub(r"^ssefw\.[\w.]+: ", "", message)


def classify(trace: str) -> Cause:
    """Return the cause that a traceback speaks of."""
    if not trace:
        return KILLED
    # The last line is the error itself; the lines above may name anything.
    last = trace.strip().splitlines()[-1]
    for text in (last, trace):
        for cause in CAUSES:
            if cause.pattern.search(text):
                return cause
    return OTHER


def retry_failed(connection: Connection, campaign: str) -> int:
    """Give the failed jobs another try whose cause may have passed; return how many."""
    count = 0
    incidents = connection.database[INCIDENTS]
    for job in failed_jobs(connection, campaign):
        cause = job.cause
        if not cause.retries:
            continue
        before = incidents.count_documents({"fw_id": job.firework_id, "cause": cause.name})
        if before >= cause.retries:
            continue
        incidents.insert_one(
            {
                "_id": f"{job.firework_id}-{cause.name}-{before}",
                "cause": cause.name,
                "fw_id": job.firework_id,
                "name": job.name,
                "campaign": campaign,
                "candidate": job.candidate_id,
                "worker": "",
                "detail": job.message,
                "time": time.time(),
            }
        )
        connection.launchpad.rerun_fw(job.firework_id)
        count += 1
    return count


def _traceback(launch: dict[str, Any]) -> str:
    action = launch.get("action") or {}
    exception = (action.get("stored_data") or {}).get("_exception") or {}
    return str(exception.get("_stacktrace") or "")
