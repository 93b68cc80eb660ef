"""Options and small services that several commands share."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ssefw.cli.numbers import WORKERS
from ssefw.cli.say import say
from ssefw.mistakes import check_settings
from ssefw.settings import Settings, load_settings

if TYPE_CHECKING:
    from threading import Event

    from ssefw.campaigns.planning.change import SettingsChange
    from ssefw.campaigns.planning.plan import Plan
    from ssefw.engines import Engine
    from ssefw.store import Connection

__all__ = [
    "OUTPUT",
    "answer",
    "asked_address",
    "changed",
    "configured",
    "core_count",
    "dry_run_option",
    "json_option",
    "opened",
    "pick_campaign",
    "print_json",
    "quiet_option",
    "set_option",
    "settings",
    "store_option",
    "values_of",
    "warn_of_missing",
    "workers_option",
]

F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound="Engine")


class _OutputFile(click.Path):
    """A file to write, which can be written: said before hours of work and not after."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        path: Any = super().convert(value, param, ctx)
        folder = path.parent
        if not folder.is_dir():
            self.fail(f"There is no folder {folder}. Make it first.", param, ctx)
        if not os.access(folder, os.W_OK):
            self.fail(f"You may not write into {folder}. Choose another folder.", param, ctx)
        return path


OUTPUT = _OutputFile()


def _set_store(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value:
        os.environ["SSEFW_STORE"] = asked_address(value)


def asked_address(address: str) -> str:
    """Return an address as it was given, with the password that is asked for where it ends in `:@`.

    Whoever lists the processes of a machine sees their arguments: one with a password is warned of.
    """
    from ssefw.settings import has_password, with_password

    scheme, found, rest = address.partition("://")
    if not found:
        return address
    if rest.partition("@")[0].endswith(":") and "@" in rest:
        if not sys.stdin.isatty():
            raise click.UsageError(
                "Nobody can be asked for the password of --store here: put it into the variable "
                "SSEFW_STORE_PASSWORD, or name a file with it in the setting store_password_file."
            )
        return with_password(address, click.prompt("Password of the store", hide_input=True))
    if has_password(address):
        say(
            "Warning: other users of this machine see the password in --store. Leave it out "
            f"({scheme}://user:@host asks for it), or put the address into SSEFW_STORE.",
            err=True,
        )
    return address


def store_option(command: F) -> F:
    """Add ``--store``, which outranks the setting for this command and what it starts."""
    return click.option(
        "--store",
        metavar="ADDRESS",
        expose_value=False,
        callback=_set_store,
        help="Results store: a folder or a mongodb:// address.  [default: setting store]",
    )(command)


def set_option(what: str, example: str) -> Callable[[F], F]:
    """Add ``--set KEY=VALUE``, for settings of an engine or a system."""
    return click.option(
        "--set",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        help=f"Setting of the {what}, the value as YAML, such as {example}; may be repeated.",
    )


def values_of(options: tuple[str, ...]) -> dict[str, Any]:
    """Return settings that were given as KEY=VALUE, the value as YAML."""
    from ssefw.files.yaml_text import load_yaml

    values = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"--set takes KEY=VALUE, got {option!r}")
        values[key.strip().replace("-", "_")] = load_yaml(value, name=f"--set {key}")[0]
    return values


def configured(kind: type[E], name: str, options: tuple[str, ...]) -> E:
    """Return an engine with the settings that were given as KEY=VALUE."""
    engine = kind(**check_settings(kind, values_of(options), of=f"The engine {name}"))
    engine.check()
    return engine


def json_option(command: F) -> F:
    """Add ``--json``: one object a line on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)


def quiet_option(command: F) -> F:
    """Add ``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress display.")(command)


def dry_run_option(command: F) -> F:
    """Add ``--dry-run``."""
    return click.option(
        "-n", "--dry-run", is_flag=True, help="Say what would be done; write nothing."
    )(command)


def core_count() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_option(command: F) -> F:
    """Add ``--workers``; without it, every core has one."""
    return click.option("--workers", type=WORKERS, help="Processes.  [default: every core]")(
        command
    )


def settings() -> Settings:
    """Return the settings as the options left them."""
    return load_settings().settings


@contextlib.contextmanager
def opened(
    *,
    read_only: bool = False,
    create: bool = False,
    stop: "Event | None" = None,
    at_once: bool = True,
) -> "Iterator[Connection]":
    """Open the store of the settings.

    Parameters
    ----------
    stop
        Given by those who stay, as workers and launchers: they wait for a server that does not
        answer, until this is set.
    at_once
        Whether a server that does not answer at the start is an error all the same.
    """
    from ssefw.store import connect, outages_reported

    ours = settings()
    patience = 0.0 if stop is None else ours.patience
    with (
        connect(
            ours.store,
            read_only=read_only,
            create=create,
            patience=patience,
            stop=stop,
            at_once=at_once,
        ) as connection,
        outages_reported(connection.address),
    ):
        yield connection


def changed(plan: "Plan") -> "SettingsChange | None":
    """Return what a plan changes in the store of the settings; None also if there is no store."""
    from ssefw.campaigns.planning.change import change_of
    from ssefw.errors import StoreError

    try:
        with opened(read_only=True) as connection:
            return change_of(plan, connection)
    except StoreError:
        return None


def continued(plan: "Plan") -> "Plan":
    """Return a plan as it goes on in the store of the settings, with what it was begun with."""
    from ssefw.campaigns.planning.change import as_begun
    from ssefw.errors import StoreError

    try:
        with opened(read_only=True) as connection:
            return as_begun(plan, connection)
    except StoreError:
        return plan


def warn_of_missing(plan: "Plan") -> None:
    """Say what jobs of a plan would lack if they ran on this machine."""
    from ssefw.campaigns.planning.needs import missing_for

    for said in missing_for(plan):
        say(f"Warning: jobs that run on this machine will fail. {said}", err=True)


def pick_campaign(connection: "Connection", campaign: str | None) -> str:
    """Return the campaign that was named, or the only one there is.

    Raises
    ------
    click.UsageError
        If there are several to choose from.
    """
    from ssefw.campaigns.running.watch import campaigns_in
    from ssefw.errors import StoreError

    if campaign:
        return campaign
    known = campaigns_in(connection)
    if len(known) == 1:
        return known[0]
    if not known:
        raise StoreError(
            f"The store {connection.address} holds no campaign yet. "
            "Submit one with `ssefw submit FILE`, or name another store with --store."
        )
    raise click.UsageError(f"The store holds several campaigns, name one: {', '.join(known)}")


def answer(record: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print what was done: a line of JSON for programs, or a sentence."""
    if as_json:
        print_json(record)
    else:
        say(text)


def print_json(record: object) -> None:
    """Print one line of JSON."""
    say(json.dumps(record, default=str))
