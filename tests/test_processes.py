"""Processes of a pool end with the process that owns it, also where that is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TASK = """
import os, time
from pathlib import Path

def task(number):
    part = Path(f"part-{number}")
    part.write_text(str(os.getpid()))
    part.rename(f"pid-{number}")
    time.sleep(600)
"""
POOLS = {
    "of scikit-learn": """
from sklearn.utils.parallel import delayed
from ssefw.screening.parallel import run_tasks
from tasks import task
list(run_tasks((delayed(task)(n) for n in range(2)), workers=2))
""",
    "of the standard library": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from ssefw.processes import end_with_parent
from tasks import task
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=end_with_parent) as pool:
        list(pool.map(task, range(2)))
""",
}


def wait_until(is_so):
    end = time.monotonic() + 180
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_running(pid):
    """Whether a process is there and not merely waiting to be taken notice of."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS.keys())
def test_a_pool_ends_with_its_owner_that_is_killed(pool, tmp_path):
    (tmp_path / "tasks.py").write_text(TASK)
    (tmp_path / "owner.py").write_text(pool)
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    owner = subprocess.Popen(
        [sys.executable, "owner.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}
    )
    try:
        wait_until(lambda: len(list(tmp_path.glob("pid-*"))) == 2 or owner.poll() is not None)
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    children = [int(file.read_text()) for file in tmp_path.glob("pid-*")]
    assert len(children) == 2
    wait_until(lambda: not any(is_running(child) for child in children))
