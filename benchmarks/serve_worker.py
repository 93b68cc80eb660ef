"""What ten browsers that watch cost a worker on the same machine.

    python benchmarks/serve_worker.py [--pairs 6] [--length 60]

A worker runs the same small campaign again and again, every other time with `ssefw serve` on its
store and ten browsers: half of them at the campaign, half at its candidates, all asking for their
page and its figures whenever they are told of a change. Two numbers come of it:

- steps of dynamics a second of the worker's own processor time, with over without, pair by pair:
  what the store's locks and the machine's caches take from it;
- the processor time of the server a second of the run: what it takes from whoever shares the core.

The first pair warms up and is left out. The order within pairs alternates.
"""

import argparse
import os
import re
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
engine: {{calculator: ase.calculators.emt.EMT}}
supercell: {{min_length: 3, max_atoms: 40}}
md:
  temperatures: [300, 600]
  length: {length}
  equilibration: 0.2
  timestep: 2
  steps_per_frame: 5
"""


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
    except OSError:
        return  # the server has ended


def run(folder, length, *, is_watched):
    """Run the campaign; return the worker's processor time and the server's, and the wall time."""
    folder.mkdir()
    (folder / "c.yaml").write_text(CAMPAIGN.format(length=length))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if ssefw("submit", "c.yaml", folder=folder, **quiet).wait():
        raise SystemExit("the campaign could not be submitted")
    server, used, began = None, 0.0, 0.0
    if is_watched:
        server = ssefw("serve", "--port", "0", folder=folder, stdout=subprocess.PIPE, text=True)
        address = server.stdout.readline().strip()
        first = Browser(address)
        page = first.get()
        paths = sorted(set(re.findall(r'"(/campaigns/small/candidates/\w+)"', page)))
        for number in range(BROWSERS):
            path = paths[0] if number % 2 else "/campaigns/small"
            threading.Thread(target=watch, args=(first, path), daemon=True).start()
        time.sleep(3)
        used = processor_seconds(server.pid)
    start = time.perf_counter()
    worker = ssefw("work", folder=folder, **quiet)
    _, status, usage = os.wait4(worker.pid, 0)
    worker.returncode = status
    wall = time.perf_counter() - start
    if server is not None:
        began, used = used, processor_seconds(server.pid)
        server.kill()
        server.wait()
    if status:
        raise SystemExit("the worker failed")
    return usage.ru_utime + usage.ru_stime, used - began, wall


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--length", type=float, default=60, help="ps at each of two temperatures")
    options = parser.parse_args()
    ratios, shares = [], []
    with tempfile.TemporaryDirectory() as name:
        for pair in range(options.pairs + 1):
            used = {}
            for is_watched in (pair % 2 == 0, pair % 2 == 1):
                folder = Path(name) / f"{pair}{is_watched}"
                worker, server, wall = run(folder, options.length, is_watched=is_watched)
                used[is_watched] = worker
                if is_watched:
                    share = server / wall
            if pair == 0:
                continue
            ratios.append(used[False] / used[True])
            shares.append(share)
            print(
                f"pair {pair}: worker {used[False]:.1f} s alone, {used[True]:.1f} s watched; "
                f"server {100 * share:.1f} % of a core",
                flush=True,
            )
    middle, error = np.median(ratios), np.std(ratios, ddof=1) / np.sqrt(len(ratios))
    print(f"throughput with {BROWSERS} browsers over without: {middle:.3f} ± {error:.3f}")
    print(f"server: {100 * np.median(shares):.1f} % of a core")


if __name__ == "__main__":
    main()
