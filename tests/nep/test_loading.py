"""Bits of dynamics do not depend on what a process has called before."""

import subprocess
import sys

import numpy as np

from ssefw.nep import NEP, LabelledFrame, evaluate, fit
from ssefw.nep.energy import energy_and_forces
from ssefw.nep.gradient import weight_gradient
from ssefw.nep.training import TrainingSettings
from tests.conftest import REPOSITORY

RUN = """
import hashlib, sys
import numpy as np
from ssefw.nep import NEP, MDState, Thermostat, advance, evaluate
from ssefw.nep.angular import N_INVARIANTS
rng = np.random.default_rng(1)
size = 4 + 4 * N_INVARIANTS
model = NEP(
    species=("F", "Li"), radial_cutoff=5.0, angular_cutoff=4.0,
    first=0.1 * rng.normal(size=(2, 20, size)), bias=rng.normal(size=(2, 20)),
    last=rng.normal(size=(2, 20)), offset=0.5, radial=rng.normal(size=(4, 4, 6)),
    angular=rng.normal(size=(4, 4, 6)), scale=np.ones(size),
    low=np.full((2, size), -1e9), high=np.full((2, size), 1e9),
)
positions = rng.uniform(0, 9, size=(40, 3))
types, cell = np.arange(40) % 2, 9.0 * np.eye(3)
if sys.argv[1] == "asked":
    evaluate(model, positions, types, cell)
state = MDState(positions, np.zeros((40, 3)), np.zeros(3), np.zeros(3))
out = advance(
    model, state, masses=np.full(40, 10.0), types=types, cell=cell, timestep=0.2,
    thermostat=Thermostat(np.full(60, 300.0), 100.0), every=10,
)
print(hashlib.sha256(out.positions.tobytes()).hexdigest())
"""


def bits(*arguments):
    command = [sys.executable, "-c", RUN, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout


def test_whether_forces_were_asked_for_before_changes_no_bit_of_a_run():
    bits("once")  # so that both find the loops in numba's cache
    assert bits("once") == bits("asked")


def test_the_loops_that_are_loaded_first_are_those_that_all_others_call():
    rng = np.random.default_rng(0)
    frames = [
        LabelledFrame(
            symbols=("Li", "F"), positions=rng.uniform(0, 3, (2, 3)), cell=4.0 * np.eye(3),
            energy=-1.0, forces=np.zeros((2, 3)), stress=None,
        )
        for _ in range(3)
    ]  # fmt: skip
    model: NEP = fit(frames, TrainingSettings(steps=2, neurons=2))
    evaluate(model, frames[0].positions, model.types_of(["Li", "F"]), frames[0].cell)
    # One signature: the call without atoms had the types of every other call.
    assert len(energy_and_forces.signatures) == 1
    assert len(weight_gradient.signatures) == 1
