"""What is done to a crystal structure before anything is computed with it."""

import hashlib
import json
import math
import os
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import spglib
from pymatgen.core import Composition, Element, Lattice, Species, Structure

from ssefw.errors import DataError

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher

__all__ = [
    "LENGTH_TOLERANCE",
    "content_id",
    "expand_to_length",
    "order_structure",
    "reduced_cell",
    "same_reduced",
    "same_structure",
    "site_kinds",
]

MAX_ORDERING_SITES = 200

LENGTH_TOLERANCE = 0.02
"""Relative difference of cell lengths of two descriptions of one crystal: tight, so that two
refinements of one compound stay two candidates."""

ANGLE_TOLERANCE = 1.0
"""Degrees, of cell angles, likewise."""

TRANSLATION_TOLERANCE = 0.1
"""Angstrom by which atoms that a translation carries into each other may be off: what two crystals
that count as one may differ by (a twentieth of the cube root of the volume an atom)."""


def content_id(structure: Structure) -> str:
    """Return a short hash of a structure that does not depend on how it was written.

    Atom order, file format, lattice orientation and whole-cell wrapping do not matter; the choice
    of cell and origin does (structures that differ in those are found by `same_structure`). Cell
    lengths and angles count to 1e-3, fractional coordinates and occupancies to 1e-4.
    """
    lattice = [round(value, 3) + 0.0 for value in structure.lattice.parameters]
    places = (np.round(structure.frac_coords, 4) % 1.0 + 0.0).tolist()
    known: dict[int, list[list[Any]]] = {}
    sites = []
    for site, place in zip(structure, places, strict=True):
        # Sites of one structure often share what they hold; it lives as long as the structure.
        content = known.get(id(site.species))
        if content is None:
            content = [[element, round(amount, 4)] for element, amount in sorted(_elements(site))]
            known[id(site.species)] = content
        sites.append((content, place))
    sites.sort()
    canonical = json.dumps([lattice, sites], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def site_kinds(structure: Structure) -> tuple[list[dict[str, float]], list[int]]:
    """Return what sites hold by element, each content once, and which of these each site holds.

    Contents that differ by less than 1e-8 are one, as pymatgen's compositions are.
    """
    places: dict[tuple[tuple[str, float], ...], int] = {}
    known: dict[int, int] = {}
    numbers = []
    for site in structure:
        number = known.get(id(site.species))
        if number is None:
            content = tuple(sorted((symbol, round(x, 8)) for symbol, x in _elements(site)))
            number = known[id(site.species)] = places.setdefault(content, len(places))
        numbers.append(number)
    return [dict(content) for content in places], numbers


def _elements(site: object) -> list[tuple[str, float]]:
    species = site.species  # type: ignore[attr-defined]
    if len(species) == 1:
        (kind,) = species
        if isinstance(kind, Element):
            return [(kind.symbol, float(species.num_atoms))]
    amounts = species.element_composition
    return [(element.symbol, float(amount)) for element, amount in amounts.items()]


@cache
def _matcher() -> "StructureMatcher":
    # Half a second to import, and commands that only look at a campaign need none of it.
    from pymatgen.analysis.structure_matcher import (  # noqa: PLC0415
        ElementComparator,
        StructureMatcher,
    )

    # Oxidation states say how a file was written: content_id does not look at them either.
    return StructureMatcher(
        primitive_cell=True,
        scale=False,
        ltol=LENGTH_TOLERANCE,
        stol=0.05,
        angle_tol=ANGLE_TOLERANCE,
        comparator=ElementComparator(),
    )


def same_structure(one: Structure, other: Structure) -> bool:
    """Return whether two structures are one crystal, whatever cell and origin describe it.

    Oxidation states do not matter.

    Tight tolerances and no rescaling: two refinements of one compound stay two candidates.
    """
    return same_reduced(reduced_cell(one), reduced_cell(other))


def reduced_cell(structure: Structure) -> Structure:
    """Return the primitive Niggli cell, by which crystals are compared."""
    # Oxidation states are no part of it: see `content_id`.
    species, kinds = site_kinds(structure)
    # spglib takes a tenth of the time of pymatgen's own search. It tells the terminal of every
    # tolerance that it tries, and of this variable alone it learns to be silent.
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
    crystal: Any = (structure.lattice.matrix, structure.frac_coords, kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spglib.standardize_cell(
            crystal, to_primitive=True, no_idealize=True, symprec=TRANSLATION_TOLERANCE
        )
        niggli = None if found is None else spglib.niggli_reduce(found[0])
    if found is None or niggli is None:
        return structure.get_reduced_structure("niggli").get_primitive_structure()
    matrix, frac_coords, numbers = found
    moved = np.asarray(frac_coords) @ np.asarray(matrix) @ np.linalg.inv(niggli)
    contents = [Composition(content) for content in species]
    return Structure(Lattice(niggli), [contents[number] for number in numbers], moved % 1.0)


def same_reduced(one: Structure, other: Structure) -> bool:
    """Return what `same_structure` does, of crystals that `reduced_cell` returned."""
    # Primitive cells of one crystal hold as many atoms; the matcher finds that out last.
    return len(one) == len(other) and bool(
        _matcher().fit(one, other, skip_structure_reduction=True)
    )


def order_structure(structure: Structure) -> Structure:
    """Return the ordered structure of lowest Ewald energy in the given cell.

    Partial occupancies are rounded to whole atoms of this cell, and the arrangement of lowest
    electrostatic energy is taken [1]_. An ordered structure is returned as it is. Oxidation states
    are guessed from the composition where absent.

    Raises
    ------
    DataError
        If the cell cannot hold whole atoms, has no sensible oxidation states or is too large.

    References
    ----------
    .. [1] Ewald summation of pymatgen, https://doi.org/10.1016/j.commatsci.2012.10.028
    """
    if structure.is_ordered:
        return structure
    formula = structure.composition.reduced_formula
    if len(structure) > MAX_ORDERING_SITES:
        raise DataError(
            f"{formula} has {len(structure)} partly occupied and full sites; ordering by Ewald "
            f"energy takes at most {MAX_ORDERING_SITES}. Order it by hand or use a smaller cell."
        )
    # A second to import, for what few structures need.
    from pymatgen.transformations.standard_transformations import (  # noqa: PLC0415
        OrderDisorderedStructureTransformation,
    )

    charged = structure.copy()
    try:
        if not all(isinstance(element, Species) for element in charged.composition):
            charged.add_oxidation_state_by_guess()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ordered = cast(
                "Structure", OrderDisorderedStructureTransformation().apply_transformation(charged)
            )
    except (ValueError, AttributeError) as error:
        raise DataError(
            f"{formula} is disordered and its occupancies do not make whole atoms in a cell of "
            f"{len(structure)} sites ({error}). Give a supercell or an ordered structure."
        ) from error
    ordered.remove_oxidation_states()
    return Structure.from_sites(sorted(ordered, key=lambda site: site.specie.Z))


def expand_to_length(structure: Structure, *, min_length: float, max_atoms: int) -> Structure:
    """Repeat a cell until opposite faces are at least `min_length` apart (angstrom).

    The distance between faces, not the length of the cell vector, is what separates an ion from
    its own image.

    Raises
    ------
    DataError
        If that takes more than `max_atoms` atoms.
    """
    reciprocal = np.linalg.norm(np.linalg.inv(structure.lattice.matrix), axis=0)
    repeats = [max(1, math.ceil(min_length * inverse - 1e-6)) for inverse in reciprocal]
    n_atoms = len(structure) * math.prod(repeats)
    if n_atoms > max_atoms:
        raise DataError(
            f"{structure.composition.reduced_formula} needs {n_atoms} atoms for a cell of "
            f"{min_length} A between faces, more than max_atoms = {max_atoms}. "
            "Lower min_length or raise max_atoms in the campaign's supercell block."
        )
    supercell: Structure = structure.copy()
    supercell.make_supercell(repeats)
    return supercell
