"""What an engine is: one way (an ML potential, VASP ...) to relax, evaluate and move atoms."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from monty.json import MSONable, jsanitize
from pydantic import Field, model_validator
from pymatgen.core import Composition, Element, Structure

from ssefw.documents import Document, EndReason, NebPath, Provenance, RelaxResult, StaticResult
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.errors import ConfigurationError, EngineError
from ssefw.units import Temperature, TimeFs, Unit

__all__ = ["Engine", "MDSettings", "NebSettings", "check_elements", "settings_hash"]

FIRST_RELEASE = "0.1.0"
"""What keys of stages hold for the version of ssefw."""
NOT_ASKED_FOR: dict[str, Any] = {"volume": None, "confirm": None}
CAME_LATER: dict[str, dict[str, Any]] = {
    "LadderMaker": {"determined_within": 2.0, "prefactor_spread": None, **NOT_ASKED_FOR},
    "LearningLadderMaker": {"prefactor_spread": None, **NOT_ASKED_FOR},
    "TuningLadderMaker": {"student": None, **NOT_ASKED_FOR},
    "DisorderedMaker": {"n_relaxed": None},
    "TuneMaker": {"pack": 8, "given": ""},
}
"""Fields by class, and what they are where nobody sets them: campaigns begun before go on."""


class MDSettings(Document):
    """How molecular dynamics is run; everything here changes the numbers.

    Attributes
    ----------
    temperature
        Set point of the thermostat.
    steps_per_frame
        A frame is kept every so many steps.
    frames_per_chunk
        Frames that are written together; what a crash can cost.
    damping
        Time constant of the thermostat.
    heat_from, heating_steps
        The set point rises linearly from `heat_from` to `temperature` over the first
        `heating_steps` steps; without them it is `temperature` from the start.
    """

    temperature: Temperature
    timestep: TimeFs = 2.0
    steps_per_frame: int = Field(default=10, ge=1)
    frames_per_chunk: int = Field(default=10, ge=1)
    thermostat: Literal["nose-hoover", "langevin"] = "nose-hoover"
    damping: TimeFs = 100.0
    seed: int = 0
    heat_from: Temperature | None = None
    heating_steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_ramp(self) -> Self:
        if (self.heat_from is None) != (self.heating_steps == 0):
            raise ValueError("a heating ramp needs both heat_from and heating_steps")
        return self

    def set_point(self, step: int) -> float:
        """Return the thermostat's set point (K) at a step of the whole trajectory."""
        if self.heat_from is None or step >= self.heating_steps:
            return self.temperature
        rise = self.temperature - self.heat_from
        return self.heat_from + rise * step / self.heating_steps


class NebSettings(Document):
    """How a band is relaxed; everything here changes the numbers.

    Attributes
    ----------
    fmax
        Largest force orthogonal to the path (eV/A) of a converged band.
    max_steps
        Most iterations, of the plain and of the climbing stage each.
    climb
        Whether, after the plain band, the highest image climbs to the saddle.
    spring
        Elastic constant between images (eV/A^2), where the engine lets one choose.
    """

    fmax: Annotated[float, Unit("eV/angstrom")] = Field(default=0.05, gt=0)
    max_steps: int = Field(default=200, ge=1)
    climb: bool = True
    spring: Annotated[float, Unit("eV/angstrom^2")] = Field(default=1.0, gt=0)


def check_elements(symbols: Iterable[str], *, of: str) -> None:
    """Refuse keys that are no symbols of elements.

    Raises
    ------
    ConfigurationError
        With the first of them.
    """
    for symbol in symbols:
        if not Element.is_valid_symbol(symbol):
            raise ConfigurationError(f"{of}: {symbol!r} is no element; write for example Li.")


