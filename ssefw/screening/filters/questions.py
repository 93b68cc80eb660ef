"""Filters: questions to one material, each answered with a reason.

A filter never passes a material for want of a number: that is the code ``undetermined``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

import numpy as np
from pymatgen.core import Element

from ssefw.data.compositions import SIMILAR_FRACTION, fractions, parse_formula
from ssefw.data.materials import Material
from ssefw.documents import Barrier, Gate
from ssefw.errors import AnalysisError, ConfigurationError, DataError
from ssefw.screening.filters.gaps import GapTable
from ssefw.screening.filters.phases import PhaseTable
from ssefw.units import AskedCount, AskedResolution, Limits, Pure

__all__ = ["FILTERS", "UNDETERMINED", "Filter"]

UNDETERMINED = "undetermined"

AskedLimit = Annotated[float, Limits(least=-1e12, most=1e12)]
"""Of any number that a pool states, in the unit of the filter."""
AskedTolerance = Annotated[Pure, Limits(least=0, most=1)]


@dataclass(frozen=True)
class Filter:
    """A named question to one material.

    Attributes
    ----------
    judge_all
        The same question to many at once, where that is faster.
    """

    name: str
    judge: Callable[[Material], Gate]
    judge_all: Callable[[Sequence[Material]], list[Gate]] | None = None

    def gates(self, materials: Sequence[Material]) -> list[Gate]:
        """Return the answer for each material, in order."""
        if self.judge_all is not None:
            return self.judge_all(materials)
        return [self.judge(material) for material in materials]


def _gate(name: str, *, passed: bool, code: str, message: str, **numbers: float) -> Gate:
    return Gate(
        name=name,
        passed=passed,
        code="ok" if passed else code,
        message=message,
        numbers={key: float(value) for key, value in numbers.items()},
    )


def _open(name: str, reason: str) -> Gate:
    return Gate(name=name, passed=False, code=UNDETERMINED, message=reason)


def _without(name: str, symbols: Iterable[str], code: str) -> Filter:
    """Return the filter that stops every material with one of these elements."""
    unwanted = frozenset(symbols)

    def judge(material: Material) -> Gate:
        found = [x for x in material.composition.get_el_amt_dict() if x in unwanted]
        message = f"holds {', '.join(found)}" if found else "holds none of them"
        return _gate(name, passed=not found, code=code, message=message)

    return Filter(name, judge)


def _limit(
    name: str,
    key: str,
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Filter:
    """Return the filter that compares a number of the pool with a limit."""

    def judge(material: Material) -> Gate:
        value = material.properties.get(key)
        if not isinstance(value, int | float) or not np.isfinite(value):
            return _open(name, f"the pool states no {key}")
        passed = (
            (at_least is None or value >= at_least)
            and (at_most is None or value <= at_most)
            and (below is None or value < below)
        )
        limits = {"at least": at_least, "at most": at_most, "below": below}
        asked = " and ".join(f"{k} {v:g}" for k, v in limits.items() if v is not None)
        return _gate(
            name,
            passed=passed,
            code="outside_limit",
            message=f"{value:g} {unit}, asked for {asked}",
            **{key: value},
        )

    return Filter(name, judge)


@cache
def _transition_metals() -> frozenset[str]:
    """Return the d block, lanthanum and actinium included, the other f elements not."""
    return frozenset(element.symbol for element in Element if element.is_transition_metal)


def no_transition_metal(*, f_block: Literal["la-ac", "none"] = "la-ac") -> Filter:
    """Stop what holds a d-block element (stability against Li metal).

    Parameters
    ----------
    f_block
        ``la-ac`` counts La and Ac as the first of their rows, ``none`` counts them to the
        f elements, as the Li7La3(SnO6)2 in Table 1 of Kang et al. 2022 shows that they do.
    """
    metals = _transition_metals() - (frozenset() if f_block == "la-ac" else {"La", "Ac"})
    return _without("no transition metal", metals, "transition_metal")


def without_elements(*, elements: Sequence[str]) -> Filter:
    """Stop what holds one of some elements, for example toxic or expensive ones."""
    bad = [symbol for symbol in elements if not Element.is_valid_symbol(symbol)]
    if bad:
        raise ConfigurationError(f"{bad[0]!r} in the filter without_elements is no element.")
    return _without("without elements", elements, "unwanted_element")


def band_gap(*, at_least: AskedLimit, gaps: GapTable | None = None) -> Filter:
    """Ask for a band gap in eV (electronic insulation), as the pool states it, else predicted.

    Parameters
    ----------
    gaps
        Known gaps of other materials. Without them, or where the prediction is not sure, a material
        whose gap the pool does not state is undetermined.
    """
    name = "band gap"
    as_stated = _limit(name, "band_gap_ev", "eV", at_least=at_least)

    def judge_all(materials: Sequence[Material]) -> list[Gate]:
        found = [as_stated.judge(material) for material in materials]
        if gaps is None:
            return found
        rows = [row for row, gate in enumerate(found) if gate.code == UNDETERMINED]
        predicted = _predicted_gaps(gaps, [materials[row] for row in rows], at_least)
        for row, gate in zip(rows, predicted, strict=True):
            found[row] = gate
        return found

    return Filter(name, lambda material: judge_all([material])[0], judge_all)


def _predicted_gaps(
    gaps: GapTable, materials: Sequence[Material], at_least: float
) -> Iterator[Gate]:
    found = gaps.predict([material.composition for material in materials], at_least=at_least)
    for value, reaches, reason in zip(found.value, found.reaches, found.problems, strict=True):
        if reason:
            yield _open("band gap", f"the pool states no band_gap_ev, none is predicted: {reason}")
            continue
        message = f"{value:.1f} eV predicted (mean error {found.error:.1f}), asked for at least "
        message += f"{at_least:g}"
        if reaches < 0:
            yield _open("band gap", f"{message}: not sure")
        else:
            yield _gate(
                "band gap",
                passed=bool(reaches),
                code="outside_limit",
                message=f"{message}: sure 19 times of 20",
                predicted_band_gap_ev=value,
            )


def hull_energy(*, at_most: AskedLimit) -> Filter:
    """Ask for an energy above the hull in eV/atom (stability against decomposition)."""
    return _limit("hull energy", "e_hull_ev_atom", "eV/atom", at_most=at_most)


def bvse_barrier(
    *,
    below: AskedLimit,
    dimensions: Literal[1, 2, 3] = 3,
    resolution: AskedResolution = 0.2,
    ion: str = "Li",
) -> Filter:
    """Ask for a bond-valence barrier in eV as the pool states it, else compute it.

    The published barriers are those of percolation in three dimensions. Computing takes a
    structure and about a quarter of a second; `resolution` is the spacing of its grid in angstrom.
    """
    if dimensions not in (1, 2, 3):
        raise ConfigurationError(f"bvse_barrier has {dimensions!r} dimensions: give 1, 2 or 3.")
    name = "BVSE barrier"
    as_stated = _limit(name, "bvse_barrier_ev", "eV", below=below)

    def judge(material: Material) -> Gate:
        if material.build is None or material.properties.get("bvse_barrier_ev") is not None:
            return as_stated.judge(material)
        try:
            barrier = _bvse_barrier(material, ion, resolution)
        except DataError as error:
            return _open(name, str(error))
        found = getattr(barrier, f"barrier_{dimensions}d")
        if found.value is None:
            message = f"{dimensions}D barrier {found.reason}, asked for below {below:g}"
            return _gate(name, passed=False, code="outside_limit", message=message)
        return _gate(
            name,
            passed=found.value < below,
            code="outside_limit",
            message=f"{found.value:.3f} eV in {dimensions}D, computed, asked for below {below:g}",
            bvse_barrier_ev=found.value,
        )

    return Filter(name, judge)


def _bvse_barrier(material: Material, ion: str, resolution: float) -> Barrier:
    """Return the barrier of a material, computed once; raises DataError where it has none."""
    from ssefw.bvse import site_energy_barrier  # noqa: PLC0415  numba takes a second

    known = material.barriers.get((ion, resolution))
    if known is None:
        known = site_energy_barrier(material.structure, ion=ion, resolution=resolution)
        material.barriers[ion, resolution] = known
    return known


def no_intermetallic() -> Filter:
    """Stop what holds no anion: hydride, pnictide to arsenide, chalcogenide or halide."""
    anions = frozenset({"H", "N", "O", "F", "P", "S", "Cl", "As", "Se", "Br", "Te", "I"})

    def judge(material: Material) -> Gate:
        found = [x for x in material.composition.get_el_amt_dict() if x in anions]
        message = f"anions {', '.join(found)}" if found else "has no anion"
        return _gate("no intermetallic", passed=bool(found), code="intermetallic", message=message)

    return Filter("no intermetallic", judge)


def oxidation_voltage(
    *,
    above: AskedLimit,
    products: Literal["phases", "elements"] = "phases",
    phases: PhaseTable | None = None,
) -> Filter:
    """Ask for a limit of oxidation in V against Li/Li+, as the pool states it, else computed.

    Parameters
    ----------
    products
        What the compound falls apart to. ``phases``: whatever gains most energy, which is the limit
        of stability. ``elements``: lithium and the other elements, which is the formation energy
        per lithium and far higher; by the counts it is what Kang et al. 2022 take.
    phases
        Formation energies; for ``elements`` only of what the pool states none of.
    """
    name = "oxidation voltage"
    found = _formation_voltage if products == "elements" else _stability_limit

    def judge(material: Material) -> Gate:
        value, how = material.properties.get("v_ox_v"), "as stated"
        if not isinstance(value, int | float):
            try:
                value, how = found(material, phases)
            except AnalysisError as error:
                return _open(name, str(error))
        return _gate(
            name,
            passed=value > above,
            code="outside_limit",
            message=f"{value:.2f} V ({how}), asked for above {above:g}",
            v_ox_v=value,
        )

    return Filter(name, judge)


def _stability_limit(material: Material, phases: PhaseTable | None) -> tuple[float, str]:
    if phases is None:
        raise AnalysisError("the pool states no v_ox_v and no phases were given (--phases)")
    limit = phases.oxidation_limit(material.composition, _formation_energy(material))
    products = " + ".join(f"{n:.3g} {formula}" for formula, n in limit.products.items())
    return limit.voltage, f"leaves {products}"


def _formation_voltage(material: Material, phases: PhaseTable | None) -> tuple[float, str]:
    energy = _formation_energy(material)
    if energy is None and phases is None:
        raise AnalysisError(
            "the pool states neither v_ox_v nor e_form_ev_atom, and no phases were given (--phases)"
        )
    table = phases or PhaseTable(())
    return table.elements_voltage(material.composition, energy), "formation energy per lithium"


def _formation_energy(material: Material) -> float | None:
    """Return the formation energy that a pool states, in eV/atom."""
    energy = material.properties.get("e_form_ev_atom")
    return energy if isinstance(energy, int | float) else None


def novel_composition(
    *, known: Sequence[str] = (), tolerance: AskedTolerance = SIMILAR_FRACTION
) -> Filter:
    """Stop compositions whose atomic fractions all lie within `tolerance` of a known one."""
    name = "novel composition"
    by_elements: dict[tuple[str, ...], list[tuple[str, list[float]]]] = {}
    for formula in known:
        share = fractions(parse_formula(formula))
        by_elements.setdefault(tuple(share), []).append((formula, list(share.values())))

    def judge(material: Material) -> Gate:
        share = fractions(material.composition)
        own = np.array(list(share.values()))
        gaps = [
            (float(np.abs(own - values).max()), formula)
            for formula, values in by_elements.get(tuple(share), [])
        ]
        gap, nearest = min(gaps, default=(np.inf, ""))
        if gap > tolerance + 1e-12:
            return _gate(name, passed=True, code="ok", message="no labeled composition is near")
        return _gate(
            name,
            passed=False,
            code="known",
            message=f"within {tolerance:g} of {nearest}, which has a label",
            largest_difference=gap,
        )

    return Filter(name, judge)


def holds_element(*, element: str) -> Filter:
    """Ask for an element, as a campaign does for its mobile ion."""

    def judge(material: Material) -> Gate:
        passed = element in material.composition.get_el_amt_dict()
        message = f"has {element}" if passed else f"has no {element}"
        return _gate("holds element", passed=passed, code="no_mobile_ion", message=message)

    return Filter("holds element", judge)


def cell_size(*, at_most: AskedCount) -> Filter:
    """Ask for a cell of at most so many atoms, partly occupied sites counted by their share."""

    def judge(material: Material) -> Gate:
        if material.build is None:
            return _open("cell size", "the pool has no structure of it")
        n_atoms = material.structure.composition.num_atoms
        message = f"{n_atoms:g} atoms in the cell, at most {at_most} asked for"
        return _gate(
            "cell size", passed=n_atoms <= at_most, code="too_large", message=message, n=n_atoms
        )

    return Filter("cell size", judge)


def stated(
    *,
    name: str,
    at_least: AskedLimit | None = None,
    at_most: AskedLimit | None = None,
    below: AskedLimit | None = None,
) -> Filter:
    """Ask for any number that the pool states, under the name it has there."""
    return _limit(name, name, "", at_least=at_least, at_most=at_most, below=below)


FILTERS: dict[str, Callable[..., Filter]] = {
    "band_gap": band_gap,
    "bvse_barrier": bvse_barrier,
    "cell_size": cell_size,
    "holds_element": holds_element,
    "hull_energy": hull_energy,
    "no_intermetallic": no_intermetallic,
    "no_transition_metal": no_transition_metal,
    "novel_composition": novel_composition,
    "oxidation_voltage": oxidation_voltage,
    "stated": stated,
    "without_elements": without_elements,
}
"""Filters by the name they have in a preset or a campaign file."""
