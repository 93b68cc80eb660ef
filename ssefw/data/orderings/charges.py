"""Oxidation states of the elements of a crystal whose occupancies need not add up.

Refined occupancies carry errors, and files of disordered crystals seldom carry charges. Of all
choices in which the more electronegative elements are the anions, the likeliest is taken: states
are as likely as they are frequent in the ICSD (pymatgen's table), charge that is left over and
mixed valence make a choice less likely.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from pymatgen.core import Element, Species

from ssefw.errors import DataError

__all__ = ["OxidationStates", "assign_states", "is_unlikely", "mobile_charge"]

RARE = 0.01
"""States seen less often than in one of a hundred records of an element are not considered."""

MIXABLE = 0.05
"""An element has mixed valence only between states that are both seen this often: V, Mn, Fe have,
P and S do not."""

MIXED_COST = 2.0
"""Mixed valence must make a choice exp(2) times likelier to be believed."""

IMBALANCE_COST = 50.0
"""Charge left over, per atom: occupancies are good to about a percent."""

MOST_IMBALANCE = 0.02
"""With more charge left over for each atom, a choice is taken only where all others have more."""


@dataclass(frozen=True)
class OxidationStates:
    """What charge each element has.

    Attributes
    ----------
    lowest, highest
        Charge of each element; they differ for the one of mixed valence, if any.
    """

    lowest: Mapping[str, int]
    highest: Mapping[str, int]

    @property
    def mixed(self) -> str | None:
        """The element of mixed valence."""
        return next((e for e, low in self.lowest.items() if low != self.highest[e]), None)

    def including(self, mobile: str) -> "OxidationStates":
        """Return the states with that of the mobile ion, which a file may not list."""
        own = {mobile: mobile_charge(mobile)}
        return OxidationStates({**own, **self.lowest}, {**own, **self.highest})


def mobile_charge(symbol: str) -> int:
    """Return the charge of an element as a mobile ion, such as 1 for Li and -2 for O.

    Raises
    ------
    DataError
        If it is no element, or one without a charge.
    """
    if not Element.is_valid_symbol(symbol):
        raise DataError(f"the mobile ion {symbol!r} is no element; write it as Li, Na or O")
    states = [state for state in Element(symbol).common_oxidation_states if state]
    if not states:
        raise DataError(f"{symbol} has no common oxidation state: it cannot be the mobile ion")
    return min(states, key=abs)


def assign_states(
    amounts: Mapping[str, float], *, mobile: str, given: Mapping[str, float] | None = None
) -> OxidationStates:
    """Choose the oxidation states of a composition, which need not be quite neutral.

    Parameters
    ----------
    amounts
        Atoms of each element in a cell.
    mobile
        The mobile ion, whose charge is known.
    given
        States that the file itself states, as means over each element.

    Raises
    ------
    DataError
        If no choice has anions and cations.
    """
    fixed = {name: _bracket(state) for name, state in (given or {}).items() if name in amounts}
    if mobile in amounts and mobile not in fixed:
        fixed[mobile] = (mobile_charge(mobile),) * 2
    n_atoms = sum(amounts.values())
    chances = {name: _chances(name) for name in amounts if name not in fixed}

    def cost(found: OxidationStates) -> float:
        rarity = sum(
            -0.5 * (math.log(known[found.lowest[name]]) + math.log(known[found.highest[name]]))
            for name, known in chances.items()
        )
        is_mixed = found.mixed is not None and found.mixed not in fixed
        imbalance = _imbalance(found, amounts) / n_atoms
        unbelievable = 2.0 * MIXED_COST * (imbalance > MOST_IMBALANCE)
        return rarity + IMBALANCE_COST * imbalance + MIXED_COST * is_mixed + unbelievable

    best = min(_choices(amounts, fixed, chances), key=cost, default=None)
    if best is None:
        raise DataError(
            f"no choice of oxidation states gives {', '.join(sorted(amounts))} both cations and "
            "anions; write the states into the file"
        )
    return best


def is_unlikely(element: str, charge: float) -> bool:
    """Return whether an element is seldom seen in a state, or in both states around a mean one."""
    chances = _chances(element)
    return max(chances.get(state, 0.0) for state in _bracket(charge)) < MIXABLE


def _choices(
    amounts: Mapping[str, float],
    fixed: Mapping[str, tuple[int, int]],
    chances: Mapping[str, Mapping[int, float]],
) -> Iterator[OxidationStates]:
    names = sorted(amounts, key=lambda name: Element(name).X)
    # An anion in a rare state beside one that is more electronegative, such as P- beside S2-, is
    # a sign of wrong occupancies.
    options = [
        [fixed[name]]
        if name in fixed
        else [
            (state, state)
            for state, chance in chances[name].items()
            if state > 0 or chance >= MIXABLE or name == names[-1]
        ]
        for name in names
    ]
    for choice in itertools.product(*options):
        # Sorted by electronegativity: once an element is an anion, all after it are.
        signs = [high > 0 for _, high in choice]
        if signs != sorted(signs, reverse=True) or len(set(signs)) < 2:
            continue
        lowest = {name: low for name, (low, _) in zip(names, choice, strict=True)}
        highest = {name: high for name, (_, high) in zip(names, choice, strict=True)}
        yield OxidationStates(lowest, highest)
        if lowest != highest:
            continue  # what the file gives as mixed is enough
        for name, known in chances.items():
            often = [s for s, chance in known.items() if chance >= MIXABLE and s > lowest[name]]
            if lowest[name] > 0 and often and known[lowest[name]] >= MIXABLE:
                yield OxidationStates(lowest, {**highest, name: min(often)})


@cache
def _seen_states() -> dict[str, dict[int, float]]:
    """Return how often each charge of each element is seen, by pymatgen's table of the ICSD."""
    # The file alone: the module that reads it takes twenty times as long.
    text = (files("pymatgen.core") / "icsd_bv.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    seen: dict[str, dict[int, float]] = defaultdict(dict)
    for name, count in yaml.load(text, Loader=loader)["occurrence"].items():
        specie = Species.from_str(name)
        state = float(specie.oxi_state or 0.0)
        if state and state.is_integer():
            known = seen[specie.symbol]
            known[int(state)] = known.get(int(state), 0.0) + float(count)
    return dict(seen)


def _chances(symbol: str) -> dict[int, float]:
    """Return how often each state of an element is seen, the metallic one left out."""
    seen = _seen_states().get(symbol)
    if not seen:
        states = [state for state in Element(symbol).common_oxidation_states if state]
        seen = dict.fromkeys(map(int, states), 1.0)
    total = sum(seen.values())
    return {state: n / total for state, n in sorted(seen.items()) if n >= RARE * total}


def _imbalance(states: OxidationStates, amounts: Mapping[str, float]) -> float:
    """Return how far the charge is from zero, whatever the mean state of the mixed element."""
    least = sum(states.lowest[name] * amount for name, amount in amounts.items())
    most = sum(states.highest[name] * amount for name, amount in amounts.items())
    return max(least, -most, 0.0)


def _bracket(state: float) -> tuple[int, int]:
    """Return the whole charges around a mean one."""
    below = math.floor(state + 1e-6)
    return (below, below) if abs(state - below) < 1e-6 else (below, below + 1)
