"""Names of a room that are imported when somebody first asks for them.

Who reads one number of a room does not wait for all of it: compiled kernels alone take half a
second to come.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["on_demand"]


def on_demand(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose names live in the modules given.

    No name may be that of its module, which takes its place once it is imported.
    """
    assert not set(homes) & {home.partition(".")[0] for home in homes.values()}, package

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find
