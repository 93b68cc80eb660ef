"""What a function of many arguments takes is said where it is defined."""

import ast
from pathlib import Path

import pytest

import ssefw

ROOT = Path(ssefw.__file__).parent
MANY = 4

# The words of commands are their options' help, and what is compiled is not called by people.
ROOMS = [room for room in sorted(ROOT.iterdir()) if room.name not in {"cli", "nep"}]
SAID_ELSEWHERE = ("see `", "Parameters are those of `")


def functions(tree):
    """Yield the public functions of a module with the names they have."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (
                (f"{node.name}.{item.name}", item)
                for item in node.body
                if isinstance(item, ast.FunctionDef)
            )


def exported(tree):
    """Return the names of a module that others may use; None if it does not say."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(it) for it in node.targets] == ["__all__"]:
            return set(ast.literal_eval(node.value))
    return None


def undocumented(path):
    tree = ast.parse(path.read_text())
    names = exported(tree)
    for name, node in functions(tree):
        each = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments = [it.arg for it in each if it.arg not in {"self", "cls"}]
        is_public = names is None or name.partition(".")[0] in names
        if not is_public or node.name.startswith("_") or len(arguments) < MANY:
            continue
        said = ast.get_docstring(node) or ""
        if "Parameters\n---" not in said and not any(words in said for words in SAID_ELSEWHERE):
            yield name


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_functions_of_many_arguments_say_what_they_are(room):
    modules = room.rglob("*.py") if room.is_dir() else [room]
    missing = {
        str(path.relative_to(ROOT)): [*undocumented(path)]
        for path in modules
        if path.suffix == ".py"
    }
    assert not {path: names for path, names in missing.items() if names}
