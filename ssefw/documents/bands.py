"""What bands of images say: hops, barriers, and the series that chose the cutoffs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ssefw.documents.base import Document, Estimate, Provenance, Structure
from ssefw.units import Energy, EnergyPerAtom, Length, Seconds, Unit

NebStatus = Literal["converged", "unconverged", "interrupted", "failed"]


class NebIterationRecord(Document):
    """How far a band was at one iteration.

    Attributes
    ----------
    highest
        Energy of the highest image above the first.
    max_force
        Largest force orthogonal to the path on any image that is free.
    """

    iteration: int
    highest: Energy
    max_force: Annotated[float, Unit("eV/angstrom")]
    climbing: bool = False


class HopRecord(Document):
    """A hop of an ion between two sites of a crystal, for all that are like it.

    Attributes
    ----------
    start, end
        Sites of the cell.
    image
        Cell that the end lies in.
    symmetric
        Whether symmetry turns it around, so that both ways are one.
    via, via_image
        Site of an ion that the hop pushes on, and the cell of that site.
    n_equivalent
        Hops of the cell that symmetry makes one with it.
    """

    start: int
    end: int
    image: tuple[int, int, int]
    via: int | None = None
    via_image: tuple[int, int, int] | None = None
    length: Length
    symmetric: bool
    n_equivalent: int


class NebPath(Document):
    """A band of images between two minima and, if it is converged, the barrier along it.

    Attributes
    ----------
    structures
        All images, both ends included; empty where they are not known.
    energies, max_forces
        Of each image; the forces are orthogonal to the path.
    lengths
        Distance of each image from the first along the path, over all atoms.
    climbed
        Whether the highest image climbed to the saddle.
    reason
        Why there is no barrier.
    forward, reverse
        Energy of the saddle above the first and the last image.
    unresolved
        How far the saddle's energy, from a spline, lies above the highest image; zero where that
        climbed.
    saddle
        Where the saddle is, on the scale of `lengths`.
    hop, mover
        What hops, where that is known, and its index in the structures.
    """

    structures: tuple[Structure, ...] = ()
    energies: tuple[Energy, ...]
    lengths: tuple[Length, ...]
    max_forces: tuple[Annotated[float, Unit("eV/angstrom")], ...]
    status: NebStatus
    climbed: bool
    reason: str = ""
    forward: Energy | None = None
    reverse: Energy | None = None
    unresolved: Energy | None = None
    saddle: Length | None = None
    hop: HopRecord | None = None
    mover: int | None = None
    history: tuple[NebIterationRecord, ...] = ()
    warnings: tuple[str, ...] = ()
    wall_time: Seconds = 0.0
    provenance: Provenance = Field(default_factory=Provenance)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not len(self.energies) == len(self.lengths) == len(self.max_forces):
            raise ValueError("energies, lengths and max_forces belong to the same images")
        if self.structures and len(self.structures) != len(self.energies):
            raise ValueError(f"{len(self.structures)} structures, {len(self.energies)} energies")
        if self.forward is not None and self.status != "converged":
            raise ValueError(f"a band that is {self.status} has no barrier")
        return self


class Barrier(Document):
    """Energy a mobile ion must have to cross the crystal, in one, two and three dimensions.

    Attributes
    ----------
    bands
        Of each class of hops, with ``neb``; without their structures, which are in the records of
        the jobs that made them.
    """

    candidate_id: str = ""
    formula: str
    specie: str
    method: Literal["bvse", "neb"]
    barrier_1d: Estimate
    barrier_2d: Estimate
    barrier_3d: Estimate
    bands: tuple[NebPath, ...] = ()
    warnings: tuple[str, ...] = ()
    wall_time: Seconds = 0.0
    provenance: Provenance = Field(default_factory=Provenance)


class BarrierPart(Document):
    """The barriers of some structures of a large pool, in the order of the pool.

    Attributes
    ----------
    rows
        Name and formula of each.
    barriers
        None where there is none.
    reasons
        Why there is none, empty where there is one.
    """

    rows: tuple[tuple[str, str], ...]
    barriers: tuple[Barrier | None, ...]
    reasons: tuple[str, ...]


class Batch(Document):
    """Some rows of a large pool that one job goes through.

    Attributes
    ----------
    parts
        Under which keys the stages of a store hold the results.
    """

    n_rows: int
    parts: tuple[str, ...]


class ConvergencePoint(Document):
    """The energy of a structure at one setting, in Ry for a cutoff and in 1/A for k-points."""

    setting: Annotated[float, Unit("Ry or 1/angstrom")]
    energy_per_atom: EnergyPerAtom


class Convergence(Document):
    """Cutoff and k-points that are fine enough for a structure.

    Attributes
    ----------
    tolerance
        Most that the energy may differ from that of the finest setting.
    ecutwfc, ecutrho, kspacing
        The coarsest settings within the tolerance.
    cutoffs, spacings
        What was computed, coarse to fine; no spacings where all gave one grid.
    """

    candidate_id: str = ""
    formula: str
    tolerance: EnergyPerAtom
    ecutwfc: Annotated[float, Unit("Ry")]
    ecutrho: Annotated[float, Unit("Ry")]
    kspacing: Annotated[float, Unit("1/angstrom")]
    cutoffs: tuple[ConvergencePoint, ...]
    spacings: tuple[ConvergencePoint, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)
