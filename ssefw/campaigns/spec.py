"""The campaign file: what a user wants, as YAML, checked key by key.

Lengths are in angstrom, durations in ps (time steps in fs), temperatures in K, energies in eV.
"""

import difflib
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ssefw.errors import ConfigurationError
from ssefw.units import (
    Cm2PerS,
    CoreHours,
    Energy,
    Fraction,
    Length,
    Pure,
    SPerCm,
    Temperature,
    TimeFs,
    TimePs,
)

__all__ = [
    "AdaptiveSpec",
    "BudgetSpec",
    "CampaignSpec",
    "EngineSpec",
    "FeedbackSpec",
    "NebSpec",
    "PoolSpec",
    "ResourcesSpec",
    "ScreenSpec",
    "StructureSpec",
    "read_campaign",
]


class Block(BaseModel):
    """A block of a campaign file: closed, so that a mistyped key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StructureSpec(Block):
    """A structure written into the campaign file."""

    name: str
    cif: str = ""
    poscar: str = ""
    reference: str = ""
    properties: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if bool(self.cif) == bool(self.poscar):
            raise ValueError(f"structure {self.name!r} needs either cif or poscar")
        return self


class PoolSpec(Block):
    """Where candidates come from.

    Attributes
    ----------
    path
        A folder of structure files, a .jsonl or .csv table, relative to the campaign file.
    structures
        Structures in the file itself.
    strict
        Stop at a malformed file instead of reporting and skipping it.
    limit
        Take only so many, in the order of the pool.
    """

    path: Path | None = None
    structures: tuple[StructureSpec, ...] = ()
    strict: bool = False
    limit: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.path is None and not self.structures:
            raise ValueError("give path (a folder or table) or structures")
        return self


class ScreenSpec(Block):
    """A trained model that orders the pool; the best are taken.

    Attributes
    ----------
    model
        File that ``ssefw screen train`` wrote, relative to the campaign file.
    phases
        Phases with energies, for oxidation limits the pool does not state.
    accepted_only
        Take only what every member of the ensemble accepts.
    """

    model: Path
    phases: Path | None = None
    top: int | None = Field(50, ge=1)
    accepted_only: bool = False


class EngineSpec(Block):
    """What computes energies and forces.

    Attributes
    ----------
    code
        ``ase``: an ASE calculator, by default the ML potential CHGNet; ``vasp``; ``espresso``.
    calculator
        For ``ase``: import path of the calculator.
    options
        For ``ase``: keyword arguments for the calculator; for ``espresso``: fields of
        `EspressoEngine`.
    preset, incar, kpoints, potcar, potcar_spec
        For ``vasp``: name of the settings, and what overrides them; see `VaspEngine`.
    """

    code: Literal["ase", "vasp", "espresso"] = "ase"
    calculator: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    preset: str | None = None
    incar: dict[str, Any] = Field(default_factory=dict)
    kpoints: dict[str, Any] = Field(default_factory=dict)
    potcar: dict[str, str] = Field(default_factory=dict)
    potcar_spec: bool = False

    @model_validator(mode="after")
    def _one_code(self) -> Self:
        others = {
            "ase": {"preset", "incar", "kpoints", "potcar", "potcar_spec"},
            "vasp": {"calculator", "options"},
            "espresso": {"calculator", "preset", "incar", "kpoints", "potcar", "potcar_spec"},
        }[self.code]
        if wrong := sorted(others & self.model_fields_set):
            raise ValueError(f"{wrong[0]!r} is not for the code {self.code!r}")
        return self


class BvseSpec(Block):
    """The bond-valence precheck."""

    max_barrier: Energy = Field(0.6, gt=0)
    resolution: Length = Field(0.2, gt=0)


class RelaxSpec(Block):
    """Relaxation before dynamics; forces in eV/A.

    Attributes
    ----------
    skip
        Take structures as they are, from a database of relaxed ones; their forces are computed.
    """

    fmax: Pure = Field(0.05, gt=0)
    max_steps: int = Field(500, ge=1)
    relax_cell: bool = True
    skip: bool = False
    max_volume_change: Fraction = Field(0.3, gt=0)


class SupercellSpec(Block):
    """The cell that is simulated: least distance between opposite faces, most atoms."""

    min_length: Length = Field(10.0, gt=0)
    max_atoms: int = Field(400, ge=1)


class HeatingSpec(Block):
    """A linear rise of the thermostat's set point at the start of each run."""

    start: Temperature = Field(100.0, gt=0)
    length: TimePs = Field(2.0, gt=0)


