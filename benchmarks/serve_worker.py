"""What ten browsers that watch cost a worker on the same machine.

    python benchmarks/serve_worker.py [--pairs 30] [--seconds 10]

A worker runs one long molecular dynamics with a potential that takes no time, so that it writes
more often than any real one. Beside it runs `ssefw serve` on its store with ten browsers: half of
them at the campaign, half at its candidate, all asking for their page and its figures whenever they
are told of a change. Two numbers come of it:

- the processor time of the server a second, over two minutes: what it takes from whoever shares
  the core;
- steps of dynamics a second of the worker's own processor time, with the server over without: what
  the store's locks and the machine's caches take from it. The server is stopped (SIGSTOP) and let
  go again in turn: intervals of one process feel the same machine, whatever else runs there. As the
  server rests by the clock, it does more in such an interval than it would undisturbed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from serve import BROWSERS, Browser, processor_seconds

CAMPAIGN = """\
campaign: small
specie: Cu
pool:
  structures:
    - name: copper
      poscar: |
        Cu4
        1.0
        3.6 0 0
        0 3.6 0
        0 0 3.6
        Cu
        4
        direct
        0 0 0
        0.5 0.5 0
        0.5 0 0.5
        0 0.5 0.5
engine: {calculator: ase.calculators.emt.EMT}
supercell: {min_length: 3, max_atoms: 40}
md: {temperatures: [300], length: 100000, equilibration: 0.2, timestep: 2, steps_per_frame: 5}
"""

SETTLED, UNDISTURBED = 30, 120
"""Seconds until everything is imported and drawn once, and of the server's own measurement."""


def ssefw(*arguments, folder, **options):
    """Start the command line in a folder."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "SSEFW_SETTINGS": str(folder / "none.yaml")}
    command = [sys.executable, "-m", "ssefw", *arguments, "--store", "st"]
    return subprocess.Popen(command, cwd=folder, env=env, **options)


def watch(browser, path):
    """Ask for a page, and for it and its figures again after each change, as a browser does."""
    try:
        browser.get(path)
        for _ in browser.changes("/events?campaign=small"):
            browser.get(path)
            if "/candidates/" in path:
                browser.get(f"{path}/curves.json")
                browser.get(f"{path}/growth.json")
    except OSError:
        return  # the server has ended


def start_watching(address):
    """Let ten browsers watch."""
    browser = Browser(address)
    (path,) = set(re.findall(r'"(/campaigns/small/candidates/\w+)"', browser.get()))
    for number in range(BROWSERS):
        there = path if number % 2 else "/campaigns/small"
        threading.Thread(target=watch, args=(browser, there), daemon=True).start()
    return browser, path


def steps_in(folder):
    """Return how far the dynamics are; None before they have begun."""
    notes = list(folder.glob("st/scratch/runs/*/progress.json"))
    return json.loads(notes[0].read_text())["step"] if notes else None


def family_seconds(pid):
    """Return the processor time of a process and of its children, which analyze for it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(processor_seconds, [pid, *children]))


def measure(folder, worker, server, seconds):
    """Return steps a second of the worker's processor time, and the server's share of a core."""
    began, used = time.perf_counter(), family_seconds(server.pid)
    steps, work = steps_in(folder), processor_seconds(worker.pid)
    time.sleep(seconds)
    rate = (steps_in(folder) - steps) / (processor_seconds(worker.pid) - work)
    return rate, (family_seconds(server.pid) - used) / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=10, help="of each interval")
    options = parser.parse_args()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c.yaml").write_text(CAMPAIGN)
        ssefw("submit", "c.yaml", folder=folder, **quiet).wait()
        worker = ssefw("work", folder=folder, **quiet)
        server = ssefw("serve", "--port", "0", folder=folder, stdout=subprocess.PIPE, text=True)
        try:
            browser, path = start_watching(server.stdout.readline().strip())
            while steps_in(folder) is None:
                time.sleep(1)
            browser.get(f"{path}/growth.json")  # starts the process that analyzes
            time.sleep(SETTLED)
            _, share = measure(folder, worker, server, UNDISTURBED)
            for pair in range(options.pairs):
                rates = {}
                for is_watched in (pair % 2 == 0, pair % 2 == 1):
                    server.send_signal(signal.SIGCONT if is_watched else signal.SIGSTOP)
                    rates[is_watched], _ = measure(folder, worker, server, options.seconds)
                ratios.append(rates[True] / rates[False])
        finally:
            for process in (worker, server):
                process.kill()
                process.wait()
    middle, error = np.mean(ratios), np.std(ratios, ddof=1) / np.sqrt(len(ratios))
    print(f"throughput with {BROWSERS} browsers over without: {middle:.3f} ± {error:.3f}")
    print(f"server: {100 * share:.1f} % of a core")


if __name__ == "__main__":
    main()
