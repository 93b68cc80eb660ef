"""CHGNet as a function from bond lengths and angles to site energies.

The numbers are those of `chgnet.model.CHGNet` (0.3.0 and r2scan), reordered to cost less:

- the first linear layer of a gated MLP acts on atoms, bonds and angles *before* they are gathered
  onto edges, since the linear map of a concatenation is a sum of linear maps;
- its core and gate are one matrix product;
- bonds too long for angles never change, so what they contribute to all layers is one matrix
  product on their radial basis;
- the last update of the angles, which nothing reads, is left out;
- rows are gathered by `index_select`, whose backward pass is a plain `index_add`.

Only rounding distinguishes the results. Geometry comes in as numbers, hence a gradient by lengths
and angles is all that forces and stress need.
"""

import contextlib
import functools
import io
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ssefw.engines.potentials.chgnet_graph import ANGLE_CUTOFF, BOND_CUTOFF, Graph
from ssefw.errors import EngineError

__all__ = ["MODELS", "Network", "load_network"]

MODELS = ("0.3.0", "r2scan")
"""Checkpoints in the wheel of `chgnet` with these cutoffs (0.2.0 has others)."""

WIDTH = 64
"""Number of features of an atom, a bond or an angle."""


class GatedMLP(NamedTuple):
    """Weights of a gated MLP whose first layer is split by what it acts on.

    Attributes
    ----------
    inputs
        First-layer weights, transposed, one of shape (64, 128) for each input; columns are core
        and gate.
    bias
        Of the first layer, shape (128,).
    hidden
        Weight and bias of the second layer of core and gate, or None.
    norm
        Weight and bias of the layer norm of core and gate.
    """

    inputs: tuple[Tensor, ...]
    bias: Tensor
    hidden: tuple[Tensor, Tensor, Tensor, Tensor] | None
    norm: tuple[Tensor, Tensor, Tensor, Tensor]

    def finish(self, hidden: Tensor) -> Tensor:
        """Apply all but the first layer, to shape (n, 128); returns shape (n, 64)."""
        if self.hidden is None:
            core, gate = hidden[:, :WIDTH], hidden[:, WIDTH:]
        else:
            hidden = functional.silu(hidden)
            core = functional.linear(hidden[:, :WIDTH], *self.hidden[:2])
            gate = functional.linear(hidden[:, WIDTH:], *self.hidden[2:])
        core = functional.layer_norm(core, (WIDTH,), *self.norm[:2])
        gate = functional.layer_norm(gate, (WIDTH,), *self.norm[2:])
        return functional.silu(core) * torch.sigmoid(gate)


class Indices(NamedTuple):
    """The connections of a graph as tensors; see `Graph`."""

    n_short: int
    edge_start: Tensor
    edge_end: Tensor
    edge_bond: Tensor
    angle_atom: Tensor
    angle_first: Tensor
    angle_second: Tensor

    @classmethod
    def of(cls, graph: Graph, device: torch.device) -> "Indices":
        """Bring the connections of a graph to a device."""
        arrays = (
            graph.edge_start,
            graph.edge_end,
            graph.edge_bond,
            graph.angle_atom,
            graph.angle_first,
            graph.angle_second,
        )
        return cls(graph.n_short, *(torch.from_numpy(array).to(device) for array in arrays))


