"""The typed records that cross a boundary: between rooms, into the store, onto disk.

Every record is frozen and closed (an unknown field is an error), every float carries its unit, and
what is uncertain is an `Estimate`. The import path of a class is part of the database schema, since
monty stores it with each record: classes in this module are never moved or renamed without a
migration.

    pool --> Candidate --> Ranking --> campaign --> Trajectory (Segments), RelaxResult
                                                --> Diffusivity, Conductivity, Barrier --> Outcome
    Outcome --> Label --> the next Ranking
"""

import hashlib
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from types import MethodType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pymatgen.core import Structure as PymatgenStructure

from ssefw.units import (
    Area,
    CoreHours,
    Energy,
    EnergyPerAtom,
    Fraction,
    Length,
    Pure,
    Seconds,
    SPerCm,
    Temperature,
    TimeFs,
    TimePs,
    Unit,
    Volume,
)

__all__ = [
    "ArrheniusPoint",
    "Barrier",
    "CampaignRecord",
    "Candidate",
    "CascadeStep",
    "Cell",
    "Conductivity",
    "Conflict",
    "Convergence",
    "ConvergencePoint",
    "Cost",
    "Diffusivity",
    "Document",
    "EndReason",
    "Estimate",
    "Evaluation",
    "ExcludedCandidate",
    "Failure",
    "Gate",
    "HopRecord",
    "KindOffset",
    "Label",
    "LabelKind",
    "LabelSet",
    "NebIterationRecord",
    "NebPath",
    "NebStatus",
    "Outcome",
    "OutcomeStatus",
    "PlannedCandidate",
    "Provenance",
    "RankChange",
    "RankedCandidate",
    "Ranking",
    "RelaxResult",
    "Reranking",
    "Segment",
    "StaticResult",
    "Trajectory",
]

Structure = Annotated[
    PymatgenStructure, PlainSerializer(lambda structure: structure.as_dict(), when_used="json")
]
"""A pymatgen Structure that pydantic can also write as JSON."""

Degrees = Annotated[float, Unit("degree")]
InUnitField = Annotated[float, Unit("as the field `unit` says")]


def _now() -> datetime:
    return datetime.now(UTC)


class _instance_method:  # noqa: N801 - used as a decorator
    """A method that the class itself does not have.

    monty calls as_dict of whatever has it, also of the class that a job names as output schema.
    """

    def __init__(self, function: Callable[[Any], dict[str, Any]]) -> None:
        self._function = function

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[[], dict[str, Any]]:
        if instance is None:
            raise AttributeError(self._function.__name__)
        return MethodType(self._function, instance)


class Document(BaseModel):
    """A record that is stored or passed between layers: frozen and closed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        ignored_types=(_instance_method,),
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_monty_keys(cls, data: Any) -> Any:
        """Accept a record as monty stores it, with @module, @class and @version."""
        if isinstance(data, dict) and "@class" in data:
            return {key: value for key, value in data.items() if not key.startswith("@")}
        return data

    @_instance_method
    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types with the keys by which monty finds the class again."""
        record = self.model_dump(mode="json")
        return {"@module": type(self).__module__, "@class": type(self).__name__, **record}


