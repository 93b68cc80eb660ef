"""Speed of a student beside the potentials it stands in for, and of calorine, in one run.

    OMP_NUM_THREADS=1 python benchmarks/student.py
    OMP_NUM_THREADS=1 python benchmarks/student.py --sizes 200 1600 10000

A student of four elements in the usual form, with random weights, runs dynamics in rattled
Li10GeP2S12 (50 atoms, repeated): its speed does not depend on the weights. The others evaluate
forces of the same atoms in turn. Atom-steps per CPU-second; the ratios hold, the seconds do not.
calorine is timed where it is installed.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms

from ssefw.engines.ase.verlet import draw_momenta
from ssefw.engines.potentials.chgnet import FastCHGNet
from ssefw.engines.students.calculator import StudentCalculator
from ssefw.nep import LabelledFrame, MDState, Thermostat, TrainingSettings, advance, new_model
from ssefw.nep.neighbors import neighbors

TIMESTEP = 2.0
EDGES = np.diag([8.7, 8.7, 12.6])
SYMBOLS = ["Li"] * 20 + ["Ge"] * 2 + ["P"] * 4 + ["S"] * 24


def conductor(repeat):
    """Return a dense packing with LGPS's cell and composition, no two atoms nearer than 1.9 A."""
    rng = np.random.default_rng(0)
    positions = [rng.random(3) @ EDGES]
    while len(positions) < len(SYMBOLS):
        trial = rng.random(3) @ EDGES
        apart = np.array(positions) - trial
        apart -= np.rint(apart @ np.linalg.inv(EDGES)) @ EDGES
        if np.linalg.norm(apart, axis=1).min() > 1.9:
            positions.append(trial)
    atoms = Atoms(SYMBOLS, positions=positions, cell=EDGES, pbc=True)
    return atoms * repeat


def random_student(atoms):
    frame = LabelledFrame(
        symbols=tuple(atoms.get_chemical_symbols()),
        positions=atoms.positions,
        cell=atoms.cell.array,
        energy=0.0,
        forces=np.zeros((len(atoms), 3)),
    )
    return new_model([frame, frame], TrainingSettings())


def cpu(function, times):
    function()
    start = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - start) / times


def speeds(model, atoms, n_steps, others):
    """Atom-steps per CPU-second: the compiled loop, then each calculator."""
    n = len(atoms)
    masses = atoms.get_masses()
    types = model.types_of(atoms.get_chemical_symbols())
    momenta = draw_momenta(masses, temperature=600, rng=np.random.default_rng(0))

    def run():
        state = MDState(atoms.get_positions(), momenta.copy(), np.zeros(3), np.zeros(3))
        advance(
            model,
            state,
            masses=masses,
            types=types,
            cell=atoms.cell.array,
            timestep=TIMESTEP,
            thermostat=Thermostat(np.full(n_steps, 600.0), 100.0),
            every=n_steps,
        )

    found = {"student, compiled dynamics": n * n_steps / cpu(run, 3)}
    for name, calculator in others.items():
        rng = np.random.default_rng(1)

        def evaluate(calculator=calculator, rng=rng):
            atoms.positions += 1e-3 * rng.normal(size=(n, 3))
            atoms.calc = calculator
            atoms.get_forces()

        found[name] = n / cpu(evaluate, 5 if n > 100 else 10)
    return found


def calorine_of(model, folder):
    """Return the same potential in calorine, None where that is not installed."""
    try:
        from calorine.calculators import CPUNEP
    except ImportError:
        print("calorine is not installed and left out")
        return None
    path = Path(folder) / "nep.txt"  # read again for each composition
    path.write_text(model.nep_txt())
    return CPUNEP(str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 1600])
    parser.add_argument("--largest", type=int, default=200, help="atoms for the slow potentials")
    arguments = parser.parse_args()
    model = random_student(conductor((1, 1, 1)))
    with TemporaryDirectory() as folder:
        compare(model, folder, arguments)


def compare(model, folder, arguments):
    repeats = {50: (1, 1, 1), 100: (2, 1, 1), 200: (2, 2, 1), 400: (2, 2, 2), 1600: (4, 4, 2)}
    for size in arguments.sizes:
        edge = round((size / 50) ** (1 / 3))
        atoms = conductor(repeats.get(size, (edge, edge, edge)))
        others = {"student, as calculator of ASE": StudentCalculator(model)}
        if size <= arguments.largest:
            others["FastCHGNet"] = FastCHGNet()
        if (calorine := calorine_of(model, folder)) is not None:
            others["calorine CPUNEP"] = calorine
        found = speeds(model, atoms, max(20, 40_000 // len(atoms)), others)
        print(f"{len(atoms)} atoms")
        for name, speed in found.items():
            ratio = found["student, compiled dynamics"] / speed
            print(f"  {name:30} {speed:10.0f} atom-steps/CPU-s   {ratio:6.1f}x slower")
        pairs = cpu(lambda atoms=atoms: neighbors(atoms.positions, atoms.cell.array, 6.6), 3)
        print(f"  search for neighbors: {1e6 * pairs / len(atoms):.1f} us an atom")


if __name__ == "__main__":
    main()