class Network:
    """Frozen weights of a CHGNet, arranged for inference.

    Parameters
    ----------
    model
        A `chgnet.model.CHGNet` in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        model.requires_grad_(False)  # noqa: FBT003
        self.device: torch.device = next(model.parameters()).device
        self.dtype: torch.dtype = next(model.parameters()).dtype
        self.species: Tensor = model.atom_embedding.embedding.weight
        self.reference_energies: Tensor = model.composition_model.fc.weight[0]
        self.atom_mlps = [_split(layer.twoBody_atom) for layer in model.atom_conv_layers]
        self.bond_mlps = [_split(layer.twoBody_bond) for layer in model.bond_conv_layers]
        self.angle_mlps = [_split(layer.twoBody_bond) for layer in model.angle_layers[:-1]]
        self.atom_outputs = [layer.mlp_out for layer in model.atom_conv_layers]
        self.bond_outputs = [layer.mlp_out for layer in model.bond_conv_layers]
        self.radial = model.bond_basis_expansion.rbf_expansion_ag
        self.short_radial = model.bond_basis_expansion.rbf_expansion_bg
        self.frequencies: Tensor = model.angle_basis_expansion.fourier_expansion.frequencies
        self.bond_embedding: Tensor = model.bond_embedding.weight.t().contiguous()
        self.short_weights = model.bond_weights_bg
        self.angle_embedding: Tensor = model.angle_embedding.weight.t().contiguous()
        # What a bond that never changes feeds into the aggregation and into every atom layer.
        to_layers = [self.bond_embedding @ mlp.inputs[1] for mlp in self.atom_mlps]
        self.bond_terms = torch.cat([model.bond_weights_ag.weight.t(), *to_layers], dim=1)
        self.bond_bias = torch.cat(
            [self.bond_terms.new_zeros(WIDTH), *(mlp.bias for mlp in self.atom_mlps)]
        )
        self.site_moment = model.site_wise
        self.readout_norm = model.readout_norm
        self.readout = model.mlp

    def __call__(
        self, species: Tensor, lengths: Tensor, angles: Tensor, indices: Indices
    ) -> tuple[Tensor, Tensor]:
        """Return energy and magnetic moment of each atom, in eV and Bohr magnetons.

        Parameters
        ----------
        species
            Atomic numbers minus one, shape (n_atoms,).
        lengths, angles
            In A and radians; may require gradients.
        indices
            What they belong to.
        """
        basis = self.radial(lengths)
        terms = torch.addmm(self.bond_bias, basis, self.bond_terms)
        weights, *bond_terms = terms.split([WIDTH] + [2 * WIDTH] * len(self.atom_mlps), dim=1)
        short = slice(indices.n_short)
        bonds = initial_bonds = basis[short] @ self.bond_embedding
        short_weights = self.short_weights(self.short_radial(lengths[short]))
        angle_weights = short_weights.index_select(
            0, indices.angle_first
        ) * short_weights.index_select(0, indices.angle_second)
        openings = self._fourier(angles) @ self.angle_embedding
        atoms = self.species[species]

        for layer, mlp in enumerate(self.atom_mlps):
            bond_term = bond_terms[layer]
            if layer:
                change = (bonds - initial_bonds) @ mlp.inputs[1]
                bond_term = torch.cat([bond_term[short] + change, bond_term[indices.n_short :]])
            hidden = (
                (atoms @ mlp.inputs[0]).index_select(0, indices.edge_start)
                + (atoms @ mlp.inputs[2]).index_select(0, indices.edge_end)
                + bond_term.index_select(0, indices.edge_bond)
            )
            messages = mlp.finish(hidden) * weights.index_select(0, indices.edge_bond)
            total = torch.zeros_like(atoms).index_add(0, indices.edge_start, messages)
            atoms = atoms + self.atom_outputs[layer](total)
            if layer == len(self.bond_mlps):
                break
            moments = atoms
            if not len(openings):
                continue
            bond_mlp = self.bond_mlps[layer]
            messages = (
                bond_mlp.finish(_gather(bond_mlp, atoms, bonds, openings, indices)) * angle_weights
            )
            total = torch.zeros_like(bonds).index_add(0, indices.angle_first, messages)
            bonds = bonds + self.bond_outputs[layer](total)
            if layer < len(self.angle_mlps):
                angle_mlp = self.angle_mlps[layer]
                openings = openings + angle_mlp.finish(
                    _gather(angle_mlp, atoms, bonds, openings, indices)
                )

        energies = self.readout(self.readout_norm(atoms))[:, 0]
        moments = torch.abs(self.site_moment(moments))[:, 0]
        return energies + self.reference_energies[species], moments

    def _fourier(self, angles: Tensor) -> Tensor:
        phases = torch.outer(angles, self.frequencies)
        constant = torch.full_like(angles, 1 / math.sqrt(2))[:, None]
        return torch.cat([constant, phases.sin(), phases.cos()], dim=1) / math.sqrt(math.pi)


def _gather(
    mlp: GatedMLP, atoms: Tensor, bonds: Tensor, openings: Tensor, indices: Indices
) -> Tensor:
    """Apply the first layer of a gated MLP to angles: bond, bond, opening, atom."""
    return (
        (bonds @ mlp.inputs[0]).index_select(0, indices.angle_first)
        + (bonds @ mlp.inputs[1]).index_select(0, indices.angle_second)
        + torch.addmm(mlp.bias, openings, mlp.inputs[2])
        + (atoms @ mlp.inputs[3]).index_select(0, indices.angle_atom)
    )


def _split(gated: Any) -> GatedMLP:
    """Arrange the weights of a `chgnet.model.functions.GatedMLP`."""
    core = [layer for layer in gated.mlp_core.layers if isinstance(layer, torch.nn.Linear)]
    gate = [layer for layer in gated.mlp_gate.layers if isinstance(layer, torch.nn.Linear)]
    weight = torch.cat([core[0].weight, gate[0].weight]).t()
    return GatedMLP(
        inputs=tuple(part.contiguous() for part in weight.split(WIDTH)),
        bias=torch.cat([core[0].bias, gate[0].bias]),
        hidden=None
        if len(core) == 1
        else (core[1].weight, core[1].bias, gate[1].weight, gate[1].bias),
        norm=(gated.bn1.weight, gated.bn1.bias, gated.bn2.weight, gated.bn2.bias),
    )


@functools.cache
def load_network(model: str, device: str) -> Network:
    """Load a checkpoint that ships with `chgnet`, once in a process.

    Parameters
    ----------
    model
        One of `MODELS`.
    device
        What torch calls it: "cpu", "cuda", "cuda:1".
    """
    if model not in MODELS:
        msg = f"Unknown CHGNet model {model!r}. Known models: {', '.join(MODELS)}."
        raise EngineError(msg)
    # Two seconds of import that only a calculation pays.
    from chgnet.model.model import CHGNet  # noqa: PLC0415

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its number of parameters
        original = CHGNet.load(model_name=model, use_device=device, verbose=False)
    args = original.model_args
    if (args["atom_graph_cutoff"], args["bond_graph_cutoff"]) != (BOND_CUTOFF, ANGLE_CUTOFF):
        msg = (
            f"CHGNet {model} uses the cutoffs {args['atom_graph_cutoff']} and "
            f"{args['bond_graph_cutoff']} A; only {BOND_CUTOFF:g} and {ANGLE_CUTOFF:g} A are "
            "supported. Use chgnet.model.dynamics.CHGNetCalculator instead."
        )
        raise EngineError(msg)
    return Network(original.eval())
