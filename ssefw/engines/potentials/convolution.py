"""Messages from neighbors to atoms, and their derivatives, one edge at a time.

Weights of a path depend on the length of an edge only. They are sums of rows of a table, the
coefficients of quintic splines. Edges of few atoms are done path by path, so that the table of the
path (32 kB for 32 channels) and the features on both sides stay in a processor's first-level cache:
edge by edge, all of a layer's tables had to come from the second level for each edge, which took
longer than what is computed from them.

numba's cache notices changes of this file only: after one of `path_kernels`, `vector_code` or
`rotations`, touch this file.
"""

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from ssefw.engines.potentials.path_kernels import (
    backward_path,
    forward_path,
    rotate,
    rotate_back,
)
from ssefw.engines.potentials.vector_code import VECTOR_BYTES

__all__ = ["Edges", "Layout", "aligned", "backward", "forward"]

Floats = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Where a layer's features and paths lie; all arrays are int64.

    Features of degree l of n atoms are a block of shape (n, 2 l + 1, channels); the blocks of all
    degrees follow each other, that of the first at n times its start.

    Attributes
    ----------
    degrees
        Of the features that are sent, a row for each: degree, channels, start.
    paths
        A row for each: kind, channels, start of its features, start in the table, start of its
        block of the output, size of an atom there, channels of the block, first channel of the
        path, size of an atom's features of its degree.
    n_features, n_outputs
        Numbers of an atom before and after.
    """

    degrees: IntArray
    paths: IntArray
    n_features: int
    n_outputs: int


@dataclass(frozen=True)
class Edges:
    """Edges sorted by the atom that they send to.

    Attributes
    ----------
    starts
        The edges of atom i are `starts[i]` to `starts[i + 1]`, shape (n_atoms + 1,).
    senders
        The other atom, shape (n_edges,).
    rotations
        See `rotations_to_pole`; shape (n_edges, size).
    rows, factors
        First row of the splines' tables, and what the rows from there on are multiplied by for
        the value and for the derivative by length; shapes (n_edges,) and (n_edges, 2, TAPS).
    """

    starts: IntArray
    senders: IntArray
    rotations: Floats
    rows: IntArray
    factors: Floats


GROUP = 2
"""Atoms whose edges are done path by path: what they share stays in the first-level cache."""

LINE = 64
"""Bytes of a cache line; a vector that lies across two is loaded at half the speed."""


def aligned(shape: int | tuple[int, ...], dtype: type[np.floating]) -> Floats:
    """Return an array of zeros that starts with a cache line."""
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + LINE, np.uint8)
    start = -buffer.ctypes.data % LINE
    return buffer[start : start + n_bytes].view(dtype).reshape(shape)


def forward(
    edges: Edges, layout: Layout, table: Floats, x: Floats, *, out: Floats, atoms: tuple[int, int]
) -> None:
    """Add messages to some atoms.

    Parameters
    ----------
    edges, layout
        What sends to what.
    table
        Of the splines, flat: path after path, for each its rows of channels.
    x
        Features, flat.
    out
        Takes the sums, flat.
    atoms
        First atom that messages are sent to, and the one after the last.
    """
    _forward(
        *atoms,
        edges.starts,
        edges.senders,
        edges.rotations,
        edges.rows,
        edges.factors,
        layout.degrees,
        layout.paths,
        table,
        x,
        out,
        aligned(_largest_group(edges.starts) * layout.n_features, x.dtype.type),
    )


def backward(
    edges: Edges,
    layout: Layout,
    table: Floats,
    x: Floats,
    *,
    gradient: Floats,
    gradient_x: Floats,
    by_edge: Floats,
    atoms: tuple[int, int],
) -> None:
    """Add derivatives of the energy from those by what `forward` adds up.

    Parameters
    ----------
    edges, layout, table, x, atoms
        As in `forward`.
    gradient
        Derivative by the sums, flat.
    gradient_x
        Takes the derivative by the features, flat.
    by_edge
        Takes the derivatives by the length of an edge and by tilting it towards the x and z axes
        of its frame, shape (n_edges, 3).
    """
    n_edges, dtype = _largest_group(edges.starts), x.dtype.type
    _backward(
        *atoms,
        edges.starts,
        edges.senders,
        edges.rotations,
        edges.rows,
        edges.factors,
        layout.degrees,
        layout.paths,
        table,
        x,
        gradient,
        gradient_x,
        by_edge,
        aligned(n_edges * layout.n_features, dtype),
        aligned(n_edges * layout.n_features, dtype),
        aligned((n_edges, 3, VECTOR_BYTES // x.itemsize), dtype),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _forward(  # noqa: PLR0917  numba takes no keywords
    first: int,
    last: int,
    starts: IntArray,
    senders: IntArray,
    rotations: Floats,
    rows: IntArray,
    factors: Floats,
    degrees: IntArray,
    paths: IntArray,
    table: Floats,
    x: Floats,
    out: Floats,
    turned: Floats,
) -> None:
    n_atoms, size = len(starts) - 1, rotations.shape[1]
    for low in range(first, last, GROUP):
        high = min(low + GROUP, last)
        n_edges = starts[high] - starts[low]
        _turn(starts[low], starts[high], n_atoms, senders, rotations, degrees, x, turned)
        for p in range(len(paths)):
            kind, channels, source, weight, block, row, stride, channel, width = paths[p]
            for i in range(low, high):
                place = n_atoms * block + i * row + channel
                forward_path(  # type: ignore[call-arg]  # numba gives the first one
                    kind,
                    channels,
                    starts[i],
                    starts[i + 1],
                    turned,
                    n_edges * source + (starts[i] - starts[low]) * width,
                    table,
                    weight,
                    rows,
                    0,
                    factors,
                    0,
                    rotations,
                    0,
                    out,
                    place,
                    size,
                    stride,
                )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _backward(  # noqa: PLR0917  numba takes no keywords
    first: int,
    last: int,
    starts: IntArray,
    senders: IntArray,
    rotations: Floats,
    rows: IntArray,
    factors: Floats,
    degrees: IntArray,
    paths: IntArray,
    table: Floats,
    x: Floats,
    gradient: Floats,
    gradient_x: Floats,
    by_edge: Floats,
    turned: Floats,
    pulled: Floats,
    sums: Floats,
) -> None:
    n_atoms, size = len(starts) - 1, rotations.shape[1]
    lanes = sums.shape[2]
    for low in range(first, last, GROUP):
        high = min(low + GROUP, last)
        n_edges = starts[high] - starts[low]
        _turn(starts[low], starts[high], n_atoms, senders, rotations, degrees, x, turned)
        pulled[: n_edges * (len(pulled) // max(1, len(sums)))] = 0
        sums[:n_edges] = 0
        for p in range(len(paths)):
            kind, channels, source, weight, block, row, stride, channel, width = paths[p]
            for i in range(low, high):
                place = n_atoms * block + i * row + channel
                local = n_edges * source + (starts[i] - starts[low]) * width
                backward_path(  # type: ignore[call-arg]  # numba gives the first one
                    kind,
                    channels,
                    starts[i],
                    starts[i + 1],
                    turned,
                    local,
                    table,
                    weight,
                    rows,
                    0,
                    factors,
                    0,
                    rotations,
                    0,
                    gradient,
                    place,
                    pulled,
                    local,
                    sums,
                    (starts[i] - starts[low]) * 3 * lanes,
                    size,
                    stride,
                )
        for e in range(starts[low], starts[high]):
            j, local = senders[e], e - starts[low]
            for d in range(len(degrees)):
                degree, channels, start = degrees[d]
                width = (2 * degree + 1) * channels
                rotate_back(
                    degree,
                    channels,
                    pulled,
                    n_edges * start + local * width,
                    rotations,
                    size * e,
                    gradient_x,
                    n_atoms * start + j * width,
                )
            for c in range(3):
                total = 0.0
                for lane in range(lanes):
                    total += sums[local, c, lane]
                by_edge[e, c] += total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _turn(  # noqa: PLR0917  numba takes no keywords
    first: int,
    last: int,
    n_atoms: int,
    senders: IntArray,
    rotations: Floats,
    degrees: IntArray,
    x: Floats,
    turned: Floats,
) -> None:
    """Turn the senders' features to the frames of some edges, degree by degree."""
    for d in range(len(degrees)):
        degree, channels, start = degrees[d]
        width = (2 * degree + 1) * channels
        for e in range(first, last):
            rotate(
                degree,
                channels,
                x,
                n_atoms * start + senders[e] * width,
                rotations,
                rotations.shape[1] * e,
                turned,
                (last - first) * start + (e - first) * width,
            )


@numba.njit(cache=True, nogil=True)
def _largest_group(starts: IntArray) -> int:
    """Return the largest number of edges of `GROUP` atoms that follow each other."""
    largest = 0
    for i in range(len(starts) - 1):
        largest = max(largest, starts[min(i + GROUP, len(starts) - 1)] - starts[i])
    return largest
