"""Materials and what is known of them: candidates, labels, sets of labels."""

import hashlib
import json
import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ssefw.documents.base import Degrees, Document, Estimate, Structure
from ssefw.units import Length, Pure, Temperature, Unit


class Candidate(Document):
    """A structure under study.

    Attributes
    ----------
    id
        Content id: equal structures have equal ids whatever file they came from.
    properties
        What the pool says of it (hull energy, band gap ...), keys carry the unit.
    aliases
        Further names and ids of its entry, and those of duplicates that were merged into this one.
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
    as_computed
        Where `conductivity` was moved onto the scale of experiment: what was computed.
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
    as_computed: Estimate | None = None
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
        rows = sorted(json.dumps(_said(label), sort_keys=True) for label in self.labels)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


_OF_AN_OUTCOME = re.compile(r".+/[0-9a-f]{16}")
"""A source that is a campaign and a candidate of it."""


def _said(label: Label) -> dict[str, Any]:
    """Return what a label says; sets of before it could say `as_computed` keep their version.

    What pools call the candidate of an outcome stands among the sources and is no part of it.
    """
    unsaid = {"as_computed"} if label.as_computed is None else set()
    said = label.model_dump(mode="json", exclude=unsaid)
    if label.sources and _OF_AN_OUTCOME.fullmatch(label.sources[0]):
        said["sources"] = [name for name in label.sources if _OF_AN_OUTCOME.fullmatch(name)]
    return said


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
