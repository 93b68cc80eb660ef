"""Barriers of ten materials by an ML potential, beside BVSE and CI-NEB of Laskowski et al. 2023.

    python benchmarks/neb_laskowski.py POOL.jsonl.gz FOLDER [FORMULA ...] [--potential chgnet]

POOL holds one structure a line: ``id``, ``lattice`` (a, b, c and angles), ``species`` and ``frac``.
The published values (meV, DOI 10.1039/d2ee03499a) are of single vacancies in PBE; potentials were
trained on PBE (+U) energies of near-equilibrium structures and know no charge. A run that is
interrupted goes on when it is called again.
"""

import argparse
import gzip
import json
import logging
import time
import warnings
from pathlib import Path

from pymatgen.core import Lattice, Structure

from ssefw.data.hops import find_hops, hops_to_cross
from ssefw.engines import NebSettings
from ssefw.engines.ase import AseEngine
from ssefw.engines.migration import MigrationSettings, hop_barriers
from ssefw.engines.migration.percolation import percolation_barrier
from ssefw.engines.potentials.names import DEFAULT_POTENTIAL, POTENTIALS
from ssefw.errors import SsefwError

PUBLISHED = {
    "mp-2530": ("Li2Te", 260, 320),
    "mp-20782": ("LiInTe2", 270, 450),
    "mp-5048": ("LiGaTe2", 270, 340),
    "mp-4586": ("LiAlTe2", 260, 310),
    "mp-760375": ("Li3VS4", 160, 390),
    "mp-9059": ("KLi6TaO6", 300, 300),
    "mp-867700": ("Li3CuS2", 310, 440),
    "mp-5614": ("Li3BS3", 280, 260),
    "mp-756490": ("Li6MnS4", 270, 466),
    "mp-6711": ("Na3Li3Al2F12", 230, 340),
}
SETTINGS = MigrationSettings(n_images=5, end_fmax=0.02, band=NebSettings(fmax=0.05))


def structures(pool):
    found = {}
    with gzip.open(pool, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["id"] in PUBLISHED:
                lattice = Lattice.from_parameters(*record["lattice"])
                found[record["id"]] = Structure(lattice, record["species"], record["frac"])
    return found


def show(estimate):
    return f"{1e3 * estimate.value:.0f}" if estimate.kind == "value" else "-"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("pool")
    parser.add_argument("folder", type=Path)
    parser.add_argument("only", nargs="*")
    parser.add_argument("--path", choices=["linear", "idpp", "bvse"], default="idpp")
    parser.add_argument("--potential", choices=POTENTIALS, default=DEFAULT_POTENTIAL)
    arguments = parser.parse_args()
    settings = SETTINGS.model_copy(update={"path": arguments.path})
    logging.basicConfig(level="WARNING", format="%(message)s")
    warnings.filterwarnings("ignore")
    engine = AseEngine.of(arguments.potential)
    crystals = structures(arguments.pool)
    print("formula | hops | 1D | 2D | 3D | BVSE | CI-NEB | iterations | CPU minutes", flush=True)
    for name, (formula, bvse, neb) in PUBLISHED.items():
        if arguments.only and formula not in arguments.only:
            continue
        begin = time.process_time()
        try:
            relaxed = engine.relax(crystals[name], fmax=0.02, max_steps=500, relax_cell=True)
            kinds = hops_to_cross(find_hops(relaxed.structure, max_length=6.0))
            bands = dict(
                hop_barriers(
                    engine, relaxed.structure, kinds, arguments.folder / name, settings=settings
                )
            )
            barrier = percolation_barrier(relaxed.structure, bands)
        except SsefwError as error:
            print(f"{formula} | {error}", flush=True)
            continue
        done = sum(band.forward is not None for band in bands.values())
        levels = " | ".join(
            show(e) for e in (barrier.barrier_1d, barrier.barrier_2d, barrier.barrier_3d)
        )
        iterations = sum(len(band.history) for band in bands.values())
        minutes = (time.process_time() - begin) / 60
        print(
            f"{formula} | {done} of {len(kinds)} | {levels} | {bvse} | {neb} | {iterations} | "
            f"{minutes:.1f}",
            flush=True,
        )
        for warning in barrier.warnings:
            print(f"    {warning}", flush=True)


if __name__ == "__main__":
    main()
