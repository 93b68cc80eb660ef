"""Descriptors of materials as pure functions: many materials in, one array out."""

from typing import TYPE_CHECKING

from ssefw.lazy import on_demand

if TYPE_CHECKING:
    from ssefw.screening.features.cell import CELL_FEATURES, KANG_CELL_FEATURES, cell_features
    from ssefw.screening.features.composition import (
        COMPOSITION_FEATURES,
        composition_features,
        features_where_possible,
    )
    from ssefw.screening.features.ordered_cell import ordered_cell_atoms
    from ssefw.screening.features.xrd import (
        PatternGrid,
        bin_patterns,
        xrd_pattern,
        xrd_patterns,
    )

__all__ = [
    "CELL_FEATURES",
    "COMPOSITION_FEATURES",
    "KANG_CELL_FEATURES",
    "PatternGrid",
    "bin_patterns",
    "cell_features",
    "composition_features",
    "features_where_possible",
    "ordered_cell_atoms",
    "xrd_pattern",
    "xrd_patterns",
]

__getattr__ = on_demand(
    __name__,
    {
        "CELL_FEATURES": "cell",
        "COMPOSITION_FEATURES": "composition",
        "KANG_CELL_FEATURES": "cell",
        "PatternGrid": "xrd",
        "bin_patterns": "xrd",
        "cell_features": "cell",
        "composition_features": "composition",
        "features_where_possible": "composition",
        "ordered_cell_atoms": "ordered_cell",
        "xrd_pattern": "xrd",
        "xrd_patterns": "xrd",
    },
)
