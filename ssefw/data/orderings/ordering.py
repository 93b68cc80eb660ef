"""From a disordered crystal to ordered cells."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure

from ssefw.data.orderings.annealing import anneal, place
from ssefw.data.orderings.arrangements import Arrangements
from ssefw.data.orderings.cells import WholeCell, choose_cell
from ssefw.data.orderings.charges import OxidationStates, assign_states, is_unlikely
from ssefw.data.orderings.completion import completions, what_was_added
from ssefw.data.orderings.composition import least_error
from ssefw.data.orderings.listing import EQUAL_DIGITS, Listed, count_arrangements, list_arrangements
from ssefw.data.orderings.radii import CLOSEST, STRICTNESS
from ssefw.data.orderings.sites import DisorderedCell, read_sites
from ssefw.documents import Ordering, Orderings, OrderingSettings
from ssefw.errors import DataError
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["cell_size", "order_crystal"]

IntArray = npt.NDArray[np.int64]

MOST_LISTED = 5_000
"""Up to so many arrangements all are listed, in about a second."""

DESCENTS = 8
"""Descents among which the lowest are sought; the lowest of them is rarely found once only."""

LARGER_CELLS = 3
"""So many larger cells are tried where atoms do not fit the sites of the smallest."""

MOST_DRAWS = 4
"""Draws for each ordering wanted, before those found are all there are."""

WORTH_A_HINT = 0.15
"""Where the mobile ion would have to change more of the atoms, the file lacks more than it."""

SAME_ENERGY = 1e-6
"""Arrangements of one energy (eV/atom) are taken as one: symmetry makes them equal."""


def order_crystal(structure: Structure, settings: OrderingSettings | None = None) -> Orderings:
    """Return ordered cells of a disordered crystal.

    The cell is the smallest that holds whole atoms, is neutral and is wide enough; what sits on
    its sites is chosen by the electrostatic energy of point charges. The first cells do not depend
    on how many are asked for.

    Raises
    ------
    DataError
        If the crystal is ordered, or there is no such cell; the message is one line.
    """
    settings = settings or OrderingSettings()
    formula = structure.composition.reduced_formula
    if structure.is_ordered:
        raise DataError(f"{formula} is ordered already.")
    try:
        return _order(structure, settings)
    except DataError as error:
        raise DataError(f"{formula} cannot be ordered: {error}.") from error


def cell_size(structure: Structure, settings: OrderingSettings | None = None) -> int:
    """Return the atoms in the cells that `order_crystal` gives, without choosing arrangements.

    Raises
    ------
    DataError
        As `order_crystal`.
    """
    try:
        whole, _ = _problem(*_sites(structure, settings or OrderingSettings()))
    except DataError as error:
        formula = structure.composition.reduced_formula
        raise DataError(f"{formula} cannot be ordered: {error}.") from error
    return whole.atoms.n_atoms


def _sites(
    structure: Structure, settings: OrderingSettings
) -> tuple[DisorderedCell, OxidationStates, OrderingSettings]:
    sites = read_sites(structure).primitive()
    given = _given_states(structure)
    return sites, assign_states(sites.amounts, mobile=settings.mobile, given=given), settings


def _order(structure: Structure, settings: OrderingSettings) -> Orderings:
    whole, problem = _problem(*_sites(structure, settings))
    found, n_distinct = _choose(problem, settings)
    warnings = [*_unlikely(whole), *what_was_added(whole.cell, whole.atoms)]
    if len(found) < settings.number:
        warnings.append(f"only {len(found)} different arrangements were found")
    energies = np.array([problem.energy(state) for state in found]) / whole.atoms.n_atoms
    return Orderings(
        formula=structure.composition.reduced_formula,
        n_atoms=whole.atoms.n_atoms,
        n_cells=whole.atoms.n_cells,
        width=whole.width,
        composition={
            element: sum(count.get(element, 0) for count in whole.atoms.counts)
            for element in problem.elements
        },
        changes={e: round(change, 6) for e, change in whole.atoms.changes.items()},
        error=whole.atoms.error,
        charges=dict(whole.atoms.charges),
        n_distinct=n_distinct,
        orderings=tuple(
            Ordering(
                index=index,
                structure=problem.structure(state),
                energy_per_atom=float(energy),
                above_lowest=float(energy - energies.min()),
            )
            for index, (state, energy) in enumerate(zip(found, energies, strict=True))
        ),
        warnings=tuple(warnings),
    )


def _problem(
    sites: DisorderedCell, states: OxidationStates, settings: OrderingSettings
) -> tuple[WholeCell, Arrangements]:
    """Return the supercell, and its arrangements with the strictest distances that they allow."""
    sites, states = _complete(sites, states, settings)
    n_cells = 0
    for _ in range(LARGER_CELLS):
        whole = choose_cell(sites, states, settings, more_than=n_cells)
        problem = Arrangements(whole.cell, whole.atoms)
        if overlap := problem.overlap():
            raise DataError(
                f"{overlap}: a site is listed twice, or an occupancy below one is missing"
            )
        for strictness in STRICTNESS:
            candidate = replace(problem, strictness=strictness)
            if place(candidate, seed=settings.seed) is not None:
                return whole, candidate
        n_cells = whole.atoms.n_cells
    raise DataError(
        f"its partly occupied sites leave no way to place {whole.atoms.n_atoms} atoms in "
        f"{whole.atoms.n_cells} cells without two of them nearer than {CLOSEST:.0%} of the sum of "
        "their radii; check coordinates and occupancies"
    )


def _complete(
    sites: DisorderedCell, states: OxidationStates, settings: OrderingSettings
) -> tuple[DisorderedCell, OxidationStates]:
    """Return the sites with no more freedom than a neutral cell asks for."""
    refusals = []
    by_mobile = np.inf
    for freed, known in completions(sites, states, mobile=settings.mobile):
        try:
            choose_cell(freed, known, settings)
        except DataError as error:
            refusals.append(str(error))
        else:
            return freed, known
        needed = least_error(freed, known, mobile=settings.mobile, limit=1.0)
        by_mobile = min(by_mobile, needed)
    hint = ""
    if settings.limit < by_mobile < WORTH_A_HINT:
        hint = (
            f"; if only the {settings.mobile} of the file is wrong, "
            f"limit = {math.ceil(1000.0 * by_mobile) / 1000.0:g} lets it take up the charge"
        )
    raise DataError(refusals[0] + hint)


def _choose(problem: Arrangements, settings: OrderingSettings) -> tuple[list[IntArray], int | None]:
    """Return different states, fewer where there are not so many, and how many there are."""
    if count_arrangements(problem) <= MOST_LISTED:
        listed = list_arrangements(problem, problem.permutations())
        if len(listed.states):
            return list(_from_list(listed, settings)), len(listed.states)
    chosen: dict[int, IntArray] = {}
    drawn = (
        _descents(problem, settings) if settings.choose == "lowest" else _draws(problem, settings)
    )
    for state in drawn:
        chosen.setdefault(
            round(problem.energy(state) / len(problem.cell.kinds) / SAME_ENERGY), state
        )
        if len(chosen) == settings.number:
            break
    return list(chosen.values()), None


def _from_list(listed: Listed, settings: OrderingSettings) -> Iterator[IntArray]:
    """Yield states of a list; drawn ones by weight, none twice."""
    number = min(settings.number, len(listed.states))
    if settings.choose == "lowest":
        yield from listed.states[:number]
        return
    weights = listed.weights.astype(float)
    if settings.choose == "sampled":
        above = listed.energies - listed.energies.min(initial=np.inf)
        weights *= np.exp(-above / _thermal_energy(settings))
    for index in range(number):
        # The least chance keeps those apart whose weight is too small for a float.
        chances = np.maximum(weights, 1e-300) * (weights >= 0)
        rng = np.random.default_rng((settings.seed, index))
        chosen = int(rng.choice(len(chances), p=chances / chances.sum()))
        yield listed.states[chosen]
        weights[chosen] = -1.0


def _draws(problem: Arrangements, settings: OrderingSettings) -> Iterator[IntArray]:
    """Yield independent states, random or at the temperature of the settings."""
    for seed in _seeds(settings, MOST_DRAWS * settings.number):
        state = place(problem, seed=seed)
        if state is None:
            return
        if settings.choose == "sampled":
            state = anneal(problem, state, temperature=_thermal_energy(settings), seed=seed)
        yield state


def _descents(problem: Arrangements, settings: OrderingSettings) -> Iterator[IntArray]:
    """Yield local minima, the lowest first of each few descents."""
    seeds = _seeds(settings, MOST_DRAWS * max(settings.number, DESCENTS))
    for start in range(0, len(seeds), DESCENTS):
        states = []
        for seed in seeds[start : start + DESCENTS]:
            state = place(problem, seed=seed)
            if state is None:
                return
            states.append(anneal(problem, state, temperature=0.0, seed=seed))
        yield from sorted(states, key=lambda state: round(problem.energy(state), EQUAL_DIGITS))


def _seeds(settings: OrderingSettings, n: int) -> list[int]:
    return [int(np.random.default_rng((settings.seed, i)).integers(2**31)) for i in range(n)]


def _thermal_energy(settings: OrderingSettings) -> float:
    """Return the energy (eV) of bare charges that is one temperature when they are screened."""
    return BOLTZMANN_EV_PER_K * settings.temperature * settings.permittivity


def _given_states(structure: Structure) -> dict[str, float] | None:
    """Return the mean state of each element where the file gives all of them."""
    sums: dict[str, float] = {}
    amounts: dict[str, float] = {}
    for specie, amount in structure.composition.items():
        state = getattr(specie, "oxi_state", None)
        if state is None:
            return None
        sums[specie.symbol] = sums.get(specie.symbol, 0.0) + float(state) * amount
        amounts[specie.symbol] = amounts.get(specie.symbol, 0.0) + amount
    means = {symbol: sums[symbol] / amounts[symbol] for symbol in sums}
    return means if any(means.values()) else None


def _unlikely(whole: WholeCell) -> Iterator[str]:
    for element, charge in whole.atoms.charges.items():
        if is_unlikely(element, charge):
            yield f"{element} has the unusual oxidation state {charge:+.3g}: check the occupancies"
