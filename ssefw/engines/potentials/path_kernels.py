"""The innermost loops of an equivariant convolution, written for the vector units of a processor.

A *path* couples features of degree l1 of a neighbor with harmonics of degree l2 of the edge to
features of degree l3 of an atom. All is done in a frame whose pole is the edge: there the harmonics
have one component, the coupling of each path has at most 2 min(l1, l3) + 1 terms, and the
derivative by the direction of the edge needs the components m = -1 and 1 only.

The kernels are emitted as LLVM code with explicit vectors over channels, since loops that a
compiler has to find out about ran at half of this speed. Which terms a path has are constants in
that code; which paths a layer has, of how many channels, are numbers given at run time. So one
compilation serves all models, and numba keeps it in its cache.
"""

# ruff: noqa: ARG001, PLR0917  numba calls these by position, with types in the place of values

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from ssefw.engines.potentials.rotations import (
    HIGHEST,
    ROTATION_STARTS,
    coupling,
    pole_slope,
)
from ssefw.engines.potentials.vector_code import (
    Vectors,
    each_channel,
    each_edge,
    one_case,
    pointers,
    whole,
)

__all__ = [
    "KINDS",
    "TAPS",
    "backward_path",
    "coupled_terms",
    "forward_path",
    "kind_of",
    "rotate",
    "rotate_back",
]

KINDS = tuple(
    (first, second, third)
    for first in range(HIGHEST + 1)
    for second in range(HIGHEST + 1)
    for third in range(HIGHEST + 1)
    if abs(first - second) <= third <= first + second
)
"""Degrees (l1, l2, l3) of all paths; a path is known by its index here."""

TAPS = 6
"""Rows of a table that a quintic spline of one length adds up."""


def kind_of(first: int, second: int, third: int) -> int:
    """Return the index of a path's degrees in `KINDS`."""
    return KINDS.index((first, second, third))


def coupled_terms(kind: int, component: int) -> list[tuple[int, int, float]]:
    """Return what couples to one component of the harmonics: index of l1, of l3, and how much."""
    first, second, third = KINDS[kind]
    if abs(component) > second:
        return []
    slope = 1.0 if component == 0 else pole_slope(second)
    matrix = coupling(first, second, third)[:, second + component, :] * slope
    return [(a, k, float(matrix[a, k])) for a, k in np.argwhere(np.abs(matrix) > 1e-9)]


_Couplings = dict[int, list[tuple[int, int, float]]]
"""Of a component of the harmonics: see `coupled_terms`."""


def _matrix(vectors: Vectors, pointer: Any, degree: int, row: int, column: int) -> Any | None:
    """Broadcast an element of a rotation matrix; None for the one of degree 0, which is 1."""
    if degree == 0:
        return None
    index = ROTATION_STARTS[degree] + (2 * degree + 1) * row + column
    return vectors.broadcast(pointer, whole(index))


