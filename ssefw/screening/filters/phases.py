"""Which phases a compound decomposes into, alone or when lithium is drawn from it.

Energies are formation energies at 0 K. At a potential V against lithium metal, lithium has the
chemical potential -V. The oxidation limit is the lowest V at which some reaction

    t compound  ->  phases + 1 Li (at -V)

gains energy: V_ox = min over reactions of (energy of the phases - t x energy of the compound), a
small linear program, equal to where the compound leaves the grand potential phase diagram of
Richards et al., Chem. Mater. 28, 266 (2016), https://doi.org/10.1021/acs.chemmater.5b04082.

A hull is as good as its list of phases. Where a pair of elements of the compound has no compound
of its own in the list, or a reaction ends in a metal, a competing phase is missing and the answer
is that there is none.
"""

import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition, Element

from ssefw.data.compositions import fractions, parse_formula
from ssefw.errors import AnalysisError, DataError
from ssefw.files import read_json
from ssefw.files.tables import text_lines

__all__ = ["OxidationLimit", "PhaseTable", "read_phases"]

LARGEST_HULL_ENERGY = 0.05
"""eV/atom; a compound further above the hull has no stability window to speak of."""

PAIR_DIFFERENCE = 0.5
"""Pauling electronegativities this far apart make a compound of two elements certain to exist."""


@dataclass(frozen=True)
class OxidationLimit:
    """The potential against Li/Li+ in volt up to which a compound is stable, and what follows.

    Attributes
    ----------
    products
        Phases that form there and their amounts for one lithium drawn.
    hull_energy
        Energy of the compound above the hull of these phases, eV/atom.
    """

    voltage: float
    products: Mapping[str, float]
    hull_energy: float


_SYMBOL = re.compile(r"[A-Z][a-z]?")
_Key = tuple[tuple[str, float], ...]


def _key(shares: Mapping[str, float]) -> _Key:
    return tuple((symbol, round(share, 6)) for symbol, share in shares.items())


@dataclass(frozen=True)
class _Phase:
    composition: Composition
    shares: Mapping[str, float]
    energy: float


class PhaseTable:
    """Phases with formation energies per atom; of equal compositions the lowest counts.

    Formulas are parsed when their chemical system is first asked for, so that a table of 100,000
    phases costs no more than the systems that are used.

    Parameters
    ----------
    phases
        Formula and formation energy in eV/atom.
    """

    def __init__(self, phases: Iterable[tuple[str, float]]) -> None:
        self._rows: dict[frozenset[str], list[tuple[str, float]]] = defaultdict(list)
        for formula, energy in phases:
            self._rows[frozenset(_SYMBOL.findall(formula))].append((formula, energy))
        self._parsed: dict[frozenset[str], dict[_Key, _Phase]] = {}

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

    def _system(self, symbols: frozenset[str]) -> dict[_Key, _Phase]:
        """Return the phases with exactly these elements by composition."""
        if symbols not in self._parsed:
            best: dict[_Key, _Phase] = {}
            for formula, energy in self._rows.get(symbols, []):
                composition = parse_formula(formula)
                shares = fractions(composition)
                key = _key(shares)
                if key not in best or energy < best[key].energy:
                    best[key] = _Phase(composition, shares, energy)
            self._parsed[symbols] = best
        return self._parsed[symbols]

    def energy_of(self, composition: Composition) -> float | None:
        """Return the lowest formation energy listed for a composition, eV/atom, or None."""
        shares = fractions(composition)
        phase = self._system(frozenset(shares)).get(_key(shares))
        return None if phase is None else phase.energy

    def ground_energy(self, composition: Composition) -> float:
        """Return the formation energy of the hull at a composition, eV/atom."""
        shares = fractions(composition)
        phases = self._phases_of(shares)
        matrix = np.array([[phase.shares.get(el, 0.0) for phase in phases] for el in shares])
        found = _cheapest([phase.energy for phase in phases], matrix, list(shares.values()))
        return float(found.fun)

    def elements_voltage(self, composition: Composition, energy: float | None = None) -> float:
        """Return the formation energy of a compound per lithium in eV, as a voltage.

        That much drives the reaction of the elements that gives the compound. A compound falls
        apart at far lower voltages, to other compounds (`oxidation_limit`). Without an energy in
        eV/atom the hull's is taken; a stable compound then has at least the voltage returned.

        Raises
        ------
        AnalysisError
            If it holds no lithium.
        """
        share = fractions(composition).get("Li", 0.0)
        if not share:
            raise AnalysisError(_without_lithium(composition.reduced_formula))
        return -(self.ground_energy(composition) if energy is None else energy) / share

    def oxidation_limit(
        self, composition: Composition, energy: float | None = None
    ) -> OxidationLimit:
        """Return the oxidation limit of a compound with a formation energy in eV/atom.

        A compound less than 0.05 eV/atom above the hull is put on it. Without an energy the hull's
        own is taken; a stable compound then has at least the limit returned.

        Raises
        ------
        AnalysisError
            If it holds no lithium, lies higher above the hull, or a competing phase is missing.
        """
        shares = fractions(composition)
        name = composition.reduced_formula
        if "Li" not in shares:
            raise AnalysisError(_without_lithium(name))
        self._refuse_missing_pairs(shares, name)
        ground = self.ground_energy(composition)
        above = 0.0 if energy is None else energy - ground
        if above > LARGEST_HULL_ENERGY:
            raise AnalysisError(
                f"{name} lies {above:.3f} eV/atom above the hull of the listed phases, so it has "
                "no stability window."
            )
        phases = self._phases_of(shares)
        # Unknowns: an amount for each phase, then t, the amount of compound that is used up.
        cost = [phase.energy for phase in phases] + [-(ground + min(above, 0.0))]
        matrix = np.array(
            [[phase.shares.get(el, 0.0) for phase in phases] + [-shares[el]] for el in shares]
        )
        drawn = [-1.0 if element == "Li" else 0.0 for element in shares]
        found = _cheapest(cost, matrix, drawn)
        if not found.success:
            raise AnalysisError(f"No reaction draws lithium from {name}: {found.message}")
        products = {
            phase.composition.reduced_formula: float(amount)
            for phase, amount in zip(phases, found.x, strict=False)
            if amount > 1e-9
        }
        self._refuse_reduced_cation(composition, products, float(found.fun))
        return OxidationLimit(float(found.fun), products, above)

    def _phases_of(self, shares: Mapping[str, float]) -> list[_Phase]:
        """Return the listed phases made of these elements, and the elements themselves."""
        symbols = sorted(shares)
        found = [_Phase(Composition(symbol), {symbol: 1.0}, 0.0) for symbol in symbols]
        for size in range(2, len(symbols) + 1):
            for system in combinations(symbols, size):
                found += self._system(frozenset(system)).values()
        return found

    def _refuse_missing_pairs(self, shares: Mapping[str, float], name: str) -> None:
        others = [symbol for symbol in shares if symbol != "Li"]
        anions = {*_CHARGE, max(shares, key=_electronegativity)}
        for one, other in combinations(others, 2):
            gap = abs(_electronegativity(one) - _electronegativity(other))
            is_salt = not anions.isdisjoint((one, other))
            if gap < PAIR_DIFFERENCE or not is_salt or _are_both_anions(one, other):
                continue
            if not self._system(frozenset((one, other))):
                raise AnalysisError(
                    f"No {one}-{other} compound is among the phases, which {name} needs as a "
                    "competitor. Add phases of its chemical system."
                )

    def _refuse_reduced_cation(
        self, composition: Composition, products: Mapping[str, float], voltage: float
    ) -> None:
        """Refuse an oxidation that leaves a cation with a lower charge than it had.

        The phase that keeps its charge must be missing, and the voltage is too high by as much as
        that phase would be stable. A compound is at least as hard to oxidize as the lithium salt
        of its anion, though; where the voltage found is that of the salt, nothing was missed.
        """
        name = composition.reduced_formula
        anions = [symbol for symbol in composition.as_dict() if symbol in _CHARGE]
        if len(anions) != 1:
            return
        anion = anions[0]
        for product in products:
            made = Composition(product)
            for element in made:
                symbol = element.symbol
                if symbol in {"Li", anion} or not element.is_metal:
                    continue
                before = _charge(composition, symbol, anion)
                after = _charge(made, symbol, anion)
                if before is None or after is None or after > before - 0.1:
                    continue
                salt = Composition({"Li": -_CHARGE[anion], anion: 1})
                energy = self.energy_of(salt)
                if energy is not None and abs(voltage - self._salt_limit(salt, energy)) < 0.05:
                    continue
                raise AnalysisError(
                    f"Oxidation of {name} would leave {product}, with {symbol} of charge "
                    f"{after:.2g} instead of {before:.2g}, so a phase is missing. The limit lies "
                    f"below {voltage:.2f} V; add phases of its chemical system."
                )

    def _salt_limit(self, salt: Composition, energy: float) -> float:
        """Return the voltage at which a binary lithium salt loses lithium."""
        return self.oxidation_limit(salt, energy).voltage


