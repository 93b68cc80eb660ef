"""Filters in a row, with counts after each and a reason for every material that is stopped.

What a filter cannot decide is counted apart as undetermined. Presets of the papers are data
(``presets.yaml``); a preset names filters and their limits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from inspect import signature
from itertools import islice
from typing import Any

import yaml

from ssefw.data.materials import Material
from ssefw.documents import CascadeStep, Gate
from ssefw.errors import ConfigurationError, DataError
from ssefw.mistakes import check_settings, shown, unknown_word
from ssefw.screening.filters.gaps import GapTable
from ssefw.screening.filters.phases import PhaseTable
from ssefw.screening.filters.questions import FILTERS, UNDETERMINED, Filter

CHUNK = 256
"""Materials that are asked at once; so many pass before a loop over a pool can be told of."""

__all__ = [
    "Cascade",
    "CascadeResult",
    "preset_filters",
    "preset_names",
]


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
        """Ask every material, some at a time, so that a pool can be a stream."""
        result = CascadeResult()
        n_in, n_passed, n_open = Counter[str](), Counter[str](), Counter[str]()
        stream = iter(materials)
        while chunk := list(islice(stream, CHUNK)):
            trails: list[list[Gate]] = [[] for _ in chunk]
            asked = list(range(len(chunk)))
            for item in self.filters:
                gates = item.gates([chunk[row] for row in asked])
                for row, gate in zip(asked, gates, strict=True):
                    trails[row].append(gate)
                n_in[item.name] += len(asked)
                n_open[item.name] += sum(gate.code == UNDETERMINED for gate in gates)
                asked = [row for row, gate in zip(asked, gates, strict=True) if gate.passed]
                n_passed[item.name] += len(asked)
            result.passed += [chunk[row] for row in asked]
            result.trails |= {
                material.name: tuple(trail) for material, trail in zip(chunk, trails, strict=True)
            }
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


@cache
def _presets() -> Mapping[str, Mapping[str, Any]]:
    text = files("ssefw.screening.filters").joinpath("presets.yaml").read_text(encoding="utf-8")
    content: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text)
    return content


def preset_names() -> list[str]:
    """Return the names of the presets."""
    return sorted(_presets())


def preset_filters(
    preset: str | Sequence[Mapping[str, Any]],
    *,
    phases: PhaseTable | None = None,
    gaps: GapTable | None = None,
    known: Sequence[str] = (),
    ion: str = "Li",
) -> Cascade:
    """Build the cascade of a preset, or of a list of ``{filter: {limit: value}}``.

    Parameters
    ----------
    phases
        For oxidation voltages.
    gaps
        For band gaps that are not stated.
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
    given: dict[str, dict[str, Any]] = {
        "oxidation_voltage": {"phases": phases},
        "band_gap": {"gaps": gaps},
        "novel_composition": {"known": known},
    }
    usual = {"bvse_barrier": {"ion": ion}}
    return Cascade(tuple(_filter(line, given, usual) for line in lines))


def _filter(
    line: Any, given: Mapping[str, Mapping[str, Any]], usual: Mapping[str, Mapping[str, Any]]
) -> Filter:
    """Return the filter of a line of a file; `usual` are limits that the line need not give."""
    if not isinstance(line, Mapping) or len(line) != 1:
        raise ConfigurationError(
            f"A filter is written 'band_gap: {{at_least: 1.0}}', got {line!r}."
        )
    ((name, limits),) = line.items()
    if name not in FILTERS:
        raise ConfigurationError(
            f"Unknown filter {name!r}{unknown_word(name, sorted(FILTERS), name='known')}"
        )
    extra = given.get(name, {})
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
    try:
        return make(**{**usual.get(name, {}), **limits}, **extra)
    except DataError as error:
        raise ConfigurationError(f"{of}: {error}") from error
