"""An ASE calculator for CHGNet that is made for molecular dynamics.

It gives the energies, forces, stresses and magnetic moments of CHGNet
(DOI 10.1038/s42256-023-00716-3) as `chgnet.model.dynamics.CHGNetCalculator` does, to rounding, but
several times faster on a CPU. What is left out or reordered is told in
`ssefw.engines.potentials.chgnet_network` and `ssefw.engines.potentials.chgnet_graph`.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ssefw.engines.potentials.chgnet_graph import BOND_CUTOFF, FloatArray, Graph, build_graph
from ssefw.engines.potentials.chgnet_network import Indices, load_network
from ssefw.engines.potentials.device import check_device
from ssefw.engines.potentials.neighbors import NeighborSearch
from ssefw.errors import EngineError

__all__ = ["FastCHGNet"]


class FastCHGNet(Calculator):
    """CHGNet for dynamics and relaxation: same numbers, less work.

    Results depend on positions, cell and species only, never on the steps before; for a fixed
    number of threads they are the same to the last bit. Energy, forces and moments come together;
    stress is computed when it is asked for, from what is already there.

    Parameters
    ----------
    model
        Checkpoint in the `chgnet` wheel: "0.3.0" or "r2scan".
    skin
        Extra radius, in A, of the search for neighbors; it is repeated when an atom has moved by
        half of it. Affects speed only.
    device
        Where torch computes: "cpu", "cuda".
    threads
        Number of threads of torch, for the whole process; None leaves it as it is.
    """

    implemented_properties: ClassVar[list[str]] = [  # type: ignore[misc]
        "energy",
        "free_energy",
        "forces",
        "stress",
        "magmoms",
    ]

    def __init__(
        self,
        *,
        model: str = "0.3.0",
        skin: float = 1.0,
        device: str = "cpu",
        threads: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        check_device(device)
        self.skin = skin
        self.network = load_network(model, device)
        self._searches: list[NeighborSearch] = []
        self._last: tuple[Graph, FloatArray] | None = None
        if threads is not None:
            torch.set_num_threads(threads)

    def reset(self) -> None:
        """Forget results and neighbors."""
        super().reset()  # type: ignore[no-untyped-call]
        self._searches = []
        self._last = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute properties of `atoms`; see `ase.calculators.calculator.Calculator`."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        atoms = cast("Atoms", self.atoms)  # a copy of what was given
        if system_changes or self._last is None:
            # Not kept if what follows fails: it would pass for that of the new positions.
            self._last = None
            graph, energies, gradient, moments = self._run(
                atoms.positions[None], atoms.numbers, atoms.cell.array, atoms.pbc
            )
            self._last = graph, gradient
            self.results = {
                "energy": float(energies.sum()),
                "free_energy": float(energies.sum()),
                "forces": graph.forces(gradient),
                "magmoms": moments,
            }
        if "stress" in properties:
            graph, gradient = self._last
            if not atoms.pbc.all():
                msg = (
                    f"The stress of a structure that repeats along {int(atoms.pbc.sum())} of three "
                    "directions is undefined. Set pbc=True, or do not relax the cell."
                )
                raise EngineError(msg)
            stress = graph.virial(gradient) / atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def evaluate(
        self,
        positions: FloatArray,
        numbers: npt.NDArray[np.int64],
        cell: FloatArray,
        *,
        pbc: bool | Sequence[bool] = True,
    ) -> tuple[FloatArray, FloatArray]:
        """Compute energies and forces of replicas of one composition in one pass.

        Parameters
        ----------
        positions
            Cartesian, in A, shape (n_replicas, n, 3).
        numbers
            Atomic numbers, shape (n,).
        cell
            Lattice vectors as rows, in A, shape (3, 3).
        pbc
            Along which lattice vectors the structure repeats.

        Returns
        -------
        energies, forces
            In eV and eV/A, shapes (n_replicas,) and (n_replicas, n, 3).
        """
        positions = np.asarray(positions, dtype=np.float64)
        if positions.ndim != 3 or positions.shape[1:] != (len(numbers), 3):
            msg = f"positions have the shape {positions.shape}, not (replicas, {len(numbers)}, 3)"
            raise ValueError(msg)
        directions = np.broadcast_to(np.asarray(pbc, dtype=bool), 3)
        graph, energies, gradient, _ = self._run(positions, numbers, cell, directions)
        shape = positions.shape[:2]
        return energies.reshape(shape).sum(axis=1), graph.forces(gradient).reshape(*shape, 3)

    def _run(
        self,
        positions: FloatArray,
        numbers: npt.NDArray[np.int64],
        cell: FloatArray,
        pbc: npt.NDArray[np.bool_],
    ) -> tuple[Graph, FloatArray, FloatArray, FloatArray]:
        """Return the graph, site energies, derivative by bond vectors and site moments."""
        network = self.network
        _check(positions, numbers, cell, pbc, n_species=len(network.species))
        graph = build_graph(positions, self._pairs(positions, cell, pbc))
        device = network.device
        species = torch.tensor(numbers - 1, device=device).repeat(len(positions))
        lengths = torch.tensor(graph.lengths, dtype=network.dtype, device=device)
        angles = torch.tensor(graph.angles, dtype=network.dtype, device=device)
        lengths.requires_grad_()
        angles.requires_grad_()
        energies, moments = network(species, lengths, angles, Indices.of(graph, device))
        by_length, by_angle = torch.autograd.grad(
            energies.sum(), (lengths, angles), materialize_grads=True
        )
        gradient = graph.gradient_by_bond_vector(_array(by_length), _array(by_angle))
        return graph, _array(energies), gradient, _array(moments)

    def _pairs(
        self, positions: FloatArray, cell: FloatArray, pbc: npt.NDArray[np.bool_]
    ) -> list[NeighborSearch]:
        known: list[NeighborSearch | None] = [*self._searches, *([None] * len(positions))]
        self._searches = [
            search
            if search is not None and search.covers(replica, cell, pbc)
            else NeighborSearch.of(
                replica, cell, pbc, cutoff=BOND_CUTOFF, skin=self.skin, each_once=True
            )
            for replica, search in zip(positions, known, strict=False)
        ]
        return self._searches


def _array(tensor: torch.Tensor) -> FloatArray:
    return tensor.detach().cpu().numpy().astype(np.float64)


def _check(
    positions: FloatArray,
    numbers: npt.NDArray[np.int64],
    cell: FloatArray,
    pbc: npt.NDArray[np.bool_],
    *,
    n_species: int,
) -> None:
    """Refuse what CHGNet has no meaning for."""
    if not np.isfinite(positions).all():
        bad = np.argwhere(~np.isfinite(positions).all(axis=-1))[0][-1]
        msg = f"Atom {bad} has no finite position. The run diverged: use a shorter time step."
        raise EngineError(msg)
    unknown = sorted({int(z) for z in numbers if not 1 <= z <= n_species})
    if unknown:
        msg = f"CHGNet knows the atomic numbers 1 to {n_species}, not {unknown}."
        raise EngineError(msg)
    if np.any(pbc) and abs(np.linalg.det(cell)) < 1e-6:
        msg = f"The cell {np.asarray(cell).tolist()} has no volume. Give three lattice vectors."
        raise EngineError(msg)
