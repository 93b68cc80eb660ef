"""The pages of jobs: what runs where, what failed and why, and what a calculation writes."""

from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ssefw.campaigns.running.jobs import CampaignJob, campaign_jobs, query_of_jobs
from ssefw.campaigns.running.output_files import files_of, main_output, tail
from ssefw.campaigns.running.watch import STAGES, STATE_WORDS
from ssefw.campaigns.steering.holds import jobs_query
from ssefw.files import printable
from ssefw.serve.board import CampaignView
from ssefw.serve.render import board_of, page, view_of
from ssefw.serve.selection import PAGE_ROWS, page_count

__all__ = ["job_page", "jobs_page", "log_part"]

STATES = tuple(dict.fromkeys(STATE_WORDS.values()))
USUAL = ("failed", "running")
"""What is looked for in most cases, and shown first."""
SEARCHED = 2000
"""Jobs, the latest of those asked for, in which a worker or a folder is looked for."""
TAIL_LINES = 200
SHOWN_FILES = 40
LARGEST_PART = 2**18
"""Bytes of a log that are sent at once."""


def jobs_page(request: Request) -> Response:
    """List the jobs of a campaign, the latest first."""
    view = view_of(request)
    connection = board_of(request).connection
    asked = request.query_params
    state, stage = asked.get("state", ""), asked.get("stage", "")[:60]
    states = STATES if state == "all" else (state,) if state in STATES else USUAL
    candidate = asked.get("candidate", "")
    number = asked.get("page", "")
    at = max(1, int(number)) if number.isdecimal() and len(number) < 10 else 1
    part = jobs_query(
        view.campaign, candidates=[candidate] if candidate in view.lines else [], stage=stage
    )
    query = query_of_jobs(view.campaign, states=states, query=part)
    count = int(connection.launchpad.fireworks.count_documents(query))
    where = asked.get("where", "").strip()[:200]

    def found(skip: int, limit: int) -> list[CampaignJob]:
        return list(
            campaign_jobs(
                connection,
                view.campaign,
                states=states,
                query=part,
                names=_titles(view),
                skip=skip,
                limit=limit,
            )
        )

    start = (at - 1) * PAGE_ROWS
    is_part = bool(where) and count > SEARCHED
    if where:
        # Where a job runs is known to its launch and to its folder, which no index can tell.
        jobs = [job for job in found(0, SEARCHED) if _is_at(job, where)]
        count, jobs = len(jobs), jobs[start : start + PAGE_ROWS]
    else:
        jobs = found(start, PAGE_ROWS)
    return page(
        request,
        "jobs.html",
        title="Jobs",
        campaign=view.campaign,
        view=view,
        jobs=jobs,
        count=count,
        at=at,
        pages=page_count(count),
        state=state if state == "all" or state in STATES else "",
        stage=stage,
        candidate=candidate if candidate in view.lines else "",
        where=where,
        searched=SEARCHED if is_part else None,
        states=STATES,
        stages=STAGES,
    )


def _is_at(job: CampaignJob, where: str) -> bool:
    """Whether a job runs or ran at a worker, in a queue job or in a folder that a text names."""
    return any(where in text for text in (job.worker, job.queue_job, job.run_folder or ""))


def job_page(request: Request) -> Response:
    """Show one job: where it runs or ran, why it failed, and the end of what it wrote."""
    view, job = _job(request)
    folder = Path(job.run_folder) if job.run_folder else None
    files = files_of(folder)[:SHOWN_FILES] if folder is not None and folder.is_dir() else []
    shown = _file(request, folder)
    return page(
        request,
        "job.html",
        title=f"{job.name} of {job.formula}",
        campaign=view.campaign,
        view=view,
        job=job,
        line=view.lines.get(job.candidate_id),
        files=[str(path.relative_to(folder)) for path in files] if folder else [],
        shown=str(shown.relative_to(folder)) if shown and folder else "",
        log=printable(tail(shown, TAIL_LINES)) if shown else "",
        size=shown.stat().st_size if shown else 0,
        traceback=printable(job.traceback.rstrip()),
    )


def log_part(request: Request) -> Response:
    """Return what was added to a file of a job behind a place, and the place behind that."""
    _, job = _job(request)
    folder = Path(job.run_folder) if job.run_folder else None
    path = _file(request, folder)
    if path is None or path.suffix == ".gz":
        return JSONResponse({"text": "", "place": 0, "running": job.state == "running"})
    after = request.query_params.get("after", "0")
    place = int(after) if after.isdecimal() and len(after) < 16 else 0
    size = path.stat().st_size
    place = 0 if size < place else place  # it was begun anew
    with path.open("rb") as file:
        file.seek(max(place, size - LARGEST_PART))
        added = file.read(LARGEST_PART)
        place = file.tell()
    return JSONResponse(
        {
            "text": printable(added.decode(errors="replace")),
            "place": place,
            "running": job.state == "running",
        }
    )


def _job(request: Request) -> tuple[CampaignView, CampaignJob]:
    view = view_of(request)
    connection = board_of(request).connection
    query: dict[str, Any] = {"spec.campaign": view.campaign, "fw_id": request.path_params["job"]}
    found = list(
        campaign_jobs(connection, view.campaign, query=query, names=_titles(view), limit=1)
    )
    if not found:
        raise HTTPException(404, f"The campaign {view.campaign!r} has no such job.")
    return view, found[0]


def _titles(view: CampaignView) -> dict[str, str]:
    return {key: line.title for key, line in view.lines.items()}


def _file(request: Request, folder: Path | None) -> Path | None:
    """Return the file of a run's folder that is asked for, or what people look at first.

    Only a file that the folder lists can be asked for, and none that leads out of it.
    """
    if folder is None or not folder.is_dir():
        return None
    name = request.query_params.get("file", "")
    if not name:
        return main_output(folder)
    inside = folder.resolve()
    for path in files_of(folder):
        if str(path.relative_to(folder)) == name and path.resolve().is_relative_to(inside):
            return path
    raise HTTPException(404, f"There is no file {name!r} in {folder}.")
