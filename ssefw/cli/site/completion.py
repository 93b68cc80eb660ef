"""``ssefw completion``: let the shell complete commands, options, campaigns and candidates."""

import os
from pathlib import Path

import click

from ssefw.cli.say import say

SHELLS = ("bash", "zsh", "fish")
SHELL = click.option(
    "--shell", type=click.Choice(SHELLS), help="Which shell.  [default: yours, by $SHELL]"
)


@click.group()
def command() -> None:
    """Let your shell complete commands, options, campaigns, candidates, systems and presets."""


@command.command("show", epilog="Example: ssefw completion show --shell bash")
@SHELL
def show(shell: str | None) -> None:
    """Print what the shell is to read."""
    from ssefw.cli import ssefw
    from ssefw.cli.complete import completion_script

    say(completion_script(ssefw, shell or _own_shell()))


@command.command("install", epilog="Example: ssefw completion install")
@SHELL
@click.option("-n", "--dry-run", is_flag=True, help="Say which file; write nothing.")
def install(shell: str | None, *, dry_run: bool) -> None:
    """Write it where the shell looks for it; a new shell then completes."""
    from ssefw.cli import ssefw
    from ssefw.cli.complete import completion_script
    from ssefw.files import replacing

    shell = shell or _own_shell()
    path = _place(shell)
    if dry_run:
        say(f"{path} would be written.")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(completion_script(ssefw, shell) + "\n")
    say(f"Wrote {path}. Open a new shell.")
    if shell == "zsh":
        say(f"If it does not complete, put into ~/.zshrc, first: fpath+=({path.parent})")


def _own_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise click.UsageError(f"say which shell: --shell {', '.join(SHELLS)}")
    return name


def _place(shell: str) -> Path:
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    if shell == "bash":
        return data / "bash-completion/completions/ssefw"
    if shell == "zsh":
        return data / "zsh/site-functions/_ssefw"
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "fish/completions/ssefw.fish"
