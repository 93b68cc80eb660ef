"""An ASE calculator for SevenNet that is made for molecular dynamics on processors.

It gives the energies, forces and stresses of SevenNet (DOI 10.1021/acs.jctc.4c00190) as its own
calculator does, to rounding, some fifty times faster; `docs/potentials.md` tells how.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from threadpoolctl import ThreadpoolController

from ssefw.engines.potentials.neighbors import NeighborSearch, directed_edges
from ssefw.engines.potentials.sevennet_device import DeviceNetwork
from ssefw.engines.potentials.sevennet_network import Network
from ssefw.engines.potentials.sevennet_weights import (
    SPACING,
    checkpoint_hash,
    checkpoint_path,
    load_arrays,
)
from ssefw.errors import EngineError

__all__ = ["FastSevenNet"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

BLOCKS = 4
"""Parts of the atoms that may be done at the same time; as many threads are of use.

It does not change with the number of threads, so that neither do results."""

BLAS = ThreadpoolController().select(user_api="blas")


class FastSevenNet(Calculator):
    """SevenNet for dynamics and relaxation: same numbers, less work.

    Results depend on positions, cell and species only, never on the steps before nor on the number
    of threads: they are the same to the last bit.

    Parameters
    ----------
    model
        Checkpoint in the `sevenn` wheel: "l3i5", "0" or "mf-0"; or the path of another one.
    modality
        For a model that was trained on several levels of theory: which one. "mf-0" knows "PBE" and
        "R2SCAN".
    checkpoint
        Hash that the checkpoint must have; results made with one are never continued with another.
    skin
        Extra radius, in A, of the search for neighbors; it is repeated when an atom has moved by
        half of it. Affects speed only.
    threads
        How many threads compute; up to four are of use.
    precision
        Of features: "single", as SevenNet was trained, or "double", to check it.
    device
        Where torch computes SevenNet's own network: "cuda", "cuda:1" ...; None for the kernels of
        ssefw, on the processor. Graphics cards add in no fixed order: the last bits differ from
        run to run there.
    spacing
        Distance of the splines' knots, in A, that stand for the radial networks.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]  # type: ignore[misc]

    def __init__(
        self,
        *,
        model: str = "l3i5",
        modality: str | None = None,
        checkpoint: str | None = None,
        skin: float = 0.6,
        threads: int = 1,
        precision: Literal["single", "double"] = "single",
        device: str | None = None,
        spacing: float = SPACING,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.skin = skin
        path = checkpoint_path(model)
        self.checkpoint = checkpoint_hash(path)
        if checkpoint is not None and checkpoint != self.checkpoint:
            raise EngineError(
                f"{path} has the hash {self.checkpoint}, not {checkpoint}. Install the version of "
                "sevenn that has it (0.13.0 has those of the short names), or name another model."
            )
        if device is not None and precision == "double":
            raise EngineError("Double precision is for checks on the processor: leave out device.")
        self.network: Network | DeviceNetwork = (
            _network(path, modality, precision, spacing)
            if device is None
            else _device_network(path, modality, device)
        )
        self._threads = ThreadPoolExecutor(min(threads, BLOCKS)) if threads > 1 else None
        self._searches: list[NeighborSearch] = []
        self._virial: FloatArray | None = None

    @property
    def cutoff(self) -> float:
        """Distance, in A, up to which atoms see each other directly."""
        return self.network.cutoff

    def reset(self) -> None:
        """Forget results and neighbors."""
        super().reset()  # type: ignore[no-untyped-call]
        self._searches = []
        self._virial = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute properties of `atoms`; see `ase.calculators.calculator.Calculator`."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        atoms = cast("Atoms", self.atoms)  # a copy of what was given
        if system_changes or self._virial is None:
            self._virial = None  # not kept if what follows fails
            energies, forces, virials = self._run(
                atoms.positions[None], atoms.numbers, atoms.cell.array, atoms.pbc
            )
            energy = float(energies[0])
            self.results = {"energy": energy, "free_energy": energy, "forces": forces[0]}
            self._virial = virials[0]
        if "stress" in properties:
            stress = self._virial / _volume(atoms.cell.array, atoms.pbc)
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def evaluate(
        self,
        positions: FloatArray,
        numbers: IntArray,
        cell: FloatArray,
        *,
        stress: bool = False,
        pbc: bool | Sequence[bool] = True,
    ) -> tuple[FloatArray, ...]:
        """Compute energies and forces of one structure, or of replicas of it in one pass.

        Parameters
        ----------
        positions
            Cartesian, in A, shape (n, 3) or (n_replicas, n, 3).
        numbers
            Atomic numbers, shape (n,).
        cell
            Lattice vectors as rows, in A, shape (3, 3).
        stress
            Whether stresses are wanted, too.
        pbc
            Along which lattice vectors the structure repeats.

        Returns
        -------
        energies, forces, stresses
            In eV, eV/A and eV/A^3, shapes (), (n, 3) and (3, 3), after n_replicas where positions
            have it; stresses only if wanted.
        """
        positions = np.asarray(positions, dtype=np.float64)
        if positions.ndim not in {2, 3} or positions.shape[-2:] != (len(numbers), 3):
            msg = f"positions have the shape {positions.shape}, not (replicas, {len(numbers)}, 3)"
            raise ValueError(msg)
        directions = np.broadcast_to(np.asarray(pbc, dtype=bool), 3)
        replicas = positions.reshape(-1, len(numbers), 3)
        energies, forces, virials = self._run(replicas, numbers, cell, directions)
        found = [energies, forces]
        if stress:
            found.append(virials / _volume(cell, directions))
        return tuple(found) if positions.ndim == 3 else tuple(value[0] for value in found)

    def site_features(
        self,
        positions: FloatArray,
        numbers: IntArray,
        cell: FloatArray,
        *,
        n_layers: int,
        pbc: bool | Sequence[bool] = True,
    ) -> FloatArray:
        """Return what the network knows of each atom, the same for every orientation.

        Parameters
        ----------
        positions, numbers, cell, pbc
            Of one structure, as for `evaluate`.
        n_layers
            After how many interactions.
        """
        if isinstance(self.network, DeviceNetwork):
            raise EngineError("Features of atoms are computed on the processor: leave out device.")
        directions = np.broadcast_to(np.asarray(pbc, dtype=bool), 3)
        replica = np.asarray(positions, dtype=np.float64)[None]
        species, edges = self._species(numbers), self._edges(replica, cell, directions)
        with BLAS.limit(limits=1):
            return self.network.scalars(
                species,
                *edges,
                n_layers=n_layers,
                blocks=_blocks(len(numbers)),
                run=self._do_blocks,
            )

    def _edges(
        self, positions: FloatArray, cell: FloatArray, pbc: BoolArray
    ) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """Return the edges of replicas; see `directed_edges`."""
        _check(positions, cell, pbc)
        searches, n = self._search(positions, cell, pbc), positions.shape[1]
        edges = directed_edges(positions, searches, self.network.cutoff)
        starts, others, _, lengths = edges
        if len(lengths) and lengths.min() < self.network.closest:
            worst = int(lengths.argmin())
            first = int(np.searchsorted(starts, worst, side="right")) - 1
            raise EngineError(
                f"Atoms {first % n} and {others[worst] % n} are {lengths[worst]:.2g} A apart, "
                "which no potential can describe. Check the structure, or use a shorter time step."
            )
        return edges

    def _run(
        self, positions: FloatArray, numbers: IntArray, cell: FloatArray, pbc: BoolArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return energies, forces and derivatives by strain of replicas."""
        network, (n_replicas, n, _) = self.network, positions.shape
        species = np.tile(self._species(numbers), n_replicas)
        starts, others, vectors, lengths = self._edges(positions, cell, pbc)
        n_atoms = n_replicas * n
        blocks = _blocks(n_atoms)
        # Matrices are small: BLAS would wake threads for longer than they compute.
        with BLAS.limit(limits=1):
            sites, by_vector = network(
                species, starts, others, vectors, lengths, blocks=blocks, run=self._do_blocks
            )
        receivers = np.repeat(np.arange(n_atoms), np.diff(starts))
        forces = np.empty((n_atoms, 3))
        for k in range(3):
            pulled = np.bincount(receivers, by_vector[:, k], n_atoms)
            forces[:, k] = pulled - np.bincount(others, by_vector[:, k], n_atoms)
        virials = np.empty((n_replicas, 3, 3))
        for k in range(n_replicas):
            edges = slice(starts[k * n], starts[(k + 1) * n])
            virial = vectors[edges].T @ by_vector[edges]
            virials[k] = (virial + virial.T) / 2
        return sites.reshape(n_replicas, n).sum(axis=1), forces.reshape(positions.shape), virials

    def _do_blocks(
        self, work: Callable[[tuple[int, int], int], None], blocks: list[tuple[int, int]]
    ) -> None:
        if self._threads is None:
            for number, block in enumerate(blocks):
                work(block, number)
        else:
            list(self._threads.map(work, blocks, range(len(blocks))))

    def _species(self, numbers: IntArray) -> IntArray:
        known = self.network.species
        index = np.full(max(int(known.max()), int(np.max(numbers, initial=0))) + 2, -1)
        index[known] = np.arange(len(known))
        found = index[np.asarray(numbers)]
        if (found < 0).any():
            unknown = sorted({int(z) for z in np.asarray(numbers)[found < 0]})
            raise EngineError(f"This SevenNet does not know the atomic numbers {unknown}.")
        return found

    def _search(
        self, positions: FloatArray, cell: FloatArray, pbc: BoolArray
    ) -> list[NeighborSearch]:
        known: list[NeighborSearch | None] = [*self._searches, *([None] * len(positions))]
        self._searches = [
            search
            if search is not None and search.covers(replica, cell, pbc)
            else NeighborSearch.of(replica, cell, pbc, cutoff=self.cutoff, skin=self.skin)
            for replica, search in zip(positions, known, strict=False)
        ]
        return self._searches


def _blocks(n_atoms: int) -> list[tuple[int, int]]:
    """Return first and last but one atom of the parts that may be done at the same time."""
    n_blocks = min(BLOCKS, n_atoms)
    return list(itertools.pairwise(k * n_atoms // n_blocks for k in range(n_blocks + 1)))


@functools.cache
def _network(path: Path, modality: str | None, precision: str, spacing: float) -> Network:
    """Load a model once in a process."""
    arrays = load_arrays(path, modality=modality, spacing=spacing)
    return Network(arrays, np.float64 if precision == "double" else np.float32)


@functools.cache
def _device_network(path: Path, modality: str | None, device: str) -> DeviceNetwork:
    """Load a model to a device once in a process."""
    return DeviceNetwork(path, modality=modality, device=device)


def _volume(cell: FloatArray, pbc: BoolArray) -> float:
    if not np.all(pbc):
        raise EngineError(
            f"The stress of a structure that repeats along {int(np.sum(pbc))} of three "
            "directions is undefined. Set pbc=True, or do not relax the cell."
        )
    return float(abs(np.linalg.det(cell)))


def _check(positions: FloatArray, cell: FloatArray, pbc: BoolArray) -> None:
    """Refuse what no potential has a meaning for."""
    if not np.isfinite(positions).all():
        bad = np.argwhere(~np.isfinite(positions).all(axis=-1))[0][-1]
        raise EngineError(
            f"Atom {bad} has no finite position. The run diverged: use a shorter time step."
        )
    if np.any(pbc) and not abs(np.linalg.det(cell)) > 1e-6:
        raise EngineError(
            f"The cell {np.asarray(cell).tolist()} has no volume. Give three lattice vectors."
        )