def read_phases(path: Path) -> PhaseTable:
    """Read phases from JSON lines with ``formula`` and ``e_form_ev_atom`` (or MP's name for it).

    Raises
    ------
    DataError
        If it cannot be read or has no phases.
    """
    phases = []
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = read_json(line)
            energy = row.get("e_form_ev_atom", row.get("formation_energy_per_atom"))
            if energy is not None:
                if not isfinite(float(energy)):
                    raise ValueError(f"an energy of {energy}")  # noqa: TRY301 - one message for all
                phases.append((str(row["formula"]), float(energy)))
        except (DataError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise DataError(
                f"Cannot read phases from {path}, line {number} ({type(error).__name__}: {error}). "
                "Each line needs 'formula' and 'e_form_ev_atom'."
            ) from error
    if not phases:
        raise DataError(f"{path} holds no phase with a formation energy.")
    return PhaseTable(phases)


def _without_lithium(name: str) -> str:
    return f"{name} holds no lithium, so none can be drawn from it."


@cache
def _electronegativity(symbol: str) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(Element(symbol).X)


_CHARGE = {"F": -1, "Cl": -1, "Br": -1, "I": -1, "O": -2, "S": -2, "Se": -2, "Te": -2, "N": -3}


def _charge(composition: Composition, symbol: str, anion: str) -> float | None:
    """Return the mean charge of the only other cation, or None where there are more kinds."""
    amounts = composition.get_el_amt_dict()
    if set(amounts) - {"Li", symbol, anion}:
        return None
    balance = -_CHARGE[anion] * amounts.get(anion, 0.0) - amounts.get("Li", 0.0)
    return float(balance / amounts[symbol])


def _are_both_anions(one: str, other: str) -> bool:
    """Whether two elements stand side by side as anions, as sulfur and chlorine in argyrodites."""
    halogens, others = {"F", "Cl", "Br", "I"}, {"S", "Se", "Te", "N"}
    pair = {one, other}
    return (bool(pair & halogens) and bool(pair & others)) or pair == {"O", "F"}


def _cheapest(cost: Sequence[float], matrix: npt.NDArray[np.float64], sums: Sequence[float]) -> Any:
    """Return scipy's answer to which amounts of least cost give the sums."""
    # A third of a second to import, and only where a table of phases is given.
    from scipy.optimize import linprog  # noqa: PLC0415

    return linprog(cost, A_eq=matrix, b_eq=sums)
