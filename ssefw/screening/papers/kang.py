"""The ensemble of Kang, Kim and Min 2022 as published: near-duplicates on both sides of a split."""

from dataclasses import dataclass
from typing import ClassVar

from ssefw.screening.composition import CompositionScreener

__all__ = ["KangScreener"]


@dataclass(kw_only=True, eq=False)
class KangScreener(CompositionScreener):
    """Gradient boosting and LightGBM on 100 plain random splits, which all must vote.

    Attributes
    ----------
    grouped
        As of `CompositionScreener`; the paper deals rows out singly.
    """

    name: ClassVar[str] = "kang2022"

    grouped: bool = False
