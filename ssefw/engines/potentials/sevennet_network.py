"""SevenNet as a function of edges: site energies, and their derivative by each edge's vector.

The network (DOI 10.1021/acs.jctc.4c00190) alternates between linear maps of each atom's features,
done for all atoms by one matrix product a degree, and convolutions over edges, see
`ssefw.engines.potentials.convolution`. The derivative is written out by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.engines.potentials.convolution import Edges, Layout, aligned, backward, forward
from ssefw.engines.potentials.path_kernels import KINDS
from ssefw.engines.potentials.rotations import rotations_to_pole
from ssefw.engines.potentials.splines import locate

__all__ = ["Network", "Pass"]

Floats = npt.NDArray[np.floating]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Features = dict[int, Floats]
"""Of each degree l, shape (n_atoms, 2 l + 1, channels)."""

Run = Callable[[Callable[[tuple[int, int], int], None], list[tuple[int, int]]], None]
"""Calls a function with each block of atoms and its index, perhaps at the same time."""


@dataclass(frozen=True)
class Layer:
    """One interaction: matrices by degree, biases of scalars, and the convolution."""

    connection: Features
    before: Features
    before_bias: Floats
    after: Features
    after_bias: Floats
    table: Floats
    layout: Layout
    outputs: tuple[tuple[int, int], ...]
    silu_scale: float
    gate_scale: float


@dataclass
class Pass:
    """What the backward pass needs of the forward pass of a layer."""

    sent: Floats
    before_gate: Features


class Network:
    """A SevenNet, arranged for inference.

    Parameters
    ----------
    arrays
        Of `ssefw.engines.potentials.sevennet_convert.convert`.
    dtype
        Type of all numbers that features are made of.
    """

    def __init__(self, arrays: dict[str, npt.NDArray[Any]], dtype: type[np.floating]) -> None:
        self.dtype = dtype
        self.cutoff = float(arrays["cutoff"])
        self.species: IntArray = arrays["species"]
        self.closest = float(arrays["axis"][0, 0])
        self._axis: FloatArray = arrays["axis"]
        self._embedding = arrays["embedding"].astype(dtype)
        self.layers = [self._layer(arrays, f"{n}.") for n in range(int(arrays["n_layers"]))]
        self._degree = max(KINDS[row[0]][1] for layer in self.layers for row in layer.layout.paths)
        self._readout = arrays["readout"].astype(dtype)
        self._readout_bias = float(arrays["readout_bias"][0])
        self._shift: FloatArray = arrays["shift"]
        self._scale: FloatArray = arrays["scale"]

    def _layer(self, arrays: dict[str, npt.NDArray[Any]], prefix: str) -> Layer:
        def matrices(name: str) -> Features:
            start = f"{prefix}{name}."
            return {
                int(key.removeprefix(start)): np.ascontiguousarray(value, dtype=self.dtype)
                for key, value in arrays.items()
                if key.startswith(start) and not key.endswith("bias")
            }

        after = matrices("after")
        values = arrays[f"{prefix}table"]
        layout, outputs = _layout(
            arrays[f"{prefix}features"],
            arrays[f"{prefix}paths"],
            {degree: len(matrix) for degree, matrix in after.items()},
            n_rows=len(values),
        )
        bounds = np.cumsum(layout.paths[:-1, 1])
        by_path = np.concatenate([part.ravel() for part in np.split(values, bounds, axis=1)])
        return Layer(
            connection=matrices("connection"),
            before=matrices("before"),
            before_bias=arrays[f"{prefix}before.bias"].astype(self.dtype),
            after=after,
            after_bias=arrays[f"{prefix}after.bias"].astype(self.dtype),
            table=self._aligned(by_path),
            layout=layout,
            outputs=outputs,
            silu_scale=float(arrays[f"{prefix}silu_scale"]),
            gate_scale=float(arrays[f"{prefix}gate_scale"]),
        )

    def _aligned(self, values: FloatArray) -> Floats:
        table = aligned(values.shape, self.dtype)
        table[:] = values
        return table

    def __call__(
        self,
        species: IntArray,
        starts: IntArray,
        senders: IntArray,
        vectors: FloatArray,
        lengths: FloatArray,
        *,
        blocks: list[tuple[int, int]],
        run: Run,
    ) -> tuple[FloatArray, FloatArray]:
        """Return site energies and their derivative by edge vectors, in eV and eV/A.

        Parameters
        ----------
        species
            Index of each atom's element in `self.species`.
        starts, senders
            See `Edges`.
        vectors, lengths
            From the receiver to the sender, in A, shapes (n_edges, 3) and (n_edges,).
        blocks
            First and last but one atom of each part that is summed for itself. The result depends
            on them in its last bits.
        run
            Does the blocks.
        """
        n = len(species)
        frames, edges = self._edges(starts, senders, vectors, lengths)
        x: Features = {0: self._embedding[species][:, None, :]}
        passes = []
        for layer in self.layers:
            x, kept = self._forward(layer, edges, x, blocks=blocks, run=run)
            passes.append(kept)
        sites = (x[0][:, 0] @ self._readout).astype(np.float64) + self._readout_bias
        energies = sites * self._scale[species] + self._shift[species]

        by_edge = np.zeros((len(senders), 3))
        gradient: Features = {
            0: np.outer(self._scale[species], self._readout).astype(self.dtype)[:, None, :]
        }
        for number, layer in reversed(list(enumerate(self.layers))):
            kept = passes.pop()
            gradient = self._backward(
                layer,
                edges,
                gradient,
                kept,
                by_edge=by_edge,
                blocks=blocks,
                run=run,
                last=number == 0,
            )
        if n == 0 or len(senders) == 0:
            return energies, np.zeros((len(senders), 3))
        tilts = by_edge[:, 1:] / lengths[:, None]
        along = by_edge[:, :1] * frames[:, 1]
        across = tilts[:, :1] * frames[:, 0] + tilts[:, 1:] * frames[:, 2]
        return energies, along + across

    def scalars(
        self,
        species: IntArray,
        starts: IntArray,
        senders: IntArray,
        vectors: FloatArray,
        lengths: FloatArray,
        *,
        n_layers: int,
        blocks: list[tuple[int, int]],
        run: Run,
    ) -> FloatArray:
        """Return features of each atom that no rotation changes, shape (n_atoms, channels).

        Parameters
        ----------
        species, starts, senders, vectors, lengths, blocks, run
            As for energies.
        n_layers
            After how many interactions; each lets an atom see farther by the cut-off.
        """
        _, edges = self._edges(starts, senders, vectors, lengths)
        x: Features = {0: self._embedding[species][:, None, :]}
        for layer in self.layers[:n_layers]:
            x, _ = self._forward(layer, edges, x, blocks=blocks, run=run)
        return x[0][:, 0].astype(np.float64)

    def _edges(
        self, starts: IntArray, senders: IntArray, vectors: FloatArray, lengths: FloatArray
    ) -> tuple[FloatArray, Edges]:
        """Return the frame of each edge, and what convolutions need of the edges."""
        frames, rotations = rotations_to_pole(vectors, self._degree)
        rows, factors = locate(lengths, self._axis)
        kinds = rotations.astype(self.dtype), rows, factors.astype(self.dtype)
        return frames, Edges(starts, senders, *kinds)

    def _forward(
        self, layer: Layer, edges: Edges, x: Features, *, blocks: list[tuple[int, int]], run: Run
    ) -> tuple[Features, Pass]:
        n = len(x[0])
        sent = aligned(n * layer.layout.n_features, self.dtype)
        for degree, channels, start in layer.layout.degrees:
            size = n * (2 * degree + 1) * channels
            view = sent[n * start : n * start + size].reshape(-1, channels)
            np.matmul(_rows(x[degree]), layer.before[degree], out=view)
            if degree == 0:
                view += layer.before_bias
        received = aligned(n * layer.layout.n_outputs, self.dtype)

        def receive(atoms: tuple[int, int], _: int) -> None:
            forward(edges, layer.layout, layer.table, sent, out=received, atoms=atoms)

        run(receive, blocks)
        before_gate: Features = {}
        for degree, part in _parts(received, n, layer.outputs).items():
            total = _rows(part) @ layer.after[degree]
            if degree in x and degree in layer.connection:
                total += _rows(x[degree]) @ layer.connection[degree]
            if degree == 0:
                total += layer.after_bias
            before_gate[degree] = total.reshape(n, 2 * degree + 1, -1)
        return _gate(layer, before_gate), Pass(sent, before_gate)

    def _backward(
        self,
        layer: Layer,
        edges: Edges,
        gradient: Features,
        kept: Pass,
        *,
        by_edge: FloatArray,
        blocks: list[tuple[int, int]],
        run: Run,
        last: bool,
    ) -> Features:
        n = len(gradient[0])
        by_gate = _gate_backward(layer, kept.before_gate, gradient)
        by_received = aligned(n * layer.layout.n_outputs, self.dtype)
        for degree, part in _parts(by_received, n, layer.outputs).items():
            np.matmul(_rows(by_gate[degree]), layer.after[degree].T, out=_rows(part))
        by_sent = aligned((len(blocks), n * layer.layout.n_features), self.dtype)

        def send_back(atoms: tuple[int, int], block: int) -> None:
            backward(
                edges,
                layer.layout,
                layer.table,
                kept.sent,
                gradient=by_received,
                gradient_x=by_sent[block],
                by_edge=by_edge,
                atoms=atoms,
            )

        run(send_back, blocks)
        if last:  # what comes in there is fixed by the species
            return {}
        total = by_sent.sum(axis=0)
        result: Features = {}
        for degree, channels, start in layer.layout.degrees:
            size = n * (2 * degree + 1) * channels
            part = total[n * start : n * start + size].reshape(-1, channels)
            by_x = part @ layer.before[degree].T
            if degree in by_gate and degree in layer.connection:
                by_x += _rows(by_gate[degree]) @ layer.connection[degree].T
            result[int(degree)] = by_x.reshape(n, 2 * degree + 1, -1)
        return result


def _layout(
    features: IntArray, paths: IntArray, channels_out: dict[int, int], *, n_rows: int
) -> tuple[Layout, tuple[tuple[int, int], ...]]:
    """Say where features and paths lie, from the rows of a converted checkpoint."""
    degrees, start = [], 0
    for degree, channels in features:
        degrees.append((degree, channels, start))
        start += (2 * degree + 1) * channels
    n_features = start
    blocks, start = {}, 0
    for degree, channels in sorted(channels_out.items()):
        blocks[degree] = start
        start += (2 * degree + 1) * channels
    starts = {degree: place for degree, _, place in degrees}
    rows, weight = [], 0
    for kind, channels, third, before in paths:
        width = channels_out[int(third)]
        row = (2 * third + 1) * width
        source = starts[KINDS[kind][0]]
        size = (2 * KINDS[kind][0] + 1) * channels
        rows.append((kind, channels, source, weight, blocks[int(third)], row, width, before, size))
        weight += channels * n_rows
    layout = Layout(
        np.array(degrees, dtype=np.int64),
        np.array(rows, dtype=np.int64),
        int(n_features),
        int(start),
    )
    return layout, tuple(sorted(channels_out.items()))


def _rows(features: Floats) -> Floats:
    return features.reshape(-1, features.shape[-1])


def _parts(flat: Floats, n: int, blocks: tuple[tuple[int, int], ...]) -> Features:
    """View a flat array as features of each degree."""
    parts, start = {}, 0
    for degree, channels in blocks:
        size = n * (2 * degree + 1) * channels
        parts[degree] = flat[start : start + size].reshape(n, 2 * degree + 1, channels)
        start += size
    return parts


def _sigmoid(x: Floats) -> Floats:
    # 1 / (1 + exp(-x)) would overflow, with a warning, for large negative x.
    half: Floats = 0.5 * (1.0 + np.tanh(0.5 * x))
    return half


def _gate(layer: Layer, before: Features) -> Features:
    """Activate scalars, and multiply other features by further scalars, activated."""
    scalars = before[0][:, 0]
    active = scalars * _sigmoid(scalars)
    n_gates = sum(part.shape[2] for degree, part in before.items() if degree > 0)
    first_gate = scalars.shape[1] - n_gates
    result: Features = {0: (layer.silu_scale * active[:, :first_gate])[:, None, :]}
    start = first_gate
    for degree in sorted(before):
        if degree > 0:
            stop = start + before[degree].shape[2]
            result[degree] = before[degree] * (layer.gate_scale * active[:, None, start:stop])
            start = stop
    return result


def _gate_backward(layer: Layer, before: Features, gradient: Features) -> Features:
    scalars = before[0][:, 0]
    sigmoid = _sigmoid(scalars)
    active = scalars * sigmoid
    slope = sigmoid * (1 + scalars * (1 - sigmoid))
    n_gates = sum(part.shape[2] for degree, part in before.items() if degree > 0)
    first_gate = scalars.shape[1] - n_gates
    by_scalars = np.empty_like(scalars)
    by_scalars[:, :first_gate] = layer.silu_scale * gradient[0][:, 0]
    result: Features = {}
    start = first_gate
    for degree in sorted(before):
        if degree > 0:
            stop = start + before[degree].shape[2]
            result[degree] = gradient[degree] * (layer.gate_scale * active[:, None, start:stop])
            by_scalars[:, start:stop] = layer.gate_scale * np.einsum(
                "nau,nau->nu", gradient[degree], before[degree]
            )
            start = stop
    by_scalars *= slope
    result[0] = by_scalars[:, None, :]
    return result
