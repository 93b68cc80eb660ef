"""High-throughput search for solid-state lithium electrolytes."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Return the installed version as ``__version__``; nothing is looked up before it is asked."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("ssefw")
    raise AttributeError(f"module 'ssefw' has no attribute {name!r}")
