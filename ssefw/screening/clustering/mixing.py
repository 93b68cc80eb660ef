"""One descriptor, or a second mixed into the first, as rows of one matrix.

A descriptor may have columns that follow from the pool. What is compared with the rows of a pool is
brought to its columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ssefw.errors import DataError
from ssefw.screening.clustering.representations import Features, Representation

__all__ = ["Mixture", "blocks"]

Matrix = npt.NDArray[np.float32]

BLOCKS = 16
SOAP_BLOCKS = tuple(
    f"S-{kind}, l={degree}" for kind in ("Li", "Mg", "Al", "S") for degree in range(4)
)
SOAP_WIDTHS = (25,) * 12 + (15,) * 4


@dataclass(frozen=True)
class Mixture:
    """What brings descriptors to the columns and the weights of the rows that were clustered.

    Attributes
    ----------
    widths
        Number of columns of each descriptor.
    columns
        Names of the columns of each, where they differ between pools.
    scale
        Factor of the second descriptor.
    """

    widths: list[int]
    columns: list[list[str]]
    scale: float

    @classmethod
    def of(
        cls,
        parts: Sequence[Features],
        rows: npt.NDArray[np.bool_],
        *,
        weight: float,
        names: Sequence[Representation],
    ) -> Self:
        """Return the mixture of the descriptors of a pool.

        Parameters
        ----------
        rows
            Those that count.
        weight
            Share of the total variance that the second descriptor gets.
        names
            Of the descriptors.

        Raises
        ------
        DataError
            If the second does not vary.
        """
        scale = 1.0
        if len(parts) > 1:
            first, second = (
                float(part.values[rows].var(axis=0, dtype=np.float64).sum()) for part in parts
            )
            if not second > 0:
                raise DataError(f"{names[1]} is the same for every row. Mix in another.")
            scale = float(np.sqrt(weight / (1 - weight) * first / second))
        widths = [part.values.shape[1] for part in parts]
        return cls(widths, [list(part.names) for part in parts], scale)

    def rows(self, parts: Sequence[Features]) -> Matrix:
        """Return descriptors side by side; columns that the pool did not have are left out."""
        aligned = [
            _aligned(part, names, width)
            for part, names, width in zip(parts, self.columns, self.widths, strict=True)
        ]
        scaled = [aligned[0], *(part * np.float32(self.scale) for part in aligned[1:])]
        return np.ascontiguousarray(np.hstack(scaled), dtype=np.float32)


def _aligned(part: Features, names: Sequence[str], width: int) -> Matrix:
    if not names:
        padded = np.zeros((len(part.values), width), dtype=np.float32)
        shared = min(width, part.values.shape[1])
        padded[:, :shared] = part.values[:, :shared]
        return padded
    place = {name: number for number, name in enumerate(part.names)}
    result = np.zeros((len(part.values), width), dtype=np.float32)
    for column, name in enumerate(names):
        if name in place:
            result[:, column] = part.values[:, place[name]]
    return result


def blocks(
    names: Sequence[Representation], mixture: Mixture, width: int
) -> tuple[list[str], list[int]]:
    """Return names and widths of parts of a row of `width` that mean something together."""
    if names[0].descriptor == "soap" and mixture.widths[0] == sum(SOAP_WIDTHS):
        found, widths = list(SOAP_BLOCKS), list(SOAP_WIDTHS)
        if width > sum(SOAP_WIDTHS):
            found.append(str(names[1]))
            widths.append(width - sum(SOAP_WIDTHS))
        return found, widths
    parts = np.array_split(np.arange(width), min(BLOCKS, width))
    return [f"numbers {p[0] + 1} to {p[-1] + 1}" for p in parts], [len(p) for p in parts]
