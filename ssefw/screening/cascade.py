"""Filters in a row, with counts after each and a reason for every material that is stopped.

A filter looks at one material and returns a `Gate`. It never passes a material for want of a
number: that is the code ``undetermined``, counted apart. Presets of the papers are data
(``presets.yaml``); a preset names filters and their limits.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from inspect import signature
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pymatgen.core import Element

from ssefw.data.compositions import SIMILAR_FRACTION, fractions, parse_formula
from ssefw.data.materials import Material
from ssefw.documents import Barrier, CascadeStep, Gate
from ssefw.errors import AnalysisError, ConfigurationError, DataError
from ssefw.mistakes import check_settings, shown, unknown_word
from ssefw.screening.phases import PhaseTable
from ssefw.units import AskedCount, AskedResolution, Limits, Pure

__all__ = [
    "FILTERS",
    "Cascade",
    "CascadeResult",
    "Filter",
    "preset_filters",
    "preset_names",
]

UNDETERMINED = "undetermined"

AskedLimit = Annotated[float, Limits(least=-1e12, most=1e12)]
"""Of any number that a pool states, in the unit of the filter."""
AskedTolerance = Annotated[Pure, Limits(least=0, most=1)]


@dataclass(frozen=True)
class Filter:
    """A named question to one material."""

    name: str
    judge: Callable[[Material], Gate]


@dataclass
class CascadeResult:
    """What passed, how many passed each filter, and the trail of every material by name."""

    passed: list[Material] = field(default_factory=list)
    steps: list[CascadeStep] = field(default_factory=list)
    trails: dict[str, tuple[Gate, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Cascade:
    """Filters in the order they are asked; a material is asked no further after the first no."""

    filters: tuple[Filter, ...]

    def run(self, materials: Iterable[Material]) -> CascadeResult:
        """Ask every material, one at a time, so that a pool can be a stream."""
        result = CascadeResult()
        n_in, n_passed, n_open = Counter[str](), Counter[str](), Counter[str]()
        for material in materials:
            trail: list[Gate] = []
            for item in self.filters:
                gate = item.judge(material)
                trail.append(gate)
                n_in[item.name] += 1
                n_open[item.name] += gate.code == UNDETERMINED
                if not gate.passed:
                    break
                n_passed[item.name] += 1
            else:
                result.passed.append(material)
            result.trails[material.name] = tuple(trail)
        result.steps = [
            CascadeStep(
                name=item.name,
                n_in=n_in[item.name],
                n_passed=n_passed[item.name],
                n_undetermined=n_open[item.name],
            )
            for item in self.filters
        ]
        return result


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


def band_gap(*, at_least: AskedLimit) -> Filter:
    """Ask for a band gap in eV (electronic insulation)."""
    return _limit("band gap", "band_gap_ev", "eV", at_least=at_least)


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


def oxidation_voltage(*, above: AskedLimit, phases: PhaseTable | None = None) -> Filter:
    """Ask for a limit of oxidation in V against Li/Li+, as stated or from a hull of `phases`."""
    name = "oxidation voltage"

    def judge(material: Material) -> Gate:
        stated = material.properties.get("v_ox_v")
        if isinstance(stated, int | float):
            return _gate(
                name,
                passed=stated > above,
                code="outside_limit",
                message=f"{stated:.2f} V as stated, asked for above {above:g}",
                v_ox_v=stated,
            )
        if phases is None:
            return _open(name, "the pool states no v_ox_v and no phases were given (--phases)")
        energy = material.properties.get("e_form_ev_atom")
        try:
            limit = phases.oxidation_limit(
                material.composition, energy if isinstance(energy, int | float) else None
            )
        except AnalysisError as error:
            return _open(name, str(error))
        products = " + ".join(f"{n:.3g} {formula}" for formula, n in limit.products.items())
        return _gate(
            name,
            passed=limit.voltage > above,
            code="outside_limit",
            message=f"{limit.voltage:.2f} V (leaves {products}), asked for above {above:g}",
            v_ox_v=limit.voltage,
        )

    return Filter(name, judge)


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


@cache
def _presets() -> Mapping[str, Mapping[str, Any]]:
    text = files("ssefw.screening").joinpath("presets.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text)
    return content


def preset_names() -> list[str]:
    """Return the names of the presets."""
    return sorted(_presets())


def preset_filters(
    preset: str | Sequence[Mapping[str, Any]],
    *,
    phases: PhaseTable | None = None,
    known: Sequence[str] = (),
    ion: str = "Li",
) -> Cascade:
    """Build the cascade of a preset, or of a list of ``{filter: {limit: value}}``.

    Parameters
    ----------
    phases
        For oxidation voltages.
    known
        Formulas that have labels, for the filter on novelty.
    ion
        Of bond-valence barriers, where a filter does not say.

    Raises
    ------
    ConfigurationError
        If preset, filter or limit is not known.
    """
    if isinstance(preset, str):
        if preset not in _presets():
            raise ConfigurationError(
                f"Unknown preset {preset!r} of filters. Known: {', '.join(preset_names())}."
            )
        lines = _presets()[preset]["filters"]
    else:
        lines = list(preset)
    return Cascade(tuple(_filter(line, phases=phases, known=known, ion=ion) for line in lines))


def _filter(line: Any, *, phases: PhaseTable | None, known: Sequence[str], ion: str) -> Filter:
    if not isinstance(line, Mapping) or len(line) != 1:
        raise ConfigurationError(
            f"A filter is written 'band_gap: {{at_least: 1.0}}', got {line!r}."
        )
    ((name, limits),) = line.items()
    if name not in FILTERS:
        raise ConfigurationError(
            f"Unknown filter {name!r}{unknown_word(name, sorted(FILTERS), name='known')}"
        )
    extra: dict[str, Any] = {}
    if name == "oxidation_voltage":
        extra["phases"] = phases
    if name == "novel_composition":
        extra["known"] = known
    limits = limits or {}
    if not isinstance(limits, Mapping):
        raise ConfigurationError(
            f"The filter {name!r} has limits by name, {{at_least: 1.0}}, got {shown(limits)}."
        )
    make, of = FILTERS[name], f"The filter {name!r}"
    if own := sorted(set(limits) & set(extra)):
        raise ConfigurationError(f"{of} takes its {own[0]} from the model, not from the file.")
    needed = [
        key
        for key, parameter in signature(make).parameters.items()
        if parameter.default is parameter.empty and key not in limits
    ]
    limits = check_settings(make, limits, of=of)
    if needed:
        raise ConfigurationError(f"{of} needs {needed[0]}: {name}: {{{needed[0]}: ...}}.")
    if name == "bvse_barrier":
        limits = {"ion": ion, **limits}
    try:
        return make(**limits, **extra)
    except DataError as error:
        raise ConfigurationError(f"{of}: {error}") from error
