"""``ssefw store``: check, back up, copy, archive and delete what is stored."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.options import (
    OUTPUT,
    answer,
    asked_address,
    dry_run_option,
    json_option,
    opened,
    print_json,
    settings,
    store_option,
)
from ssefw.cli.say import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ssefw.store import Connection
    from ssefw.store.upkeep.findings import Finding


@click.group()
def command() -> None:
    """Check, back up, copy, archive and delete what is stored."""


@command.command("check", epilog="Example: ssefw store check demo --repair")
@click.argument("address", required=False)
@click.option("--repair", is_flag=True, help="Mend what can be mended; end the workers first.")
@dry_run_option
@json_option
@store_option
def check(address: str | None, *, repair: bool, dry_run: bool, as_json: bool) -> int:
    """Look for damaged, missing, orphaned and doubled records and blobs.

    ADDRESS is a folder or a server's address; the setting store if it is not given. Exit code 1 if
    something is wrong and was not mended. A damaged database file is kept beside the new one.
    """
    from ssefw.store import Address
    from ssefw.store.upkeep.checking import check_store

    place = Address(asked_address(address) if address else settings().store)
    return _shown(check_store(place, repair=repair and not dry_run), str(place), as_json=as_json)


def _shown(findings: "Iterable[Finding]", place: str, *, as_json: bool) -> int:
    """Print what a check says as it says it, and return the exit code."""
    from dataclasses import asdict

    n_found, n_left = 0, 0
    for finding in findings:
        n_found += 1
        n_left += not finding.mended
        if as_json:
            print_json(asdict(finding))
            continue
        state = "mended" if finding.mended else "wrong"
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        say(f"{state:7} {finding.kind:8} {finding.where}: {finding.what}{remedy}")
    said = "all is sound" if n_found == 0 else f"{n_found} found, {n_found - n_left} mended"
    say(f"{place}: {said}.", err=True)
    return int(n_left > 0)


@command.command(
    "backup", epilog="Example: ssefw store backup li-screen-2026-11.backup --store demo"
)
@click.argument("file", type=OUTPUT)
@dry_run_option
@json_option
@store_option
def backup(file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Write all of a store in a folder to one FILE, while workers write to it.

    `ssefw store copy FILE FOLDER` makes a store of it again.
    """
    from ssefw.store.upkeep.packing import back_up

    with opened(read_only=True) as connection:
        if dry_run:
            _say_all(connection, f"written to {file}", as_json=as_json)
        else:
            _told(back_up(connection, file), file, as_json=as_json)


@command.command("archive", epilog="Example: ssefw store archive kang2022 kang2022.archive")
@click.argument("campaign")
@click.argument("file", type=OUTPUT)
@dry_run_option
@json_option
@store_option
def archive(campaign: str, file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Write the records and blobs of CAMPAIGN to one FILE; they stay in the store.

    `ssefw store copy FILE TO` puts them into another store, or back after `ssefw store delete`.
    """
    from ssefw.store.upkeep.packing import archive_campaign

    with opened(read_only=True) as connection:
        if dry_run:
            _say_all(connection, f"written to {file}", campaign=campaign, as_json=as_json)
        else:
            _told(archive_campaign(connection, campaign, file), file, as_json=as_json)


@command.command("copy", epilog="Example: ssefw store copy demo new-folder --campaign quickstart")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--campaign", help="Copy this campaign only, into a store that may hold others.")
@dry_run_option
@json_option
def copy(source: str, target: str, campaign: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Copy a store, a backup or an archive to another address.

    FROM is a folder, a server's address or a file of `backup` or `archive`; TO a folder or a
    server's address. End the workers of both first.
    """
    from ssefw.store import Address
    from ssefw.store.upkeep.copying import check_copy, copy_between, opened_source

    source, target = (asked_address(address) for address in (source, target))
    if dry_run:
        check_copy(Address(source), Address(target))
        with opened_source(Address(source), near=Address(target)) as (connection, only):
            where = f"copied to {Address(target)}"
            _say_all(connection, where, campaign=campaign or only, as_json=as_json)
        return
    copied = copy_between(Address(source), Address(target), campaign=campaign)
    records = sum(copied.values()) - copied["blobs"]
    if as_json:
        print_json({"records": records, "blobs": copied["blobs"], "collections": copied})
        return
    say(f"{records} records and {copied['blobs']} blobs copied to {Address(target)}.")


@command.command("delete", epilog="Example: ssefw store delete quickstart --dry-run")
@click.argument("campaign")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be deleted, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@json_option
@store_option
def delete(campaign: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete the records and blobs of CAMPAIGN.

    Trajectories that other campaigns use stay, and so do kept stages, which belong to none.
    """
    from ssefw.store.upkeep.part import campaign_part
    from ssefw.store.upkeep.removal import delete_campaign, finish_deletions

    with opened(read_only=dry_run) as connection:
        if not dry_run:
            finish_deletions(connection)
        part = campaign_part(connection, campaign)
        records, blobs, size = part.size(connection)
        about = {"campaign": campaign, "records": records, "blobs": blobs, "bytes": size}
        told = f"{records} records and {blobs} blobs of {campaign}, {size / 1e6:.1f} MB"
        if not dry_run:
            if not yes:
                click.confirm(f"Delete {told}, for good?", abort=True)
            delete_campaign(connection, part)
    if as_json:
        print_json({**about, "deleted": not dry_run})
    else:
        say(f"{told}: {'would be deleted' if dry_run else 'deleted'}.")


def _say_all(
    connection: "Connection", what: str, *, campaign: str | None = None, as_json: bool
) -> None:
    """Say how much would be written of a store, or of a campaign in it."""
    from ssefw.store.upkeep.part import campaign_part, campaigns_of

    names = [campaign] if campaign else campaigns_of(connection)
    sizes = [campaign_part(connection, name).size(connection) for name in names]
    records, blobs, size = (
        (sum(column) for column in zip(*sizes, strict=True)) if sizes else 3 * [0]
    )
    told = {"records": records, "blobs": blobs, "bytes": size, "dry_run": True}
    said = f"{records} records and {blobs} blobs of {', '.join(names)}, {size / 1e6:.1f} MB"
    answer(told, f"{said}: would be {what}.", as_json=as_json)


def _told(note: "dict[str, Any]", file: Path, *, as_json: bool) -> None:
    """Print what became of a file."""
    if as_json:
        print_json({"file": str(file), **note})
    else:
        say(f"{file}: {note['blobs']} blobs, {note['bytes'] / 1e6:.1f} MB.")
