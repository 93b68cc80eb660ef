"""Descriptors of materials as pure functions: many materials in, one array out."""

from ssefw.screening.features.cell import CELL_FEATURES, KANG_CELL_FEATURES, cell_features
from ssefw.screening.features.composition import COMPOSITION_FEATURES, composition_features
from ssefw.screening.features.xrd import PatternGrid, bin_patterns, xrd_pattern, xrd_patterns

__all__ = [
    "CELL_FEATURES",
    "COMPOSITION_FEATURES",
    "KANG_CELL_FEATURES",
    "PatternGrid",
    "bin_patterns",
    "cell_features",
    "composition_features",
    "xrd_pattern",
    "xrd_patterns",
]
