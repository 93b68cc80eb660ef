"""How the cell at a temperature is looked for, what is done with it, and what is said of it."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from pymatgen.core import Lattice, Structure

from ssefw.documents import Document, Gate, RelaxResult, ThermalVolume
from ssefw.units import Temperature, TimePs, Unit

__all__ = [
    "FRAMES",
    "STRAINED_FRAMES",
    "STRESSES",
    "VolumePolicy",
    "at_temperature",
    "scaled",
    "volume_gate",
]

FRAMES = 100
"""Whose stress is computed of each run: over 3 ps more of them say the same again."""
STRAINED_FRAMES = 4
"""From which the modulus is taken; of two volumes each, so that their noise is the same."""
STRESSES = FRAMES + 2 * STRAINED_FRAMES
"""Computed after each run."""


class VolumePolicy(Document):
    """How the volume at a temperature is looked for.

    Attributes
    ----------
    length, equilibration
        Of each run, and of its start that is left out.
    tolerance
        A pressure (GPa) that counts as none.
    max_rounds
        Runs at most.
    """

    temperature: Temperature
    length: TimePs = 4.0
    equilibration: TimePs = 1.0
    tolerance: Annotated[float, Unit("GPa")] = 0.1
    max_rounds: int = Field(default=3, ge=1)


def scaled(structure: Structure, ratio: float) -> Structure:
    """Return a structure with so many times its volume, all of it stretched alike."""
    lattice = Lattice(structure.lattice.matrix * ratio ** (1.0 / 3.0))
    return Structure(lattice, structure.species, structure.frac_coords)


def at_temperature(relaxed: RelaxResult, volume: ThermalVolume) -> RelaxResult:
    """Return a relaxed structure with its cell at a temperature."""
    structure = scaled(relaxed.structure, volume.ratio)
    return relaxed.model_copy(update={"structure": structure, "thermal": volume})


def volume_gate(found: Sequence[ThermalVolume | None]) -> Gate:
    """Say which volume the dynamics have, of a crystal or of its arrangements."""
    there = [volume for volume in found if volume is not None]
    if not there:
        words = "no volume at a temperature was found: its dynamics failed"
        return Gate(name="volume", passed=True, code="failed", message=words)
    words = "; ".join(
        f"{volume.expansion.value:+.1%} [{volume.expansion.lower:+.1%}, "
        f"{volume.expansion.upper:+.1%}]"
        + ("" if volume.converged else " where the pressures of its runs point to")
        for volume in there
    )
    first = there[0]
    return Gate(
        name="volume",
        passed=True,
        code="ok" if all(volume.converged for volume in there) else "extrapolated",
        message=f"at {first.temperature:g} K the relaxed cell grows by {words}",
        numbers={
            "temperature_k": first.temperature,
            "expansion": float(np.mean([volume.ratio for volume in there])) - 1.0,
            "bulk_modulus_gpa": float(np.mean([volume.bulk_modulus for volume in there])),
            "n_runs": float(sum(len(volume.points) for volume in there)),
            "core_hours": sum(volume.core_hours for volume in there),
        },
    )
