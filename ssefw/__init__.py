"""High-throughput search for solid-state lithium electrolytes.

What stands here is loaded when it is used: ``import ssefw`` itself loads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssefw.api.analysis import analyze
    from ssefw.api.barriers import neb
    from ssefw.api.campaign import run
    from ssefw.api.screen import rank
    from ssefw.api.store import open_store as open  # noqa: A004 - it is written ssefw.open

    __version__: str

__all__ = ["__version__", "analyze", "bvse", "neb", "open", "rank", "run"]

_HOMES = {
    "analyze": ("api.analysis", "analyze"),
    "neb": ("api.barriers", "neb"),
    "open": ("api.store", "open_store"),
    "rank": ("api.screen", "rank"),
    "run": ("api.campaign", "run"),
}


def __getattr__(name: str) -> Any:
    """Return a public name; nothing is looked up or loaded before it is asked for."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("ssefw")
    if name == "bvse":
        return import_module(f"{__name__}.bvse")  # a room that can be called
    if name in _HOMES:
        room, what = _HOMES[name]
        return getattr(import_module(f"{__name__}.{room}"), what)
    raise AttributeError(f"module 'ssefw' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