class TriageSpec(Block):
    """A short run that decides whether the ladder is climbed."""

    temperature: Temperature = Field(gt=0)
    length: TimePs = Field(gt=0)
    min_hops: Pure = Field(5.0, ge=0)


class ConvergeSpec(Block):
    """Continue each run beyond `length` until its diffusivity is known well enough."""

    relative_error: Fraction = Field(0.3, gt=0)
    max_length: TimePs = Field(gt=0)
    step: TimePs | None = Field(None, gt=0)
    enough_bound: Cm2PerS | None = Field(None, gt=0)
    min_hops: Pure = Field(20.0, ge=0)
    give_up: Pure | None = Field(4.0, ge=1)
    max_temperature_error: Fraction = Field(0.2, gt=0)


class AdaptiveSpec(Block):
    """When a ladder that chooses its next temperature ends."""

    interval_decades: Pure = Field(1.0, gt=0)
    max_runs: int = Field(6, ge=2)
    max_core_hours: CoreHours | None = Field(None, gt=0)


ADAPTIVE_RANGE = tuple(float(t) for t in range(600, 1501, 100))


class MDSpec(Block):
    """Molecular dynamics at a ladder of temperatures.

    Attributes
    ----------
    ladder
        ``all`` temperatures are run, or an ``adaptive`` choice of them.
    """

    ladder: Literal["all", "adaptive"] = "all"
    adaptive: AdaptiveSpec | None = None
    temperatures: tuple[Temperature, ...] = Field(ADAPTIVE_RANGE, min_length=1)
    length: TimePs = Field(gt=0)
    equilibration: TimePs = Field(1.0, ge=0)
    timestep: TimeFs = Field(2.0, gt=0)
    steps_per_frame: int = Field(10, ge=1)
    thermostat: Literal["nose-hoover", "langevin"] = "nose-hoover"
    damping: TimeFs = Field(100.0, gt=0)
    seed: int = 0
    heating: HeatingSpec | None = None
    triage: TriageSpec | None = None
    converge: ConvergeSpec | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.converge is not None and self.converge.max_length < self.length:
            raise ValueError(
                f"converge.max_length ({self.converge.max_length:g} ps) must be at least length "
                f"({self.length:g} ps)"
            )
        if self.ladder == "all" and "temperatures" not in self.model_fields_set:
            raise ValueError("give temperatures, or ladder: adaptive to have them chosen")
        if self.ladder == "all" and self.adaptive is not None:
            raise ValueError("the block adaptive needs ladder: adaptive")
        if bad := [t for t in self.temperatures if t <= 0]:
            raise ValueError(f"temperatures must be positive, got {bad[0]:g} K")
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError("a temperature occurs twice")
        if self.equilibration >= self.length:
            raise ValueError(
                f"equilibration ({self.equilibration:g} ps) must be shorter than length "
                f"({self.length:g} ps)"
            )
        return self


class NebSpec(Block):
    """Barriers of hops, before dynamics or instead of them.

    Attributes
    ----------
    converge
        Find cutoffs and k-points within this (eV/atom) before, for the code ``espresso``.
    mechanism
        Whether vacancies hop, interstitial ions, or these with an ion that they push on.
    engine
        What relaxes ends and bands, where it is not the campaign's; it then also relaxes the
        crystal.
    first
        A cheaper engine that relaxes each band first.
    hops
        The ``shortest`` that cross the crystal, those that do so over the lowest saddle points of
        the site energy (``bvse``), or ``all`` up to `max_hop`.
    path
        Where the images of a band start.
    images
        Both ends included.
    fmax, end_fmax
        Largest force (eV/A) of converged bands and of relaxed ends.
    charge
        Of a cell with the defect, for engines that know charge; by default that of Li+.
    max_barrier
        A candidate with a higher barrier gets no dynamics.
    """

    engine: EngineSpec | None = None
    first: EngineSpec | None = None
    converge: Energy | None = Field(None, gt=0)
    mechanism: Literal["vacancy", "interstitial", "concerted"] = "vacancy"
    hops: Literal["shortest", "bvse", "all"] = "shortest"
    max_hop: Length = Field(6.0, gt=0)
    max_hops: int = Field(20, ge=1)
    min_length: Length = Field(10.0, gt=0)
    max_atoms: int = Field(400, ge=1)
    path: Literal["auto", "linear", "idpp", "bvse"] = "auto"
    images: int = Field(7, ge=3)
    fmax: Pure = Field(0.05, gt=0)
    max_steps: int = Field(200, ge=1)
    climb: bool = True
    end_fmax: Pure = Field(0.01, gt=0)
    end_steps: int = Field(500, ge=1)
    charge: Pure | None = None
    max_barrier: Energy | None = Field(None, gt=0)