def settings_hash(*parts: Any) -> str:
    """Return a short hash of settings: plain values, documents or MSONable objects."""
    plain = jsanitize(list(parts), strict=True, enum_values=True)
    text = json.dumps(_of_any_release(plain), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _of_any_release(plain: Any) -> Any:
    """Return settings as the first release writes them down, so that a newer one finds its work.

    monty notes the installed version with every object; what changes numbers is a field. A field
    that came later is left out where it stands at what all did before.
    """
    if isinstance(plain, dict):
        found = {key: _of_any_release(value) for key, value in plain.items()}
        if str(found.get("@module")).startswith("ssefw.") and "@version" in found:
            found["@version"] = FIRST_RELEASE
            for name, value in CAME_LATER.get(found.get("@class", ""), {}).items():
                if name in found and found[name] == value:
                    del found[name]
        return found
    return [_of_any_release(item) for item in plain] if isinstance(plain, list) else plain


@dataclass(frozen=True, kw_only=True)
class Engine(MSONable, ABC):
    """Runs calculations; knows neither workflows nor databases.

    An engine is an immutable value: its fields are its settings and part of a result's provenance.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name with the model or code, for tables."""

    @property
    def nominal_speed(self) -> float | None:
        """Atom-steps of dynamics a second on one core, to predict costs; None if not known."""
        return None

    @property
    def doubt(self) -> float:
        """Factor by which steps may take longer than predicted, on another machine or material."""
        return 3.0

    @property
    def tells_stress(self) -> bool:
        """Whether `static` may give the stress, without which nothing is said of pressure."""
        return True

    def step_core_seconds(
        self,
        composition: Composition,
        *,
        volume: float,  # noqa: ARG002
        is_dynamics: bool,  # noqa: ARG002
    ) -> float | None:
        """Return about the core-seconds of a step of dynamics or of a relaxation.

        From the amount of each element in the cell, which may be disordered still, and its volume
        in A^3; None where nobody knows.
        """
        speed = self.nominal_speed
        return composition.num_atoms / speed if speed else None

    def evaluation_core_seconds(self, structure: Structure) -> float | None:
        """Return the core-seconds of one energy with forces; None if they are not known before."""
        speed = self.nominal_speed
        return len(structure) / speed if speed else None

    def check(self) -> None:
        """Raise a ConfigurationError where the engine's own settings make no sense.

        Called before a campaign is submitted, on a machine that need not have the program.
        """

    def missing(self, elements: Collection[str], *, has_bands: bool = False) -> Iterator[str]:  # noqa: ARG002
        """Yield what this machine lacks to calculate with these elements, each with its remedy.

        Programs, pseudopotentials, and parallel settings that do not fit the command. Looked for
        before a campaign is run.
        """
        yield from ()

    def belongings(self) -> Iterator[tuple[str, bytes]]:
        """Yield what workers need beside the settings, by the keys under which a store holds it."""
        yield from ()

    def fetch(self, get: Callable[[str], bytes | None]) -> None:
        """Bring what this machine lacks of that; `get` asks a store for it.

        Called by the process that computes, before it does.
        """

    def check_band(self, structure: Structure, *, n_images: int) -> None:
        """Raise an EngineError where a band of this cell could not be computed here.

        Called before its ends are relaxed, by the process that would run it.
        """

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return name and version of the programs that make the numbers."""

    @abstractmethod
    def relax(
        self,
        structure: Structure,
        *,
        fmax: float,
        max_steps: int,
        relax_cell: bool,
        directory: Path | None = None,
        stop: StopCheck = never_stop,
    ) -> RelaxResult:
        """Relax atoms (and cell) until no force exceeds `fmax` (eV/A).

        Called again after an interruption, an engine with input files goes on in the folder it
        keeps for this calculation; another one in `directory`, where that is given.

        Parameters
        ----------
        structure
            Where it begins.
        fmax
            Largest force that may remain, eV/A.
        max_steps
            After so many the result says that it did not converge.
        relax_cell
            Whether the cell changes too.
        directory
            Where an engine without input files keeps its state, to go on from there.
        stop
            Asked between steps whether to stop.

        Raises
        ------
        InterruptionError
            If `stop` asked to stop, or the time of this process was up.
        """

    @abstractmethod
    def static(self, structure: Structure) -> StaticResult:
        """Return energy and forces of a structure as it is."""

    @abstractmethod
    def md(
        self,
        structure: Structure,
        settings: MDSettings,
        run: RunDirectory,
        *,
        until: int,
        stop: StopCheck = never_stop,
    ) -> EndReason:
        """Advance the dynamics in `run` to step `until`, from wherever it stands.

        A new run starts from `structure` with velocities drawn from `settings.seed`; a run that
        was stopped, killed or truncated continues from its last complete chunk with positions,
        velocities and thermostat as they were. Between chunks `stop` is asked whether to go on.

        Parameters
        ----------
        structure
            The cell that is simulated.
        settings
            Temperature, time step, thermostat and seed.
        run
            The folder of the run, which knows where it stands.
        until
            The last step.
        stop
            Asked between chunks whether to stop.

        Returns
        -------
        Why it ended; ``complete`` if step `until` was reached.
        """

    def input_files(
        self,
        structure: Structure,
        task: Literal["relax", "static", "md"],
        *,
        settings: MDSettings | None = None,
        steps: int = 0,
        fmax: float = 0.01,
        max_steps: int = 200,
        relax_cell: bool = True,
    ) -> dict[str, str]:
        """Return name and text of each input file of a task, where the engine has such.

        Parameters
        ----------
        structure
            What is calculated.
        task
            Which calculation.
        settings, steps
            Of dynamics.
        fmax, max_steps, relax_cell
            Of a relaxation, see `relax`.

        Raises
        ------
        ConfigurationError
            If the engine works without input files.
        """
        del structure, task, settings, steps, fmax, max_steps, relax_cell
        raise ConfigurationError(f"{self.name} runs within Python and has no input files.")

    def charged(self, charge: float) -> Self:  # noqa: ARG002
        """Return this engine for cells of another charge (e).

        An engine that knows no charge, as ML potentials do not, is the same for all.
        """
        return self

    def neb(
        self,
        images: Sequence[Structure],  # noqa: ARG002
        settings: NebSettings,  # noqa: ARG002
        directory: Path,  # noqa: ARG002
        *,
        stop: StopCheck = never_stop,  # noqa: ARG002
    ) -> NebPath:
        """Relax a band between two minima, first plain and then with a climbing image.

        Both ends stay as they are. A band in `directory` that was stopped or killed continues from
        its last complete iteration.

        Parameters
        ----------
        images
            From one end to the other.
        settings
            Of the band: springs, forces that may remain, steps.
        directory
            Where the band keeps its state.
        stop
            Asked between iterations whether to stop.

        Raises
        ------
        EngineError
            If this engine has no NEB, or the images are not a path.
        """
        raise EngineError(f"{self.name} cannot relax a path. Choose another engine for NEB.")

    def provenance(self, *settings: Any) -> Provenance:
        """Return what made a record of this engine under these settings."""
        return Provenance(
            engine=self.name,
            settings_hash=settings_hash(self, *settings),
            versions=self.versions(),
        )
