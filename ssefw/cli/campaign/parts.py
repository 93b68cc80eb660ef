"""Options that name a part of a campaign."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ssefw.cli.complete import campaigns
from ssefw.cli.complete import candidates as candidates_of

if TYPE_CHECKING:
    from ssefw.campaigns.steering.control import Part
    from ssefw.store import Connection

__all__ = ["named_part", "part_options"]

F = TypeVar("F", bound=Callable[..., Any])


def part_options(command: F) -> F:
    """Add the campaign, ``--candidate`` and ``--stage``."""
    for option in (
        click.option(
            "--stage",
            default="",
            show_default=False,
            help="Only this stage, such as md or 'md 600 K'.",
        ),
        click.option(
            "--candidate",
            "candidates",
            multiple=True,
            metavar="CANDIDATE",
            shell_complete=candidates_of,
            help="Only this candidate: id or its beginning, formula, or name; may be repeated.",
        ),
        click.argument("campaign", required=False, shell_complete=campaigns),
    ):
        command = option(command)
    return command


def named_part(
    connection: "Connection", campaign: str | None, candidates: tuple[str, ...], stage: str
) -> "Part":
    """Return the part that the options name."""
    from ssefw.campaigns.steering.control import Part
    from ssefw.cli.options import pick_campaign

    name = pick_campaign(connection, campaign)
    return Part.named(connection, name, candidates=candidates, stage=stage)
