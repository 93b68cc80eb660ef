"""Options that name a part of a campaign."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ssefw.campaigns.steering.control import Part
    from ssefw.store import Connection

__all__ = ["dry_run_option", "named_part", "part_options"]

F = TypeVar("F", bound=Callable[..., Any])


def part_options(command: F) -> F:
    """Add the campaign, ``--candidate`` and ``--stage``."""
    for option in (
        click.option("--stage", default="", help="Only this stage, such as md or 'md 600 K'."),
        click.option(
            "--candidate",
            "candidates",
            multiple=True,
            metavar="CANDIDATE",
            help="Only this candidate: id or its beginning, formula, or name; may be repeated.",
        ),
        click.argument("campaign", required=False),
    ):
        command = option(command)
    return command


def dry_run_option(command: F) -> F:
    """Add ``--dry-run``."""
    return click.option("-n", "--dry-run", is_flag=True, help="Say what would be done.")(command)


def named_part(
    connection: "Connection", campaign: str | None, candidates: tuple[str, ...], stage: str
) -> "Part":
    """Return the part that the options name."""
    from ssefw.campaigns.steering.control import Part
    from ssefw.cli.options import pick_campaign

    name = pick_campaign(connection, campaign)
    return Part.named(connection, name, candidates=candidates, stage=stage)
