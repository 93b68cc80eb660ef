"""Tune a universal potential to another that stands for DFT: forces, a barrier, diffusion.

    OMP_NUM_THREADS=1 python benchmarks/tuning.py FOLDER --base sevennet-0 --base chgnet --length 10

Li3OCl (40 atoms) without a lithium atom. The teacher runs 2 ps each at 1000 and 600 K, or those of
`--learned`, of which fifty frames each are learned, and at 1100, 800 and 500 K, of which no frame
is. Printed are errors of forces on the runs that were not learned, CPU minutes, the hash of what
was tuned, and the barrier of the hop of a vacancy. Everything lies in FOLDER, where it goes on when
the command is called again. With `--crystal FILE` another crystal, ordered and large enough, takes
the place of Li3OCl, without a vacancy and without the barrier: it is relaxed by the teacher and
written to FOLDER, for `potentials_diffusion.py` to compare how fast ions move.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

from ssefw.data.hops import find_hops, hops_to_cross
from ssefw.engines import MDSettings
from ssefw.engines.ase import AseEngine
from ssefw.engines.migration import MigrationSettings, hop_barriers
from ssefw.engines.stopping import never_stop
from ssefw.engines.students import add_potential, read_frames, write_frames
from ssefw.engines.students.frame_files import LabelledRun
from ssefw.engines.students.teacher import ase_teacher, teacher_run
from ssefw.engines.students.theory import Theory
from ssefw.engines.tuning import TunedEngine, TuneSettings, tune

TIMESTEP = 2.0
LEARNED = (1000.0, 600.0)
UNSEEN = ((1100.0, 11), (800.0, 12), (500.0, 13))


def relaxed(engine, structure):
    return engine.relax(structure, fmax=0.01, max_steps=100, relax_cell=True).structure


def antiperovskite(engine):
    sites = [[0.5, 0, 0], [0, 0, 0], [0.5, 0.5, 0.5]]
    lattice = Lattice.cubic(3.9)
    return relaxed(engine, Structure.from_spacegroup("Pm-3m", lattice, ["Li", "O", "Cl"], sites))


def with_vacancy(structure):
    cell = structure * (2, 2, 2)
    cell.remove_sites([next(k for k, s in enumerate(cell) if s.specie.symbol == "Li")])
    return cell


def labelled(teacher, cell, folder, temperature, seed):
    settings = MDSettings(temperature=temperature, timestep=TIMESTEP, steps_per_frame=10, seed=seed)
    frames = teacher_run(
        teacher, cell, settings, steps=1000, folder=folder / f"run-{temperature:g}",
        stop=never_stop,
    )  # fmt: skip
    file = folder / f"labels-{temperature:g}.npz"
    if not file.exists():
        write_frames(file, ase_teacher(teacher)(frames[1::2]))
    theory = Theory({"program": teacher.name}, {}, timestep=20 * TIMESTEP, temperature=temperature)
    return LabelledRun(file, tuple(read_frames(file)), theory, ())


def force_error(engine, frames):
    ours = ase_teacher(engine)([(f.symbols, f.positions, f.cell) for f in frames])
    apart = [a.forces - b.forces for a, b in zip(ours, frames, strict=True)]
    return 1e3 * float(np.sqrt(np.mean(np.square(apart))))


def barrier(engine, structure, folder):
    settings = MigrationSettings(min_length=7.5, n_images=5)
    kinds = hops_to_cross(find_hops(structure))[:1]
    (_, path) = next(iter(hop_barriers(engine, structure, kinds, folder, settings=settings)))
    return path.reason if path.forward is None else f"{path.forward:.3f} eV"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", action="append", help="[default: sevennet-0]")
    parser.add_argument("--teacher", default="sevennet-l3i5")
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--crystal", type=Path, help="in the place of Li3OCl")
    parser.add_argument("--learned", type=float, nargs="+", default=LEARNED, metavar="KELVIN")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    teacher = AseEngine.of(arguments.teacher)
    if arguments.crystal:
        structure = cell = relaxed(teacher, Structure.from_file(arguments.crystal))
        cell.to(filename=str(folder / "relaxed.cif"))
    else:
        structure = antiperovskite(teacher)
        cell = with_vacancy(structure)
    learned = [
        labelled(teacher, cell, folder, kelvin, seed)
        for seed, kelvin in enumerate(arguments.learned, 1)
    ]
    unseen = [labelled(teacher, cell, folder, *run) for run in UNSEEN]
    engines = {teacher.name: teacher}
    for name in arguments.base or ["sevennet-0"]:
        base = AseEngine.of(name)
        began = time.process_time()
        found = tune(
            learned, base, folder / f"tuned-{name}", TuneSettings(members=arguments.members),
            unseen=unseen, say=print,
        )  # fmt: skip
        print(
            f"{name}: tuned in {(time.process_time() - began) / 60:.1f} CPU minutes, "
            f"{found.potential.digest[:10]}"
        )
        add_potential(found.potential)
        engines |= {name: base, f"{name} tuned": TunedEngine(potential=found.potential.digest)}
        for run in unseen:
            before, after = (
                force_error(engines[which], run.frames) for which in (name, f"{name} tuned")
            )
            size = 1e3 * np.sqrt(np.mean(np.square([f.forces for f in run.frames])))
            print(
                f"{run.theory.temperature:g} K: forces {size:.0f} meV/A, error {before:.0f}, "
                f"tuned {after:.0f}, ratio {before / after:.1f}",
                flush=True,
            )
    if arguments.crystal:
        return
    for name, engine in engines.items():
        place = folder / name.replace(" ", "-")
        print(f"barrier {name}: {barrier(engine, structure, place / 'band')}", flush=True)


if __name__ == "__main__":
    main()
