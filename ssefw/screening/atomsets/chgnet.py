"""Site vectors from CHGNet, whose weights come with its wheel: no file has to be found.

V0 is the occupancy-weighted mix of its 64-number element embeddings, V1 to V3 the atom features
after each of its first three convolutions. The network was trained on energies, forces and
magnetic moments (Deng et al. 2023, https://doi.org/10.1038/s42256-023-00716-3).
"""

import contextlib
import io
import warnings
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pymatgen.core import Element, Lattice, Structure

from ssefw.errors import DataError
from ssefw.screening.features.sites import N_ELEMENTS, Sites

__all__ = ["ChgnetSource"]

MODEL = "0.3.0"


class ChgnetSource:
    """Site vectors from the layers of CHGNet 0.3.0."""

    name = "chgnet"

    def __init__(self) -> None:
        table = _network().atom_embedding.embedding.weight.detach().double().numpy()
        # CHGNet counts elements from hydrogen = 0.
        self.embedding = np.zeros((N_ELEMENTS, table.shape[1]))
        self.embedding[1:] = table
        self.arrays: dict[str, npt.NDArray[Any]] = {}

    @property
    def fingerprint(self) -> str:
        """Name of the checkpoint."""
        return MODEL

    def vectors(self, sites: Sites, *, layer: int) -> npt.NDArray[np.float64]:
        """Return the vector of each site after a layer (0 to 3), shape (n, 64).

        Raises
        ------
        DataError
            If CHGNet cannot make a graph of the sites.
        """
        mixed = sites.occupancy @ self.embedding
        if layer == 0:
            return mixed
        if sites.lattice is None or sites.fractional is None:
            raise ValueError("a composition has no graph")
        # The graph needs positions only; the main element of a site stands in for it there.
        species = [Element.from_Z(int(z)) for z in sites.occupancy.argmax(axis=1)]
        structure = Structure(Lattice(sites.lattice), species, sites.fractional)
        own = torch.from_numpy(mixed).float()
        features = _first_layer(structure, own) if layer == 1 else _layer(structure, own, layer)
        if not np.isfinite(features).all():
            raise DataError(
                "CHGNet gives no finite features: sites of the structure lie too close."
            )
        return features


@cache
def _network() -> Any:
    # Two seconds of import that only this source pays.
    from chgnet.model.model import CHGNet  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its number of parameters
        network = CHGNet.load(model_name=MODEL, use_device="cpu", verbose=False).eval()
    network.graph_converter.on_isolated_atoms = "ignore"
    return network


class _DoneError(Exception):
    """The layer asked for has been reached; the rest of the network need not run."""


def _first_layer(structure: Structure, own: torch.Tensor) -> npt.NDArray[np.float64]:
    """Return the atom features after the first convolution, which sees distances only.

    CHGNet prepares angles between bonds before it convolves; they matter from the second
    convolution on, and cost several times what this one does.
    """
    network = _network()
    center, neighbor, _, distance = structure.get_neighbor_list(
        r=network.graph_converter.atom_graph_cutoff, sites=structure.sites, numerical_tol=1e-8
    )
    with torch.no_grad():
        basis = network.bond_basis_expansion.rbf_expansion_ag(torch.from_numpy(distance).float())
        features: torch.Tensor = network.atom_conv_layers[0](
            atom_feas=own,
            bond_feas=network.bond_embedding(basis),
            bond_weights=network.bond_weights_ag(basis),
            atom_graph=torch.from_numpy(np.column_stack([center, neighbor]).astype(np.int64)),
            directed2undirected=torch.arange(len(distance)),
        )
    return features.double().numpy()


def _layer(structure: Structure, own: torch.Tensor, layer: int) -> npt.NDArray[np.float64]:
    """Return the atom features after a convolution, the embeddings exchanged on the way in."""
    network = _network()
    found: list[npt.NDArray[np.float64]] = []

    def exchange(_module: Any, _inputs: Any, _output: Any) -> torch.Tensor:
        return own

    def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        found.append(output.detach().double().numpy())
        raise _DoneError

    hooks = [
        network.atom_embedding.register_forward_hook(exchange),
        network.atom_conv_layers[layer - 1].register_forward_hook(keep),
    ]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network([network.graph_converter(structure)], task="e")
    except _DoneError:
        pass
    except (RuntimeError, ValueError) as error:
        raise DataError(f"CHGNet makes no graph of this structure ({error}).") from error
    finally:
        for hook in hooks:
            hook.remove()
    return found[0]
