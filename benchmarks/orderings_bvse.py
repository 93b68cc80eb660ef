"""Bond-valence barriers of disordered crystals: of the averaged crystal, and of arrangements.

    python benchmarks/orderings_bvse.py CIFS.zip LABELS.csv --number 40

CIFS.zip holds ID.cif, LABELS.csv has columns `ID` and a conductivity. For each crystal one line:
the barrier of the averaged crystal, those of three arrangements, and what each cost. At the end how
far they differ, and how well each orders crystals by their conductivity.
"""

import argparse
import csv
import random
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.orderings import disordered, read_texts
from ssefw.bvse import site_energy_barrier
from ssefw.data.orderings import order_crystal
from ssefw.documents import OrderingSettings
from ssefw.errors import SsefwError

COLUMN = "Ionic conductivity (S cm-1)"
RESOLUTION = 0.2
HIGHEST = 10.0
"""Stands for a crystal without a path (eV) where barriers are ranked."""


def barrier_of(structure):
    start = time.perf_counter()
    try:
        found = site_energy_barrier(structure, resolution=RESOLUTION).barrier_1d
    except SsefwError as error:
        return None, time.perf_counter() - start, str(error)
    value = found.value if found.value is not None else HIGHEST
    return value, time.perf_counter() - start, ""


def labels_of(path):
    with path.open() as file:
        rows = csv.DictReader(file)
        return {row["ID"]: float(row[COLUMN].lstrip("<").strip()) for row in rows if row[COLUMN]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cifs", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--number", type=int, default=40)
    parser.add_argument("--arrangements", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    labels = labels_of(args.labels)
    crystals = [
        (name, s) for name, s in disordered(read_texts(args.cifs)) if Path(name).stem in labels
    ]
    random.Random(0).shuffle(crystals)
    settings = OrderingSettings(number=args.arrangements)
    rows = []
    for name, structure in crystals[: args.number]:
        average, seconds, reason = barrier_of(structure)
        try:
            cells = [o.structure for o in order_crystal(structure, settings).orderings]
        except SsefwError as error:
            print(f"{name:10s} cannot be ordered: {error}", flush=True)
            continue
        each = [barrier_of(cell) for cell in cells]
        known = [value for value, _, _ in each if value is not None]
        rows.append(
            {
                "sigma": labels[Path(name).stem],
                "average": average,
                "lowest": min(known, default=None),
                "highest": max(known, default=None),
                "seconds": (seconds, sum(s for _, s, _ in each)),
            }
        )
        values = ", ".join("-" if value is None else f"{value:.3f}" for value, _, _ in each)
        shown = "-" if average is None else f"{average:.3f}"
        print(
            f"{name:10s} average {shown} eV in {seconds:.1f} s; arrangements {values} eV in "
            f"{rows[-1]['seconds'][1]:.1f} s  {reason or each[0][2]}",
            flush=True,
        )
    summary(rows)


def summary(rows):
    both = [r for r in rows if r["average"] is not None and r["lowest"] is not None]
    print(f"{len(rows)} crystals: the average has a barrier in {count(rows, 'average')}, ", end="")
    print(f"arrangements have one in {count(rows, 'lowest')}")
    difference = np.array([r["lowest"] - r["average"] for r in both])
    spread = np.array([r["highest"] - r["lowest"] for r in both])
    print(
        f"lowest minus average: median {np.median(difference):+.3f} eV, "
        f"middle 80 % {np.quantile(difference, 0.1):+.3f} to "
        f"{np.quantile(difference, 0.9):+.3f} eV; "
        f"equal within 0.01 eV in {np.sum(abs(difference) < 0.01)} of {len(both)}"
    )
    print(f"between arrangements: median {np.median(spread):.3f} eV, most {spread.max():.3f} eV")
    for name in ("average", "lowest"):
        rank = spearmanr([r[name] for r in both], [r["sigma"] for r in both])
        passed = [r["sigma"] for r in both if r[name] <= 0.6]
        good = sum(r["sigma"] >= 1e-4 for r in both)
        kept = sum(sigma >= 1e-4 for sigma in passed)
        print(
            f"{name}: rank correlation with conductivity {rank.statistic:+.2f} "
            f"(p {rank.pvalue:.2g}); 0.6 eV keeps {len(passed)} of {len(both)}, and {kept} of "
            f"{good} above 1e-4 S/cm"
        )
    of_average, of_cells = (np.array([r["seconds"][i] for r in rows]) for i in (0, 1))
    print(
        f"seconds: average median {np.median(of_average):.2f}, "
        f"arrangements {np.median(of_cells):.2f}"
    )


def count(rows, key):
    return sum(row[key] is not None for row in rows)


if __name__ == "__main__":
    main()
