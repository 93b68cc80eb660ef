"""What the bands of a crystal cost, before any is computed."""

from pymatgen.core import Structure

from ssefw.data.defects import crystal_of, supercell_size
from ssefw.engines.base import Engine
from ssefw.engines.migration import MigrationSettings

__all__ = ["band_core_hours"]

ITERATIONS = 40
"""Of a band, plain and climbing: half of the bands of docs/neb.md need 21 to 40."""

END_STEPS = 30
"""Of the relaxation of an end."""


def band_core_hours(
    engine: Engine,
    structure: Structure,
    *,
    n_bands: int,
    n_ends: int,
    settings: MigrationSettings,
) -> float | None:
    """Predict what bands cost, their ends included; None if the speed of the engine is not known.

    Parameters
    ----------
    structure
        The crystal.
    n_bands, n_ends
        Classes of hops, and defects that are relaxed.
    """
    size = supercell_size(structure, min_length=settings.min_length)
    cell = crystal_of(structure).copy() * size
    seconds = engine.evaluation_core_seconds(cell)
    if seconds is None:
        return None
    iterations = min(ITERATIONS, 2 * settings.band.max_steps)
    per_band = iterations * (settings.n_images - 2)
    evaluations = n_bands * per_band + n_ends * min(END_STEPS, settings.end_steps)
    return evaluations * seconds / 3600.0
