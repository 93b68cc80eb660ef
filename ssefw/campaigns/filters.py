"""What a campaign leaves out of its pool before anything is computed, each with the reason."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pymatgen.core import Element

from ssefw.campaigns.spec import FilterSpec
from ssefw.documents import Candidate

__all__ = ["Excluded", "apply_filters"]


@dataclass(frozen=True)
class Excluded:
    """A candidate that a filter left out.

    Attributes
    ----------
    code
        Which filter, for tables; `reason` has the value.
    """

    candidate_id: str
    formula: str
    source: str
    code: str
    reason: str


Filter = Callable[[Candidate], str | None]
"""Returns why a candidate is left out, or None."""


def apply_filters(
    candidates: Iterable[Candidate], spec: FilterSpec, *, specie: str
) -> tuple[list[Candidate], list[Excluded]]:
    """Return the candidates that pass all filters, and those that do not with the first reason."""
    filters = list(_filters(spec, specie))
    passed, excluded = [], []
    for candidate in candidates:
        reasons = ((code, check(candidate)) for code, check in filters)
        first = next(((code, reason) for code, reason in reasons if reason), None)
        if first is None:
            passed.append(candidate)
        else:
            excluded.append(Excluded(candidate.id, candidate.formula, candidate.source, *first))
    return passed, excluded


def _filters(spec: FilterSpec, specie: str) -> Iterator[tuple[str, Filter]]:
    yield "no_mobile_ion", lambda c: None if specie in _symbols(c) else f"has no {specie}"
    if spec.no_transition_metals:
        yield "transition_metal", _transition_metal
    if spec.exclude_elements:
        yield "element", lambda c: _listed("contains", _symbols(c) & set(spec.exclude_elements))
    if spec.max_atoms is not None:
        yield "too_large", lambda c: _too_large(c, spec.max_atoms or 0)
    for name, bounds in spec.properties.items():
        yield (
            name,
            lambda c, name=name, low=bounds.min, high=bounds.max: _outside(  # type: ignore[misc]
                c, name, low, high
            ),
        )


def _symbols(candidate: Candidate) -> set[str]:
    return {element.symbol for element in candidate.structure.composition.elements}


def _listed(verb: str, symbols: Iterable[str]) -> str | None:
    names = sorted(symbols)
    return f"{verb} {', '.join(names)}" if names else None


def _transition_metal(candidate: Candidate) -> str | None:
    """Say which d-block elements with a chemistry of several oxidation states are there.

    La counts as a lanthanoid and Zn, Cd, Hg with their full d shell do count, as in pymatgen.
    """
    metals = [s for s in _symbols(candidate) if Element(s).is_transition_metal and s != "La"]
    return _listed("contains the transition metal", metals)


def _too_large(candidate: Candidate, max_atoms: int) -> str | None:
    n_atoms = candidate.structure.composition.num_atoms
    return f"{n_atoms:g} atoms in the cell, more than {max_atoms}" if n_atoms > max_atoms else None


def _outside(candidate: Candidate, name: str, low: float | None, high: float | None) -> str | None:
    value = candidate.properties.get(name)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return f"the pool does not say its {name}"
    if low is not None and not number >= low:
        return f"{name} = {number:g} is below {low:g}"
    if high is not None and not number <= high:
        return f"{name} = {number:g} is above {high:g}"
    return None
