"""LLVM code for loops over vectors of numbers, as explicit as the processor has them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils

__all__ = [
    "VECTOR_BYTES",
    "Vectors",
    "each_channel",
    "each_edge",
    "one_case",
    "pointers",
    "whole",
]

VECTOR_BYTES = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32
"""Wider vectors than the processor has would be split, and not fit its registers."""


class Vectors:
    """Emits operations on vectors of one element type at the position of a builder."""

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.builder = builder
        self.element: Any = context.get_value_type(dtype)
        self.width = VECTOR_BYTES // (dtype.bitwidth // 8)
        self.type = ir.VectorType(self.element, self.width)

    def variable(self) -> Any:
        """Return a place for a vector that changes in a loop; it becomes a register."""
        return cgutils.alloca_once(self.builder, self.type)

    def constant(self, value: float) -> Any:
        """Return a vector of one number that is known now."""
        return ir.Constant(self.type, [ir.Constant(self.element, value)] * self.width)

    def load(self, pointer: Any, offset: Any) -> Any:
        """Load the vector that starts some numbers behind a pointer."""
        return self.builder.load(self._at(pointer, offset), align=self.element_bytes)

    def store(self, value: Any, pointer: Any, offset: Any) -> None:
        """Store a vector some numbers behind a pointer."""
        self.builder.store(value, self._at(pointer, offset), align=self.element_bytes)

    def broadcast(self, pointer: Any, index: Any) -> Any:
        """Fill a vector with one number from memory."""
        number = self.builder.load(self.builder.gep(pointer, [index]))
        empty = ir.Constant(self.type, ir.Undefined)
        zero = ir.Constant(ir.IntType(32), 0)
        single = self.builder.insert_element(empty, number, zero)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [zero] * self.width)
        return self.builder.shuffle_vector(single, empty, mask)

    def multiply(self, a: Any, b: Any) -> Any:
        """Return a b."""
        return self.builder.fmul(a, b)

    def multiply_add(self, a: Any, b: Any, c: Any | None) -> Any:
        """Return a b + c, or a b if there is no c yet."""
        if c is None:
            return self.builder.fmul(a, b)
        kind = ir.FunctionType(self.type, [self.type] * 3)
        letter = "f32" if isinstance(self.element, ir.FloatType) else "f64"
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.fmuladd.v{self.width}{letter}"
        )
        return self.builder.call(function, [a, b, c])

    @property
    def element_bytes(self) -> int:
        """Bytes of a number."""
        return 4 if isinstance(self.element, ir.FloatType) else 8

    def _at(self, pointer: Any, offset: Any) -> Any:
        start = self.builder.gep(pointer, [offset])
        return self.builder.bitcast(start, ir.PointerType(self.type))


def whole(value: int) -> Any:
    """Return a whole number that is known now."""
    return ir.Constant(ir.IntType(64), value)


def pointers(context: Any, builder: Any, kinds: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Turn each pair of an array and an offset into a pointer.

    Parameters
    ----------
    context, builder
        Numba's own, of the code that is written.
    kinds
        Types of the arguments: array, offset, array, ...
    values
        The arguments.
    """
    return [
        builder.gep(context.make_array(kinds[n])(context, builder, values[n]).data, [values[n + 1]])
        for n in range(0, len(kinds), 2)
    ]


def one_case(builder: Any, selector: Any, n_cases: int, emit: Callable[[int], None]) -> None:
    """Emit one block for each case, of which the selector picks one.

    Parameters
    ----------
    builder
        llvmlite's, of the code that is written.
    selector
        An integer of the running code.
    n_cases
        Its values are below this.
    emit
        Writes the block of a case.
    """
    after = builder.append_basic_block("after")
    switch = builder.switch(selector, after)
    for case in range(n_cases):
        block = builder.append_basic_block(f"case{case}")
        switch.add_case(whole(case), block)
        builder.position_at_end(block)
        emit(case)
        builder.branch(after)
    builder.position_at_end(after)


@contextlib.contextmanager
def each_channel(builder: Any, n_channels: Any, width: int) -> Iterator[Any]:
    """Loop over the channels, a vector at a time."""
    with cgutils.for_range_slice(builder, whole(0), n_channels, whole(width)) as (channel, _):
        yield channel


@contextlib.contextmanager
def each_edge(builder: Any, first: Any, last: Any) -> Iterator[Any]:
    """Loop over edges; the last one is not among them."""
    with cgutils.for_range_slice(builder, first, last, whole(1)) as (edge, _):
        yield edge
