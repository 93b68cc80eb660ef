"""What a cell and the occupancies of its sites may be, whatever file they come from."""

from math import isfinite

from ssefw.errors import DataError

__all__ = ["FULL", "check_cell"]

FULL = 1.05
"""Occupancies of one site may sum to this; published ones are rounded."""


def check_cell(lengths: list[float], angles: list[float]) -> None:
    """Refuse lengths and angles that no cell has.

    Raises
    ------
    DataError
        With what they are.
    """
    if not all(isfinite(length) and length > 0 for length in lengths):
        raise DataError(f"cell lengths are positive, got {' '.join(f'{x:g}' for x in lengths)} A")
    if not all(0 < angle < 180 for angle in angles):
        raise DataError(
            f"cell angles lie between 0 and 180 degrees, got {' '.join(f'{x:g}' for x in angles)}"
        )
