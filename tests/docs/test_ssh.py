"""What the page on laptops and clusters says, done through a real sshd on this machine."""

import contextlib
import http.cookiejar
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import CAMPAIGN, PROGRAMS_PATH, REPOSITORY, work_here
from tests.docs.commands import joined

PAGE = REPOSITORY / "docs/how-to/submit-from-a-laptop.md"
SSHD = shutil.which("sshd", path=PROGRAMS_PATH)
NEEDED = ("sshd", "ssh", "scp", "rsync")
MISSING = [name for name in NEEDED if not shutil.which(name, path=PROGRAMS_PATH)]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def free_port():
    with socket.socket() as heard:
        heard.bind(("127.0.0.1", 0))
        return heard.getsockname()[1]


def until(found, seconds=60):
    """Return what `found` returns once it is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError(f"nothing came of {found} within {seconds} s")


def answers(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


class Laptop:
    """A folder whose shell reaches a `login-node`, the home folder of which is another one."""

    def __init__(self, folder):
        self.home, self.away = folder / "laptop", folder / "login-node"
        for place in (self.home, self.away, self.home / "bin", self.away / "bin"):
            place.mkdir()
        self._entrance(self.away / "bin")
        self._entrance(self.home / "bin")
        self._start(folder / "sshd")

    def _entrance(self, folder):
        """Make `ssefw` a command, as an installation does."""
        path = folder / "ssefw"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -m ssefw "$@"\n')
        path.chmod(0o755)

    def _start(self, folder):
        folder.mkdir()
        for name in ("host", "key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
            )
        shutil.copy(folder / "key.pub", folder / "authorized")
        self.port = free_port()
        variables = f"HOME={self.away} PATH={self.away}/bin:$PATH PYTHONPATH={REPOSITORY}"
        variables += f" OMP_NUM_THREADS=1 SSEFW_SETTINGS={self.away}/settings.yaml"
        enter = folder / "enter"
        enter.write_text(
            f'#!/bin/sh\nexport {variables}\ncd {self.away}\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n'
        )
        enter.chmod(0o755)
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\nPidFile none\n"
            f"PermitRootLogin yes\nForceCommand {enter}\n"
            f"Subsystem sftp {shutil.which('sftp-server', path='/usr/lib/openssh')}\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self.server = subprocess.Popen([SSHD, "-D", "-f", folder / "config", "-E", folder / "log"])
        (folder / "client").write_text(
            f"Host login-node\n  HostName 127.0.0.1\n  Port {self.port}\n"
            f"  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  StrictHostKeyChecking no\n  UserKnownHostsFile {folder}/known\n  LogLevel ERROR\n"
        )
        for name in ("ssh", "scp"):
            path = self.home / "bin" / name
            path.write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F {folder}/client "$@"\n')
            path.chmod(0o755)
        until(lambda: answers(self.port))

    @property
    def variables(self):
        """Of a shell on the laptop."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("SSEFW_")}
        own = {
            "HOME": str(self.home),
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "SSEFW_SETTINGS": str(self.home / "settings.yaml"),
        }
        return clean | own

    def run(self, line):
        """Run a line of the page."""
        done = subprocess.run(
            ["bash", "-euc", line], cwd=self.home, env=self.variables, capture_output=True,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def begun(self, line):
        """Run a line of the page that goes on, until the block ends."""
        with subprocess.Popen(
            ["bash", "-euc", f"exec {line}"], cwd=self.home, env=self.variables,
            stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.terminate()


@pytest.fixture
def laptop(tmp_path):
    laptop = Laptop(tmp_path)
    yield laptop
    laptop.server.terminate()
    laptop.server.wait()


def blocks():
    """Return the lines of each shell block of the page."""
    found = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [[line.partition(" #")[0].strip() for _, line in joined(text)] for text in found]


def test_a_campaign_is_submitted_looked_at_and_brought_home_by_ssh(laptop, copper):
    submitting, (serving,), bringing, _ = blocks()
    (laptop.home / "my-structures").mkdir()
    copper.to(laptop.home / "my-structures/cu.cif")
    pool, rest = "pool: {path: my-structures}\n", CAMPAIGN.partition("engine:")
    text = "campaign: kang2022\nspecie: Cu\n" + pool + "".join(rest[1:])
    (laptop.home / "my-campaign.yaml").write_text(text)
    (laptop.away / "settings.yaml").write_text(f"store: {laptop.away}/st\n")
    said = [laptop.run(line) for line in submitting]
    assert '"added": 1' in said[2]
    assert '"done": false' in said[3]
    work_here(folder=laptop.away)

    there, here = free_port(), free_port()
    line = serving.replace("8400:localhost:8400", f"{here}:localhost:{there}")
    # A terminal is asked for though this test has none itself.
    line = line.replace("ssefw serve", f"ssefw serve --port {there}").replace("ssh -t", "ssh -tt")
    with laptop.begun(line) as server:
        address = server.stdout.readline().strip()
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        browser = urllib.request.build_opener(cookies)
        page = browser.open(address.replace(str(there), str(here)), timeout=60).read().decode()
        assert "1</b> of 1 candidates concluded" in page
        assert answers(there)
    # The server goes with the connection through which it was started.
    until(lambda: not answers(there))

    table = [laptop.run(line) for line in bringing][-1]
    assert "Cu" in table


def test_a_campaign_is_submitted_to_a_server_through_a_tunnel(laptop, mongo):
    tunnel, *lines = blocks()[3]
    (laptop.home / "my-campaign.yaml").write_text(CAMPAIGN.replace("small", "my-campaign", 1))
    here = free_port()
    database = mongo.rpartition(":")[2]
    line = tunnel.replace("27017:database-host:27017", f"{here}:localhost:{database}")
    with laptop.begun(line):
        until(lambda: answers(here))
        store = f"mongodb://localhost:{here}/laptop?blobs={laptop.away}/blobs"
        said = [
            laptop.run(line.replace("mongodb://me:@localhost:27017/ssefw", f"'{store}'"))
            for line in lines
        ]
    assert "2 candidates submitted" in said[0]
    assert "my-campaign" in said[1]
