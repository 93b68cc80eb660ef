"""The bond-valence site energy: its map, percolation barriers and migration paths."""

from typing import TYPE_CHECKING

from ssefw.lazy import on_demand

if TYPE_CHECKING:
    from ssefw.bvse.barrier import (
        LandscapeResult,
        cell_field,
        site_energy_barrier,
        site_energy_landscape,
    )
    from ssefw.bvse.paths import (
        distinct_hops,
        hop_images,
        nearest_mobile_sites,
        route,
        site_barriers,
    )

__all__ = [
    "LandscapeResult",
    "cell_field",
    "distinct_hops",
    "hop_images",
    "nearest_mobile_sites",
    "route",
    "site_barriers",
    "site_energy_barrier",
    "site_energy_landscape",
]

__getattr__ = on_demand(
    __name__,
    {
        "LandscapeResult": "barrier",
        "cell_field": "barrier",
        "distinct_hops": "paths",
        "hop_images": "paths",
        "nearest_mobile_sites": "paths",
        "route": "paths",
        "site_barriers": "paths",
        "site_energy_barrier": "barrier",
        "site_energy_landscape": "barrier",
    },
)
