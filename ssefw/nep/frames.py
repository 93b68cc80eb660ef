"""Labelled frames: what a NEP learns from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.nep.neighbors import neighbors

__all__ = ["LabelledFrame", "TrainingSet"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelledFrame:
    """Atoms with the energy, forces and stress that a teacher gave them.

    Attributes
    ----------
    symbols
        Element of each atom.
    positions, cell
        A, shapes (n_atoms, 3) and (3, 3).
    energy, forces
        eV and eV/A.
    stress
        eV/A^3, shape (3, 3), tension positive as in ASE; None where it is not known.
    """

    symbols: tuple[str, ...]
    positions: FloatArray
    cell: FloatArray
    energy: float
    forces: FloatArray
    stress: FloatArray | None = None

    @property
    def volume(self) -> float:
        """Volume of the cell in A^3."""
        return float(abs(np.linalg.det(self.cell)))

    def check(self, where: str) -> None:
        """Raise a DataError, naming `where`, if this cannot be learned from."""
        n = len(self.symbols)
        if self.positions.shape != (n, 3) or self.forces.shape != (n, 3):
            raise DataError(f"{where} has {n} atoms but arrays of another size.")
        numbers = [self.positions, self.cell, self.forces, np.array(self.energy)]
        if self.stress is not None:
            numbers.append(self.stress)
        if not all(np.isfinite(array).all() for array in numbers):
            raise DataError(f"{where} holds numbers that are not finite. Leave it out.")
        if self.volume < n:  # no crystal has less than 1 A^3 an atom
            raise DataError(f"{where} has a cell of {self.volume:.3g} A^3 for {n} atoms.")


class TrainingSet:
    """Frames as flat arrays with their pairs, as the compiled gradient reads them.

    Parameters
    ----------
    frames
        At least one.
    species
        The elements of the potential, in its order.
    cutoff
        Radial cut-off, A.
    """

    def __init__(
        self, frames: Sequence[LabelledFrame], species: Sequence[str], cutoff: float
    ) -> None:
        number = {symbol: k for k, symbol in enumerate(species)}
        types, starts, indices, vectors = [], [], [], []
        n_pairs = 0
        for k, frame in enumerate(frames):
            frame.check(f"Frame {k} of {len(frames)}")
            if unknown := sorted(set(frame.symbols) - set(number)):
                raise DataError(f"Frame {k} holds {', '.join(unknown)}, the potential does not.")
            positions = np.ascontiguousarray(frame.positions, dtype=np.float64)
            cell = np.ascontiguousarray(frame.cell, dtype=np.float64)
            start, index, shift = neighbors(positions, cell, cutoff)
            center = np.repeat(np.arange(len(positions)), np.diff(start))
            types.append([number[symbol] for symbol in frame.symbols])
            starts.append(start + n_pairs)
            indices.append(index)
            vectors.append(positions[index] + shift - positions[center])
            n_pairs += len(index)
        self.n_frames = len(frames)
        self.n_atoms = np.array([len(frame.symbols) for frame in frames], dtype=np.int64)
        self.first_atom = np.concatenate([[0], np.cumsum(self.n_atoms)])
        self.types = np.concatenate([np.array(t, dtype=np.int64) for t in types])
        self.start = np.concatenate(starts)
        self.index = np.concatenate(indices)
        self.vectors = np.concatenate(vectors)
        self.energies = np.array([frame.energy for frame in frames])
        self.forces = np.concatenate([frame.forces for frame in frames])
        self.has_stress = np.array([frame.stress is not None for frame in frames])
        self.stresses = np.array(
            [np.zeros((3, 3)) if frame.stress is None else frame.stress for frame in frames]
        )
        self.volumes = np.array([frame.volume for frame in frames])

    def pairs_of(
        self, frame: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32], FloatArray]:
        """Return types, starts, indices and vectors of one frame."""
        first, last = self.first_atom[frame], self.first_atom[frame + 1]
        start = self.start[first + frame : last + frame + 1]
        span = slice(start[0], start[-1])
        return self.types[first:last], start - start[0], self.index[span], self.vectors[span]
