"""Diffusion with several potentials from one start and cell, each a little further in turn.

    python benchmarks/potentials_diffusion.py FOLDER LGPS.cif Li3ErBr6.cif --temperatures 900 \
        --length 50 --cpu-minutes 60
    python benchmarks/potentials_diffusion.py FOLDER LGPS.cif --potentials 3f2a91 --length 1000

The second runs a potential that was trained, a student or a tuned one, by its hash. Every structure
is taken as it is, ordered and large enough. Runs lie in FOLDER, where they go on when the command
is called again, bit by bit; the table is printed from what is there, with intervals of 95 %, and of
a student with the largest excess. `--table` prints it without running, and `--stretch PS` each
stretch of so many ps for itself, too. Step 2 fs, Nose-Hoover, the first ps left out.
"""

import argparse
import itertools
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

from ssefw.analysis.diffusivity import estimate_diffusivity
from ssefw.analysis.trajectory import Frames
from ssefw.campaigns.file import EngineSpec
from ssefw.campaigns.planning.engines import engine_of
from ssefw.data import decode_chunk
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.potentials.names import POTENTIALS
from ssefw.errors import SsefwError

TIMESTEP = 2.0
SKIPPED = 1.0  # ps at the start
PIECE = 500  # steps of a turn


def run_directory(folder, structure_file, name, temperature):
    run = f"{structure_file.stem}-{name}-{temperature:g}"
    return RunDirectory(folder / run, key=run)


def advance(engine, structure, run, temperature, until):
    settings = MDSettings(
        temperature=temperature, timestep=TIMESTEP, steps_per_frame=5, frames_per_chunk=20, seed=1
    )
    began = time.process_time()
    engine.md(structure, settings, run, until=until)
    seconds = time.process_time() - began
    with (run.path / "cpu.jsonl").open("a") as file:
        file.write(json.dumps({"until": until, "cpu_seconds": seconds}) + "\n")


def steps_done(run):
    last = run.last_chunk()
    return 0 if last is None else last.last_step


def rows(structure_file, structure, name, temperature, run, *, stretch):
    chunks = [decode_chunk(file.read_bytes()) for file in run.chunk_files()]
    length = chunks[-1].last_step * TIMESTEP / 1000
    lines = (run.path / "cpu.jsonl").read_text().splitlines()
    cpu = sum(json.loads(line)["cpu_seconds"] for line in lines)
    label = f"{structure_file.stem} | {temperature:g} | {name} | {length:.1f}"
    excesses = [chunk.notes["excess"] for chunk in chunks if "excess" in chunk.notes]
    end = f"{cpu / 3600:.2f}" + (f" | {max(excesses):.2f}" if excesses else "")
    frames = Frames(
        positions=np.concatenate([chunk.positions for chunk in chunks]),
        lattice=chunks[0].cell,
        species=tuple(site.specie.symbol for site in structure),
        timestep=5 * TIMESTEP,
        temperatures=np.concatenate([chunk.temperatures for chunk in chunks]),
        is_unwrapped=True,
    )
    yield f"{label} | {told(frames, temperature, skipped=SKIPPED)} | {end}"
    size = round(1000 * stretch / frames.timestep) if stretch else frames.n_frames
    for first in range(0, frames.n_frames - size, size):
        part = replace(
            frames,
            positions=frames.positions[first : first + size],
            temperatures=frames.temperatures[first : first + size],
        )
        start = first * frames.timestep / 1000
        # Behind the start of the run nothing heats up.
        said = told(part, temperature, skipped=0.0 if first else SKIPPED)
        yield f"{label}, {start:g} to {start + stretch:g} | {said}"


def told(frames, temperature, *, skipped):
    try:
        found = estimate_diffusivity(frames, temperature=temperature, equilibration=skipped)
    except SsefwError as error:
        return f"- | - | {error}"
    value = found.tracer
    bounds = ["-" if b is None else f"{b:.2e}" for b in (value.value, value.lower, value.upper)]
    return f"{bounds[0]} | {bounds[1]} to {bounds[2]} | {found.regime}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("structures", type=Path, nargs="+")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[900.0])
    parser.add_argument("--length", type=float, default=50.0, help="ps")
    parser.add_argument("--potentials", nargs="+", default=list(POTENTIALS))
    parser.add_argument("--cpu-minutes", type=float, default=60.0, help="stop after so many")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--stretch", type=float, default=0.0, help="ps")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    runs = [
        (file, Structure.from_file(file), name, temperature)
        for file, temperature, name in itertools.product(
            arguments.structures, arguments.temperatures, arguments.potentials
        )
    ]
    engines = {name: engine_of(EngineSpec(potential=name)) for name in arguments.potentials}
    deadline = time.process_time() + 60 * arguments.cpu_minutes
    target = round(1000 * arguments.length / TIMESTEP)
    for until in range(PIECE, target + 1, PIECE):
        for file, structure, name, temperature in runs:
            if arguments.table or time.process_time() > deadline:
                break
            run = run_directory(arguments.folder, file, name, temperature)
            if steps_done(run) < until:
                advance(engines[name], structure, run, temperature, until)
    print("structure | K | potential | ps | D (cm2/s) | interval | regime | CPU hours | excess")
    for file, structure, name, temperature in runs:
        run = run_directory(arguments.folder, file, name, temperature)
        if steps_done(run):
            for line in rows(file, structure, name, temperature, run, stretch=arguments.stretch):
                print(line, flush=True)


if __name__ == "__main__":
    main()
