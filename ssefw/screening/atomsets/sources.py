"""Where site vectors come from, and what a material looks like as a weighted set of them.

Sites with equal vectors are one row that weighs more: a network on sets gives the same result for
a primitive cell and a supercell, and a crystal of 200 atoms costs what its few kinds of sites do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.atomsets.chgnet import ChgnetSource
from ssefw.screening.features.sites import (
    Representation,
    composition_sites,
    represented,
    structure_sites,
)

__all__ = [
    "LAYERS",
    "Layer",
    "SiteSource",
    "WeightedSet",
    "make_source",
    "material_set",
    "pooled",
    "set_statistics",
    "statistic_names",
]

Floats = npt.NDArray[np.float64]
Layer = Literal["elements", "v0", "v1", "v2", "v3"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
_DIGITS = 4
STATISTICS = ("mean", "std", "min", "max")


class SiteSource(Protocol):
    """A pretrained network whose layers give vectors of sites."""

    name: str
    embedding: Floats
    arrays: dict[str, npt.NDArray[Any]]

    @property
    def fingerprint(self) -> str:
        """What tells these weights from others."""

    def vectors(self, sites: Any, *, layer: int) -> Floats:
        """Return the vector of each site after a layer, shape (n, d)."""


@dataclass(frozen=True)
class WeightedSet:
    """Different site vectors of a material, shape (n, d), and their weights, shape (n,), sum 1."""

    vectors: Floats
    weight: Floats


def make_source(
    name: str,
    *,
    weights: str | Path | None = None,
    arrays: Mapping[str, npt.NDArray[Any]] | None = None,
) -> SiteSource:
    """Return a source by its name.

    Parameters
    ----------
    weights
        File of the MEGNet weights; by default they are looked for in an installed ``maml``.
    arrays
        The weights themselves, as a saved model holds them.

    Raises
    ------
    ConfigurationError
        If there is no such source.
    DataError
        If the weights are not found.
    """
    if name == "chgnet":
        return ChgnetSource()
    if name == "megnet":
        # What only a paper asks for is read when it is asked for.
        from ssefw.screening.papers.megnet import (  # noqa: PLC0415
            MegnetSource,
            find_megnet_weights,
            read_megnet_weights,
        )

        return MegnetSource(arrays or read_megnet_weights(find_megnet_weights(weights)))
    raise ConfigurationError(f"Unknown source of site vectors {name!r}. Known: chgnet, megnet.")


def material_set(
    material: Material, source: SiteSource, *, layer: Layer, representation: Representation
) -> WeightedSet:
    """Return a material as a weighted set of site vectors.

    ``elements`` is V0 of the composition and needs no structure; the others are of the structure.

    Parameters
    ----------
    material
        With its structure, where the layer needs one.
    source
        What gives site vectors.
    layer
        Which of them.
    representation
        Its name, such as ``CAMN``.

    Raises
    ------
    DataError
        If the material has no structure and the layer needs one, or its sites are unusable.
    """
    charged = representation.endswith("S")
    if layer == "elements":
        sites = represented(
            composition_sites(material.composition, charged=charged), representation
        )
        return _merged(source.vectors(sites, layer=0), sites.weight)
    structure = material.structure
    # Refinements often leave hydrogen out, which is tolerable; without the ion there is no sense.
    if "Li" in material.composition and "Li" not in structure.composition:
        raise DataError(
            f"The structure of {material.formula} ({material.name}) holds no Li. Give one in which "
            "lithium has been located, or use layer=elements."
        )
    sites = represented(structure_sites(structure, charged=charged), representation)
    return _merged(source.vectors(sites, layer=LAYERS.index(layer) - 1), sites.weight)


def _merged(vectors: Floats, weight: Floats) -> WeightedSet:
    """Return rows that agree to 1e-4 as one, their mean; what that merges does not matter."""
    # Adding zero turns -0.0 into 0.0, which sorts differently.
    keys = np.round(vectors, _DIGITS) + 0.0
    kinds, group = np.unique(keys, axis=0, return_inverse=True)
    share = np.bincount(group.ravel(), weights=weight, minlength=len(kinds))
    total = np.zeros_like(kinds)
    np.add.at(total, group.ravel(), vectors * weight[:, None])
    return WeightedSet(total / share[:, None], share / share.sum())


def pooled(sets: list[WeightedSet]) -> Floats:
    """Return the weighted mean vector of each set, shape (n, d)."""
    return np.array([one.weight @ one.vectors for one in sets])


def set_statistics(sets: Sequence[WeightedSet]) -> Floats:
    """Return mean, standard deviation, smallest and largest of each component, shape (n, 4 d)."""
    rows = []
    for one in sets:
        mean = one.weight @ one.vectors
        spread = np.sqrt(np.maximum(one.weight @ (one.vectors - mean) ** 2, 0.0))
        rows.append(
            np.concatenate([mean, spread, one.vectors.min(axis=0), one.vectors.max(axis=0)])
        )
    return np.array(rows)


def statistic_names(source: SiteSource, layer: Layer, size: int) -> list[str]:
    """Return the names of `set_statistics` for vectors of this size, in order."""
    kind = "v0" if layer == "elements" else layer
    return [f"{source.name} {kind}[{k}] {what}" for what in STATISTICS for k in range(size)]
