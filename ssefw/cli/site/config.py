"""``ssefw config``: the settings of this site."""

from pathlib import Path

import click

from ssefw.cli.numbers import SECONDS
from ssefw.cli.options import json_option, print_json, store_option


@click.group()
def command() -> None:
    """Show and check the settings of this site."""


@command.command("show", epilog="Example: ssefw config show")
@store_option
@json_option
def show(*, as_json: bool) -> None:
    """Print each setting, its value and where it came from."""
    from ssefw.settings import PREFIX, load_settings

    loaded = load_settings()
    values = loaded.settings.model_dump(mode="json")
    if "://" in values["store"]:
        from ssefw.store import Address

        values["store"] = Address(values["store"]).masked
    if values["notify_url"]:  # who knows all of it may post there
        values["notify_url"] = "/".join([*values["notify_url"].split("/")[:3], "..."])
    if as_json:
        for name, value in values.items():
            print_json({"name": name, "value": value, "source": loaded.sources[name]})
        return

    from ssefw.cli.listing import Heading, Listing

    table = Listing([Heading("setting"), Heading("value"), Heading("from")])
    for name, field in type(loaded.settings).model_fields.items():
        source = loaded.sources[name]
        is_default = source == "default"
        how = f"; {PREFIX}{name.upper()} sets it" if is_default else ""
        value = values[name] if values[name] is not None else ""
        table.add(name, value, source, notes=[f"{field.description}{how}"])
    table.show()


@command.command("check", epilog="Example: ssefw config check --store mongodb://host/ssefw")
@store_option
@json_option
@click.option("--queue", is_flag=True, help="Try the same on a compute node, by a small job.")
@click.option("--site", type=click.Path(path_type=Path), help="Folder with the site's queue.yaml.")
@click.option("--timeout", type=SECONDS, default=600.0, help="Seconds to wait for that job.")
def check(*, as_json: bool, queue: bool, site: Path | None, timeout: float) -> int:
    """Try store, scratch, programs and potentials; exit code 1 if something set does not work."""
    from ssefw.campaigns.queueing.site_check import check_site
    from ssefw.settings import load_settings

    loaded = load_settings()
    checks = list(check_site(loaded))
    if queue:
        from ssefw.campaigns.queueing.queue_check import check_queue
        from ssefw.campaigns.queueing.site import read_site

        checks += check_queue(read_site(site), loaded.settings, timeout=timeout)
    if as_json:
        for item in checks:
            print_json({"name": item.name, "state": item.state, "message": item.message})
    else:
        from rich.text import Text

        from ssefw.cli.console import console

        colors = {"ok": "green", "missing": "yellow", "error": "red"}
        for item in checks:
            line = Text(f"{item.state:8}", style=colors[item.state])
            console().print(line.append(f"{item.name}: {item.message}", style="default"))
    return int(any(item.state == "error" for item in checks))
