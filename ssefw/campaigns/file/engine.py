"""What computes energies and forces."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ssefw.campaigns.file.block import Block

__all__ = ["EngineSpec"]


class EngineSpec(Block):
    """What computes energies and forces.

    Attributes
    ----------
    code
        ``ase``: an ASE calculator, by default the ML potential CHGNet; ``vasp``; ``espresso``.
    potential
        For ``ase``: short name of an ML potential, ``sevennet-l3i5``, ``sevennet-0`` or ``chgnet``;
        or a student, by the beginning of its content hash or its ``.nep`` file; see
        `ssefw potential list`.
    calculator
        For ``ase``: import path of another calculator.
    options
        For ``ase``: keyword arguments for the calculator; for ``espresso``: fields of
        `EspressoEngine`.
    preset
        For ``vasp`` and ``espresso``: name of the settings.
    incar, kpoints, potcar, potcar_spec
        For ``vasp``: what overrides them; see `VaspEngine`.
    """

    code: Literal["ase", "vasp", "espresso"] = "ase"
    potential: str | None = Field(default=None, min_length=1)
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
            "vasp": {"potential", "calculator", "options"},
            "espresso": {"potential", "calculator", "incar", "kpoints", "potcar", "potcar_spec"},
        }[self.code]
        if wrong := sorted(others & self.model_fields_set):
            raise ValueError(f"{wrong[0]!r} is not for the code {self.code!r}")
        if self.potential is not None and self.calculator is not None:
            raise ValueError("'potential' and 'calculator' name two engines; keep one of them")
        return self
