"""What the package says of itself is true: its dependencies, and what a wheel carries."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import ssefw

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = {"h5py", "matminer", "optuna", "pyarrow", "starlette", "umap", "uvicorn", "obelix"}
"""Imported where a function needs them, which says what to install."""

PINNED = {"pydantic_core"}
"""Pinned, to the digit, by a package that is declared."""


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


DECLARED = {name_of(requirement) for requirement in PROJECT["dependencies"]}


def imports():
    """Return the packages that modules import, by their name."""
    found = set()
    for path in Path(ssefw.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return sorted(found - set(sys.stdlib_module_names) - OPTIONAL - PINNED - {"ssefw"})


@pytest.mark.parametrize("package", imports())
def test_what_is_imported_is_declared(package):
    brought_by = {name_of(name) for name in packages_distributions()[package]}
    assert brought_by & DECLARED, f"{package} comes with {sorted(brought_by)}"


def test_every_dependency_has_a_lower_bound_and_a_tested_version():
    tested = "\n" + (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    for requirement in PROJECT["dependencies"]:
        assert ">=" in requirement
        assert re.search(rf"^{re.escape(name_of(requirement))}==", tested, re.MULTILINE), (
            requirement
        )


def pinned(file):
    lines = (ROOT / file).read_text().splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in pins}


def test_the_lowest_versions_are_those_that_are_tested():
    """So that none is permitted of which nobody knows whether it works."""
    extras = PROJECT["optional-dependencies"]
    named = [*PROJECT["dependencies"], *extras["screen"], *extras["tables"], *extras["serve"]]
    lowest = pinned("constraints-lowest.txt")
    for requirement in named:
        least = re.search(r">=([\d.]+)", requirement)[1]
        name = name_of(requirement)
        if name != "torch":  # see there
            assert re.fullmatch(rf"{re.escape(least)}(\.0)*", lowest[name]), requirement


def test_both_sets_pin_the_same_packages():
    added = set(pinned("constraints-lowest.txt")) ^ set(pinned("constraints.txt"))
    assert added == {"commonmark"}, "rich of then needs it; the rest is in both"
