"""Reaching a MongoDB server, or saying in one line why it cannot be reached."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from ssefw.errors import StoreError
from ssefw.masking import masked
from ssefw.store.address import Address
from ssefw.store.server.patience import NO_PATIENCE, Patience, PatientDatabase

__all__ = ["DATABASE", "dial", "outages_reported", "plain_errors"]

DATABASE = "ssefw"
"""Name of the database where an address does not say one."""


def dial(
    address: Address,
    *,
    timeout: float,
    patience: Patience = NO_PATIENCE,
    at_once: bool = False,
) -> PatientDatabase:
    """Return the database of an address, from a server that answers.

    Parameters
    ----------
    timeout
        Seconds of one attempt to reach the server.
    patience
        For how long it is tried again, now and in each operation on the database.
    at_once
        Whether a server that does not answer now is an error all the same.

    Raises
    ------
    StoreError
        If the address is malformed or the server does not answer.
    """
    milliseconds = int(timeout * 1000)
    with plain_errors(address):
        client: MongoClient[dict[str, Any]] = MongoClient(
            address.uri, serverSelectionTimeoutMS=milliseconds, connectTimeoutMS=milliseconds
        )
        try:
            name = client.get_default_database(DATABASE).name
            first = NO_PATIENCE if at_once else patience
            first.keep_trying(lambda: client.admin.command("ping"))
        except BaseException:
            client.close()
            raise
    return PatientDatabase(client, name, patience)


@contextmanager
def plain_errors(address: Address) -> Iterator[None]:
    """Turn what the driver raises into a StoreError of one line, without the password."""
    try:
        yield
    except (ConfigurationError, InvalidURI, ValueError) as error:
        raise StoreError(f"{address} is not a MongoDB address: {masked(str(error))}") from error
    except PyMongoError as error:
        reason = masked(str(error).partition(", Timeout")[0])
        raise StoreError(
            f"{address} cannot be used ({reason}): start the server, correct the address, "
            "or give a folder instead."
        ) from error


@contextmanager
def outages_reported(address: Address) -> Iterator[None]:
    """Turn a server that has stopped answering into a StoreError, for those who try again."""
    try:
        yield
    except PyMongoError as error:
        reason = masked(str(error).partition(", Timeout")[0])
        raise StoreError(f"{address} does not answer ({reason}).") from error