class ResourcesSpec(Block):
    """What the queue jobs of a stage ask for; what is left out is the site's.

    Attributes
    ----------
    tasks_per_node, cpus_per_task
        MPI ranks, and threads of each.
    memory
        Of each node, in MB.
    walltime
        ``H:MM:SS`` or ``D-HH:MM:SS``.
    directives
        Further options of the queue, as its manual writes them.
    """

    nodes: int | None = Field(None, ge=1)
    tasks_per_node: int | None = Field(None, ge=1)
    cpus_per_task: int | None = Field(None, ge=1)
    gpus_per_node: int | None = Field(None, ge=0)
    memory: int | None = Field(None, ge=1)
    walltime: str | None = Field(None, pattern=r"^(\d+-)?\d+:\d\d:\d\d$")
    queue: str | None = None
    account: str | None = None
    directives: tuple[str, ...] | None = None

    @property
    def minutes(self) -> int | None:
        """The walltime, rounded up to minutes."""
        if self.walltime is None:
            return None
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = map(int, clock.split(":"))
        return (int(days or 0) * 24 + hours) * 60 + minutes + (seconds > 0)


class BudgetSpec(Block):
    """What a campaign may take.

    Attributes
    ----------
    core_hours
        When they are spent, running jobs store what they have, and no new ones start.
    queue_jobs
        Most jobs in the queue at a time.
    """

    core_hours: Pure | None = Field(None, gt=0)
    queue_jobs: int | None = Field(None, ge=1)


class FeedbackSpec(Block):
    """How a campaign learns from its outcomes.

    Attributes
    ----------
    labels
        Label sets to begin with, by name or by path relative to the campaign file.
    system, settings
        Screening system that is refitted, and its settings.
    threshold
        S/cm from which a material counts as a hit.
    batch
        Compute so many candidates at a time and re-rank the others after each; without it all
        candidates are open from the start, and outcomes change the order of those that wait.
    target
        Stop when so many hits are found.
    min_expected
        Stop when the next batch is expected to hold fewer hits than this.
    exploration
        Standard deviations of the score that are added to it when the next are chosen.
    per_framework
        So many candidates of the same elements beside the mobile ion are taken in a turn.
    blind
        Leave what is known of the campaign's own compositions out of the sets to begin with: the
        first ranking is then a prediction, and the outcomes its test.
    """

    labels: tuple[str, ...] = Field(("starter",), min_length=1)
    system: str = "composition"
    settings: dict[str, Any] = Field(default_factory=dict)
    threshold: SPerCm = Field(1e-4, gt=0)
    batch: int | None = Field(None, ge=1)
    target: int | None = Field(None, ge=1)
    min_expected: Pure | None = Field(None, gt=0)
    exploration: Pure = Field(0.5, ge=0)
    per_framework: int = Field(2, ge=1)
    blind: bool = False

    @model_validator(mode="after")
    def _needs_batch(self) -> Self:
        if self.batch is None and (self.target is not None or self.min_expected is not None):
            raise ValueError("target and min_expected are rules of a loop: give batch as well")
        return self


class ConductivitySpec(Block):
    """What is asked of the fit."""

    temperature: Temperature = Field(300.0, gt=0)
    level: Fraction = Field(0.95, gt=0, lt=1)


