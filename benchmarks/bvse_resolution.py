"""Barriers against grid resolution: the threshold of the grid, and the saddle points it leads to.

python benchmarks/bvse_resolution.py                            five crystals, four resolutions
python benchmarks/bvse_resolution.py --pool POOL --count 100    0.2 A against 0.05 A on a pool
"""

import argparse
import random
from pathlib import Path

import numpy as np
from bvse import garnet, lgps, li3erbr6
from pymatgen.core import Lattice, Structure

from ssefw.bvse import site_energy_barrier
from ssefw.data.pools import read_pool
from ssefw.errors import DataError

RESOLUTIONS = (0.4, 0.2, 0.1, 0.05)


def li2te():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.517), ["Te2-", "Li+"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


def liinte2():
    return Structure.from_spacegroup(
        "I-42d",
        Lattice.tetragonal(6.419, 12.486),
        ["Li+", "In3+", "Te2-"],
        [[0, 0, 0], [0, 0, 0.5], [0.2441, 0.25, 0.125]],
    )


def compare_crystals():
    print("3D barrier in meV".ljust(26), *(f"{resolution:>7} A" for resolution in RESOLUTIONS))
    for build in (li2te, liinte2, li3erbr6, lgps, garnet):
        structure = build()
        for mode in ("grid", "exact"):
            values = [
                1000 * site_energy_barrier(structure, resolution=r, mode=mode).barrier_3d.value
                for r in RESOLUTIONS
            ]
            name = f"{structure.composition.reduced_formula} {mode}"
            print(name.ljust(26), *(f"{value:9.2f}" for value in values), flush=True)


def compare_pool(path, count, largest_volume):
    """Print how far 1D, 2D and 3D barriers at 0.2 A lie from those at 0.05 A."""
    pool = [
        candidate
        for candidate in read_pool(path).candidates
        if candidate.structure.volume < largest_volume
    ]
    random.Random(0).shuffle(pool)
    changes, by_grid = [], 0
    for candidate in pool:
        if len(changes) == 3 * count:
            break
        try:
            coarse, fine = (
                site_energy_barrier(candidate.structure, resolution=resolution)
                for resolution in (0.2, 0.05)
            )
        except DataError:
            continue
        for dimension in ("barrier_1d", "barrier_2d", "barrier_3d"):
            low, high = getattr(coarse, dimension), getattr(fine, dimension)
            if low.value is None or high.value is None:
                assert low.value is high.value, candidate.formula
                changes.append(0.0)
                continue
            by_grid += low.method != "saddle point"
            changes.append(1000 * (low.value - high.value))
            if abs(changes[-1]) > 5:
                print(
                    f"{candidate.formula} {dimension}: {low.value:.4f} eV ({low.method}) at 0.2 A, "
                    f"{high.value:.4f} eV ({high.method}) at 0.05 A",
                    flush=True,
                )
    sizes = np.abs(changes)
    print(
        f"{len(changes) // 3} structures, {len(changes)} barriers: {np.mean(sizes <= 5):.1%} "
        f"within 5 meV, {np.mean(sizes <= 1):.1%} within 1 meV, worst {sizes.max():.0f} meV; "
        f"{by_grid} not settled by saddle points"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pool", type=Path, help="compare 0.2 A with 0.05 A on structures drawn from it"
    )
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--largest-volume", type=float, default=200.0, help="A^3 a cell")
    arguments = parser.parse_args()
    if arguments.pool is None:
        compare_crystals()
    else:
        compare_pool(arguments.pool, arguments.count, arguments.largest_volume)


if __name__ == "__main__":
    main()
