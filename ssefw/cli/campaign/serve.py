"""``ssefw serve``: the pages of a store in a browser."""

import re
from pathlib import Path

import click

from ssefw.cli.numbers import PORT
from ssefw.cli.options import opened, settings, store_option
from ssefw.cli.say import say
from ssefw.mistakes import shown

SHORTEST_TOKEN = 20
"""Characters; what cannot be guessed has at least a hundred bits."""


@click.command(epilog="Example: ssefw serve --store demo")
@store_option
@click.option("--port", type=PORT, default=8400, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--read-only", is_flag=True, help="Only show; refuse every change.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="File whose first line is the token.  [default: a new one each time]",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A name under which a proxy makes it known; may be repeated.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open it in the browser of this machine.")
def command(
    port: int,
    host: str,
    token_file: Path | None,
    names: tuple[str, ...],
    *,
    read_only: bool,
    is_opened: bool,
) -> None:
    """Show the campaigns of the store as pages, live, to a browser on this machine.

    The printed address holds a token that lets a browser in. From elsewhere, reach it through ssh:
    `ssh -t -L 8400:localhost:8400 login-node 'ssefw serve'`, and open the address on your machine.
    """
    from ssefw.errors import MissingDependencyError

    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "starlette and uvicorn", purpose="Serving pages", extra="serve"
        ) from error
    # Imports of everything take longer than a browser takes to be opened.
    from ssefw.serve.guard import Keys
    from ssefw.serve.listening import address_of, listening

    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", name):
            raise click.BadParameter(
                f"is a name such as ssefw.example.org, without port, got {shown(name)}",
                param_hint="--allow-host",
            )
    keys = Keys(_token(token_file))
    heard = listening(host, port)
    address = address_of(heard, keys.token)
    with heard, opened(read_only=read_only) as connection:
        say(address)
        if host not in {"127.0.0.1", "localhost", "::1"}:
            say(
                "Warning: others can listen in between here and a browser elsewhere. Leave --host "
                "out and use ssh -L, or put a proxy with https before it.",
                err=True,
            )
        if is_opened:
            click.launch(address)
        from ssefw.serve.run import serve

        serve(connection, settings(), heard, keys=keys, names=names, read_only=read_only)


def _token(path: Path | None) -> str | None:
    """Return the token in a file."""
    from ssefw.errors import ConfigurationError
    from ssefw.files import read_text

    if path is None:
        return None
    lines = read_text(path, largest=2**16, error=ConfigurationError).splitlines()
    token = lines[0].strip() if lines else ""
    if len(token) < SHORTEST_TOKEN or not token.isascii():
        raise ConfigurationError(
            f"{path} lets nobody in: its first line needs at least {SHORTEST_TOKEN} letters and "
            "digits. `openssl rand -hex 32` makes one."
        )
    return token
