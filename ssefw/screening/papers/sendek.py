"""The logistic regression of Sendek et al. 2017 on five features of a crystal.

The paper fits one model to 40 labels. Here it is fitted to the training side of random splits, as
the composition system is, so that votes, calibration and distances mean the same as elsewhere.

https://doi.org/10.1039/C6EE02697D
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ssefw.data.materials import Material
from ssefw.screening.composition import CompositionScreener
from ssefw.screening.features.sendek import SENDEK_FEATURES, missing_element, sendek_features
from ssefw.units import AskedMembers

__all__ = ["SendekScreener"]


@dataclass(kw_only=True, eq=False)
class SendekScreener(CompositionScreener):
    """Logistic regressions on bonds, ionicity and distances of a crystal that vote.

    Attributes
    ----------
    members, n_splits, test_share, grouped, tuned, seed, workers
        As of `CompositionScreener`; `cell` adds nothing here.
    """

    name: ClassVar[str] = "sendek2017"
    needs: ClassVar[Literal["composition", "structure"]] = "structure"

    members: Sequence[str] = ("lr",)
    n_splits: AskedMembers = 20

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the five features, in order."""
        return SENDEK_FEATURES

    def lacks(self, material: Material) -> str:
        """Return what Sendek's features are not defined without."""
        return super().lacks(material) or missing_element(material.structure)

    def _features(self, materials: Sequence[Material]) -> npt.NDArray[np.float64]:
        return np.array([sendek_features(material.structure) for material in materials]).reshape(
            -1, len(SENDEK_FEATURES)
        )
