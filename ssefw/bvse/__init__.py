"""The bond-valence site energy: its map, percolation barriers and migration paths."""

from ssefw.bvse.barrier import (
    LandscapeResult,
    cell_field,
    site_energy_barrier,
    site_energy_landscape,
)
from ssefw.bvse.paths import distinct_hops, hop_images, nearest_mobile_sites, route, site_barriers

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
