"""The bond-valence site energy: its map, percolation barriers and migration paths."""

from ssefw.bvse.barrier import site_energy_barrier, site_energy_landscape

__all__ = ["site_energy_barrier", "site_energy_landscape"]
