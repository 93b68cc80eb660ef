"""A page followed from its top to its end: its files written, its commands and its Python run."""

import contextlib
import os
import re
import subprocess
from dataclasses import dataclass, field

from tests.conftest import call_ssefw, work_here
from tests.docs.commands import joined, words_of

BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = {"text"}
"""What a command prints or what somebody's own files look like: nothing to run."""
ELSEWHERE = ("pip ", "python3 -m venv", "export SSEFW_", "module load")
"""Lines that prepare a machine; .ci/wheel installs as they say."""


@dataclass
class Follower:
    """Somebody who does in a folder what a page says.

    Attributes
    ----------
    folder
        Where it is done.
    write
        Of a file on the page, what is written in its place: something that takes seconds.
    change
        Word of a command to the word that takes its place.
    instead
        Command line to what is done instead of it, with what was to be run.
    """

    folder: object
    capsys: object
    write: dict = field(default_factory=dict)
    change: dict = field(default_factory=dict)
    instead: dict = field(default_factory=dict)
    env: dict = field(default_factory=dict)
    names: dict = field(default_factory=dict)
    said: list = field(default_factory=list)

    def follow(self, page):
        """Do all of a page; every block is of a kind that is done or only shown."""
        for kind, title, text in BLOCK.findall(page.read_text()):
            if title:
                path = self.folder / title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self.write.get(title, lambda same: same)(text))
            elif kind == "sh":
                for _, line in joined(text):
                    self.run(line)
            elif kind == "python":
                with contextlib.chdir(self.folder):
                    exec(text, self.names)
            else:
                assert kind in SHOWN, f"a block of {kind} that nobody runs"

    def run(self, line):
        """Run a line of a shell."""
        line = line.partition(" #")[0].strip()
        if not line or line.startswith(ELSEWHERE):
            return
        for old, new in self.change.items():
            line = line.replace(old, new)
        if line in self.instead:
            self.instead[line]()
        elif line.startswith("ssefw "):
            command, _, file = line.partition(" > ")
            self.call(*words_of(command)[1:])
            if file:
                (self.folder / file).write_text(self.said[-1])
        else:
            subprocess.run(["bash", "-euc", line], cwd=self.folder, check=True)

    def call(self, *words):
        """Run a command of ssefw in this process, workers too."""
        self.capsys.readouterr()
        if words[0] == "run":
            self.call("submit", *words[1:])
            self.work(*words[2:])
            return
        if words[0] in {"resume", "launch"} and "--dry-run" not in words:
            self.work(*words[1:])
            return
        with _environment(self.env):
            code = call_ssefw(*words, folder=self.folder)
        out, err = self.capsys.readouterr()
        assert code == 0, f"ssefw {' '.join(words)}\n{out}{err}"
        self.said.append(out)

    def work(self, *options):
        """Do what a supervisor has its workers do."""
        store = self.env.get("SSEFW_STORE", "st")
        if "--store" in options:
            store = options[options.index("--store") + 1]
        work_here(folder=self.folder, store=store, env=self.env)


@contextlib.contextmanager
def _environment(variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
