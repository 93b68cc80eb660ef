"""Commands in containers: with a namespace of pids and a host name of their own."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


def start_apart(folder, environment, *arguments, host=None):
    """Start the command line where its pids mean nothing to us, perhaps under another host name.

    To kill the process that is returned kills all that is in the container.
    """
    words = ["unshare", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("only root makes containers")
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system makes no containers")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SSEFW_")}
    rename = f"hostname {host} && " if host else ""
    return subprocess.Popen(
        [*words, "sh", "-c", f'{rename}exec "$@"', "sh", sys.executable, "-m", "ssefw", *arguments],
        cwd=folder,
        env=clean | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
