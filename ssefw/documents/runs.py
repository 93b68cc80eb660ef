"""What engines return: failures, relaxations, the ledger of a trajectory, cost."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ssefw.documents.base import Document, Provenance, Structure, utc_now
from ssefw.documents.volumes import ThermalVolume
from ssefw.units import (
    CoreHours,
    Energy,
    EnergyPerAtom,
    Fraction,
    Pressure,
    Seconds,
    Temperature,
    TimeFs,
    Unit,
)


class Failure(Document):
    """Why a stage did not give its result.

    Attributes
    ----------
    code
        Short machine-readable reason, for example ``engine_error``.
    """

    stage: str
    code: str
    message: str
    directory: str | None = None


class RelaxResult(Document):
    """A relaxed structure and its energy.

    Attributes
    ----------
    band_gap, magnetization
        Of the relaxed cell, from engines that know electrons.
    thermal
        By how much the cell was made larger afterwards, for a temperature; `structure` has it so.
    """

    structure: Structure
    energy: Energy
    energy_per_atom: EnergyPerAtom
    converged: bool
    n_steps: int
    max_force: Annotated[float, Unit("eV/angstrom")]
    volume_change: Fraction
    band_gap: Energy | None = None
    magnetization: Annotated[float, Unit("mu_B")] | None = None
    thermal: ThermalVolume | None = None
    wall_time: Seconds
    provenance: Provenance = Field(default_factory=Provenance)


Force = Annotated[float, Unit("eV/angstrom")]


class StaticResult(Document):
    """The energy and the forces of a structure as given.

    Attributes
    ----------
    forces
        On each atom; None in records of earlier versions, and where the engine tells only the
        largest.
    stress
        Rows of the tensor, tension positive; None where it was not computed.
    cores
        That it held; None in records of earlier versions.
    band_gap, magnetization
        Of the cell, from engines that know electrons.
    """

    structure: Structure
    energy: Energy
    energy_per_atom: EnergyPerAtom
    max_force: Annotated[float, Unit("eV/angstrom")]
    forces: tuple[tuple[Force, Force, Force], ...] | None = None
    stress: tuple[tuple[Pressure, Pressure, Pressure], ...] | None = None
    cores: int | None = None
    band_gap: Energy | None = None
    magnetization: Annotated[float, Unit("mu_B")] | None = None
    wall_time: Seconds
    provenance: Provenance = Field(default_factory=Provenance)


class Labels(Document):
    """Frames whose energies and forces one job computed.

    Attributes
    ----------
    keys
        Of each frame that was asked for, the key under which the stages of the store hold its
        `StaticResult`; empty where it failed.
    core_hours
        Of those that are there.
    """

    keys: tuple[str, ...]
    core_hours: CoreHours


EndReason = Literal["complete", "walltime", "preempted", "killed", "corrected", "running"]


class Segment(Document):
    """A stretch of a trajectory that one process computed without a break.

    Attributes
    ----------
    first_step, last_step
        Steps of the whole trajectory: the segment starts from the state at `first_step` and ends
        with the state at `last_step`; segment k+1 starts where segment k ended.
    first_frame, n_frames
        Frames it added, counted over the whole trajectory.
    velocities
        ``drawn`` from a Maxwell-Boltzmann distribution, or ``continued`` from the step before.
    end_reason
        Why it ended. ``running`` is a segment whose process has not said how it ended.
    blobs
        Keys of its frames in the trajectory store.
    events
        Corrections and warnings while it ran, in order.
    cores
        That it had, ranks times threads; None in records that do not tell.
    """

    index: int
    first_step: int
    last_step: int
    first_frame: int
    n_frames: int
    velocities: Literal["drawn", "continued"]
    end_reason: EndReason
    settings_hash: str
    wall_time: Seconds
    mean_temperature: Temperature | None = None
    blobs: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    started: datetime = Field(default_factory=utc_now)
    job_id: str | None = None
    cores: int | None = None


class Trajectory(Document):
    """The ledger of one molecular dynamics run: which steps exist and where they came from.

    Attributes
    ----------
    key
        Content key: candidate, engine, settings, temperature and seed.
    steps_per_frame
        A frame is kept every so many steps; frame k is the state at step k * steps_per_frame.
    equilibration_steps
        Steps at the start that analysis leaves out.
    structure
        The cell that was simulated, as it was at step 0.
    """

    key: str
    candidate_id: str
    temperature: Temperature
    timestep: TimeFs
    steps_per_frame: int
    equilibration_steps: int
    target_steps: int
    seed: int
    thermostat: str
    structure: Structure
    segments: tuple[Segment, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)

    @model_validator(mode="after")
    def _check_continuous(self) -> Self:
        step, frame = 0, 0
        for index, segment in enumerate(self.segments):
            if (segment.index, segment.first_step, segment.first_frame) != (index, step, frame):
                raise ValueError(
                    f"segment {segment.index} of trajectory {self.key} starts at step "
                    f"{segment.first_step}, frame {segment.first_frame}; the one before ended at "
                    f"step {step}, frame {frame}"
                )
            step, frame = segment.last_step, frame + segment.n_frames
        return self

    @property
    def n_steps(self) -> int:
        """Steps computed so far."""
        return self.segments[-1].last_step if self.segments else 0

    @property
    def n_frames(self) -> int:
        """Frames kept so far, the starting structure included."""
        return sum(segment.n_frames for segment in self.segments)

    @property
    def is_complete(self) -> bool:
        """Whether the target length is reached."""
        return self.n_steps >= self.target_steps


class Cost(Document):
    """What a candidate used.

    Attributes
    ----------
    protocol
        A published protocol of fixed length, to compare with.
    protocol_core_hours
        What relaxation and that protocol would have used with this cell, engine and machine, at
        the speed its dynamics had; None where no dynamics ran.
    """

    wall_time: Seconds = 0.0
    core_hours: CoreHours = 0.0
    md_steps: int = 0
    atom_steps: int = 0
    protocol: str = ""
    protocol_core_hours: CoreHours | None = None

    @property
    def saved_core_hours(self) -> float | None:
        """Core hours less than the protocol's; negative where more was used."""
        if self.protocol_core_hours is None:
            return None
        return self.protocol_core_hours - self.core_hours
