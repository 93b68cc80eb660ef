"""The commands and the Python of the documentation, as a reader would copy them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
PIPES = {"|", ">", ">>", "&&", ";", "<", "2>&1"}


@dataclass(frozen=True)
class Line:
    """A command line of ssefw on a page."""

    page: Path
    number: int
    words: tuple[str, ...]

    @property
    def name(self):
        return f"{self.page.name}:{self.number}"


def command_lines(page):
    """Return the lines of code blocks and tables that begin with ssefw, without what follows."""
    found = []
    for number, text in joined(page.read_text()):
        for command in _commands(text):
            words = words_of(command)
            if len(words) > 1:
                found.append(Line(page, number, tuple(words[1:])))
    return found


def joined(text):
    """Yield numbered lines with those that a backslash continues."""
    waiting, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first or number
        if line.rstrip().endswith("\\"):
            waiting += line.rstrip()[:-1] + " "
            continue
        yield first, waiting + line
        waiting, first = "", 0


def _commands(line):
    """Return the command of a line of code, and those between backticks in prose."""
    code = re.match(r"^(?:    |\$ |    \$ )?(ssefw .*)$", line)
    if code and not line.startswith("ssefw finds"):
        return [code[1]]
    inside = re.findall(r"\$\((ssefw [^)]*)\)", line)
    return inside + re.findall(r"`(ssefw [a-z][^`]*)`", line)


def words_of(command):
    """Return the words of a command line, without a pipe, what follows it and comments."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.commenters, lexer.whitespace_split = "#", True
    words = []
    for word in lexer:
        if word in PIPES or set(word) <= set("|&;<>"):
            break
        words.append(word)
    return words


def python_blocks(page):
    """Return the blocks of Python on a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def shell_block(page, heading):
    """Return the command lines of ssefw in the first shell block below a heading."""
    below = page.read_text().partition(f"## {heading}\n")[2]
    block = re.search(r"^```sh\n(.*?)^```", below, re.MULTILINE | re.DOTALL)[1]
    return [words_of(line)[1:] for line in block.splitlines() if line.startswith("ssefw ")]
