"""Ten small structures on which potentials are compared with their own programs."""

import functools

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal


def antifluorite(a=4.619, primitive=False):
    return crystal(
        ["O", "Li"],
        [(0, 0, 0), (0.25, 0.25, 0.25)],
        spacegroup=225,
        cellpar=[a, a, a, 90, 90, 90],
        primitive_cell=primitive,
    )


def layered():
    """LiCoO2, whose cobalt may carry a moment; 12 atoms in a flat hexagonal cell."""
    return crystal(
        ["Li", "Co", "O"],
        [(0, 0, 0.5), (0, 0, 0), (0, 0, 0.26)],
        spacegroup=166,
        cellpar=[2.816, 2.816, 14.08, 90, 90, 120],
    )


def iron_oxide():
    return bulk("FeO", "rocksalt", a=4.33)


def sheared():
    atoms = bulk("LiF", "rocksalt", a=4.026) * (2, 1, 1)
    atoms.set_cell(atoms.cell.array @ [[1, 0.3, 0], [0, 1, -0.2], [0.1, 0, 1]], scale_atoms=True)
    return atoms


def thin():
    """Rock salt with more than one image of an atom within 3 A of itself."""
    atoms = Atoms("LiO", [(0, 0, 0), (0.1, 0, 2.1)], cell=[2.5, 2.8, 4.4], pbc=True)
    atoms.set_cell([[2.5, 0, 0], [0.4, 2.8, 0], [0, 0.3, 4.4]])
    return atoms


def lonely():
    """A pair of ions and an atom out of reach of everything, its own images included."""
    positions = [(0, 0, 0), (1.6, 0, 0), (9, 9, 9)]
    return Atoms("LiFXe", positions, cell=[18, 18, 18], pbc=True)


def sparse():
    """Bonds, but none short enough for an angle."""
    return bulk("Cs", "bcc", a=6.1)


STRUCTURES = {
    "antifluorite": antifluorite,
    "three atoms": functools.partial(antifluorite, primitive=True),
    "one atom": functools.partial(bulk, "Li", "bcc", a=3.3),
    "layered": layered,
    "magnetic": iron_oxide,
    "sheared": sheared,
    "thin": thin,
    "lonely": lonely,
    "sparse": sparse,
    "compressed": functools.partial(antifluorite, a=4.0),
}


def shaken(atoms, rng, *, displacement=0.1, strain=0.03):
    atoms = atoms.copy()
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + strain * rng.normal(size=(3, 3))), scale_atoms=True
    )
    atoms.positions += displacement * rng.normal(size=atoms.positions.shape)
    return atoms
