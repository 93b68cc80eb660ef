"""What a shell completes beside commands and options: campaigns, candidates, systems, presets.

A store behind a server is not asked: it may take longer than somebody waits for a Tab.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ssefw.store import Connection

__all__ = ["campaigns", "candidates", "presets", "systems"]

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _of_store(names: "Callable[[Connection], Iterator[str]]") -> Complete:
    def complete(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
        from ssefw.cli.options import opened, settings
        from ssefw.errors import SsefwError

        try:
            if "://" in settings().store:
                return []
            with opened(read_only=True) as connection:
                return sorted({name for name in names(connection) if name.startswith(typed)})
        except (SsefwError, OSError):
            return []

    return complete


def _campaigns(connection: "Connection") -> Iterator[str]:
    from ssefw.campaigns.running.watch import campaigns_in

    yield from campaigns_in(connection)


def _candidates(connection: "Connection") -> Iterator[str]:
    from ssefw.campaigns.running.watch import campaigns_in, latest_record

    for name in campaigns_in(connection):
        for planned in latest_record(connection, name).candidates:
            yield from (planned.formula, planned.candidate_id)


campaigns = _of_store(_campaigns)
candidates = _of_store(_candidates)


def systems(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the screening systems that are installed."""
    from ssefw.screening.base import screener_names

    return [name for name in screener_names() if name.startswith(typed)]


def presets(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[str]:
    """Return the presets of filters."""
    from ssefw.screening.filters.cascade import preset_names

    return [name for name in preset_names() if name.startswith(typed)]


def completion_script(group: Any, shell: str) -> str:
    """Return the text that makes a shell ask ssefw."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    return kind(group, {}, "ssefw", "_SSEFW_COMPLETE").source()
