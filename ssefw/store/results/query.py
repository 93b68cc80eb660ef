"""What can be asked of stored results, as a filter of the store and an order.

An `Ask` is plain values as a person would state them; `where` turns it into MongoDB's filter on the
fields of the records of one kind.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pymatgen.core import Element

from ssefw.data.compositions import parse_formula, spellings
from ssefw.documents import (
    Barrier,
    Diffusivity,
    Document,
    Estimate,
    FoundConductivity,
    Label,
    Outcome,
    PlannedCandidate,
    Trajectory,
)
from ssefw.errors import DataError

__all__ = [
    "ANSWERS",
    "KINDS",
    "RANGES",
    "SORTS",
    "Ask",
    "Reading",
    "behind",
    "check_question",
    "lies_in",
    "matching_formulas",
    "order_of",
]

KINDS: dict[str, type[Document]] = {
    "outcomes": Outcome,
    "trajectories": Trajectory,
    "diffusivities": Diffusivity,
    "barriers": Barrier,
    "labels": Label,
    "conductivities": FoundConductivity,
}
"""What can be listed, by the word for it; `candidates` of campaigns come beside these.
Conductivities are parts of outcomes, or what a newer analysis made of them; labels are parts of
label sets."""

ANSWERS: dict[str, type[Document]] = {**KINDS, "candidates": PlannedCandidate}
"""What the answers are, by the word for what is asked for."""

SORTS: dict[str, dict[str, tuple[str, int]]] = {
    "outcomes": {
        "sigma": ("conductivity.conductivity.value", -1),
        "ea": ("conductivity.activation_energy.value", 1),
        "formula": ("formula", 1),
        "cost": ("cost.core_hours", -1),
        "status": ("status", 1),
    },
    "trajectories": {"temperature": ("temperature", 1), "candidate": ("candidate_id", 1)},
    "diffusivities": {"temperature": ("temperature", 1), "d": ("tracer.value", -1)},
    "barriers": {"ea": ("barrier_1d.value", 1), "formula": ("formula", 1)},
    "labels": {"sigma": ("conductivity.value", -1), "formula": ("formula", 1)},
    "conductivities": {
        "sigma": ("conductivity.value", -1),
        "ea": ("activation_energy.value", 1),
        "formula": ("formula", 1),
        "temperature": ("temperature", 1),
    },
}
"""Orders of each kind: the field, and its usual direction."""

RANGES = {
    "outcomes": ("conductivity.conductivity", "conductivity.activation_energy"),
    "barriers": ("", "barrier_1d"),
    "labels": ("conductivity", ""),
    "conductivities": ("conductivity", "activation_energy"),
    "diffusivities": ("", ""),
    "trajectories": ("", ""),
}
"""Where the conductivity and the energy of a kind are."""

Reading = Literal["certain", "possible", "value"]

MANY_FORMULAS = 2000

A_NUMBER = {"$gte": -math.inf}


@dataclass(frozen=True)
class Ask:
    """What is asked for; what is left out is not restricted.

    Attributes
    ----------
    formula
        In any order and with any brackets.
    system
        Chemical system, such as ``Li-P-S``: these elements and no others.
    elements, without
        Elements that must all be there, and that must not.
    candidate
        An id, or several of which any will do.
    min_sigma, max_sigma
        S/cm, read as `reading` says.
    min_ea, max_ea
        eV, likewise.
    reading
        What must lie in a range: ``certain``, all of the interval, or the bound where there is
        only one; ``possible``, any of it; ``value``, the best estimate, which bounds have not.
    gate
        Code of a gate, for example ``volume_change``.
    kind_of_label
        experiment, aimd, mlip or neb.
    source
        Text in the reference, the row or the sources of a label, such as a campaign's name or a
        DOI; upper and lower case are alike.
    """

    formula: str | None = None
    system: str | None = None
    elements: Sequence[str] = ()
    without: Sequence[str] = ()
    campaign: str | None = None
    candidate: str | Sequence[str] | None = None
    status: str | None = None
    engine: str | None = None
    temperature: float | None = None
    min_sigma: float | None = None
    max_sigma: float | None = None
    min_ea: float | None = None
    max_ea: float | None = None
    reading: Reading = "certain"
    gate: str | None = None
    kind_of_label: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        named = (*self.elements, *self.without, *(self.system.split("-") if self.system else ()))
        for symbol in named:
            if not Element.is_valid_symbol(symbol):
                raise DataError(f"{symbol!r} is no element. Write symbols such as Li, and Li-P-S.")
        if self.formula is not None:
            parse_formula(self.formula)  # a mistyped one is no formula of which nothing is known

    @property
    def candidates(self) -> tuple[str, ...]:
        """The ids that are asked for; none means all."""
        if self.candidate is None:
            return ()
        return (self.candidate,) if isinstance(self.candidate, str) else tuple(self.candidate)

    @property
    def asks_composition(self) -> bool:
        """Whether formulas must be looked through for elements."""
        return bool(self.system or self.elements or self.without)

    @property
    def pattern(self) -> str:
        """Regular expression of the formulas with the elements that are asked for."""
        only = self.system.split("-") if self.system else []
        parts = "".join(f"(?=.*{symbol}(?![a-z]))" for symbol in (*self.elements, *only))
        parts += "".join(f"(?!.*{symbol}(?![a-z]))" for symbol in self.without)
        if only:
            parts += rf"(?:[^A-Za-z]*(?:{'|'.join(only)})(?![a-z]))+[^A-Za-z]*$"
        return f"^{parts}"

    def about_composition(self) -> "Ask":
        """Return the part of the question that candidates of a campaign can answer."""
        return Ask(
            formula=self.formula,
            system=self.system,
            elements=self.elements,
            without=self.without,
            campaign=self.campaign,
        )

    def refuse_results(self) -> None:
        """Refuse what only a result has, where candidates are asked for.

        Raises
        ------
        DataError
            If a number, status, engine, gate or kind of label is asked for.
        """
        of_results = (
            "status", "engine", "temperature", "min_sigma", "max_sigma", "min_ea", "max_ea", "gate",
            "kind_of_label", "source",
        )  # fmt: skip
        for name in of_results:
            if getattr(self, name) is not None:
                raise DataError(f"Candidates have no {name!r} yet; ask for outcomes.")

    def where(self, kind: str, *, formulas: Sequence[str] | None = None) -> dict[str, Any]:
        """Return MongoDB's filter on the fields of a record.

        Parameters
        ----------
        formulas
            Those that have the right elements, where these are asked for.

        Raises
        ------
        DataError
            If records of this kind do not have what is asked for.
        """
        demands: dict[str, Any] = {}
        if self.formula is not None:
            written = spellings(self.formula)
            demands["formula"] = {"$in": list(written)} if written[1:] else self.formula
        elif formulas is not None:
            # Of many, each record is sooner asked than looked up.
            many = len(formulas) > MANY_FORMULAS
            demands["formula"] = {"$regex": self.pattern} if many else {"$in": list(formulas)}
        if self.status is not None:
            demands["status"] = self.status
        if self.gate is not None:
            demands["gates.code"] = self.gate
        if self.engine is not None:
            fields = {"labels": "level_of_theory", "conductivities": "engine"}
            demands[fields.get(kind, "provenance.engine")] = self.engine
        if self.temperature is not None:
            field = "conductivity.temperature" if kind == "outcomes" else "temperature"
            demands[field] = self.temperature
        if self.kind_of_label is not None:
            demands["kind"] = self.kind_of_label
        if self.source is not None:
            demands["sources"] = self.source
        self._refuse_foreign(demands, kind)
        sigma, energy = RANGES[kind]
        self._range(demands, kind, sigma, self.min_sigma, self.max_sigma)
        self._range(demands, kind, energy, self.min_ea, self.max_ea)
        return demands

    def _range(
        self,
        demands: dict[str, Any],
        kind: str,
        field: str,
        low: float | None,
        high: float | None,
    ) -> None:
        if low is None and high is None:
            return
        if not field:
            raise DataError(f"There is no such range of {kind}; ask for outcomes.")
        if self.reading == "value":
            limits = (("$gte", low), ("$lte", high))
            demands[f"{field}.value"] = {sign: x for sign, x in limits if x is not None}
        elif self.reading == "certain":
            if low is not None:
                demands[f"{field}.lower"] = {"$gte": low}
            if high is not None:
                demands[f"{field}.upper"] = {"$lte": high}
        else:
            reach = demands.setdefault("$and", [])
            if low is not None:
                open_above = {f"{field}.kind": "lower_bound"}
                reach.append({"$or": [{f"{field}.upper": {"$gte": low}}, open_above]})
            if high is not None:
                open_below = {f"{field}.kind": "upper_bound"}
                reach.append({"$or": [{f"{field}.lower": {"$lte": high}}, open_below]})

    def _refuse_foreign(self, demands: dict[str, Any], kind: str) -> None:
        fields = KINDS[kind].model_fields
        for name in demands:
            if name.partition(".")[0] not in fields:
                raise DataError(
                    f"{kind.capitalize()} have no {name.partition('.')[0]!r}; ask for outcomes, "
                    "or give a campaign or candidate."
                )


def matching_formulas(formulas: Iterable[str], ask: Ask) -> list[str]:
    """Return the formulas with the elements that are asked for, sorted."""
    fits = re.compile(ask.pattern).match
    return sorted(formula for formula in formulas if fits(formula))


def behind(
    criteria: dict[str, Any], order: Sequence[tuple[str, int]], value: Any, uuid: str
) -> list[dict[str, Any]]:
    """Return the questions whose answers, one after the other, follow a record in an order.

    Each is answered from an index over the field and the uuid, wherever the record stands.

    Parameters
    ----------
    order
        A field and ``uuid``, in the same direction.
    value, uuid
        What the record has of both.
    """
    (field, direction), _ = order
    beyond = "$lt" if direction < 0 else "$gt"
    asked = criteria.get(field, {})
    # Not {field: None}, by which mongomock does not find what has no parent of the field either.
    nothing = {**criteria, "$nor": [{field: A_NUMBER}]}
    like = nothing if value is None else {**criteria, field: value}
    alike = {**like, "uuid": {beyond: uuid}}
    if not isinstance(asked, dict):
        return [alike]
    if value is not None:
        further = [{**criteria, field: {**asked, beyond: value}}]
        # What has no value comes last where the highest is first, and first otherwise. Texts are
        # always there.
        is_last = direction < 0 and not asked and not isinstance(value, str)
        return [alike, *further, *([nothing] if is_last else [])]
    return [alike] if direction < 0 else [alike, {**criteria, field: A_NUMBER}]


def lies_in(estimate: Estimate, low: float | None, high: float | None, *, reading: Reading) -> bool:
    """Return whether an estimate lies in a range, as `Ask.reading` has it.

    Parameters
    ----------
    estimate
        A value, or bounds.
    low, high
        The range, open where None.
    reading
        What must lie in it: the value, any part of the interval, or all of it.
    """
    if low is None and high is None:
        return True
    below, above = estimate.lower, estimate.upper
    if reading == "possible":
        reaches_up = estimate.kind == "lower_bound" or above is not None
        reaches_down = estimate.kind == "upper_bound" or below is not None
        return (low is None or (reaches_up and (above is None or above >= low))) and (
            high is None or (reaches_down and (below is None or below <= high))
        )
    if reading == "value":
        below = above = estimate.value
    return (low is None or (below is not None and below >= low)) and (
        high is None or (above is not None and above <= high)
    )


def check_question(kind: str, sort: str | None) -> None:
    """Refuse a kind of results that there is not, or an order that it does not have.

    Raises
    ------
    DataError
        If there is none.
    """
    if kind == "candidates":
        if sort is not None:
            raise DataError("Candidates come in the order of their ranking; leave out the sort.")
    elif kind not in KINDS:
        known = ", ".join(("candidates", *KINDS))
        raise DataError(f"There is no kind {kind!r} of results; known: {known}.")
    elif sort is not None and sort not in SORTS[kind]:
        raise DataError(
            f"{kind.capitalize()} cannot be sorted by {sort!r}; known: {', '.join(SORTS[kind])}."
        )


def order_of(kind: str, sort: str | None, *, reverse: bool) -> list[tuple[str, int]]:
    """Return the fields and directions of an order; records of equal value are told by uuid."""
    if sort is None:
        return []
    field, direction = SORTS[kind][sort]
    direction = -direction if reverse else direction
    return [(f"output.{field}", direction), ("uuid", direction)]
