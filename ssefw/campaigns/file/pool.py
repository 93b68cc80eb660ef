"""Where the candidates of a campaign come from, and which model orders them."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from ssefw.campaigns.file.block import Block
from ssefw.units import AskedConductivity, AskedCount

__all__ = ["PoolSpec", "ScreenSpec", "StructureSpec"]


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
    limit: AskedCount | None = None

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
    gaps
        A pool that states band gaps, from which those are predicted that the pool does not state.
    accepted_only
        Take only what every member of the ensemble accepts.
    threshold
        Order by the chance of so many S/cm, of models that predict the number; that of the
        training if None.
    """

    model: Path
    phases: Path | None = None
    gaps: Path | None = None
    top: AskedCount | None = 50
    accepted_only: bool = False
    threshold: AskedConductivity | None = None
