"""Barriers against grid resolution: the threshold of the grid, and the saddle points it leads to.

python benchmarks/bvse_resolution.py
"""

from bvse import garnet, lgps, li3erbr6
from pymatgen.core import Lattice, Structure

from ssefw.bvse import site_energy_barrier

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


def main():
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


if __name__ == "__main__":
    main()
