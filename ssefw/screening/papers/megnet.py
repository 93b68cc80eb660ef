"""MEGNet for formation energies as published, evaluated in torch; its layers are features.

The network (three blocks of graph convolution, 32 channels, set2set readout) and its weights are
those of Chen et al. 2019 for the Materials Project of April 2019. A site vector enters as the
occupancy-weighted mix of element embeddings (Chen et al. 2021), so disordered crystals need no
ordering. V0 is that mix (16 numbers), V1 to V3 what a block returns before it is added to its
input (32 numbers).

https://doi.org/10.1021/acs.chemmater.9b01294, https://doi.org/10.1038/s43588-020-00002-x
"""

import hashlib
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import softplus

from ssefw.errors import DataError, MissingDependencyError
from ssefw.files.arrays import read_npz
from ssefw.screening.features.crystal_graph import crystal_bonds
from ssefw.screening.features.sites import Sites

__all__ = ["MegnetSource", "find_megnet_weights", "read_megnet_weights"]

N_BLOCKS = 3
FILE = "formation_energy.hdf5"
_CENTERS = torch.linspace(0.0, 6.0, 100, dtype=torch.float64)
_WIDTH = 0.5
_LN2 = float(np.log(2.0))
_READOUT_STEPS = 2


class MegnetSource:
    """Site vectors from the layers of MEGNet.

    Parameters
    ----------
    arrays
        Weights by their name in the published file; see `read_megnet_weights`.
    """

    name = "megnet"

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        _check_weights(arrays)
        self.arrays = {key: np.asarray(value, dtype=np.float32) for key, value in arrays.items()}
        self.embedding = self.arrays["embedding_1/embeddings"].astype(np.float64)
        self._weights = {key: torch.from_numpy(value) for key, value in self.arrays.items()}

    @property
    def fingerprint(self) -> str:
        """Short hash of the weights."""
        digest = hashlib.sha256()
        for key in sorted(self.arrays):
            digest.update(key.encode() + self.arrays[key].tobytes())
        return digest.hexdigest()[:16]

    def vectors(self, sites: Sites, *, layer: int) -> npt.NDArray[np.float64]:
        """Return the vector of each site after a layer (0 to 3), shape (n, 16) or (n, 32)."""
        mixed = sites.occupancy @ self.embedding
        if layer == 0:
            return mixed
        with torch.inference_mode():
            return _Pass(self._weights, sites, mixed).blocks(layer)[-1].double().numpy()

    def formation_energy(self, sites: Sites) -> float:
        """Return the predicted formation energy in eV/atom."""
        with torch.inference_mode():
            run = _Pass(self._weights, sites, sites.occupancy @ self.embedding)
            run.blocks(N_BLOCKS)
            return run.readout()


