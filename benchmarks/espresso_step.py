"""What a step of ab initio dynamics costs: pw.x as a server of forces against its own dynamics.

    SSEFW_PSEUDO_DIR=... python benchmarks/espresso_step.py --steps 20

Li3N at Gamma, the same input, start and time step. Processor time of pw.x, start and first
self-consistency included in both, and electronic iterations of a step, which no load of the machine
changes. Its own dynamics begin at rest and the server's at 300 K, which asks for more iterations.
"""

import argparse
import os
import re
import resource
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.espresso import EspressoEngine

TIMESTEP = 1.0  # fs
RYDBERG_TIME = 0.048378  # fs


def li3n(repeat, *, moved):
    structure = Structure(
        Lattice.hexagonal(3.648, 3.875),
        ["N", "Li", "Li", "Li"],
        [[0, 0, 0], [0, 0, 0.5], [1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]],
    )
    structure.make_supercell([repeat, repeat, 1])
    moves = np.random.default_rng(1).normal(scale=moved, size=(len(structure), 3))
    for index, move in enumerate(moves):
        structure.translate_sites([index], move, frac_coords=False)
    return structure


def spent():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def iterations(output):
    return len(re.findall(r"^\s+iteration #", output.read_text(), flags=re.MULTILINE))


def served(engine, structure, folder, steps):
    run = RunDirectory(folder / "served", key="benchmark")
    settings = MDSettings(temperature=300, timestep=TIMESTEP, steps_per_frame=1, damping=1e9)
    engine.md(structure, settings, run, until=steps)
    return run.path / "espresso" / "pw.out"


def own(engine, structure, folder, steps):
    place = folder / "own"
    place.mkdir()
    text = engine.input_files(structure, "md")["pw.in"]
    extra = f"   nstep = {steps + 1}\n   dt = {TIMESTEP / RYDBERG_TIME:.6f}\n"
    (place / "pw.in").write_text(text.replace("&CONTROL\n", f"&CONTROL\n{extra}"))
    with (place / "pw.out").open("w") as output:
        command = [os.environ.get("SSEFW_PW_CMD", "pw.x"), "-inp", "pw.in"]
        subprocess.run(command, cwd=place, stdout=output, check=False)
    return place / "pw.out"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=1, help="cells along a and b")
    arguments = parser.parse_args()
    steps = arguments.steps
    options = {"electrons": {"mixing_beta": 0.5, "mixing_ndim": 4, "conv_thr": 1e-8}}
    engine = EspressoEngine(ecutwfc=30, ecutrho=300, kspacing=3.0, options=options)
    structure = li3n(arguments.repeat, moved=0.05)
    print("way | CPU seconds a step | electronic iterations a step")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, way in (("served", served), ("pw.x md", own)):
            before = spent()
            output = way(engine, structure, Path(folder), steps)
            seconds, rounds = (spent() - before) / steps, iterations(output) / steps
            found.append((seconds, rounds))
            print(f"{name} | {seconds:.2f} | {rounds:.1f}", flush=True)
    ratios = [ours / theirs for ours, theirs in zip(*found, strict=True)]
    print(f"ratio | {ratios[0]:.2f} | {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
