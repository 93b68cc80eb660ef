"""What computes energies and forces."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ssefw.campaigns.file.block import Block
from ssefw.engines.potentials.names import DEFAULT_POTENTIAL

__all__ = ["EngineSpec"]

FIRST_DEFAULT = "chgnet"
"""The potential that was the default while records did not say which one it was."""


def _default_potential(block: Mapping[str, Any]) -> str | None:
    is_open = block.get("code") == "ase" and block.get("calculator") is None
    return DEFAULT_POTENTIAL if is_open else None


class EngineSpec(Block):
    """What computes energies and forces.

    Attributes
    ----------
    code
        ``ase``: an ML potential, or another ASE calculator; ``vasp``; ``espresso``; ``socket``: any
        program that speaks i-PI's protocol.
    calculator
        For ``ase``: import path of a calculator.
    potential
        For ``ase``: short name of an ML potential, ``sevennet-l3i5``, ``sevennet-0`` or ``chgnet``;
        or one that was trained, by the beginning of its content hash or its file; see
        `ssefw potential list`. Where no calculator is named, ``sevennet-l3i5``; a campaign's record
        says so.
    options
        For ``ase``: keyword arguments for the calculator; for ``espresso`` and ``socket``: fields
        of `EspressoEngine` and `SocketEngine`.
    preset
        For ``vasp`` and ``espresso``: name of the settings.
    incar, kpoints, potcar, potcar_spec
        For ``vasp``: what overrides them; see `VaspEngine`.
    """

    code: Literal["ase", "vasp", "espresso", "socket"] = "ase"
    calculator: str | None = None
    potential: str | None = Field(default_factory=_default_potential, min_length=1)
    options: dict[str, Any] = Field(default_factory=dict)
    preset: str | None = None
    incar: dict[str, Any] = Field(default_factory=dict)
    kpoints: dict[str, Any] = Field(default_factory=dict)
    potcar: dict[str, str] = Field(default_factory=dict)
    potcar_spec: bool = False

    @classmethod
    def of_record(cls, block: Mapping[str, Any]) -> Self:
        """Return what a stored campaign names.

        A record has all keys with their defaults, and a block only those of its code. One that
        names no potential is of a version that did not write the default down.
        """
        named = {key: value for key, value in block.items() if value not in (None, {}, False)}
        if _default_potential(named) is not None and "potential" not in named:
            named["potential"] = FIRST_DEFAULT
        return cls.model_validate(named)

    def as_begun(self, block: Mapping[str, Any] | None) -> Self:
        """Return what a campaign goes on with whose file says this, and whose record `block`.

        It stays with the default it was begun with.
        """
        names_none = "potential" not in self.model_fields_set and self.potential is not None
        if not names_none or not block or block.get("potential") is not None:
            return self
        if _default_potential(block) is None:
            return self
        return self.model_copy(update={"potential": FIRST_DEFAULT})

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, block: Any) -> Any:
        if isinstance(block, dict) and block.get("potential", "") is None:
            return {key: value for key, value in block.items() if key != "potential"}
        return block

    @model_validator(mode="after")
    def _one_code(self) -> Self:
        others = {
            "ase": {"preset", "incar", "kpoints", "potcar", "potcar_spec"},
            "vasp": {"potential", "calculator", "options"},
            "espresso": {"potential", "calculator", "incar", "kpoints", "potcar", "potcar_spec"},
            "socket": {
                *("potential", "calculator", "preset", "incar", "kpoints", "potcar", "potcar_spec"),
            },
        }[self.code]
        if wrong := sorted(others & self.model_fields_set):
            raise ValueError(f"{wrong[0]!r} is not for the code {self.code!r}")
        if self.potential is not None and self.calculator is not None:
            raise ValueError("'potential' and 'calculator' name two engines; keep one of them")
        return self
