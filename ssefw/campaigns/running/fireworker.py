"""FireWorks' own file of what a worker takes, ``my_fworker.yaml``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssefw.errors import ConfigurationError
from ssefw.files.reading import read_text
from ssefw.files.yaml_text import load_yaml

__all__ = ["FireWorker", "read_fireworker"]

KEYS = {"name", "category", "query", "env"}


@dataclass(frozen=True)
class FireWorker:
    """Which jobs a worker takes.

    Attributes
    ----------
    name
        Kept with each launch.
    category
        Stages, with commas between; empty takes all.
    query
        MongoDB's filter of jobs, besides.
    """

    name: str = ""
    category: str = ""
    query: Mapping[str, Any] = field(default_factory=dict)


def read_fireworker(path: Path) -> FireWorker:
    """Return what a file of FireWorks says of a worker.

    Raises
    ------
    ConfigurationError
        If it is none, or sets variables: jobs of jobflow never see those.
    """
    found, _ = load_yaml(read_text(path, error=ConfigurationError), name=str(path))
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{path}: this is no file of a FireWorks worker: no keys.")
    if unknown := sorted(set(map(str, found)) - KEYS):
        raise ConfigurationError(
            f"{path}: unknown key {unknown[0]!r}; there are {', '.join(sorted(KEYS))}."
        )
    if found.get("env"):
        raise ConfigurationError(
            f"{path}: 'env' does not reach the jobs, which are jobflow's. Set SSEFW_* variables "
            "where the worker starts, for example in pre_rocket of the queue adapter."
        )
    categories = found.get("category") or ""
    if isinstance(categories, list):
        categories = ",".join(map(str, categories))
    return FireWorker(str(found.get("name") or ""), str(categories), _query(path, found))


def _query(path: Path, found: Mapping[str, Any]) -> Mapping[str, Any]:
    query = found.get("query") or {}
    if isinstance(query, str):
        try:
            query = json.loads(query)
        except ValueError as error:
            raise ConfigurationError(f"{path}: 'query' is not JSON: {error}.") from error
    if not isinstance(query, Mapping):
        raise ConfigurationError(f"{path}: 'query' is a filter of jobs such as '{{}}'.")
    return dict(query)