class CampaignSpec(Block):
    """A campaign, as its file says.

    Attributes
    ----------
    filters
        Name of a preset of filters, or filters by name with their limits, in order.
    resources
        What the queue jobs of a stage ask for; a stage that is named gets queue jobs of its own.
    """

    campaign: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)
    specie: str = "Li"
    pool: PoolSpec
    filters: str | tuple[dict[str, dict[str, Any]], ...] = ()
    screen: ScreenSpec | None = None
    engine: EngineSpec = EngineSpec()
    bvse: BvseSpec | None = None
    relax: RelaxSpec = RelaxSpec()
    supercell: SupercellSpec = SupercellSpec()
    neb: NebSpec | None = None
    md: MDSpec | None = None
    conductivity: ConductivitySpec = ConductivitySpec()
    resources: dict[Literal["light", "relax", "neb", "md"], ResourcesSpec] = Field(
        default_factory=dict
    )
    budget: BudgetSpec | None = None
    feedback: FeedbackSpec | None = None

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.md is None and self.neb is None:
            raise ValueError("the key 'md' is missing, or 'neb' for barriers without dynamics")
        if self.md is not None and self.engine.code == "espresso":
            raise ValueError(
                "the code 'espresso' does no molecular dynamics; give it to neb.engine"
            )
        neb = self.neb
        converges = neb is not None and neb.converge is not None
        if converges and self._neb_engines()[0].code != "espresso":
            raise ValueError("neb.converge is for the code 'espresso'")
        for engine in self._neb_engines():
            if engine.code == "vasp" and engine.preset == "hull":
                raise ValueError("the preset 'hull' is for energies and has no bands")
        return self

    def _neb_engines(self) -> list[EngineSpec]:
        """Return the engines that relax bands."""
        if self.neb is None:
            return []
        return [self.neb.engine or self.engine, *([self.neb.first] if self.neb.first else [])]


def read_campaign(path: Path) -> CampaignSpec:
    """Read a campaign file.

    Raises
    ------
    ConfigurationError
        If it is missing, no YAML, or a key or value is wrong; the message has file and line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"Cannot read the campaign file {path}: {reason}.") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigurationError(f"{where}: this is not valid YAML ({problem}).") from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} is not a campaign: it must have the keys campaign, pool and md (or neb). "
            "Start from workflows/quickstart.yaml."
        )
    try:
        spec = CampaignSpec.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path, node)) from error
    return _with_paths(spec, path.parent)


def _with_paths(spec: CampaignSpec, folder: Path) -> CampaignSpec:
    """Make paths relative to the campaign file, wherever the command was started."""
    pool, screen = spec.pool, spec.screen
    if pool.path is not None:
        pool = pool.model_copy(update={"path": folder / pool.path.expanduser()})
    if screen is not None:
        update = {"model": folder / screen.model.expanduser()}
        if screen.phases is not None:
            update["phases"] = folder / screen.phases.expanduser()
        screen = screen.model_copy(update=update)
    feedback = spec.feedback
    if feedback is not None:
        # A name that is no file is that of a set that comes with ssefw or a package.
        files = ((name, folder / Path(name).expanduser()) for name in feedback.labels)
        labels = tuple(str(path.resolve()) if path.exists() else name for name, path in files)
        feedback = feedback.model_copy(update={"labels": labels})
    return spec.model_copy(update={"pool": pool, "screen": screen, "feedback": feedback})


def _explain(error: ValidationError, path: Path, node: Any) -> str:
    """Say in one line what the first of the errors is, and how many there are."""
    errors = error.errors()
    first = errors[0]
    location = first["loc"]
    key = ".".join(str(part) for part in location)
    where = f"{path}:{_line(node, location)}"
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}."
        return f"{where}: unknown key {key!r}; {hint}{more}"
    if first["type"] == "missing":
        return f"{where}: the key {key!r} is missing.{more}"
    message = first["msg"].removeprefix("Value error, ")
    got = first["input"]
    shown = f", got {got!r}" if isinstance(got, str | int | float | bool) else ""
    return f"{where}: {key or 'campaign'}: {message}{shown}.{more}"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    model: Any = CampaignSpec
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation if hasattr(model, "model_fields") else None
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(
            (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None
        )
        if model is None:
            return []
    return sorted(model.model_fields)


def _line(node: Any, location: tuple[str | int, ...]) -> int:
    """Return the line of the deepest key of a location that the file has."""
    line: int = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
