"""What every record is: frozen, closed, typed; and the two that most others hold."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from types import MethodType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator
from pymatgen.core import Structure as PymatgenStructure

from ssefw.units import Fraction, Unit


def crystal_record(structure: PymatgenStructure) -> dict[str, Any]:
    """Return what `structure.as_dict()` does.

    That works out lengths, angles and volume of the cell once more for every site.
    """
    record: dict[str, Any] = structure.as_dict(verbosity=0)
    cell = structure.lattice.as_dict(verbosity=1)
    record["lattice"] = {key: value for key, value in cell.items() if not key.startswith("@")}
    for site, written in zip(structure, record["sites"], strict=True):
        written["label"] = site.label
        written["xyz"] = site.coords.astype(float).tolist()
    return record


Structure = Annotated[PymatgenStructure, PlainSerializer(crystal_record, when_used="json")]
"""A pymatgen Structure that pydantic can also write as JSON."""


Degrees = Annotated[float, Unit("degree")]


InUnitField = Annotated[float, Unit("as the field `unit` says")]


def utc_now() -> datetime:
    """Return the time now, with its zone."""
    return datetime.now(UTC)


class instance_method:  # noqa: N801 - used as a decorator
    """A method that the class itself does not have.

    monty calls as_dict of whatever has it, also of the class that a job names as output schema.
    """

    def __init__(self, function: Callable[[Any], dict[str, Any]]) -> None:
        self._function = function

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[[], dict[str, Any]]:
        if instance is None:
            raise AttributeError(self._function.__name__)
        return MethodType(self._function, instance)


class Document(BaseModel):
    """A record that is stored or passed between layers: frozen and closed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        arbitrary_types_allowed=True,
        ignored_types=(instance_method,),
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_monty_keys(cls, data: Any) -> Any:
        """Accept a record as monty stores it, with @module, @class and @version."""
        if isinstance(data, dict) and "@class" in data:
            return {key: value for key, value in data.items() if not key.startswith("@")}
        return data

    @instance_method
    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types with the keys by which monty finds the class again."""
        record = self.model_dump(mode="json")
        return {"@module": type(self).__module__, "@class": type(self).__name__, **record}


class Estimate(Document):
    """A number with its uncertainty, a bound, or the statement that it is undetermined.

    Attributes
    ----------
    kind
        ``value`` has a value and an interval; ``upper_bound`` only `upper` (the quantity lies below
        it with confidence `level`), ``lower_bound`` only `lower`; ``undetermined`` has neither.
    value
        The best estimate.
    lower, upper
        The interval that holds the quantity with probability `level`. It need not be symmetric.
    level
        Confidence level of the interval or bound.
    unit
        Unit of the three numbers.
    method
        How the interval was found, in a few words.
    reason
        Why there is only a bound, or nothing.
    """

    kind: Literal["value", "upper_bound", "lower_bound", "undetermined"] = "value"
    value: InUnitField | None = None
    lower: InUnitField | None = None
    upper: InUnitField | None = None
    level: Fraction = 0.95
    unit: str
    method: str = ""
    reason: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        present = tuple(x is not None for x in (self.value, self.lower, self.upper))
        expected = {
            "value": (True, True, True),
            "upper_bound": (False, False, True),
            "lower_bound": (False, True, False),
            "undetermined": (False, False, False),
        }[self.kind]
        if present != expected:
            raise ValueError(
                f"an Estimate of kind {self.kind!r} has (value, lower, upper) present as "
                f"{expected}, got {present}"
            )
        if self.kind == "value" and not self.lower <= self.value <= self.upper:  # type: ignore[operator]
            raise ValueError(
                f"the interval [{self.lower}, {self.upper}] must hold the value {self.value}"
            )
        if not 0 < self.level < 1:
            raise ValueError(f"a confidence level lies between 0 and 1, got {self.level}")
        return self

    @classmethod
    def below(cls, upper: float, *, unit: str, reason: str, level: float = 0.95) -> Self:
        """Return an upper bound.

        Parameters
        ----------
        upper
            The bound.
        unit
            Of it.
        reason
            Why there is no value.
        level
            Of confidence.
        """
        return cls(kind="upper_bound", upper=upper, unit=unit, reason=reason, level=level)

    @classmethod
    def above(cls, lower: float, *, unit: str, reason: str, level: float = 0.95) -> Self:
        """Return a lower bound.

        Parameters
        ----------
        lower
            The bound.
        unit
            Of it.
        reason
            Why there is no value.
        level
            Of confidence.
        """
        return cls(kind="lower_bound", lower=lower, unit=unit, reason=reason, level=level)

    @classmethod
    def undetermined(cls, reason: str, *, unit: str) -> Self:
        """Return the statement that the quantity could not be determined, and why."""
        return cls(kind="undetermined", unit=unit, reason=reason)

    @property
    def decades(self) -> float | None:
        """Width of the interval of a positive quantity in powers of ten, where there is one."""
        if self.lower is None or self.upper is None:
            return None
        return math.log10(self.upper / self.lower) if self.lower > 0 else math.inf

    def plain(self) -> dict[str, Any]:
        """Return the one form that programs get; the key that holds it names the unit."""
        wanted = {"kind", "value", "lower", "upper", "level", "reason"}
        return self.model_dump(mode="json", include=wanted)

    def __str__(self) -> str:
        if self.kind == "value":
            return f"{self.value:.3g} [{self.lower:.3g}, {self.upper:.3g}] {self.unit}".rstrip()
        if self.kind == "upper_bound":
            return f"< {self.upper:.3g} {self.unit}".rstrip()
        if self.kind == "lower_bound":
            return f"> {self.lower:.3g} {self.unit}".rstrip()
        return "undetermined"


NUMBER_OR_NULL = {"type": ["number", "null"]}

ESTIMATE_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ssefw estimate",
    "description": "A number with its interval, a bound, or that it is undetermined. The key that "
    "holds it ends with the unit, for example sigma_s_per_cm.",
    "type": "object",
    "properties": {
        "kind": {"enum": ["value", "upper_bound", "lower_bound", "undetermined"]},
        "value": NUMBER_OR_NULL,
        "lower": NUMBER_OR_NULL,
        "upper": NUMBER_OR_NULL,
        "level": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "reason": {"type": "string"},
    },
    "required": ["kind", "value", "lower", "upper", "level", "reason"],
    "additionalProperties": False,
}
"""The form in which programs get an `Estimate`, by `Estimate.plain`."""


class Provenance(Document):
    """What made a record: enough to repeat it.

    Attributes
    ----------
    engine
        Name of the engine and its model or code, for example ``sevennet-l3i5``.
    settings_hash
        Hash of every setting that changes the numbers.
    versions
        Package or program name to version.
    job_id
        The jobflow job that wrote the record, if one did.
    """

    engine: str = ""
    settings_hash: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    job_id: str | None = None
    created: datetime = Field(default_factory=utc_now)
