"""Presets: what a calculation's INCAR, KPOINTS and POTCAR hold, read from YAML.

The protocol of a paper is a file in the folder `presets`; a file can extend another tag by tag.
"""

from functools import cache
from typing import Any, Literal

from pydantic import Field

from ssefw.documents import Document
from ssefw.engines.preset_files import preset_names, read_preset
from ssefw.units import Temperature, TimeFs

__all__ = ["Preset", "Protocol", "Task", "known_presets", "load_preset"]

Task = Literal["relax", "static", "md"]
PACKAGE = "ssefw.engines.vasp"


class Protocol(Document):
    """The dynamics that a paper describes.

    Attributes
    ----------
    heat_from
        Where the heating ramp starts; none if the paper has no ramp.
    heating_steps, equilibration_steps, production_steps
        Lengths of the three stages, one after the other.
    """

    temperatures: tuple[Temperature, ...]
    timestep: TimeFs
    thermostat: Literal["nose-hoover", "langevin"]
    heat_from: Temperature | None
    heating_steps: int
    equilibration_steps: int
    production_steps: int

    @property
    def total_steps(self) -> int:
        """All steps of the three stages."""
        return self.heating_steps + self.equilibration_steps + self.production_steps


class TaskSettings(Document):
    """Tags that one task adds, and its k-points: ``gamma`` or pymatgen's settings."""

    incar: dict[str, Any] = Field(default_factory=dict)
    kpoints: Literal["gamma"] | dict[str, Any] = "gamma"


class Preset(Document):
    """A named set of input settings for the three tasks.

    Attributes
    ----------
    input_sets
        ``own`` builds the inputs from this preset; ``materials-project`` takes pymatgen's MP sets
        for relax and static.
    functional
        The POTCAR family, in pymatgen's names.
    potcar
        Element to POTCAR symbol, where it differs from the family's usual choice.
    spin
        ``auto``: with spin where an element can carry a moment; ``off``: never, and a structure
        that would need it is refused; ``as set``: whatever the input set says.
    metals
        Whether a relaxed structure without band gap is a result or refused.
    """

    name: str
    input_sets: Literal["own", "materials-project"] = "own"
    functional: str = "PBE"
    potcar: dict[str, str] = Field(default_factory=dict)
    spin: Literal["auto", "off", "as set"] = "auto"
    metals: Literal["refuse", "allow"] = "refuse"
    common: dict[str, Any] = Field(default_factory=dict)
    relax: TaskSettings = Field(default_factory=TaskSettings)
    static: TaskSettings = Field(default_factory=TaskSettings)
    md: TaskSettings = Field(default_factory=TaskSettings)
    protocol: Protocol | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What the preset has settings for."""
        energies: tuple[Task, ...] = ("relax", "static")
        return energies if self.input_sets == "materials-project" else (*energies, "md")

    def incar(self, task: Task) -> dict[str, Any]:
        """Return the preset's tags for a task."""
        settings: TaskSettings = getattr(self, task)
        return self.common | settings.incar

    def kpoints(self, task: Task) -> Literal["gamma"] | dict[str, Any]:
        """Return the preset's k-points for a task."""
        settings: TaskSettings = getattr(self, task)
        return settings.kpoints


def known_presets() -> list[str]:
    """Return the names of all presets, sorted."""
    return preset_names(PACKAGE)


@cache
def load_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises
    ------
    ConfigurationError
        If there is none of this name.
    """
    return Preset.model_validate({"name": name, **read_preset(PACKAGE, name, of="VaspEngine")})
