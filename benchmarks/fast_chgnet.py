"""Time, agreement and energy drift of FastCHGNet beside CHGNet's own calculator, in one run.

    OMP_NUM_THREADS=1 python benchmarks/fast_chgnet.py --threads 1
    OMP_NUM_THREADS=2 python benchmarks/fast_chgnet.py --threads 2
    python benchmarks/fast_chgnet.py --device cuda

Lithium sulfide in supercells, with atoms displaced as at 900 K. The two calculators take turns at
the same frames, so that a change of the machine's load meets both; the ratio is that of medians.
"""

import argparse
import time
import warnings

import numpy as np
from ase import units
from ase.md.verlet import VelocityVerlet
from ase.spacegroup import crystal
from chgnet.model import CHGNet
from chgnet.model.dynamics import CHGNetCalculator

from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.potentials.chgnet import FastCHGNet

SIZES = {12: (1, 1, 1), 48: (2, 2, 1), 96: (2, 2, 2), 192: (4, 2, 2)}


def lithium_sulfide(repeat):
    cell = crystal(
        ["S", "Li"],
        [(0, 0, 0), (0.25, 0.25, 0.25)],
        spacegroup=225,
        cellpar=[5.708, 5.708, 5.708, 90, 90, 90],
    )
    return cell * repeat


def shaken(atoms, n_frames, rng):
    """Frames of a slow random walk, as far from each other as 2 fs of dynamics are."""
    start = 0.1 * rng.normal(size=atoms.positions.shape)
    steps = 0.02 * rng.normal(size=(n_frames, *atoms.positions.shape))
    return atoms.positions + start + steps.cumsum(axis=0) / np.sqrt(n_frames)


def time_forces(atoms, positions, calculators):
    times = np.empty((len(calculators), len(positions)))
    results = []
    for frame, now in enumerate(positions):
        results.append([])
        for k, calculator in enumerate(calculators):
            atoms.positions = now
            atoms.calc = calculator
            begin = time.perf_counter()
            forces, energy = atoms.get_forces(), atoms.get_potential_energy()
            times[k, frame] = time.perf_counter() - begin
            results[-1].append((energy / len(atoms), forces))
    return np.median(times[:, 2:], axis=1), results


def time_batch(fast, atoms, positions, n_replicas):
    times = []
    for frame in range(len(positions) - n_replicas):
        begin = time.perf_counter()
        fast.evaluate(positions[frame : frame + n_replicas], atoms.numbers, atoms.cell.array)
        times.append((time.perf_counter() - begin) / n_replicas)
    return np.median(times[2:])


def drift(atoms, calculator, n_steps):
    """Slope and scatter of the total energy at constant energy, 1 fs, from 900 K."""
    atoms = atoms.copy()
    atoms.calc = calculator
    rng = np.random.default_rng(2)
    atoms.set_momenta(draw_momenta(atoms.get_masses(), temperature=900.0, rng=rng))
    dynamics = VelocityVerlet(atoms, timestep=1.0 * units.fs)
    total = []
    for _ in range(n_steps):
        dynamics.run(1)
        total.append(atoms.get_total_energy() / len(atoms))
    times = np.arange(n_steps) / 1000
    slope, intercept = np.polyfit(times, total, 1)
    return slope, np.std(total - slope * times - intercept)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--nve-steps", type=int, default=0)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="Converting a tensor")
    peer = CHGNetCalculator(
        CHGNet.load(use_device=arguments.device, verbose=False), use_device=arguments.device
    )
    fast = FastCHGNet(device=arguments.device, threads=arguments.threads)
    rng = np.random.default_rng(0)
    print(f"{arguments.device}, {arguments.threads} threads; ms for energy and forces")
    print("atoms   chgnet   ssefw   ratio   4 replicas   ratio   dE meV/atom   dF meV/A")
    for n_atoms, repeat in SIZES.items():
        atoms = lithium_sulfide(repeat)
        positions = shaken(atoms, arguments.frames, rng)
        (slow, quick), results = time_forces(atoms, positions, (peer, fast))
        batch = time_batch(fast, atoms, positions, 4)
        energy = max(abs(a[0] - b[0]) for a, b in results)
        force = max(np.abs(a[1] - b[1]).max() for a, b in results)
        print(
            f"{n_atoms:5d} {1e3 * slow:8.1f} {1e3 * quick:7.1f} {slow / quick:7.2f} "
            f"{1e3 * batch:12.1f} {slow / batch:7.2f} {1e3 * energy:13.1e} {1e3 * force:10.1e}"
        )
    if arguments.nve_steps:
        atoms = lithium_sulfide((1, 1, 1))
        for name, calculator in (("chgnet", peer), ("ssefw", fast)):
            slope, scatter = drift(atoms, calculator, arguments.nve_steps)
            print(
                f"{name}: {arguments.nve_steps} steps at constant energy drift by "
                f"{1e3 * slope:+.4f} meV/atom/ps, scatter {1e3 * scatter:.4f} meV/atom"
            )


if __name__ == "__main__":
    main()