class Estimate(Document):
    """A number with its uncertainty, a bound, or the statement that it is undetermined.

    Attributes
    ----------
    kind
        ``value`` has a value and an interval; ``upper_bound`` only `upper` (the quantity lies below
        it with confidence `level`), ``lower_bound`` only `lower`; ``undetermined`` has neither.
    value
        The best estimate.
    lower, upper
        The interval that holds the quantity with probability `level`. It need not be symmetric.
    level
        Confidence level of the interval or bound.
    unit
        Unit of the three numbers.
    method
        How the interval was found, in a few words.
    reason
        Why there is only a bound, or nothing.
    """

    kind: Literal["value", "upper_bound", "lower_bound", "undetermined"] = "value"
    value: InUnitField | None = None
    lower: InUnitField | None = None
    upper: InUnitField | None = None
    level: Fraction = 0.95
    unit: str
    method: str = ""
    reason: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        present = tuple(x is not None for x in (self.value, self.lower, self.upper))
        expected = {
            "value": (True, True, True),
            "upper_bound": (False, False, True),
            "lower_bound": (False, True, False),
            "undetermined": (False, False, False),
        }[self.kind]
        if present != expected:
            raise ValueError(
                f"an Estimate of kind {self.kind!r} has (value, lower, upper) present as "
                f"{expected}, got {present}"
            )
        if self.kind == "value" and not self.lower <= self.value <= self.upper:  # type: ignore[operator]
            raise ValueError(
                f"the interval [{self.lower}, {self.upper}] must hold the value {self.value}"
            )
        if not 0 < self.level < 1:
            raise ValueError(f"a confidence level lies between 0 and 1, got {self.level}")
        return self

    @classmethod
    def below(cls, upper: float, *, unit: str, reason: str, level: float = 0.95) -> Self:
        """Return an upper bound."""
        return cls(kind="upper_bound", upper=upper, unit=unit, reason=reason, level=level)

    @classmethod
    def above(cls, lower: float, *, unit: str, reason: str, level: float = 0.95) -> Self:
        """Return a lower bound."""
        return cls(kind="lower_bound", lower=lower, unit=unit, reason=reason, level=level)

    @classmethod
    def undetermined(cls, reason: str, *, unit: str) -> Self:
        """Return the statement that the quantity could not be determined, and why."""
        return cls(kind="undetermined", unit=unit, reason=reason)

    def __str__(self) -> str:
        if self.kind == "value":
            return f"{self.value:.3g} [{self.lower:.3g}, {self.upper:.3g}] {self.unit}".rstrip()
        if self.kind == "upper_bound":
            return f"< {self.upper:.3g} {self.unit}".rstrip()
        if self.kind == "lower_bound":
            return f"> {self.lower:.3g} {self.unit}".rstrip()
        return "undetermined"


class Provenance(Document):
    """What made a record: enough to repeat it.

    Attributes
    ----------
    engine
        Name of the engine and its model or code, for example ``ase:chgnet-0.3.0``.
    settings_hash
        Hash of every setting that changes the numbers.
    versions
        Package or program name to version.
    job_id
        The jobflow job that wrote the record, if one did.
    """

    engine: str = ""
    settings_hash: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    job_id: str | None = None
    created: datetime = Field(default_factory=_now)


class Candidate(Document):
    """A structure under study.

    Attributes
    ----------
    id
        Content id: equal structures have equal ids whatever file they came from.
    properties
        What the pool says of it (hull energy, band gap ...), keys carry the unit.
    aliases
        Sources of duplicates that were merged into this one.
    """

    id: str
    formula: str
    structure: Structure
    source: str = ""
    aliases: tuple[str, ...] = ()
    reference: str = ""
    properties: dict[str, Any] = Field(default_factory=dict)


LabelKind = Literal["experiment", "aimd", "mlip", "neb"]


class Cell(Document):
    """The conventional cell of a crystal, which a table may state without the atoms in it.

    Attributes
    ----------
    space_group
        Number of the space group, 1 to 230.
    formula_units
        Formula units Z in the cell, for the formula the record states.
    """

    a: Length
    b: Length
    c: Length
    alpha: Degrees
    beta: Degrees
    gamma: Degrees
    space_group: int = Field(ge=1, le=230)
    formula_units: Pure | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if min(self.a, self.b, self.c) <= 0 or not all(
            0 < angle < 180 for angle in (self.alpha, self.beta, self.gamma)
        ):
            raise ValueError(
                "cell lengths are positive and angles lie between 0 and 180 degrees, got "
                f"{self.a} {self.b} {self.c} {self.alpha} {self.beta} {self.gamma}"
            )
        return self

    @property
    def volume(self) -> float:
        """Volume in angstrom^3."""
        cos = [math.cos(math.radians(angle)) for angle in (self.alpha, self.beta, self.gamma)]
        square = 1 + 2 * math.prod(cos) - sum(x * x for x in cos)
        return self.a * self.b * self.c * math.sqrt(max(square, 0.0))


