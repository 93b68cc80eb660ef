"""What frames displaced and strained at random teach a student: errors in strained cells.

    OMP_NUM_THREADS=1 python benchmarks/rattled_frames.py --seeds 4

A copper-silver alloy of 32 atoms, the teacher is EMT. Lessons without rattled frames, with some,
and with as many more frames of the teacher's own runs. Errors are those on frames of the teacher's
held-out runs as they are, and in cells 2 % shorter and longer.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.engines.ase import AseEngine
from ssefw.engines.students import LearnSettings, learn
from ssefw.engines.students.teacher import ase_teacher
from ssefw.nep import LabelledFrame, TrainingSettings, errors_on

LESSONS = {"40 frames": (40, 0), "40 and 30 rattled": (40, 30), "70 frames": (70, 0)}
LENGTHS = (0.98, 1.0, 1.02)
FIT = TrainingSettings(
    radial_cutoff=4.5,
    angular_cutoff=3.8,
    n_radial=4,
    n_angular=3,
    functions=5,
    neurons=8,
    steps=400,
)


def settings(frames: int, rattled: int, seed: int) -> LearnSettings:
    return LearnSettings(
        temperatures=(900.0, 500.0),
        teacher_time=0.6,
        frames=frames,
        rattled=rattled,
        explore_temperatures=(1000.0, 500.0),
        explore_time=2.0,
        long_time=4.0,
        labels=8,
        rounds=2,
        fit=FIT,
        refit_steps=100,
        seed=seed,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    seeds = range(parser.parse_args().seeds)
    warnings.simplefilter("ignore")
    atoms = bulk("Cu", "fcc", a=3.75, cubic=True) * 2
    atoms.numbers[::3] = 47
    crystal = AseAtomsAdaptor.get_structure(atoms)
    teacher = AseEngine(calculator="ase.calculators.emt.EMT", options={"asap_cutoff": False})
    label = ase_teacher(teacher)
    unseen: dict[float, list[LabelledFrame]] = {}
    for name, (frames, rattled) in LESSONS.items():
        found, labels, rounds = [], [], []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                how = settings(frames, rattled, seed)
                learned = learn([crystal], teacher, Path(folder), how)
            if not unseen:
                held = [frame for _, part in learned.held_out for frame in part]
                for scale in LENGTHS:
                    scaled = [(f.symbols, scale * f.positions, scale * f.cell) for f in held]
                    unseen[scale] = label(scaled)
            errors = [errors_on(learned.student, unseen[scale]) for scale in LENGTHS]
            found.append([(1e3 * e.force, 1e3 * (e.stress or 0.0)) for e in errors])
            labels.append(learned.n_labels)
            rounds.append(len(learned.rounds))
        print(f"{name}: {np.mean(labels):.0f} labels, {np.mean(rounds):.1f} rounds")
        for scale, (force, stress) in zip(LENGTHS, np.mean(found, axis=0), strict=True):
            print(f"  lengths x {scale:g}: {force:4.0f} meV/A, stress {stress:5.2f} meV/A^3")


if __name__ == "__main__":
    main()
