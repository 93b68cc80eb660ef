"""What failed and what to do about it, in words."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ssefw.campaigns.queueing.fleet import FailureGroup
    from ssefw.campaigns.running.causes import FailedJob
    from ssefw.documents import CampaignRecord

__all__ = ["failure_lines", "failure_record"]

SHOWN = 3


def failure_lines(
    groups: "Iterable[FailureGroup]", record: "CampaignRecord"
) -> "Iterator[tuple[str, str]]":
    """Yield lines and their styles: each cause with its remedy, and the first jobs in full."""
    from ssefw.campaigns.running.jobs import called

    names = called(record)
    for group in groups:
        yield f"{len(group.jobs)} failed: {group.cause.name}. {group.cause.action}", "bold red"
        for job in group.jobs[:SHOWN]:
            yield f"  {job.name} of {names.get(job.candidate_id, '?')}: {job.message}", "red"
            if job.run_folder and job.run_folder not in job.message:
                yield f"    folder: {job.run_folder}", "red"
        if (more := len(group.jobs) - SHOWN) > 0:
            yield f"  and {more} more: `ssefw jobs {record.campaign} --failed`", "red"


def failure_record(job: "FailedJob", record: "CampaignRecord") -> dict[str, Any]:
    """Return a failed job for programs."""
    formulas = {item.candidate_id: item.formula for item in record.candidates}
    return {
        "job_id": job.firework_id,
        "job": job.name,
        "candidate_id": job.candidate_id,
        "formula": formulas.get(job.candidate_id),
        "message": job.message,
        "run_folder": job.run_folder,
    }
