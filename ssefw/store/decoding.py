"""From what is stored back to objects, and only to objects that records may hold.

A stored record names the module and class of each object in it, and decoding imports that module.
Who may write to a store must not thereby choose what the readers import: a module outside of the
packages here is refused before anything is imported, and so is every function.
"""

import json
from typing import Any

from monty.json import MontyDecoder

from ssefw.errors import StoreError
from ssefw.settings import load_settings

__all__ = ["PACKAGES", "decoded_json", "decoded_record"]

PACKAGES = (
    "ssefw.documents", "pymatgen", "emmet", "atomate2", "jobflow",
    "numpy", "datetime", "uuid", "pathlib", "bson", "pint",
)  # fmt: skip
"""Modules, and those below them, whose objects a record may hold; the setting `document_modules`
adds others."""


def decoded_json(text: bytes | str) -> Any:
    """Return the object of a record that is stored as JSON; ValueError if it is no JSON."""
    return decoded_record(json.loads(text))


def decoded_record(record: Any) -> Any:
    """Return the object of a record.

    Raises
    ------
    StoreError
        If it holds an object of another module, or a function.
    """
    _refuse_foreign(record)
    return MontyDecoder().process_decoded(record)


def _refuse_foreign(record: Any) -> None:
    waiting = [record]
    others: tuple[str, ...] | None = None
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(part.values())
            module = part.get("@module")
            if module is None or not ("@class" in part or "@callable" in part):
                continue
            if "@callable" in part:
                raise _foreign(f"the function {part['@callable']!r} of {module!r}")
            if not _is_below(module, PACKAGES):
                if others is None:
                    named = load_settings().settings.document_modules
                    others = tuple(filter(None, (name.strip() for name in named.split(","))))
                if not _is_below(module, others):
                    raise _foreign(f"an object {part['@class']!r} of {module!r}")
        elif isinstance(part, list | tuple):
            waiting.extend(part)


def _is_below(module: Any, packages: tuple[str, ...]) -> bool:
    return isinstance(module, str) and any(
        module == package or module.startswith(f"{package}.") for package in packages
    )


def _foreign(what: str) -> StoreError:
    return StoreError(
        f"A record holds {what}, which ssefw does not store, and nothing of it was loaded: ask who "
        "may write to this store. If it is yours, name its package in the setting "
        "`document_modules`."
    )
