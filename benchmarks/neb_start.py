"""Iterations of neb.x by where its images start: straight lines, IDPP, site energy, an ML band.

    SSEFW_PSEUDO_DIR=... python benchmarks/neb_start.py FOLDER [--images 5] [START ...]

The hop is that of a vacancy in the cubic cell of Li2O (11 atoms) at 25 Ry: far from converged, but
the path of the ion bends as in a larger cell. Ends are relaxed once, for all alike. FOLDER keeps
what is done: an interrupted run goes on when called again.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

from pymatgen.core import Lattice, Structure

from ssefw.data.defects import distinct_sites
from ssefw.data.hops import find_hops
from ssefw.engines import NebSettings
from ssefw.engines.ase import AseEngine
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.migration import MigrationSettings, hop_barrier
from ssefw.engines.migration.ends import relax_end

OPTIONS = {"electrons": {"mixing_beta": 0.3, "conv_thr": 1e-7}}
STARTS = ("linear", "idpp", "bvse", "CHGNet")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("starts", nargs="*", default=STARTS)
    parser.add_argument("--images", type=int, default=5)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    os.environ.setdefault("SSEFW_SCRATCH", str(arguments.folder / "scratch"))
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.619), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    length = 4.5
    (kind,) = find_hops(structure, max_length=2.4)
    engine = EspressoEngine(ecutwfc=25, ecutrho=200, kspacing=2.0, options=OPTIONS)
    band = NebSettings(fmax=0.05, max_steps=60)
    common = {"min_length": length, "n_images": arguments.images, "end_fmax": 0.03}
    representatives = distinct_sites(structure, [kind], min_length=length)
    ends = {
        site: relax_end(
            engine.charged(-1.0), structure, site, min_length=length, fmax=0.03, steps=60
        ).structure
        for site in set(representatives.values())
    }
    print("start | plain | climbing | first force (eV/A) | barrier (eV) | seconds", flush=True)
    for name in arguments.starts:
        began = time.monotonic()
        found = hop_barrier(
            engine,
            structure,
            kind,
            arguments.folder / name,
            settings=MigrationSettings(
                path="linear" if name == "CHGNet" else name, band=band, **common
            ),
            ends=lambda: ends,
            representatives=representatives,
            first=AseEngine() if name == "CHGNet" else None,
        )
        climbing = sum(record.climbing for record in found.history)
        plain = len(found.history) - climbing
        barrier = "-" if found.forward is None else f"{found.forward:.3f}"
        print(
            f"{name} | {plain} | {climbing} | {found.history[0].max_force:.3f} | {barrier} | "
            f"{time.monotonic() - began:.0f} {found.reason} {'; '.join(found.warnings)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