@intrinsic
def forward_path(
    typing_context: Any,
    kind: Any,
    n_channels: Any,
    first_edge: Any,
    last_edge: Any,
    x: Any,
    x_offset: Any,
    table: Any,
    table_offset: Any,
    rows: Any,
    rows_offset: Any,
    factors: Any,
    factors_offset: Any,
    rotations: Any,
    rotations_offset: Any,
    out: Any,
    out_offset: Any,
    rotation_size: Any,
    out_stride: Any,
) -> Any:
    """Add what one path of some edges sends to their atom, turned back to the common frame.

    Parameters
    ----------
    kind, n_channels
        Which path, and its number of channels, a multiple of the vectors' width.
    first_edge, last_edge
        Edges of the atom; the last one is not among them.
    x, x_offset
        Features of the senders in the frames of the edges: 2 l1 + 1 rows of channels each.
    table, table_offset, rows, rows_offset
        Table of the path, and the first of the `TAPS` rows there that make up an edge's weights.
    factors, factors_offset
        Of these rows, and, skipped here, those that make up derivatives by length.
    rotations, rotations_offset, rotation_size
        Of `rotations_to_pole`.
    out, out_offset, out_stride
        2 l3 + 1 rows of channels, `out_stride` numbers from one to the next.
    """
    integer = types.int64
    arrays = (x, table, rows, factors, rotations, out)
    pairs_of_types = [part for array in arrays for part in (array, integer)]
    signature = types.void(*[integer] * 4, *pairs_of_types, integer, integer)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = Vectors(context, builder, x.dtype)
        selector, channels, first, last, *pairs, size, stride = args
        px, pt, pr, pf, pd, po = pointers(context, builder, signature.args[4:-2], pairs)

        def emit(case: int) -> None:
            degree, _, third = KINDS[case]
            terms = coupled_terms(case, 0)
            width = builder.mul(channels, whole(2 * degree + 1))
            sums = [vectors.variable() for _ in range(2 * third + 1)]
            with each_channel(builder, channels, vectors.width) as u:
                places = [builder.add(u, builder.mul(stride, whole(k))) for k in range(len(sums))]
                for place, total in zip(places, sums, strict=True):
                    builder.store(vectors.load(po, place), total)
                with each_edge(builder, first, last) as e:
                    taps = builder.gep(pf, [builder.mul(e, whole(2 * TAPS))])
                    (weight,) = _weights(vectors, pt, pr, taps, e, u, channels, n_sets=1)
                    rotation = builder.gep(pd, [builder.mul(e, size)])
                    start = builder.add(u, builder.mul(builder.sub(e, first), width))
                    sent: dict[int, Any] = {}
                    for a, k, value in terms:
                        row = builder.add(start, builder.mul(channels, whole(a)))
                        scaled = vectors.multiply(weight, vectors.constant(value))
                        sent[k] = vectors.multiply_add(vectors.load(px, row), scaled, sent.get(k))
                    for k, total in enumerate(sums):
                        turned = None
                        for pole, value in sent.items():
                            factor = _matrix(vectors, rotation, third, pole, k)
                            turned = (
                                value
                                if factor is None
                                else vectors.multiply_add(value, factor, turned)
                            )
                        builder.store(builder.fadd(builder.load(total), turned), total)
                for place, total in zip(places, sums, strict=True):
                    vectors.store(builder.load(total), po, place)

        one_case(builder, selector, len(KINDS), emit)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def backward_path(
    typing_context: Any,
    kind: Any,
    n_channels: Any,
    first_edge: Any,
    last_edge: Any,
    x: Any,
    x_offset: Any,
    table: Any,
    table_offset: Any,
    rows: Any,
    rows_offset: Any,
    factors: Any,
    factors_offset: Any,
    rotations: Any,
    rotations_offset: Any,
    gradient: Any,
    gradient_offset: Any,
    gradient_x: Any,
    gradient_x_offset: Any,
    sums: Any,
    sums_offset: Any,
    rotation_size: Any,
    gradient_stride: Any,
) -> Any:
    """Add what one path of some edges of an atom contributes to derivatives of the energy.

    Parameters
    ----------
    kind ... rotations, rotations_offset, rotation_size
        As in `forward_path`.
    gradient, gradient_offset, gradient_stride
        Derivative by what `forward_path` adds to, `gradient_stride` numbers from one row to the
        next.
    gradient_x, gradient_x_offset
        Takes the derivative by the features, in the frames of the edges.
    sums, sums_offset
        Three vectors for each edge that take the derivatives by its length and by tilting its pole
        towards x and z, still to be summed over the vector.
    """
    integer = types.int64
    arrays = (x, table, rows, factors, rotations, gradient, gradient_x, sums)
    pairs_of_types = [part for array in arrays for part in (array, integer)]
    signature = types.void(*[integer] * 4, *pairs_of_types, integer, integer)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = Vectors(context, builder, x.dtype)
        selector, channels, first, last, *pairs, size, stride = args
        px, pt, pr, pf, pd, pg, pgx, ps = pointers(context, builder, signature.args[4:-2], pairs)

        def emit(case: int) -> None:
            degree, _, third = KINDS[case]
            by_component = {b: coupled_terms(case, b) for b in (0, -1, 1)}
            width = builder.mul(channels, whole(2 * degree + 1))
            with each_channel(builder, channels, vectors.width) as u:
                received = [
                    vectors.load(pg, builder.add(u, builder.mul(stride, whole(k))))
                    for k in range(2 * third + 1)
                ]
                with each_edge(builder, first, last) as e:
                    rotation = builder.gep(pd, [builder.mul(e, size)])
                    turned = _turned(vectors, third, by_component, received, rotation)
                    taps = builder.gep(pf, [builder.mul(e, whole(2 * TAPS))])
                    weight, slope = _weights(vectors, pt, pr, taps, e, u, channels, n_sets=2)
                    local = builder.sub(e, first)
                    start = builder.add(u, builder.mul(local, width))
                    place = builder.mul(local, whole(3 * vectors.width))
                    _pull_back(
                        vectors,
                        by_component,
                        turned,
                        weight,
                        slope,
                        [
                            builder.add(start, builder.mul(channels, whole(a)))
                            for a in range(2 * degree + 1)
                        ],
                        px,
                        pgx,
                        builder.gep(ps, [place]),
                    )

        one_case(builder, selector, len(KINDS), emit)
        return context.get_dummy_value()

    return signature, generate


