"""Candidates of a large pool, each with its crystal kept as bytes.

As pymatgen's objects a crystal of 16 atoms takes 13 KiB; as bytes, with what is asked of it again
and again beside them, a tenth. It is made anew whenever its structure is asked for.
"""

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition, Lattice, PeriodicSite, Structure

from ssefw.documents import Candidate
from ssefw.units import Volume

__all__ = ["HeldCandidate", "hold", "packed", "unpacked"]


@dataclass(frozen=True, slots=True, eq=False)
class HeldCandidate:
    """A `Candidate` in two kilobytes.

    Attributes
    ----------
    composition, matrix, volume, num_sites, is_ordered
        Of the crystal, as pymatgen calls them; the matrix is that of its lattice.
    packed
        The crystal, for this process only.
    """

    id: str
    formula: str
    source: str
    aliases: tuple[str, ...]
    reference: str
    properties: dict[str, Any]
    composition: Composition
    matrix: npt.NDArray[np.float64]
    volume: Volume
    num_sites: int
    is_ordered: bool
    packed: bytes

    @property
    def structure(self) -> Structure:
        """The crystal, made anew."""
        return unpacked(self.packed)

    @property
    def lattice(self) -> Lattice:
        """The cell of the crystal."""
        return Lattice(self.matrix)

    @property
    def whole(self) -> Candidate:
        """The candidate as it is submitted."""
        return Candidate(
            id=self.id,
            formula=self.formula,
            structure=self.structure,
            source=self.source,
            aliases=self.aliases,
            reference=self.reference,
            properties=self.properties,
        )


def hold(candidate: Candidate) -> HeldCandidate:
    """Return a candidate as it takes little memory."""
    structure = candidate.structure
    return HeldCandidate(
        id=candidate.id,
        formula=candidate.formula,
        source=candidate.source,
        aliases=candidate.aliases,
        reference=candidate.reference,
        properties=candidate.properties,
        composition=structure.composition,
        matrix=structure.lattice.matrix,
        volume=structure.volume,
        num_sites=len(structure),
        is_ordered=structure.is_ordered,
        packed=packed(structure),
    )


def packed(structure: Structure) -> bytes:
    """Return a structure as bytes of which `unpacked` makes the same one, to the last digit."""
    state = (
        structure.lattice.matrix,
        structure.lattice.pbc,
        structure.frac_coords,
        [site.species for site in structure],
        structure.labels,
        [site.properties for site in structure] if _says_more(structure) else None,
        structure.properties,
        # `charge` is what the ions add up to where none was given.
        structure._charge,  # noqa: SLF001
    )
    return pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL)


def unpacked(state: bytes) -> Structure:
    """Return the structure that `packed` made bytes of."""
    matrix, pbc, places, species, labels, said, properties, charge = pickle.loads(state)
    lattice = Lattice(matrix, pbc)
    structure = Structure(lattice, [], [], charge=charge, properties=properties)
    # They were checked when they were read, which takes as long as to make them.
    structure.sites = [
        PeriodicSite(
            content,
            place,
            lattice,
            label=label,
            properties=said[number] if said else None,
            skip_checks=True,
        )
        for number, (content, place, label) in enumerate(zip(species, places, labels, strict=True))
    ]
    return structure


def _says_more(structure: Structure) -> bool:
    return any(site.properties for site in structure)
