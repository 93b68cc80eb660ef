"""How far a potential is from experiment and from density-functional theory."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from ssefw.documents.base import Document, Provenance
from ssefw.units import Energy, Pure, Unit

Force = Annotated[float, Unit("eV/angstrom")]
AtomicVolume = Annotated[float, Unit("angstrom^3")]

__all__ = ["BarrierCheck", "ForceCheck", "PotentialCard", "VolumeCheck"]


class VolumeCheck(Document):
    """The volume of an atom of a relaxed crystal, beside the one at room temperature."""

    compound: str
    measured: AtomicVolume
    computed: AtomicVolume

    @property
    def deviation(self) -> float:
        """Share by which the computed volume is too large."""
        return self.computed / self.measured - 1.0


class ForceCheck(Document):
    """Forces on the atoms of displaced crystals, beside those of the reference.

    Attributes
    ----------
    slope
        Of the potential's forces over the reference's, by least squares: below one it is too soft.
    error
        Root mean square of the difference of components.
    size
        Root mean square of the reference's components.
    """

    compound: str
    slope: Pure
    error: Force
    size: Force


class BarrierCheck(Document):
    """The barrier of a vacancy's shortest hop, beside the published one."""

    compound: str
    published: Energy
    computed: Energy


class PotentialCard(Document):
    """What is known of how true a potential is.

    Attributes
    ----------
    potential
        Its name, import path or hash.
    left_out
        References that it could not compute, each with the reason.
    """

    potential: str
    volumes: tuple[VolumeCheck, ...] = ()
    forces: tuple[ForceCheck, ...] = ()
    barriers: tuple[BarrierCheck, ...] = ()
    left_out: tuple[str, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)

    @property
    def volume_deviation(self) -> float | None:
        """Mean share by which volumes are too large."""
        return _mean([check.deviation for check in self.volumes])

    @property
    def slope(self) -> float | None:
        """Mean slope of forces."""
        return _mean([check.slope for check in self.forces])

    @property
    def barrier_error(self) -> float | None:
        """Mean absolute error of barriers, eV."""
        return _mean([abs(check.computed - check.published) for check in self.barriers])

    @property
    def barrier_offset(self) -> float | None:
        """Mean of computed less published barriers, eV."""
        return _mean([check.computed - check.published for check in self.barriers])


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