def _pull_back(
    vectors: Vectors,
    by_component: _Couplings,
    turned: dict[int, Any],
    weight: Any,
    slope: Any,
    rows: list[Any],
    x: Any,
    gradient_x: Any,
    sums: Any,
) -> None:
    """Add to the derivatives by the features, the length and the direction of an edge."""
    used = sorted({a for terms in by_component.values() for a, _, _ in terms})
    features = {a: vectors.load(x, rows[a]) for a in used}
    for slot, (b, terms) in enumerate(by_component.items()):
        pulled: dict[int, Any] = {}
        for a, k, value in terms:
            pulled[a] = vectors.multiply_add(turned[k], vectors.constant(value), pulled.get(a))
        if not pulled:
            continue
        total = None
        for a, value in pulled.items():
            total = vectors.multiply_add(features[a], value, total)
            if b == 0:
                before = vectors.load(gradient_x, rows[a])
                vectors.store(vectors.multiply_add(weight, value, before), gradient_x, rows[a])
        place = whole(slot * vectors.width)
        before = vectors.load(sums, place)
        factor = slope if b == 0 else weight
        vectors.store(vectors.multiply_add(total, factor, before), sums, place)


def _weights(
    vectors: Vectors,
    table: Any,
    rows: Any,
    factors: Any,
    e: Any,
    u: Any,
    channels: Any,
    *,
    n_sets: int,
) -> list[Any]:
    """Sum rows of a table with each set of factors: a spline, and its derivative."""
    builder = vectors.builder
    first = builder.mul(builder.load(builder.gep(rows, [e])), channels)
    start = builder.add(first, u)
    totals: list[Any] = [None] * n_sets
    for tap in range(TAPS):
        row = vectors.load(table, builder.add(start, builder.mul(channels, whole(tap))))
        for number in range(n_sets):
            factor = vectors.broadcast(factors, whole(TAPS * number + tap))
            totals[number] = vectors.multiply_add(row, factor, totals[number])
    return totals


def _turned(
    vectors: Vectors,
    third: int,
    by_component: _Couplings,
    received: list[Any],
    rotation: Any,
) -> dict[int, Any]:
    """Turn derivatives by a path's output to the frame of the edge, the rows that are needed."""
    if third == 0:
        return {0: received[0]}
    turned: dict[int, Any] = {}
    for pole in sorted({k for terms in by_component.values() for _, k, _ in terms}):
        total = None
        for k, row in enumerate(received):
            total = vectors.multiply_add(row, _matrix(vectors, rotation, third, pole, k), total)
        turned[pole] = total
    return turned


def _rotation(*, back: bool) -> Any:
    """Make the function that turns features to the frame of an edge, or adds them turned back."""

    @intrinsic
    def turn(
        typing_context: Any,
        degree: Any,
        n_channels: Any,
        source: Any,
        source_offset: Any,
        rotation: Any,
        rotation_offset: Any,
        target: Any,
        target_offset: Any,
    ) -> Any:
        integer = types.int64
        signature = types.void(
            integer, integer, source, integer, rotation, integer, target, integer
        )

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vectors = Vectors(context, builder, source.dtype)
            selector, channels, *pairs = args
            ps, pd, pt = pointers(context, builder, signature.args[2:], pairs)

            def emit(case: int) -> None:
                n = 2 * case + 1
                with each_channel(builder, channels, vectors.width) as u:
                    places = [builder.add(u, builder.mul(channels, whole(a))) for a in range(n)]
                    rows = [vectors.load(ps, place) for place in places]
                    for a, place in enumerate(places):
                        total = vectors.load(pt, place) if back else None
                        if case == 0:
                            total = rows[0] if total is None else builder.fadd(total, rows[0])
                        else:
                            for b, row in enumerate(rows):
                                index = (b, a) if back else (a, b)
                                factor = _matrix(vectors, pd, case, *index)
                                total = vectors.multiply_add(row, factor, total)
                        vectors.store(total, pt, place)

            one_case(builder, selector, HIGHEST + 1, emit)
            return context.get_dummy_value()

        return signature, generate

    return turn


rotate = _rotation(back=False)
"""Turn features of a degree to the frame of an edge: `target = D source`.

Parameters: degree, channels, source, its offset, row of `rotations_to_pole`, its offset, target,
its offset.
"""

rotate_back = _rotation(back=True)
"""Turn features back to the common frame and add them: `target += D^T source`."""
