"""A check of a whole store, and its repair."""

from collections.abc import Iterator
from dataclasses import replace

from ssefw.errors import StoreError
from ssefw.store.address import Address
from ssefw.store.connection import connect
from ssefw.store.embedded.rescue import Rescue, rescue
from ssefw.store.upkeep.content_check import check_contents
from ssefw.store.upkeep.file_check import check_file
from ssefw.store.upkeep.findings import Finding

__all__ = ["check_store"]


def check_store(address: Address, *, repair: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with a store; with `repair` it is mended where it can be.

    Raises
    ------
    StoreError
        If there is no store at the address, or it is in use and would have to be mended.
    """
    if not address.is_server:
        _refuse_nothing(address)
        found = list(check_file(address))
        if found and not repair:
            yield from found
            return  # what is in a damaged file is not worth to be believed
        if found:
            made = rescue(address)
            yield from (replace(item, remedy=_told(made), mended=True) for item in found)
            yield from _lost(made)
    with connect(address, read_only=not repair, create=False) as connection:
        yield from check_contents(connection, repair=repair)


def _told(made: Rescue) -> str:
    return (
        f"{sum(made.saved.values())} documents were saved into a new file; the old one is in "
        f"{made.kept.name}"
    )


def _lost(made: Rescue) -> Iterator[Finding]:
    for name, count in sorted(made.lost.items()):
        what = f"{count} documents of the collection {name} could not be read"
        yield Finding("record", name, what, "restore a backup if they matter", mended=True)


def _refuse_nothing(address: Address) -> None:
    """Raise StoreError where there is no store and none was, so that none is made of nothing."""
    log = address.file.with_name(f"{address.file.name}-wal")
    if not (address.file.exists() or log.exists() or (address.folder / "blobs").is_dir()):
        raise StoreError(f"There is no store in {address.folder}: check the path.")
