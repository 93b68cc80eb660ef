"""A small NEP, its teacher's frames, and a crystal, shared by the tests of the room."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from ssefw.nep import LabelledFrame, TrainingSettings, fit


def labelled(atoms):
    """What EMT, the teacher of these tests, says of some atoms."""
    atoms.calc = EMT()
    return LabelledFrame(
        symbols=tuple(atoms.get_chemical_symbols()),
        positions=atoms.positions.copy(),
        cell=atoms.cell.array.copy(),
        energy=atoms.get_potential_energy(),
        forces=atoms.get_forces(),
        stress=atoms.get_stress(voigt=False),
    )


def alloy(repeat=2):
    """Copper in which every third atom is silver, at room for both."""
    atoms = bulk("Cu", "fcc", a=3.75, cubic=True) * repeat
    atoms.numbers[::3] = 47
    return atoms


def shaken_alloys(n_frames, *, first_seed=0):
    """Frames of a rattled and strained alloy."""
    frames = []
    for seed in range(first_seed, first_seed + n_frames):
        rng = np.random.default_rng(seed)
        atoms = alloy()
        strain = np.eye(3) + 0.01 * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += 0.12 * rng.normal(size=atoms.positions.shape)
        frames.append(labelled(atoms))
    return frames


SMALL = TrainingSettings(
    radial_cutoff=5.0,
    angular_cutoff=4.0,
    n_radial=5,
    n_angular=4,
    functions=6,
    neurons=10,
    steps=600,
)


@pytest.fixture(scope="session")
def model():
    """A NEP fitted to forty frames; seconds on one core."""
    return fit(shaken_alloys(40), SMALL)
