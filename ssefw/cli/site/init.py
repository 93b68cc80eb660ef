"""``ssefw init``: campaign files to begin with."""

from pathlib import Path

import click

from ssefw.cli.options import answer, dry_run_option, json_option


@click.command(epilog="Example: ssefw init quickstart")
@click.argument("name", required=False)
@click.option(
    "--to", type=click.Path(path_type=Path), default=".", help="Folder that gets the file."
)
@dry_run_option
@json_option
def command(name: str | None, to: Path, *, dry_run: bool, as_json: bool) -> None:
    """Write a campaign file that comes with ssefw, to run or to change.

    Without a name, list those that there are.
    """
    from textwrap import shorten

    from ssefw.errors import ConfigurationError
    from ssefw.files import replacing
    from ssefw.shipped import shipped_folder

    files = {path.stem: path for path in sorted(shipped_folder("workflows").glob("*.yaml"))}
    if name is None:
        for stem, path in files.items():
            about = path.read_text(encoding="utf-8").partition("\n#\n")[0].replace("#", "")
            line = shorten(about, 78, placeholder=" ...")
            answer({"name": stem, "about": line}, f"{stem:20}{line}", as_json=as_json)
        return
    if name not in files:
        raise ConfigurationError(
            f"No campaign {name!r} comes with ssefw. There are: {', '.join(files)}."
        )
    target = to / files[name].name
    if target.exists():
        raise ConfigurationError(f"{target} exists; give another folder with --to, or remove it.")
    if dry_run:
        answer({"file": str(target), "dry_run": True}, f"would write {target}", as_json=as_json)
        return
    to.mkdir(parents=True, exist_ok=True)
    text = files[name].read_text(encoding="utf-8").replace("workflows/", "")
    with replacing(target) as draft:
        draft.write_text(text, encoding="utf-8")
    said = f"wrote {target}; see what it would run with `ssefw plan {target}`"
    answer({"file": str(target), "dry_run": False}, said, as_json=as_json)
