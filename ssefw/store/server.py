"""Reaching a MongoDB server, or saying in one line why it cannot be reached."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

from ssefw.errors import StoreError
from ssefw.store.address import Address

__all__ = ["DATABASE", "dial", "outages_reported", "patience", "plain_errors"]

DATABASE = "ssefw"
"""Name of the database where an address does not say one."""


def patience(timeout: float) -> dict[str, Any]:
    """Return the driver's options for giving up after some seconds."""
    milliseconds = int(timeout * 1000)
    return {"serverSelectionTimeoutMS": milliseconds, "connectTimeoutMS": milliseconds}


def dial(address: Address, *, timeout: float) -> Database[dict[str, Any]]:
    """Return the database of an address, from a server that answers.

    Raises
    ------
    StoreError
        If the address is malformed or the server does not answer within `timeout` seconds.
    """
    with plain_errors(address):
        client: MongoClient[dict[str, Any]] = MongoClient(address.uri, **patience(timeout))
        try:
            database = client.get_default_database(DATABASE)
            client.admin.command("ping")
        except BaseException:
            client.close()
            raise
    return database


@contextmanager
def plain_errors(address: Address) -> Iterator[None]:
    """Turn what the driver raises into a StoreError of one line, without the password."""
    try:
        yield
    except (ConfigurationError, InvalidURI, ValueError) as error:
        raise StoreError(f"{address} is not a MongoDB address: {error}") from error
    except PyMongoError as error:
        reason = str(error).partition(", Timeout")[0]
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
        reason = str(error).partition(", Timeout")[0]
        raise StoreError(f"{address} does not answer ({reason}).") from error
