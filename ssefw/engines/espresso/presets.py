"""Presets: what the namelists of pw.x hold for each task, read from YAML.

The protocol of a paper is a file in the folder `presets`; what a task and the user say stands above
it, keyword by keyword.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field

from ssefw.documents import Document
from ssefw.engines.preset_files import preset_names, read_preset
from ssefw.units import AskedSpacing, Unit

__all__ = ["DEFAULT", "Namelists", "Preset", "Task", "known_presets", "load_preset", "merged"]

Task = Literal["relax", "static", "md"]
Namelists = dict[str, dict[str, Any]]

PACKAGE = "ssefw.engines.espresso"
DEFAULT = "default"


class TaskSettings(Document):
    """Namelists that one task adds, and the distance of its k-points; None is Gamma alone.

    Attributes
    ----------
    scf_accuracy
        Where it is not the preset's.
    """

    scf_accuracy: Annotated[float, Unit("Ry")] | None = None
    kspacing: AskedSpacing | None = None
    namelists: Namelists = Field(default_factory=dict)


class Preset(Document):
    """A named set of input settings for the tasks.

    Attributes
    ----------
    functional
        Of the pseudopotentials; any, where it says nothing.
    scf_accuracy
        Self-consistency is reached when the energy is known to this, for each atom; a task may
        have its own.
    tasks
        What the preset is for.
    """

    name: str
    functional: str | None = None
    scf_accuracy: Annotated[float, Unit("Ry")]
    tasks: tuple[Task, ...] = ("relax", "static", "md")
    common: Namelists = Field(default_factory=dict)
    relax: TaskSettings
    static: TaskSettings
    md: TaskSettings

    def namelists(self, task: Task) -> Namelists:
        """Return the preset's namelists for a task."""
        return merged(self.common, self.settings(task).namelists)

    def accuracy(self, task: Task) -> float:
        """Return to what energy an atom self-consistency goes, Ry."""
        own = self.settings(task).scf_accuracy
        return self.scf_accuracy if own is None else own

    def settings(self, task: Task) -> TaskSettings:
        """Return what is of one task."""
        found: TaskSettings = getattr(self, task)
        return found


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
    return Preset.model_validate({"name": name, **read_preset(PACKAGE, name, of="EspressoEngine")})


def merged(*parts: Mapping[str, Mapping[str, Any]]) -> Namelists:
    """Return namelists keyword by keyword: a later one stands above those before it.

    A value of None removes a keyword.
    """
    found: Namelists = {}
    for part in parts:
        for name, values in part.items():
            found.setdefault(name, {}).update(values)
    return {
        name: {key: value for key, value in values.items() if value is not None}
        for name, values in found.items()
    }
