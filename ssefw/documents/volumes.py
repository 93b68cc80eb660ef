"""The cell of a crystal at a temperature, from the pressure of its dynamics."""

from typing import Annotated

from ssefw.documents.base import Document, Estimate
from ssefw.units import CoreHours, Pure, Seconds, Temperature, Unit

GPa = Annotated[float, Unit("GPa")]


class PressurePoint(Document):
    """The pressure of dynamics at one volume.

    Attributes
    ----------
    ratio
        The volume over that of the relaxed cell.
    pressure
        Its mean, kinetic part and stress, in GPa.
    affine_modulus
        Bulk modulus of frames that are strained without giving their atoms time to move: the real
        one is lower.
    n_frames
        Of which it is the mean.
    trajectory_key
        Of the run.
    """

    ratio: Pure
    pressure: Estimate
    affine_modulus: GPa
    n_frames: int
    trajectory_key: str
    wall_time: Seconds = 0.0


class ThermalVolume(Document):
    """The volume at which a crystal has no pressure at a temperature, its shape that of relaxation.

    Attributes
    ----------
    ratio
        The volume that is used over that of the relaxed cell.
    expansion
        `ratio` less one; its interval holds the volume without pressure.
    bulk_modulus
        By which pressures became volumes.
    points
        The runs, in order.
    converged
        Whether the last run had no pressure beyond its error, or the tolerance; else `ratio` is
        where the pressures of the runs point to.
    core_hours, wall_time, md_steps
        Of the runs.
    """

    temperature: Temperature
    ratio: Pure
    expansion: Estimate
    bulk_modulus: GPa
    points: tuple[PressurePoint, ...]
    converged: bool
    core_hours: CoreHours = 0.0
    wall_time: Seconds = 0.0
    md_steps: int = 0
