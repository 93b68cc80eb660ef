"""How disordered crystals of a pool become ordered cells."""

from typing import Annotated, Literal, Self

from pydantic import model_validator

from ssefw.campaigns.file.block import Block
from ssefw.units import AskedArrangements, AskedSeed, AskedTemperature, Fraction, Limits, Pure

__all__ = ["OrderingsSpec"]

AskedPermittivity = Annotated[Pure, Limits("", least=1, most=1e4)]
AskedShare = Annotated[Fraction, Limits("", least=0, most=0.2)]


class OrderingsSpec(Block):
    """How a crystal with partly filled sites becomes ordered cells; the cell is `supercell`'s.

    Attributes
    ----------
    number
        Cells of each crystal; more of them later keep the first.
    choose
        The ``lowest`` electrostatic energies, cells ``sampled`` by Boltzmann weight at
        `temperature` with charges screened by `permittivity`, or ``random`` ones.
    relax
        So many are relaxed, and the `number` of lowest energy of these are simulated.
    tolerance
        Share of the atoms that rounding may change, beyond what neutrality asks for.
    limit
        A crystal of which more would change is left out.
    """

    number: AskedArrangements = 3
    choose: Literal["lowest", "sampled", "random"] = "sampled"
    temperature: AskedTemperature = 1000.0
    permittivity: AskedPermittivity = 10.0
    relax: AskedArrangements | None = None
    tolerance: AskedShare = 0.01
    limit: AskedShare = 0.02
    seed: AskedSeed = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.relax is not None and self.relax < self.number:
            raise ValueError(
                f"relax = {self.relax} is fewer than number = {self.number}: relax at least "
                "as many arrangements as are simulated"
            )
        return self
