"""The networks of McHaffie et al. 2025 as published, on MEGNet's site vectors of a structure.

MEGNet's weights do not come with this package: `--set weights=FILE`, or an installed ``maml``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ssefw.screening.atomsets.members import NET
from ssefw.screening.atomsets.screener import AtomSetsScreener
from ssefw.screening.atomsets.sources import Layer
from ssefw.screening.features.sites import Representation
from ssefw.units import AskedMembers

__all__ = ["McHaffieScreener"]


@dataclass(kw_only=True, eq=False)
class McHaffieScreener(AtomSetsScreener):
    """Networks that read sets out by set2set, without smoothed labels.

    Attributes
    ----------
    members, source, layer, representation, networks
        As of `AtomSetsScreener`; here as in the paper.
    """

    name: ClassVar[str] = "mchaffie2025"

    members: Sequence[str] = (NET,)
    source: str = "megnet"
    layer: Layer = "v1"
    representation: Representation = "CAMNS"
    networks: AskedMembers | Sequence[Mapping[str, Any]] = ({"pooling": "set2set", "smoothing": 0},)
