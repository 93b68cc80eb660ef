"""Orderings of disordered CIFs beside pymatgen's, in one run: how many, how good, how fast.

    python benchmarks/orderings.py CIFS.zip         a zip or a folder of CIFs
    python benchmarks/orderings.py CIFS.zip --peer  also pymatgen's, 60 s a crystal

For each crystal one cell of at most 400 atoms and 10 A, on one core, compiled code warm. A cell
counts as good when it is neutral, differs in at most 2 % of its atoms from what is reported,
and no two atoms are nearer than 60 % of the sum of their radii: of all three kinds of radii the
table tells how many cells keep to them.
"""

import argparse
import os
import resource
import signal
import time
import warnings
import zipfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from ssefw.data import candidate_from_text
from ssefw.data.orderings import order_crystal
from ssefw.data.orderings.radii import STRICTNESS, closest_distance
from ssefw.documents import OrderingSettings
from ssefw.errors import DataError

PEER_SECONDS = 60


def read_texts(path):
    if path.is_dir():
        return {file.name: file.read_text() for file in sorted(path.glob("*.cif"))}
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".cif"))
        return {Path(name).name: archive.read(name).decode() for name in names}


def disordered(texts):
    for name, text in texts.items():
        try:
            structure = candidate_from_text(text, name=name).structure
        except DataError as error:
            print(f"{name:12s} unreadable: {error}")
            continue
        if not structure.is_ordered:
            yield name, structure


def keeps_to(structure, charges):
    """Return for each kind of radii whether no two atoms are too close."""
    distances = structure.distance_matrix.copy()
    np.fill_diagonal(distances, np.inf)
    names = [site.specie.symbol for site in structure]
    pairs = [(i, j) for i, j in zip(*np.nonzero(distances < 3.0), strict=True) if i < j]
    return [
        all(
            distances[i, j]
            >= closest_distance(names[i], names[j], charges=charges, strictness=strictness)
            for i, j in pairs
        )
        for strictness in STRICTNESS
    ]


def measure(name, structure, settings):
    start = time.perf_counter()
    try:
        found = order_crystal(structure, settings)
    except DataError as error:
        seconds = time.perf_counter() - start
        print(f"{name:12s} {seconds:6.2f} s  refused: {error}")
        return {"seconds": seconds, "good": False, "far": [False] * 3}
    seconds = time.perf_counter() - start
    cell = found.orderings[0].structure
    charge = sum(found.charges[site.specie.symbol] for site in cell)
    far = keeps_to(cell, found.charges)
    good = abs(charge) < 1e-6 and len(cell) <= 400 and found.error <= 0.02 and far[-1]
    print(
        f"{name:12s} {seconds:6.2f} s  {len(cell):4d} atoms  {100 * found.error:5.2f} % changed  "
        f"{'good' if good else 'NOT GOOD'}  {' '.join(found.warnings)}"
    )
    return {"seconds": seconds, "good": good, "far": far}


def peer(structure):
    """Order as pymatgen does, in the cell as it is, with the states that it guesses."""
    from pymatgen.transformations.standard_transformations import (
        OrderDisorderedStructureTransformation,
    )

    def stop(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(PEER_SECONDS)
    start = time.perf_counter()
    try:
        charged = structure.copy()
        charged.add_oxidation_state_by_guess()
        OrderDisorderedStructureTransformation().apply_transformation(charged)
    except Exception as error:  # noqa: BLE001  it refuses in many ways
        return time.perf_counter() - start, type(error).__name__
    finally:
        signal.alarm(0)
    return time.perf_counter() - start, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--choose", default="sampled")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    settings = OrderingSettings(number=1, choose=args.choose)
    crystals = list(disordered(read_texts(args.path)))
    order_crystal(crystals[0][1], settings)  # compiles
    rows = [measure(name, structure, settings) for name, structure in crystals]
    seconds = [row["seconds"] for row in rows]
    n_good = sum(row["good"] for row in rows)
    print(f"{n_good} of {len(rows)} good ({n_good / len(rows):.1%})")
    for number, strictness in enumerate(STRICTNESS):
        n_far = sum(row["far"][number] for row in rows)
        print(f"{n_far} keep to the {strictness} of atomic, covalent and ionic radii")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"median {np.median(seconds):.2f} s, longest {max(seconds):.2f} s, {memory:.0f} MB at most"
    )
    if args.peer:
        results = [peer(structure) for _, structure in crystals]
        failures = [why for _, why in results if why]
        causes = ", ".join(f"{why} {failures.count(why)}" for why in sorted(set(failures)))
        print(
            f"pymatgen orders {len(results) - len(failures)} of {len(results)} ({causes}), "
            f"median {np.median([t for t, _ in results]):.2f} s"
        )


if __name__ == "__main__":
    main()