class Label(Document):
    """A known conductivity of a material, measured or computed.

    Attributes
    ----------
    candidate_id
        Content id of the structure where one is known, else an id of the composition.
    conductivity
        In S/cm at `temperature`. A censored value ("< 1e-10") is a bound. Of several reports it is
        the median, with their range as the interval.
    quantity
        What was measured: the whole pellet, the grains in it, or not said.
    lowest_temperature
        Where the value was extrapolated to `temperature`: the lowest temperature measured at.
    row_id
        Name of the row in the set it comes from.
    group
        Cluster that the set assigns, for leave-one-cluster-out validation.
    sources
        File and line, or record, of each report.
    """

    candidate_id: str
    formula: str
    conductivity: Estimate
    temperature: Temperature
    kind: LabelKind
    level_of_theory: str = ""
    reference: str = ""
    quantity: Literal["total", "bulk", "unspecified"] = "unspecified"
    lowest_temperature: Temperature | None = None
    cell: Cell | None = None
    structure: Structure | None = None
    row_id: str = ""
    group: str = ""
    sources: tuple[str, ...] = ()
    n_reports: int = 1


class LabelSet(Document):
    """Labels with a name and a version that is the hash of what they say.

    Attributes
    ----------
    convention
        How censored values and duplicates were treated, in a sentence.
    rejects
        Rows that could not become a label, each with the reason.
    """

    name: str
    labels: tuple[Label, ...]
    convention: str = ""
    rejects: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> str:
        """Hash of the labels; the same labels in another order have the same version."""
        rows = sorted(
            json.dumps(label.model_dump(mode="json"), sort_keys=True) for label in self.labels
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


Decades = Annotated[float, Unit("decades")]


class KindOffset(Document):
    """How far one kind of computed conductivity lies from experiment.

    Attributes
    ----------
    offset
        Mean of log10 computed less log10 measured, in decades.
    spread
        Standard deviation of these differences.
    pairs
        Formula, log10 computed and log10 measured of each compound that has both.
    """

    kind: LabelKind
    level_of_theory: str
    offset: Estimate
    spread: Estimate
    pairs: tuple[tuple[str, Decades, Decades], ...] = ()


class Conflict(Document):
    """Two statements on one material that cannot both hold.

    Attributes
    ----------
    kept, other
        Row ids of the labels.
    action
        What was done about it.
    """

    formula: str
    kept: str
    other: str
    kept_kind: LabelKind
    other_kind: LabelKind
    kept_conductivity: Estimate
    other_conductivity: Estimate
    reason: str
    action: str


class Gate(Document):
    """A decision to go on with a candidate or not, with the numbers it was made on.

    Attributes
    ----------
    code
        Machine-readable reason, for example ``volume_change``; ``ok`` when passed.
    numbers
        What was compared; keys carry the unit.
    """

    name: str
    passed: bool
    code: str
    message: str
    numbers: dict[str, Annotated[float, Unit("as the key says")]] = Field(default_factory=dict)


class RankedCandidate(Document):
    """One line of a ranking; a larger score is better.

    Attributes
    ----------
    lower, upper
        Interval of the score over the members of an ensemble (95 %).
    votes, n_votes
        Members of the ensemble that say superionic, of how many.
    distance
        To the nearest labeled material, in units of the labels' mean distance to their center;
        far above 1 the score is an extrapolation.
    trail
        What the cascade said of it, filter by filter.
    """

    candidate_id: str
    formula: str
    score: Pure
    spread: Pure | None = None
    source: str = ""
    lower: Pure | None = None
    upper: Pure | None = None
    votes: int | None = None
    n_votes: int | None = None
    distance: Pure | None = None
    trail: tuple[Gate, ...] = ()


class CascadeStep(Document):
    """How many materials one filter of a cascade let through.

    Attributes
    ----------
    n_undetermined
        Of those stopped, how many for want of the number the filter asks for.
    """

    name: str
    n_in: int
    n_passed: int
    n_undetermined: int = 0


class Ranking(Document):
    """An ordered pool, best first, and what made the order.

    Attributes
    ----------
    label_set
        Name and version of the labels the model learned from.
    model
        Hash of what made the model, and its name among the stored ones; empty where it is a file.
    """

    entries: tuple[RankedCandidate, ...]
    screener: str
    meaning: str
    label_set: str = ""
    model: str = ""
    cascade: tuple[CascadeStep, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)


class RankChange(Document):
    """What new labels did to the place of one candidate.

    Attributes
    ----------
    before, after
        Place in the ranking, the best being 1; None where the candidate could not be scored.
    sigma
        Conductivity that was computed for it, where an outcome has become a label.
    why
        What moved it, in words.
    """

    candidate_id: str
    formula: str
    before: int | None
    after: int | None
    score_before: Pure | None = None
    score_after: Pure | None = None
    sigma: Estimate | None = None
    why: str = ""


class Reranking(Document):
    """A ranking before and after the outcomes of a campaign became labels.

    Attributes
    ----------
    labels_before, labels_after
        Name and version of the label sets.
    ranking_before, ranking_after
        Keys of the stored rankings.
    new_labels
        Row ids of the labels that are new, with their conductivity.
    refused
        Outcomes that made no label, each with the reason.
    changes
        Candidates in their new order.
    """

    campaign: str
    screener: str
    threshold: SPerCm
    labels_before: str
    labels_after: str
    ranking_before: str
    ranking_after: str
    new_labels: tuple[tuple[str, Estimate], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    offsets: tuple[KindOffset, ...] = ()
    changes: tuple[RankChange, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)


class Evaluation(Document):
    """How well a screener did on labels it had not seen.

    Attributes
    ----------
    protocol
        How the held-out labels were chosen, in words.
    threshold
        Conductivity in S/cm from which a material counts as superionic.
    metrics
        Name to value with interval.
    controls
        The same metrics for a constant score and for shuffled labels.
    reliability
        Bins of the predicted probability: mean prediction, share of positives, number.
    record
        What is needed to repeat it: seeds, sizes, settings.
    """

    screener: str
    label_set: str
    label_version: str
    protocol: str
    threshold: SPerCm
    n: int
    n_positive: int
    metrics: dict[str, Estimate]
    controls: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    reliability: tuple[tuple[Pure, Pure, int], ...] = ()
    record: dict[str, Any] = Field(default_factory=dict)
    provenance: Provenance = Field(default_factory=Provenance)


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
    wall_time: Seconds
    provenance: Provenance = Field(default_factory=Provenance)


class StaticResult(Document):
    """The energy and the largest force of a structure as given.

    Attributes
    ----------
    band_gap, magnetization
        Of the cell, from engines that know electrons.
    """

    structure: Structure
    energy: Energy
    energy_per_atom: EnergyPerAtom
    max_force: Annotated[float, Unit("eV/angstrom")]
    band_gap: Energy | None = None
    magnetization: Annotated[float, Unit("mu_B")] | None = None
    wall_time: Seconds
    provenance: Provenance = Field(default_factory=Provenance)


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
    started: datetime = Field(default_factory=_now)
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


class Diffusivity(Document):
    """Self-diffusion of one specie at one temperature, with what it rests on.

    Attributes
    ----------
    temperature
        The thermostat's set point.
    mean_temperature
        What the run really had, where known.
    tracer
        Tracer diffusivity D* in cm^2/s.
    charge
        Collective (charge) diffusivity D_sigma in cm^2/s.
    haven
        Haven ratio D*/D_sigma.
    n_hops
        Effective number of site-to-site hops observed, after He, Zhu & Mo (2018): the diffusive
        part of the total squared displacement over the squared hop distance.
    hop_rsd
        Relative standard deviation of D* by their rule 3.43 / sqrt(n_hops) + 0.04, beside which the
        interval of `tracer` can be read.
    framework_rmsd, framework_lindemann
        Net displacement of the framework over the run, and the amplitude of its most rigid species
        over the distance between neighbors.
    regime
        ``diffusive`` permits a value; ``vibrating`` and ``subdiffusive`` give an upper bound;
        ``melted`` blocks the fit.
    lag_times, msd
        The time-averaged mean squared displacement, thinned for drawing.
    fit_window
        Lags that entered the fit.
    length_reason
        Why the run is as long as it is, where a policy decided.
    drift_reference
        What was held still while displacements were taken.
    warnings
        What a reader should know before using the number.
    """

    specie: str
    temperature: Temperature
    tracer: Estimate
    charge: Estimate | None = None
    haven: Estimate | None = None
    regime: Literal["diffusive", "subdiffusive", "vibrating", "melted", "undetermined"]
    reason: str = ""
    n_mobile: int
    n_atoms: int
    volume: Volume
    n_frames: int
    duration: TimePs
    equilibration: TimePs = 0.0
    mean_temperature: Temperature | None = None
    n_hops: Pure
    hop_rsd: Fraction | None = None
    hop_distance: Length
    framework_rmsd: Length | None = None
    framework_lindemann: Pure | None = None
    fit_window: tuple[TimePs, TimePs] | None = None
    lag_times: tuple[TimePs, ...] = ()
    msd: tuple[Area, ...] = ()
    msd_framework: tuple[Area, ...] = ()
    drift_reference: Literal["framework", "all", "none"] = "framework"
    warnings: tuple[str, ...] = ()
    trajectory_key: str = ""
    length_reason: str = ""
    provenance: Provenance = Field(default_factory=Provenance)


class ArrheniusPoint(Document):
    """One temperature of an Arrhenius fit."""

    temperature: Temperature
    diffusivity: Estimate
    conductivity: Estimate
    is_used: bool
    reason: str = ""


class Conductivity(Document):
    """Conductivity at a temperature from an Arrhenius fit, with its interval.

    Attributes
    ----------
    temperature
        Where `conductivity` is given, by default 300 K.
    prefactor
        D0 of D = D0 exp(-E_a / kT).
    log10_conductivity
        The same conductivity and interval as log10(sigma / (S/cm)), in which errors are additive.
    form
        Which quantity is taken as a pure exponential: sigma*T (the hopping form) or sigma.
    curvature_p
        p-value of the test that a curved line fits no better; small means not Arrhenius.
    """

    specie: str
    temperature: Temperature = 300.0
    conductivity: Estimate
    log10_conductivity: Estimate | None = None
    activation_energy: Estimate
    prefactor: Estimate
    points: tuple[ArrheniusPoint, ...]
    form: Literal["sigma_t", "sigma"] = "sigma_t"
    carrier_charge: Pure
    n_mobile: int
    volume: Volume
    curvature_p: Fraction | None = None
    warnings: tuple[str, ...] = ()
    provenance: Provenance = Field(default_factory=Provenance)


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


OutcomeStatus = Literal["determined", "bound", "undetermined", "rejected", "failed"]


class Outcome(Document):
    """What became of a candidate in a campaign.

    Attributes
    ----------
    status
        ``determined`` has a conductivity with an interval, or the barrier where the campaign asked
        for nothing else; ``bound`` has only a bound on the conductivity,
        ``undetermined`` ran but the data do not say; ``rejected`` by a gate; ``failed`` to compute.
        Only the first two may become labels: neither a rejection nor a failure is a negative.
    barrier
        From NEB, where the campaign asks for it.
    """

    candidate_id: str
    formula: str
    campaign: str
    status: OutcomeStatus
    reason: str = ""
    conductivity: Conductivity | None = None
    barrier: Barrier | None = None
    diffusivities: tuple[Diffusivity, ...] = ()
    gates: tuple[Gate, ...] = ()
    failures: tuple[Failure, ...] = ()
    relaxed: RelaxResult | None = None
    trajectory_keys: tuple[str, ...] = ()
    cost: Cost = Field(default_factory=Cost)
    provenance: Provenance = Field(default_factory=Provenance)


class PlannedCandidate(Document):
    """A candidate of a campaign as it was submitted, in order of priority.

    Attributes
    ----------
    core_hours
        What it was predicted to use, where the engine's speed is known.
    """

    candidate_id: str
    formula: str
    source: str = ""
    aliases: tuple[str, ...] = ()
    reference: str = ""
    n_atoms: int
    md_steps: int
    core_hours: CoreHours | None = None


class ExcludedCandidate(Document):
    """An entry of the pool that a campaign did not submit: unreadable or filtered out."""

    source: str
    formula: str = ""
    candidate_id: str = ""
    code: str
    reason: str


class CampaignRecord(Document):
    """A campaign as it was submitted.

    Attributes
    ----------
    plan_key
        Hash of all settings that change the numbers of a candidate.
    spec
        The campaign file, inline structures left out.
    """

    campaign: str
    plan_key: str
    spec: dict[str, Any]
    candidates: tuple[PlannedCandidate, ...]
    excluded: tuple[ExcludedCandidate, ...] = ()
