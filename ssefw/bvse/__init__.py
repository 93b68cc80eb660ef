"""The bond-valence site energy: its map, percolation barriers and migration paths.

The room itself can be called: ``ssefw.bvse(structure)`` is `site_energy_barrier`.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ssefw.lazy import on_demand

if TYPE_CHECKING:
    from pymatgen.core import Structure

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
    from ssefw.documents import Barrier

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


class _Room(ModuleType):
    """A module whose name below ssefw is that of what most people want of it."""

    def __call__(self, structure: "Structure", **settings: Any) -> "Barrier":
        """Return the barriers of a crystal; settings are those of `site_energy_barrier`."""
        # As the names above, nothing is imported before it is asked for.
        from pymatgen.core import Structure  # noqa: PLC0415

        from ssefw.bvse.barrier import site_energy_barrier  # noqa: PLC0415
        from ssefw.errors import DataError  # noqa: PLC0415
        from ssefw.mistakes import check_settings  # noqa: PLC0415

        if not isinstance(structure, Structure):
            raise DataError(
                f"ssefw.bvse takes a pymatgen Structure, not a {type(structure).__name__}; "
                "Structure.from_file reads one."
            )
        checked = check_settings(site_energy_barrier, settings, of="ssefw.bvse")
        return site_energy_barrier(structure, **checked)


sys.modules[__name__].__class__ = _Room
