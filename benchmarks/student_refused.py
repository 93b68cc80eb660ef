"""How often a student is refused by chance: its own runs in the place of its teacher's.

    OMP_NUM_THREADS=1 python benchmarks/student_refused.py CRYSTAL.cif POTENTIAL --temperature 550

Runs of the potential from one start are drawn; one of them plays the teacher, eight the student,
which differs in nothing. Printed is the share of draws in which a comparison of the lesson fails,
for runs as long as those of a lesson and for those three times as long that decide then.
"""

import argparse

import numpy as np
from pymatgen.core import Structure

from ssefw.engines.students import find_potential, moved_by
from ssefw.engines.students.acceptance import TIMESTEP, WINDOWS, TeacherRun, compare_runs
from ssefw.engines.students.judgement import LONGER

EVERY = 10


def draws(move, start, *, temperature, length, number):
    """Return so many runs from one start."""
    n_steps = round(1000.0 * length / TIMESTEP)
    return [
        move(start, temperature=temperature, n_steps=n_steps, every=EVERY, seed=seed)
        for seed in range(number)
    ]


def share_refused(runs, start, arguments, *, temperature, rng):
    """Return the share of draws in which a run differs from others of its kind."""
    symbols, _, cell = start
    failed = 0
    for _ in range(arguments.draws):
        one, *others = rng.choice(len(runs), WINDOWS + 1, replace=False)
        frames = [start, *((symbols, positions, cell) for positions in runs[one].positions)]
        teacher = TeacherRun(temperature, frames, EVERY * TIMESTEP)
        rest = iter(others)
        checks = compare_runs(
            lambda *_, rest=rest, **__: runs[next(rest)], teacher, specie=arguments.specie
        )
        failed += not all(check.passed for check in checks)
    return failed / arguments.draws


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("crystal", help="the cell of the lesson, relaxed")
    parser.add_argument("potential", help="beginning of a hash, or a .nep file")
    parser.add_argument("--specie", default="Li")
    parser.add_argument("--temperature", type=float, nargs="+", default=(800.0, 550.0, 350.0))
    parser.add_argument("--length", type=float, default=2.0, help="ps of a run of the lesson")
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--draws", type=int, default=100)
    arguments = parser.parse_args()
    crystal = Structure.from_file(arguments.crystal)
    move = moved_by(find_potential(arguments.potential))
    start = (
        tuple(site.specie.symbol for site in crystal),
        crystal.cart_coords,
        crystal.lattice.matrix,
    )
    rng = np.random.default_rng(0)
    by_short, by_both = 1.0, 1.0
    for temperature in arguments.temperature:
        shares = []
        for length in (arguments.length, LONGER * arguments.length):
            runs = draws(move, start, temperature=temperature, length=length, number=arguments.runs)
            share = share_refused(runs, start, arguments, temperature=temperature, rng=rng)
            print(f"{temperature:g} K, {length:g} ps: {100 * share:.1f} % fail", flush=True)
            shares.append(share)
        by_short *= 1.0 - shares[0]
        by_both *= 1.0 - shares[0] * shares[1]
    print(
        f"refused by chance: {100 * (1.0 - by_short):.0f} % of lessons by the first comparison, "
        f"{100 * (1.0 - by_both):.1f} % by both"
    )


if __name__ == "__main__":
    main()
