"""Crystals and trajectories as a browser draws them: atoms, bonds, and where they move."""

from typing import Any

import numpy as np
from pymatgen.core import Element, Structure

from ssefw.documents import Trajectory
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = ["crystal", "moves"]

BOND_FACTOR = 1.15
"""Two atoms, not both of metals, are drawn bonded that are no farther apart than so much of the sum
of their atomic radii."""
MOST_FRAMES = 120
MOST_ATOMS = 600
DEFAULT_RADIUS = 1.4
"""Of an element without an atomic radius in pymatgen, angstrom."""


def crystal(structure: Structure) -> dict[str, Any]:
    """Return the atoms of a cell with their elements, radii and bonds; lengths in angstrom."""
    symbols = [_symbol(site.species_string) for site in structure]
    kinds = sorted(set(symbols))
    radii = {kind: _radius(kind) for kind in kinds}
    return {
        "formula": structure.composition.reduced_formula,
        "cell": np.round(structure.lattice.matrix, 4).tolist(),
        "kinds": kinds,
        "radii": [radii[kind] for kind in kinds],
        "atoms": [kinds.index(symbol) for symbol in symbols],
        "positions": np.round(structure.cart_coords, 3).tolist(),
        "bonds": _bonds(structure, symbols, radii),
    }


def moves(ledger: Trajectory, store: TrajectoryStore) -> dict[str, Any]:
    """Return frames of a trajectory, evenly spaced: paths in hundredths of an angstrom."""
    stride = max(1, ledger.n_frames // MOST_FRAMES)
    positions = store.positions(ledger, stride=stride)
    between = stride * ledger.steps_per_frame * ledger.timestep / 1000.0
    return {
        **crystal(ledger.structure),
        "between_ps": between,
        "temperature": ledger.temperature,
        "frames": np.rint(100.0 * positions).astype(int).reshape(len(positions), -1).tolist(),
    }


def _bonds(structure: Structure, symbols: list[str], radii: dict[str, float]) -> list[list[int]]:
    """Return pairs of atoms that are bonded within the cell as it is drawn."""
    if len(structure) > MOST_ATOMS:
        return []
    coordinates, size = structure.cart_coords, np.array([radii[symbol] for symbol in symbols])
    is_metal = np.array([symbol != "X" and Element(symbol).is_metal for symbol in symbols])
    apart = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=-1)
    is_near = (apart < BOND_FACTOR * (size[:, None] + size[None])) & (apart > 0.1)
    first, second = np.nonzero(np.triu(is_near & ~(is_metal[:, None] & is_metal[None])))
    pairs: list[list[int]] = np.stack([first, second], axis=1).tolist()
    return pairs


def _symbol(species: str) -> str:
    """Return the element that a site is drawn as; the first where several share it."""
    letters = "".join(letter for letter in species.partition(":")[0] if letter.isalpha())
    return next((letters[:n] for n in (2, 1) if Element.is_valid_symbol(letters[:n])), "X")


def _radius(symbol: str) -> float:
    radius = None if symbol == "X" else Element(symbol).atomic_radius
    return DEFAULT_RADIUS if radius is None else float(radius)
