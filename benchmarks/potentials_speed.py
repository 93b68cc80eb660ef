"""Speed of SevenNet by its own calculator and by ssefw's, and of CHGNet by ssefw's, in one run.

    OMP_NUM_THREADS=1 python benchmarks/potentials_speed.py --atoms 50 100 200 400

Lithium sulfide, displaced as at 900 K. All take turns at the same frames and are timed by processor
time, of which the median counts; then a new process of each tells start-up and memory.
"""

import argparse
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from ase.spacegroup import crystal

ALL = ("sevennet-l3i5", "sevennet-l3i5 own", "sevennet-0", "sevennet-0 own", "chgnet")


def calculator(name, threads):
    if name == "chgnet":
        from ssefw.engines.chgnet import FastCHGNet

        return FastCHGNet(threads=threads)
    if name.endswith("own"):
        import torch
        from sevenn.calculator import SevenNetCalculator

        torch.set_num_threads(threads)
        return SevenNetCalculator(name.split()[0].replace("sevennet", "7net"), device="cpu")
    from ssefw.engines.potentials.sevennet import FastSevenNet

    return FastSevenNet(model=name.removeprefix("sevennet-"), threads=threads)


def lithium_sulfide(n_atoms):
    cell = crystal(
        ["S", "Li"],
        [(0, 0, 0), (0.25, 0.25, 0.25)],
        spacegroup=225,
        cellpar=[5.708] * 3 + [90] * 3,
    )
    repeats = {50: (2, 2, 1), 100: (2, 2, 2), 200: (4, 2, 2), 400: (4, 4, 2)}
    return cell * repeats[n_atoms]


def compare(names, n_atoms, n_frames, threads):
    atoms = lithium_sulfide(n_atoms)
    rng = np.random.default_rng(0)
    start = atoms.positions + 0.1 * rng.normal(size=atoms.positions.shape)
    calculators = {name: calculator(name, threads) for name in names}
    seconds = {name: [] for name in names}
    for _ in range(n_frames):
        positions = start + 0.01 * rng.normal(size=start.shape)
        for name, calc in calculators.items():
            moved = atoms.copy()
            moved.positions = positions
            moved.calc = calc
            began = time.process_time()
            moved.get_forces()
            seconds[name].append(time.process_time() - began)
    return {name: len(atoms) / np.median(taken[2:]) for name, taken in seconds.items()}


def start(name):
    """Time and memory from nothing to the first forces, in this process."""
    atoms = lithium_sulfide(100)
    atoms.calc = calculator(name, 1)
    atoms.get_forces()
    # The peak that getrusage tells begins with that of the process which started this one.
    status = Path("/proc/self/status").read_text().partition("VmHWM:")[2]
    memory = int(status.split()[0]) / 1024
    print(f"{name:18} {time.process_time():5.1f} CPU s {memory:6.0f} MiB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--atoms", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--start", choices=ALL, help="only the start-up of one")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    if arguments.start:
        start(arguments.start)
        return
    print("atom-steps a CPU second")
    print("atoms | " + " | ".join(arguments.only), flush=True)
    for n_atoms in arguments.atoms:
        speeds = compare(arguments.only, n_atoms, arguments.frames, arguments.threads)
        row = " | ".join(f"{speeds[name]:.0f}" for name in arguments.only)
        print(f"{len(lithium_sulfide(n_atoms))} | {row}", flush=True)
    for name in arguments.only:
        subprocess.run([sys.executable, __file__, "--start", name], check=True)


if __name__ == "__main__":
    main()
