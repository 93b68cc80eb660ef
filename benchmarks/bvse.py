"""Site energy and percolation beside bvlain, in one run: times, memory, ratios, share of the floor.

    python benchmarks/bvse.py                       three cells at 0.2 A
    python benchmarks/bvse.py --resolution 0.1      minutes and 5 GB for bvlain

Both use the same structure, cell, resolution, cut-off (10 A) and radii. Each side runs in a process
of its own, so that peak memory can be told apart; compiled code is warm. The floor is the time in
which one core, at the speed of a matrix product in the same run, does the 12 operations that each
pair of a grid point and an ion in its cut-off sphere costs at least, for the points that symmetry
leaves.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time

import numpy as np
from pymatgen.core import Lattice, Structure

CUTOFF = 10.0
FLOPS_PER_PAIR = 12.0


def li3erbr6():
    """C2/m, after Li3YBr6; 588 thousand points at 0.1 A."""
    return Structure.from_spacegroup(
        "C2/m",
        Lattice.monoclinic(6.95, 11.95, 6.90, 109.5),
        ["Er3+", "Br-", "Br-", "Li+", "Li+"],
        [[0, 0, 0], [0.24, 0, 0.24], [0.25, 0.165, 0.76], [0, 0.165, 0.5], [0.5, 0, 0.5]],
    )


def lgps():
    """Framework of Kamaya et al., Nature Materials 10, 682 (2011), Ge on all of its shared site."""
    return Structure.from_spacegroup(
        "P4_2/nmc",
        Lattice.tetragonal(8.718, 12.635),
        ["Ge4+", "P5+", "S2-", "S2-", "S2-", "Li+"],
        [
            [0, 0.5, 0.69],
            [0, 0, 0.5],
            [0, 0.1842, 0.4079],
            [0, 0.2993, 0.0964],
            [0, 0.6994, 0.7912],
            [0.256, 0.257, 0.19],
        ],
    )


def garnet():
    """Ia-3d, Li7La3Zr2O12: Awaka et al., Chemistry Letters 40, 60 (2011)."""
    return Structure.from_spacegroup(
        "Ia-3d",
        Lattice.cubic(12.983),
        ["La3+", "Zr4+", "O2-", "Li+"],
        [[0.125, 0, 0.25], [0, 0, 0], [-0.0310, 0.0549, 0.1482], [0.375, 0, 0.25]],
    )


CELLS = {"Li3ErBr6": li3erbr6, "LGPS": lgps, "garnet": garnet}


def run_bvlain(name, resolution):
    from bvlain import Lain

    structure = CELLS[name]()
    peer = Lain(verbose=False)
    peer.read_structure(structure, oxi_check=False)
    start = time.perf_counter()
    peer.bvse_distribution(
        mobile_ion="Li1+", r_cut=CUTOFF, resolution=resolution, use_softbv_covalent_radii=True
    )
    middle = time.perf_counter()
    barriers = peer.percolation_barriers(n_jobs=1)
    return {
        "grid": middle - start,
        "percolation": time.perf_counter() - middle,
        "barriers": list(barriers.values()),
    }


def run_ssefw(name, resolution, threads):
    from ssefw.bvse import site_energy_barrier
    from ssefw.bvse.cells import grid_operations, primitive_framework
    from ssefw.bvse.field import compute_field, grid_shape
    from ssefw.bvse.percolation import percolation_thresholds
    from ssefw.bvse.potential import build_framework

    structure = CELLS[name]()
    whole = build_framework(structure, cutoff=CUTOFF)
    site_energy_barrier(structure, resolution=0.4)
    shape = grid_shape(whole.matrix, resolution=resolution)
    times = {}

    def best(label, function, repeats=3):
        took = []
        for _ in range(repeats):
            start = time.perf_counter()
            result = function()
            took.append(time.perf_counter() - start)
        times[label] = min(took)
        return result

    field = best("grid, no symmetry", lambda: compute_field(whole, shape=shape, threads=threads))
    best("percolation, whole cell", lambda: percolation_thresholds(field.energies))

    def symmetric():
        small = primitive_framework(whole)
        points, operations = grid_operations(small, grid_shape(small.matrix, resolution=resolution))
        return (
            small,
            operations,
            compute_field(small, shape=points, threads=threads, operations=operations),
        )

    small, operations, reduced = best("grid", symmetric)
    best("percolation", lambda: percolation_thresholds(reduced.energies))
    barrier = best(
        "all, saddle points included",
        lambda: site_energy_barrier(structure, resolution=resolution, threads=threads),
        repeats=2,
    )
    density = len(small.kinds) / abs(np.linalg.det(small.matrix))
    pairs = field.energies.size * density * 4.0 / 3.0 * math.pi * CUTOFF**3
    left = reduced.energies.size / len(operations)
    pairs_left = left * density * 4.0 / 3.0 * math.pi * CUTOFF**3
    return {
        **times,
        "points": field.energies.size,
        "pairs": pairs,
        "pairs left": pairs_left,
        "speed": matrix_product_speed(),
        "barriers": [
            estimate.value
            for estimate in (barrier.barrier_1d, barrier.barrier_2d, barrier.barrier_3d)
        ],
        "grid barriers": list(percolation_thresholds(field.energies)),
    }


def matrix_product_speed():
    """Return floating point operations per second of one core."""
    a = np.random.default_rng(0).random((600, 600))
    took = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        took.append(time.perf_counter() - start)
    return 2 * 600**3 / min(took)


def in_a_process(*arguments):
    command = [sys.executable, "-W", "ignore", __file__, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(name, ours, peer, resolution):
    def row(label, mine, theirs):
        print(f"  {label:28s} {mine:9.4f} s  {theirs:9.2f} s  {theirs / mine:7.0f}x")

    print(f"{name}, {resolution} A, {ours['points']:,} points, {ours['pairs']:.3g} pairs")
    print(f"  {'':28s} {'ssefw':>11s}  {'bvlain':>11s}  {'ratio':>8s}")
    row("grid, no symmetry", ours["grid, no symmetry"], peer["grid"])
    row("grid", ours["grid"], peer["grid"])
    row("percolation, whole cell", ours["percolation, whole cell"], peer["percolation"])
    row("percolation", ours["percolation"], peer["percolation"])
    both = ours["grid"] + ours["percolation"]
    row("both", both, peer["grid"] + peer["percolation"])
    row(
        "with saddle points",
        ours["all, saddle points included"],
        peer["grid"] + peer["percolation"],
    )
    print(f"  {'peak memory':28s} {ours['memory']:7.0f} MB  {peer['memory']:8.0f} MB")
    for label, pairs in (("grid, no symmetry", "pairs"), ("grid", "pairs left")):
        floor = ours[pairs] * FLOPS_PER_PAIR / ours["speed"]
        print(
            f"  floor of {label}: {floor:.4f} s, {floor / ours[label]:.0%} reached, "
            f"{ours[label] / ours[pairs] * 1e9:.2f} ns a pair"
        )
    for label, values in (
        ("bvlain", peer["barriers"]),
        ("our grid", ours["grid barriers"]),
        ("saddle points", ours["barriers"]),
    ):
        print(f"  barriers, {label:14s}", "  ".join(f"{value:.4f}" for value in values))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", type=float, default=0.2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--side", choices=["ssefw", "bvlain"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        (name,) = options.cells
        if options.side == "ssefw":
            result = run_ssefw(name, options.resolution, options.threads)
        else:
            result = run_bvlain(name, options.resolution)
        result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))
        return
    for name in options.cells:
        common = ("--cells", name, "--resolution", options.resolution, "--threads", options.threads)
        ours = in_a_process(*common, "--side", "ssefw")
        peer = in_a_process(*common, "--side", "bvlain")
        show(name, ours, peer, options.resolution)


if __name__ == "__main__":
    main()
