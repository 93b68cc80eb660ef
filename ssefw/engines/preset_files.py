"""Presets of a code: named settings in YAML files, of which one can extend another key by key."""

import difflib
from importlib import resources
from typing import Any

import yaml

from ssefw.errors import ConfigurationError

__all__ = ["preset_names", "read_preset"]

PARTS = frozenset({"base"})
"""Files that others extend and that are no preset themselves."""


def preset_names(package: str) -> list[str]:
    """Return the names of the presets in the folder `presets` of a package, sorted."""
    folder = resources.files(package) / "presets"
    names = {item.name.removesuffix(".yaml") for item in folder.iterdir()}
    return sorted(names - PARTS)


def read_preset(package: str, name: str, *, of: str) -> dict[str, Any]:
    """Return the content of a preset, with that of those it extends.

    Parameters
    ----------
    of
        What has the presets, for the message.

    Raises
    ------
    ConfigurationError
        If there is none of this name.
    """
    known = preset_names(package)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(
            f"Unknown preset {name!r} for {of}.{hint} Known presets: {', '.join(known)}."
        )
    return _read(package, name)


def _read(package: str, name: str) -> dict[str, Any]:
    file = resources.files(package) / "presets" / f"{name}.yaml"
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    parent = content.pop("extends", None)
    return content if parent is None else _merge(_read(package, parent), content)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
