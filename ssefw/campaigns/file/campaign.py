"""The campaign file as a whole."""

import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pymatgen.core import Element

from ssefw.campaigns.file.block import Block
from ssefw.campaigns.file.confirm import ConfirmSpec
from ssefw.campaigns.file.dynamics import ConductivitySpec, MDSpec, SupercellSpec
from ssefw.campaigns.file.engine import EngineSpec
from ssefw.campaigns.file.feedback import FeedbackSpec
from ssefw.campaigns.file.gates import BvseSpec, RelaxSpec
from ssefw.campaigns.file.learn import LearnSpec
from ssefw.campaigns.file.neb import NebSpec
from ssefw.campaigns.file.orderings import OrderingsSpec
from ssefw.campaigns.file.pool import PoolSpec, ScreenSpec
from ssefw.campaigns.file.resources import BudgetSpec, ResourcesSpec
from ssefw.campaigns.file.volume import VolumeSpec

__all__ = ["CampaignSpec"]

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class CampaignSpec(Block):
    """A campaign, as its file says.

    Attributes
    ----------
    filters
        Name of a preset of filters, or filters by name with their limits, in order.
    resources
        What the queue jobs of a stage ask for; a stage that is named gets queue jobs of its own.
    """

    campaign: str = Field(max_length=80, json_schema_extra={"pattern": NAME})
    specie: str = "Li"
    pool: PoolSpec
    filters: str | tuple[dict[str, dict[str, Any]], ...] = ()
    screen: ScreenSpec | None = None
    engine: EngineSpec = EngineSpec()
    bvse: BvseSpec | None = None
    relax: RelaxSpec = RelaxSpec()
    volume: VolumeSpec = VolumeSpec()
    supercell: SupercellSpec = SupercellSpec()
    orderings: OrderingsSpec = OrderingsSpec()
    neb: NebSpec | None = None
    learn: LearnSpec | None = None
    md: MDSpec | None = None
    conductivity: ConductivitySpec = ConductivitySpec()
    confirm: ConfirmSpec | None = None
    resources: dict[Literal["light", "relax", "learn", "label", "neb", "md"], ResourcesSpec] = (
        Field(default_factory=dict)
    )
    budget: BudgetSpec | None = None
    feedback: FeedbackSpec | None = None

    @field_validator("campaign")
    @classmethod
    def _name(cls, campaign: str) -> str:
        if not re.fullmatch(NAME, campaign):
            plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", campaign).strip("-._") or "my-campaign"
            raise ValueError(
                f"is a name of letters, digits, dots, - and _, for example {plain[:80]}"
            )
        return campaign

    @field_validator("filters", mode="before")
    @classmethod
    def _written(cls, filters: Any) -> Any:
        if isinstance(filters, str):
            return filters
        lines = filters if isinstance(filters, list | tuple) else [None]
        for line in lines:
            if isinstance(line, str):
                raise ValueError(  # noqa: TRY004 - what pydantic takes for a mistake
                    f"write a preset alone, as in filters: {line}, and a filter with its limits, "
                    "as in filters: [{band_gap: {at_least: 1.0}}]"
                )
            limits = list(line.values()) if isinstance(line, dict) else [None]
            if not all(isinstance(x, dict) for x in limits):
                raise ValueError(
                    "must be the name of a preset, or a list of filters with their limits, "
                    "[{band_gap: {at_least: 1.0}}]"
                )
        return filters

    @field_validator("specie")
    @classmethod
    def _element(cls, specie: str) -> str:
        if not Element.is_valid_symbol(specie):
            raise ValueError("give the symbol of an element, such as Li")
        return specie

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.md is None and self.neb is None:
            raise ValueError("the key 'md' is missing, or 'neb' for barriers without dynamics")
        if self.md is not None and self.engine.preset == "hull":
            raise ValueError("the preset 'hull' is for energies and has no dynamics")
        if self.volume.mode == "thermal" and self.md is None:
            raise ValueError("volume: {mode: thermal} is for dynamics: the key 'md' is missing")
        if self.confirm is not None:
            self._check_confirm(self.confirm)
        neb = self.neb
        converges = neb is not None and neb.converge is not None
        if converges and self._neb_engines()[0].code != "espresso":
            raise ValueError("neb.converge is for the code 'espresso'")
        for engine in self._neb_engines():
            if engine.code in {"vasp", "espresso"} and engine.preset == "hull":
                raise ValueError("the preset 'hull' is for energies and has no bands")
        return self

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if self.learn is None:
            return self
        if self.md is None:
            raise ValueError("learn teaches who runs dynamics: the key 'md' is missing")
        teacher = self.learn.teacher
        if teacher is not None and "engine" in self.model_fields_set and teacher != self.engine:
            raise ValueError(
                "'engine' and 'learn.teacher' name two engines; the teacher relaxes, too: keep one"
            )
        return self

    def _check_confirm(self, confirm: ConfirmSpec) -> None:
        if self.md is None:
            raise ValueError("confirm repeats dynamics: the key 'md' is missing")
        if not confirm.size and confirm.engine is None:
            raise ValueError("confirm: {size: false} without an engine would repeat the same run")
        if confirm.engine is not None and confirm.engine.preset == "hull":
            raise ValueError("the preset 'hull' is for energies and has no dynamics")
        at = confirm.temperature
        if at is not None and at not in self.md.temperatures:
            known = ", ".join(f"{t:g}" for t in self.md.temperatures)
            raise ValueError(f"confirm.temperature ({at:g} K) is none of md.temperatures: {known}")

    def _neb_engines(self) -> list[EngineSpec]:
        """Return the engines that relax bands."""
        if self.neb is None:
            return []
        return [self.neb.engine or self.engine, *([self.neb.first] if self.neb.first else [])]
