"""The command line: parse, call one function, print.

Commands are loaded when they are used, so that ``ssefw --help`` imports nothing heavy.
"""

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.renamed import modern
from ssefw.errors import SsefwError
from ssefw.files import printable
from ssefw.masking import MaskingFormatter, masked

if TYPE_CHECKING:
    import logging

__all__ = ["main", "ssefw"]

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("campaign.run", "Plan, submit and work a campaign to its end."),
    "plan": ("campaign.plan", "Show what a campaign would run and cost; write nothing."),
    "submit": ("campaign.submit", "Put a campaign on the launch pad."),
    "work": ("campaign.work", "Run jobs from the launch pad until none is left."),
    "launch": ("campaign.launch", "Keep the queue of a cluster fed with jobs."),
    "status": ("campaign.status", "Show how far campaigns are."),
    "jobs": ("campaign.jobs", "List jobs that run or failed: where each is, and why."),
    "log": ("campaign.log", "Show the output of a candidate's calculation."),
    "resume": ("campaign.resume", "Take up a campaign where it stopped, however it stopped."),
    "results": ("records.results", "List, show and export what was computed."),
    "pause": ("campaign.pause", "Hold a campaign, candidates or a stage."),
    "cancel": ("campaign.cancel", "Give up a campaign, candidates or a stage."),
    "rerun": ("campaign.rerun", "Run failed jobs again."),
    "priority": ("campaign.priority", "Run candidates earlier or later."),
    "serve": ("campaign.serve", "Show campaigns live in a browser."),
    "report": ("campaign.report", "Write the HTML report of a campaign."),
    "analyze": (
        "calculate.analyze",
        "Get diffusivity and conductivity from trajectories you have.",
    ),
    "bvse": ("calculate.bvse", "Get bond-valence barriers and paths of crystal structures."),
    "neb": ("calculate.neb", "Get migration barriers of a structure by CI-NEB."),
    "potential": ("calculate.potential", "Teach fast potentials, and show those there are."),
    "converge": ("calculate.converge", "Find converged cutoffs and k-points for Quantum ESPRESSO."),
    "screen": ("screen.group", "Train, evaluate and apply screening models."),
    "labels": ("records.labels", "Import, show, split and export known conductivities."),
    "feedback": ("records.feedback", "Make labels of outcomes, and re-rank what is left."),
    "pool": ("records.pool", "Look at a pool of structures."),
    "store": ("records.store", "Check, back up, copy, archive and delete what is stored."),
    "init": ("site.init", "Write a campaign file to begin with."),
    "init-site": ("site.init_site", "Write the files of a cluster: queue, settings, database."),
    "schema": ("site.schema", "Print the JSON schema of campaign files."),
    "config": ("site.config", "Show and check the settings of this site."),
    "completion": ("site.completion", "Let your shell complete commands and campaigns."),
}
"""Name to (module in ssefw.cli, one-line help); the help stands here so that it costs no import."""

SECTIONS = {
    "Campaigns": (
        "init", "run", "plan", "submit", "work", "launch", "status", "serve", "jobs", "log",
        "resume", "pause", "cancel", "rerun", "priority",
    ),
    "Results": ("results", "report", "store"),
    "Methods": ("analyze", "bvse", "neb", "converge", "potential"),
    "Screening": ("screen", "labels", "feedback", "pool"),
    "Site": ("init-site", "config", "schema", "completion"),
}  # fmt: skip
"""How the help orders the commands."""


@dataclass(frozen=True)
class Process:
    """What the process of a command is.

    Attributes
    ----------
    is_own
        Whether there is one for this command alone; somebody may call `main` from Python.
    """

    is_own: bool


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a campaign uses them."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,
        cmd_name: str,
    ) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"ssefw.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(
        self,
        ctx: click.Context,
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands by section with their help, without importing them."""
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(10), COMMANDS[name][1]) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the names of commands without importing them."""
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for a mistyped one."""
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="Example: ssefw run workflows/quickstart.yaml",
)
@click.option("--store", metavar="ADDRESS", help="Results store: a folder or a mongodb:// address.")
@click.option("-v", "--verbose", count=True, help="Say more; twice for debugging messages.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="ssefw")
def ssefw(store: str | None, verbose: int, *, debug: bool) -> None:  # noqa: ARG001 - read in main
    """Find solid-state lithium electrolytes: screen, simulate, analyze, report."""
    import os

    if store:
        from ssefw.cli.options import asked_address

        os.environ["SSEFW_STORE"] = asked_address(store)
    _configure_logging(verbose)


def _configure_logging(verbose: int) -> None:
    import logging
    import os

    level = os.environ.get("SSEFW_LOG_LEVEL", "WARNING").upper()
    level = {0: level, 1: "INFO"}.get(verbose, "DEBUG")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LogLine("%(asctime)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    for chatty in ("launchpad", "rocket.launcher", "jobflow"):
        logging.getLogger(chatty).propagate = verbose > 0


class _LogLine(MaskingFormatter):
    """A line of the log in which a name commands no terminal, and no password is shown."""

    def format(self, record: "logging.LogRecord") -> str:
        """Return the line."""
        return printable(super().format(record))


def main(args: list[str] | None = None) -> None:
    """Run the command line; a known error becomes one line and exit code 1, a wrong usage 2."""
    arguments, notices = modern(sys.argv[1:] if args is None else args)
    for notice in notices:
        sys.stderr.write(f"{notice}\n")
    try:
        code: Any = ssefw.main(
            arguments, prog_name="ssefw", standalone_mode=False, obj=Process(is_own=args is None)
        )
    except SsefwError as error:
        if "--debug" in arguments:
            raise
        sys.exit(_say(*getattr(error, "mistakes", (str(error),))))
    except click.exceptions.Abort as error:
        sys.exit(_aborted(error))
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" See `{where} --help`." if where else ""
        message = error.format_message().rstrip(".")
        _say(f"{message}{'' if message.endswith('?') else '.'}{hint}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if "--debug" in arguments:
            raise
        name = f" {error.filename}" if error.filename else ""
        sys.exit(_say(f"{error.strerror or error}{name}. Check the path, its rights and the disk."))
    sys.exit(code if isinstance(code, int) else 0)


def _aborted(error: click.exceptions.Abort) -> int:
    """Say which it was: click aborts at Ctrl-C, at a no, and where a file ends too early."""
    if isinstance(error.__cause__, EOFError):
        return _say(f"A file ends too early ({error.__cause__}); copy it again.")
    if error.__cause__ is None:
        return _say("Not confirmed, nothing was done. Where nobody can answer, give --yes.")
    sys.stderr.write("Interrupted.\n")
    return 130


def _say(*messages: str) -> int:
    for message in messages:
        sys.stderr.write(f"Error: {printable(masked(' '.join(message.split())))}\n")
    return 1
