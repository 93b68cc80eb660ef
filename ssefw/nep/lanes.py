"""Eight numbers that a compiled loop treats as one.

The compiler turns a loop over a short row into vector instructions only where it can show that the
row written does not overlap those read, which for arrays that come from outside it cannot. In terms
of these operations there is nothing to show. They may be reordered (fastmath), as everything here.
"""

# ruff: noqa: ARG001  numba calls these by position, with types in the place of values
from typing import TYPE_CHECKING, Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WIDTH", "load", "multiply_add", "splat", "store", "total"]

WIDTH = 8
"""One vector of AVX-512, two of AVX2; rows are padded to a multiple of it."""

_operation = cast("Callable[[Callable[..., Any]], Any]", intrinsic)
"""For the type checker a function that returns, which numba's own annotation denies."""

_Vector = ir.VectorType(ir.DoubleType(), WIDTH)
_FAST = ("fast",)


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__("Lanes")


_LANES = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _Vector)  # type: ignore[no-untyped-call]


def _place(context: Any, builder: Any, kind: Any, value: Any, at: list[Any]) -> Any:
    """Return the address of eight numbers of an array of two dimensions."""
    array = context.make_array(kind)(context, builder, value)
    shape, strides = (cgutils.unpack_tuple(builder, x) for x in (array.shape, array.strides))
    start = cgutils.get_item_pointer2(context, builder, array.data, shape, strides, kind.layout, at)
    return builder.bitcast(start, _Vector.as_pointer())


@_operation
def load(typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """Return ``array[row, column : column + 8]``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], [args[1], args[2]])
        return builder.load(place, align=8)

    return _LANES(array, types.intp, types.intp), generate


@_operation
def store(typing_context: Any, array: Any, row: Any, column: Any, value: Any) -> Any:
    """Write ``array[row, column : column + 8]``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], [args[1], args[2]])
        builder.store(args[3], place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, _LANES), generate


@_operation
def splat(typing_context: Any, number: Any) -> Any:
    """Return one number in every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        empty, zero = ir.Constant(_Vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        single = builder.insert_element(empty, args[0], zero)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [zero] * WIDTH)
        return builder.shuffle_vector(single, empty, mask)

    return _LANES(types.float64), generate


@_operation
def multiply_add(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        product = builder.fmul(args[0], args[1], flags=_FAST)
        return builder.fadd(product, args[2], flags=_FAST)

    return _LANES(_LANES, _LANES, _LANES), generate


@_operation
def total(typing_context: Any, a: Any) -> Any:
    """Return the sum over the lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (value,), width = args, WIDTH
        while width > 1:
            width //= 2
            halves = [
                ir.Constant(
                    ir.VectorType(ir.IntType(32), width), list(range(k * width, (k + 1) * width))
                )
                for k in range(2)
            ]
            empty = ir.Constant(value.type, ir.Undefined)
            low, high = (builder.shuffle_vector(value, empty, mask) for mask in halves)
            value = builder.fadd(low, high, flags=_FAST)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float64(_LANES), generate
