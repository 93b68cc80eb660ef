"""New candidates: known frameworks with other ions of the same charge.

How likely an ion takes the place of another is what Hautier et al. learned from the ICSD, in
pymatgen's table: the probability that a site holds the second ion, given that it holds the first.
The cell is scaled by the radii of the ions; positions are the parent's, and a relaxation must
follow.

Hautier et al., Inorg. Chem. 50, 656 (2011), https://doi.org/10.1021/ic102031h
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from pymatgen.core import Composition, Species, Structure

from ssefw.bvse.ions import assign_charges
from ssefw.data.materials import Material
from ssefw.data.twins import Crystals
from ssefw.errors import DataError
from ssefw.screening.filters.phases import PhaseTable

__all__ = ["LEAST_PROBABILITY", "Substitution", "Substitutions", "substitute"]

LEAST_PROBABILITY = 0.01
"""Of an exchange; from here on most are of one group of the periodic table."""


@dataclass(frozen=True)
class Substitution:
    """A framework with other ions.

    Attributes
    ----------
    exchanged
        Ion to the ion in its place, such as ``S2-`` to ``Se2-``.
    probability
        Product over the exchanges.
    hull_energy
        Formation energy that it must reach to be stable against the phases given, eV/atom; None
        without phases.
    """

    parent: Material
    structure: Structure
    exchanged: Mapping[str, str]
    probability: float
    hull_energy: float | None = None

    @property
    def name(self) -> str:
        """What it is called: the parent, and what was exchanged."""
        changes = ", ".join(f"{old} to {new}" for old, new in self.exchanged.items())
        return f"{self.parent.name} ({changes})"

    def record(self) -> dict[str, Any]:
        """Return it as a row of a pool."""
        row: dict[str, Any] = {
            "name": self.name,
            "formula": self.structure.composition.reduced_formula,
            "structure": self.structure.as_dict(),
            "parent": self.parent.name,
            "substitution_probability": round(self.probability, 5),
        }
        if self.hull_energy is not None:
            row["e_form_at_hull_ev_atom"] = round(self.hull_energy, 4)
        return row


@dataclass
class Substitutions:
    """What substitution made of a pool, likeliest first, and what it left out.

    Attributes
    ----------
    refused
        Parents without charges that add up, each with the reason.
    twins
        How many are crystals of the pool, or were made of two parents.
    listed
        How many have a composition among the phases, which is known already.
    """

    found: list[Substitution]
    refused: list[tuple[str, str]]
    twins: int = 0
    listed: int = 0


def substitute(
    parents: Iterable[Material],
    *,
    ion: str = "Li",
    at_once: int = 1,
    least_probability: float = LEAST_PROBABILITY,
    without: Sequence[str] = (),
    phases: PhaseTable | None = None,
) -> Substitutions:
    """Exchange ions of crystals for others of the same charge; the mobile ion stays.

    Parameters
    ----------
    at_once
        Exchanges in one crystal at most: 1 or 2.
    least_probability
        Of all exchanges of a crystal together.
    without
        Elements that are not put in.
    phases
        Compositions among them are left out, and the others say how low they must lie.

    Raises
    ------
    DataError
        If nothing can be made of the pool.
    """
    known, result = Crystals(), Substitutions([], [])
    made: list[Substitution] = []
    n_parents = 0
    for parent in parents:
        n_parents += 1
        try:
            charged = assign_charges(parent.structure, ion=ion).structure
        except DataError as error:
            result.refused.append((parent.name, str(error)))
            continue
        _add(known, f"parent {n_parents}", parent.structure)
        made += _exchanged(
            parent,
            charged,
            ion=ion,
            at_once=at_once,
            least=least_probability,
            without=frozenset(without),
        )
    made.sort(key=lambda one: (-one.probability, one.name))
    for number, one in enumerate(made):
        composition = one.structure.composition
        if phases is not None and phases.energy_of(composition) is not None:
            result.listed += 1
        elif not _add(known, str(number), one.structure):
            result.twins += 1
        else:
            result.found.append(one if phases is None else _beside(one, phases))
    if not result.found:
        why = f": {result.refused[0][1]}" if result.refused else ""
        raise DataError(
            f"No new crystal can be made of {n_parents} by exchanges of a probability of "
            f"{least_probability:g} or more{why}. Lower the probability, or allow two exchanges."
        )
    return result


def _add(known: Crystals, key: str, structure: Structure) -> bool:
    """Add a crystal and say whether there was none like it."""
    return known.twin_or_add(key, structure.composition.reduced_formula, structure) is None


def _beside(one: Substitution, phases: PhaseTable) -> Substitution:
    energy = phases.ground_energy(one.structure.composition)
    return Substitution(one.parent, one.structure, one.exchanged, one.probability, energy)


def _exchanged(
    parent: Material,
    charged: Structure,
    *,
    ion: str,
    at_once: int,
    least: float,
    without: frozenset[str],
) -> Iterator[Substitution]:
    """Yield the crystals that exchanges make of one whose ions have charges."""
    mobile = Composition(ion.rstrip("0123456789+-")).elements[0].symbol
    ions: list[Any] = sorted({specie for site in charged for specie in site.species}, key=str)
    choices: list[list[tuple[Any, float]]] = []
    for one in ions:
        others: list[tuple[Any, float]] = [(one, 1.0)]
        if one.symbol != mobile:
            taken = without | {mobile, *(other.symbol for other in ions)}
            others += [pair for pair in _likely(str(one), least) if pair[0].symbol not in taken]
        choices.append(others)
    for chosen in product(*choices):
        pairs = [
            (old, new, p) for old, (new, p) in zip(ions, chosen, strict=True) if new is not old
        ]
        if not 0 < len(pairs) <= at_once or len({new for _, new, _ in pairs}) < len(pairs):
            continue
        probability = 1.0
        for *_, p in pairs:
            probability *= p
        if probability >= least:
            exchanged = {str(old): str(new) for old, new, _ in pairs}
            yield Substitution(parent, _scaled(charged, exchanged), exchanged, probability)


@cache
def _table() -> Any:
    # A third of a second to set up.
    from pymatgen.core.structure_prediction.substitution_probability import (  # noqa: PLC0415
        SubstitutionProbability,
    )

    return SubstitutionProbability()


@cache
def _likely(ion: str, least: float) -> tuple[tuple[Species, float], ...]:
    """Return ions of the same charge that take the place of an ion, with their probability."""
    table, old = _table(), Species.from_str(ion)
    if old not in table.species:
        return ()
    found = [
        (new, float(table.cond_prob(new, old)))
        for new in table.species
        if new.oxi_state == old.oxi_state and new.symbol != old.symbol
    ]
    return tuple(
        sorted((pair for pair in found if pair[1] >= least), key=lambda p: (-p[1], str(p)))
    )


def _scaled(charged: Structure, exchanged: Mapping[str, str]) -> Structure:
    """Return a crystal with other ions in a cell scaled by their radii, without charges."""
    new = charged.copy()
    changes: dict[Any, Any] = dict(exchanged)
    new.replace_species(changes)
    before, after = _length(charged), _length(new)
    if before and after:
        new.scale_lattice(charged.volume * (after / before) ** 3)
    new.remove_oxidation_states()
    return new


def _length(structure: Structure) -> float:
    """Return the sum of radii that a cell's edge goes with, 0 where one is not known.

    Each kind of ion counts with the cube root of its number, as in pymatgen's prediction of
    volumes by a reference.
    """
    total = 0.0
    for specie, amount in structure.composition.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ions that are known in one state of spin alone
            radius = getattr(specie, "ionic_radius", None) or specie.atomic_radius
        if radius is None:
            return 0.0
        total += float(radius) * amount ** (1 / 3)
    return total
