"""Every command line that README and docs print is one that there is."""

import ast
import importlib

import click
import pytest

from ssefw.cli import ssefw as program
from tests.docs.commands import PAGES, command_lines, python_blocks

LINES = [line for page in PAGES for line in command_lines(page)]
PLACEHOLDERS = ("...", "...,")


def test_there_are_command_lines():
    assert len(LINES) > 150


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.name} {' '.join(line.words)}")
def test_a_printed_command_line_is_one_that_there_is(line):
    words = list(line.words)
    command, context = program, click.Context(program)
    while isinstance(command, click.Group):
        options = _options(command)
        while words and words[0].startswith("-"):
            words = _without_option(words, options)
        if not words:
            assert command.invoke_without_command or command is program
            return
        found = command.get_command(context, words[0])
        if found is None and command.invoke_without_command:
            break
        assert found is not None, f"there is no command {words[0]!r}"
        command, words = found, words[1:]
    options = _options(command)
    positional = []
    while words:
        if words[0].startswith("-") and words[0] not in {"-", "--"}:
            words = _without_option(words, options)
        else:
            positional.append(words.pop(0))
    positional = [word for word in positional if word not in PLACEHOLDERS]
    arguments = [item for item in command.params if isinstance(item, click.Argument)]
    if all(item.nargs == 1 for item in arguments):
        assert len(positional) <= len(arguments), f"too many words: {positional}"


def _options(command):
    found = {"-h": 0, "--help": 0}
    for item in command.params:
        if isinstance(item, click.Option):
            takes = 0 if item.is_flag or item.count else item.nargs
            for name in (*item.opts, *item.secondary_opts):
                # One that may stand without its value, as --frames, is followed by what it likes.
                found[name] = None if item._flag_needs_value else takes
    return found


def _without_option(words, options):
    """Return the words behind an option and its values."""
    name, equals, _ = words[0].partition("=")
    if name not in options and not name.startswith("--") and len(name) > 2:
        name = name[:2]  # -n200
        equals = True
    assert name in options, f"there is no option {name}"
    takes = options[name]
    if takes is None:
        takes = 1 if len(words) > 1 and words[1].isdigit() else 0
    return words[1:] if equals else words[1 + takes :]


BLOCKS = [(page, text) for page in PAGES for text in python_blocks(page)]


@pytest.mark.parametrize(("page", "text"), BLOCKS, ids=lambda value: getattr(value, "name", ""))
def test_printed_python_imports_what_there_is(page, text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("ssefw"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