class _Pass:
    """One crystal on its way through the network: states of atoms, bonds and the whole."""

    def __init__(
        self, weights: Mapping[str, Tensor], sites: Sites, mixed: npt.NDArray[np.float64]
    ) -> None:
        bonds = crystal_bonds(sites)
        self.weights = weights
        self.center = torch.from_numpy(bonds.center)
        self.neighbor = torch.from_numpy(bonds.neighbor)
        distance = torch.from_numpy(bonds.distance)
        # Bond, atom and state features pass their dense layers before the first block.
        spread = torch.exp(-(((distance[:, None] - _CENTERS) / _WIDTH) ** 2)).float()
        self.atoms = self._dense(torch.from_numpy(mixed).float(), 1)
        self.bonds = self._dense(spread, 3)
        self.state = self._dense(torch.zeros(1, 2), 5)

    def _dense(self, x: Tensor, number: int) -> Tensor:
        for k in (number, number + 1):
            w, b = self.weights[f"dense_{k}/kernel"], self.weights[f"dense_{k}/bias"]
            x = _softplus(x @ w + b)
        return x

    def _block(
        self, number: int, atoms: Tensor, bonds: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        # The first layer acts on [center, neighbor, bond, state]; atoms and state are multiplied
        # once for each atom rather than once for each bond.
        w = self.weights[f"meg_net_layer_{number}/weight_e_0"]
        d = atoms.shape[1]
        base = state @ w[3 * d :] + self.weights[f"meg_net_layer_{number}/bias_e_0"]
        hidden = (atoms @ w[:d] + base)[self.center]
        hidden += (atoms @ w[d : 2 * d])[self.neighbor]
        hidden += bonds @ w[2 * d : 3 * d]
        new_bonds = self._rest(hidden, number, "e")
        pooled = torch.zeros(len(atoms), new_bonds.shape[1]).index_add_(0, self.center, new_bonds)
        pooled /= torch.bincount(self.center, minlength=len(atoms))[:, None]
        wide = state.expand(len(atoms), -1)
        new_atoms = self._mlp(torch.cat([pooled, atoms, wide], dim=1), number, "v")
        mean_bond, mean_atom = new_bonds.mean(0, keepdim=True), new_atoms.mean(0, keepdim=True)
        new_state = self._mlp(torch.cat([mean_bond, mean_atom, state], dim=1), number, "u")
        return new_atoms, new_bonds, new_state

    def _mlp(self, x: Tensor, number: int, kind: str) -> Tensor:
        name = f"meg_net_layer_{number}"
        first = x @ self.weights[f"{name}/weight_{kind}_0"] + self.weights[f"{name}/bias_{kind}_0"]
        return self._rest(first, number, kind)

    def _rest(self, x: Tensor, number: int, kind: str) -> Tensor:
        name = f"meg_net_layer_{number}"
        for k in (1, 2):
            w, b = (
                self.weights[f"{name}/weight_{kind}_{k}"],
                self.weights[f"{name}/bias_{kind}_{k}"],
            )
            x = _softplus(x) @ w + b
        return x

    def blocks(self, last: int) -> list[Tensor]:
        """Run the blocks up to `last`; return what each gives for the atoms, without residual."""
        raw = []
        atoms, bonds, state = self.atoms, self.bonds, self.state
        for number in range(1, last + 1):
            inner = (atoms, bonds, state)
            if number > 1:
                first = 6 * number - 5
                inner = tuple(  # type: ignore[assignment]
                    self._dense(x, first + 2 * k) for k, x in enumerate(inner)
                )
            new_atoms, new_bonds, new_state = self._block(number, *inner)
            raw.append(new_atoms)
            atoms, bonds, state = atoms + new_atoms, bonds + new_bonds, state + new_state
        self.atoms, self.bonds, self.state = atoms, bonds, state
        return raw

    def readout(self) -> float:
        """Return the value after the blocks: set2set of atoms and of bonds, then dense layers."""
        x = torch.cat([self._set2set(self.atoms, 1), self._set2set(self.bonds, 2), self.state[0]])
        for k in (19, 20):
            x = _softplus(x @ self.weights[f"dense_{k}/kernel"] + self.weights[f"dense_{k}/bias"])
        return float(x @ self.weights["dense_21/kernel"] + self.weights["dense_21/bias"])

    def _set2set(self, features: Tensor, number: int) -> Tensor:
        name = f"set2_set_{number}"
        memory = features @ self.weights[f"{name}/x_to_m_weight"]
        memory = memory + self.weights[f"{name}/x_to_m_bias"]
        kernel = self.weights[f"{name}/recurrent_kernel"]
        query = torch.zeros(kernel.shape[0])
        for _ in range(_READOUT_STEPS):
            # The published layer starts every step with an empty cell, so no gate forgets.
            gates = (query @ kernel + self.weights[f"{name}/recurrent_bias"]).chunk(4)
            hidden = _hard_sigmoid(gates[3]) * torch.tanh(
                _hard_sigmoid(gates[0]) * torch.tanh(gates[2])
            )
            attention = torch.softmax(memory @ hidden, dim=0)
            query = torch.cat([hidden, attention @ memory])
        return query


def _softplus(x: Tensor) -> Tensor:
    return softplus(x) - _LN2


def _hard_sigmoid(x: Tensor) -> Tensor:
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


def find_megnet_weights(path: str | Path | None = None) -> Path:
    """Return where the weights are: the path given, else inside an installed ``maml`` package.

    Raises
    ------
    DataError
        If they are in neither place.
    """
    if path is not None:
        if Path(path).is_file():
            return Path(path)
        raise DataError(
            f"There are no MEGNet weights at {path}. Give {FILE} of the maml wheel, or the same "
            "arrays as .npz."
        )
    spec = find_spec("maml")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for found in sorted(Path(folder).rglob(FILE)):
            return found
    raise DataError(
        "The MEGNet weights are not here. Install maml (`pip install --no-deps maml`; its code is "
        f"not used), or give the file with --set weights=PATH/{FILE}, or use --set source=chgnet, "
        "which comes with ssefw."
    )


def read_megnet_weights(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Read the published weights, from Keras' HDF5 or from .npz with the same names.

    Raises
    ------
    DataError
        If the file is of another model.
    MissingDependencyError
        If h5py is not installed and the file is HDF5.
    """
    try:
        if path.suffix == ".npz":
            return {key: np.asarray(array, np.float32) for key, array in read_npz(path).items()}
        return _read_hdf5(path)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} holds no weights of MEGNet ({error}).") from error


def _read_hdf5(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    try:
        h5py = import_module("h5py")
    except ImportError as error:
        raise MissingDependencyError("h5py", purpose="Reading MEGNet weights from HDF5") from error
    arrays: dict[str, npt.NDArray[np.float32]] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            layer, *_, key = name.split("/")
            arrays[f"{layer}/{key.removesuffix(':0')}"] = np.asarray(item)

    with h5py.File(path, "r") as file:
        file["model_weights"].visititems(keep)
    return arrays


def _check_weights(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    embedding = arrays.get("embedding_1/embeddings")
    last = arrays.get(f"meg_net_layer_{N_BLOCKS}/weight_v_2")
    if embedding is None or embedding.shape != (95, 16) or last is None:
        raise DataError(
            "These are not the weights of the MEGNet formation-energy model of April 2019 (95 "
            f"elements, {N_BLOCKS} blocks). Give {FILE} of the maml wheel."
        )
