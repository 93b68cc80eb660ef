"""Structures out of text and records that others wrote, each checked before it is believed."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from monty.json import MontyDecoder
from pymatgen.core import Composition, DummySpecies, Lattice, PeriodicSite, Structure
from pymatgen.core.periodic_table import get_el_sp
from pymatgen.optimization.neighbors import find_points_in_spheres

from ssefw.data.reading.cell_checks import FULL, check_cell
from ssefw.errors import DataError
from ssefw.files import check_plain, printable, read_json

__all__ = [
    "check_structure",
    "decode_structure_text",
    "flat_structure",
    "structure_from_record",
    "structure_from_text",
]

FloatArray = npt.NDArray[np.float64]

LARGEST_STRUCTURE = 8 * 2**20
"""Bytes; a CIF of 10,000 atoms in P1 has one megabyte."""
MIN_DISTANCE = 0.5
"""A; the shortest bond there is, H-H, has 0.74."""
LONGEST_CELL = 10_000.0
"""A; the longest cells of simulations have a tenth of it."""
FARTHEST = 1000
"""Cells; a long run that was not wrapped gets nowhere near."""
MAX_ATOM_VOLUME = 500.0
"""A^3; the emptiest frameworks have a tenth of it."""
CROWDED = 1.5
"""Occupancies of two sites in one place may sum to this; split sites of published crystals, of
which one is filled at a time, reach 1.08."""

ITSELF = 1e-8
"""A; an atom is that far from itself when neighbors are searched."""
PERIODIC = np.ones(3, dtype=np.int64)

# What a record may ask to be decoded: pymatgen's own parts of a structure, and arrays.
_PARTS = {
    "pymatgen": {
        "Composition",
        "DummySpecies",
        "Element",
        "IStructure",
        "Lattice",
        "PeriodicSite",
        "Species",
        "Structure",
    },
    "numpy": {"array"},
}


def decode_structure_text(data: bytes) -> str:
    """Return the text of a structure file; one that is not UTF-8 is taken for Latin-1.

    What crystallographers write beyond ASCII are names of authors, and databases serve old files
    as they were sent in.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def structure_from_text(text: str, *, fmt: str, source: str) -> Structure:
    """Return the structure of a CIF, a POSCAR or pymatgen's JSON.

    Parameters
    ----------
    fmt
        ``cif``, ``poscar`` or ``json``.

    Raises
    ------
    DataError
        If it cannot be read, or states a cell, an occupancy or a coordinate that is none.
    """
    if not text.strip():
        raise DataError(f"{source}: is empty")
    if "\0" in text:
        raise DataError(f"{source}: holds NUL bytes; it is damaged or no text")
    if len(text) > LARGEST_STRUCTURE:
        raise DataError(f"{source}: has {len(text)} characters, too many for a structure")
    if fmt == "json":
        with _named(source):
            record = read_json(text)
        return structure_from_record(record, source=source)
    # Half a second to import, and whoever reads no CIF need not wait for it.
    from ssefw.data.reading.cif import structure_from_cif  # noqa: PLC0415

    with warnings.catch_warnings(), _named(source):
        warnings.simplefilter("ignore")
        structure = structure_from_cif(text) if fmt == "cif" else _from_poscar(text)
    check_structure(structure, source=source)
    return structure


def structure_from_record(record: Any, *, source: str) -> Structure:
    """Return the structure of pymatgen's dictionary; nothing else is decoded or imported.

    Raises
    ------
    DataError
        If it is no structure, asks for another class, or is none that can be.
    """
    if not isinstance(record, dict):
        raise DataError(f"{source}: not a pymatgen structure (it is {type(record).__name__})")
    with _named(source):
        check_plain(record, also=_check_class)
        _check_sites(record)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structure = _built(record)
    except Exception as error:
        raise DataError(f"{source}: not a pymatgen structure ({_line(error)})") from error
    check_structure(structure, source=source)
    return structure


def _built(record: Mapping[str, Any]) -> Structure:
    """Return what ``Structure.from_dict`` does, in a third of the time and half of the memory.

    Sites of one content share it, and each site is made once.
    """
    sites = record["sites"]
    contents: dict[str, Composition] = {}
    species = []
    for site in sites:
        key = repr(site["species"])
        if key not in contents:
            lattice = Lattice.cubic(1.0)  # of no use but to ask pymatgen for the content
            one = {"species": site["species"], "abc": (0.0, 0.0, 0.0)}
            contents[key] = PeriodicSite.from_dict(one, lattice).species
        species.append(contents[key])
    said = [site.get("properties") or {} for site in sites]
    names = {name for properties in said for name in properties}
    return Structure(
        Lattice.from_dict(record["lattice"]),
        species,
        [site["abc"] for site in sites],
        charge=record.get("charge"),
        site_properties={name: [_decoded(one.get(name)) for one in said] for name in names},
        labels=[site.get("label") for site in sites],
        properties=record.get("properties"),
    )


def _decoded(value: Any) -> Any:
    return MontyDecoder().process_decoded(value) if isinstance(value, dict | list) else value


def flat_structure(record: Mapping[str, Any], *, source: str) -> Structure:
    """Build a structure from six lattice parameters, species and fractional coordinates."""
    lattice, species, frac = record["lattice"], record["species"], record["frac"]
    try:
        parameters = [float(number) for number in lattice]
        places = np.array(frac, dtype=float)
        kinds = list(species)
        if len(parameters) != 6 or places.shape != (len(kinds), 3) or isinstance(species, str):
            raise ValueError(  # noqa: TRY301 - one message for every way to be none
                f"{len(parameters)} cell parameters, {len(kinds)} species, coordinates "
                f"{places.shape}; give 6, n and (n, 3)"
            )
        check_cell(parameters[:3], parameters[3:])
        # One composition for all sites of a kind: making one for each takes as long as the sites.
        names = {kind for kind in kinds if isinstance(kind, str)}
        contents = {name: Composition({get_el_sp(name): 1}) for name in names}
        own = [contents[kind] if isinstance(kind, str) else kind for kind in kinds]
        structure = Structure(Lattice.from_parameters(*parameters), own, places)
    except Exception as error:
        raise DataError(
            f"{source}: lattice, species and frac make no crystal ({_line(error)})"
        ) from error
    check_structure(structure, source=source)
    return structure


def check_structure(structure: Structure, *, source: str) -> None:
    """Refuse what no crystal is: no atoms, no cell, atoms on top of each other, wrong occupancies.

    Raises
    ------
    DataError
        With what is wrong and where.
    """
    if len(structure) == 0:
        raise DataError(f"{source}: has no atoms")
    for species in {id(site.species): site.species for site in structure}.values():
        _check_content(species, source)
    volume, frac_coords = structure.volume, structure.frac_coords
    if not np.isfinite(frac_coords).all() or not np.isfinite(volume):
        raise DataError(f"{source}: has a coordinate or a cell length that is no number")
    if volume < MIN_DISTANCE**3:
        raise DataError(f"{source}: its cell has a volume of {volume:.3g} A^3")
    if volume > MAX_ATOM_VOLUME * len(structure):
        raise DataError(
            f"{source}: has {volume / len(structure):.3g} A^3 for each atom; is its cell "
            "in another unit than angstrom?"
        )
    if np.abs(frac_coords).max() > FARTHEST:
        raise DataError(f"{source}: has an atom more than {FARTHEST} cells away")
    _check_extent(structure, source)
    _check_distances(structure, frac_coords, source)


def _check_content(species: Composition, source: str) -> None:
    """Refuse what no site holds."""
    unknown = [str(kind) for kind in species if isinstance(kind, DummySpecies)]
    if unknown:
        raise DataError(f"{source}: {unknown[0]} is no element")
    if len(species) == 1 and species.num_atoms == 1.0:
        return  # nearly all sites
    if not species or not all(share > 0 for share in species.values()):
        raise DataError(
            f"{source}: the site {species} has an occupancy that is not between 0 and 1"
        )
    if species.num_atoms > FULL:
        raise DataError(
            f"{source}: the site {species} has occupancies that sum to {species.num_atoms:.3g}"
        )


def _check_extent(structure: Structure, source: str) -> None:
    """Refuse cells so thin that a search for neighbors takes all memory."""
    faces = 1.0 / np.linalg.norm(structure.lattice.inv_matrix, axis=0)
    if faces.min() < MIN_DISTANCE or max(structure.lattice.abc) > LONGEST_CELL:
        lengths = " ".join(f"{length:.3g}" for length in structure.lattice.abc)
        raise DataError(
            f"{source}: its cell has lengths {lengths} A and faces {faces.min():.3g} A apart; "
            "no crystal has such"
        )


def _check_distances(structure: Structure, frac_coords: FloatArray, source: str) -> None:
    if len(structure) < 2:
        return
    # Structure.get_neighbor_list has the place of every site made and kept.
    matrix = np.array(structure.lattice.matrix)
    places = frac_coords @ matrix
    first, second, _, distance = find_points_in_spheres(
        places, places, r=MIN_DISTANCE, pbc=PERIODIC, lattice=matrix
    )
    others = (first != second) | (distance > ITSELF)
    if not others.any():
        return
    occupancy = [site.species.num_atoms for site in structure]
    for one, other, length in zip(first[others], second[others], distance[others], strict=True):
        if occupancy[one] + occupancy[other] > CROWDED:
            raise DataError(
                f"{source}: has atoms closer than {MIN_DISTANCE} A: {structure[one].species} "
                f"(atom {one + 1}) and {structure[other].species} (atom {other + 1}) at "
                f"{length:.3g} A"
            )


def _from_poscar(text: str) -> Structure:
    _check_poscar(text)
    try:
        return Structure.from_str(text, fmt="poscar")
    except Exception as error:
        raise DataError(f"not a readable poscar file ({_line(error)})") from error


def _check_poscar(text: str) -> None:
    """Refuse a cell that is no number, and more atoms than the file can hold."""
    lines = text.strip("\n").splitlines()
    for line in lines[1:5]:
        if any(word.lower().strip("+-") in {"nan", "inf", "infinity"} for word in line.split()):
            raise DataError(f"not a readable poscar file (its cell holds {line.strip()[:40]!r})")
    # Memory is taken for as many atoms as the sixth or seventh line states.
    for line in lines[5:7]:
        n_atoms = sum(int(word) for word in line.split() if word.isdecimal() and len(word) < 20)
        if n_atoms > len(lines):
            raise DataError(
                f"not a readable poscar file ({n_atoms} atoms in a file of {len(lines)} lines)"
            )


def _check_class(item: Mapping[str, Any]) -> None:
    """Refuse a mapping that asks for a class that is no part of a structure."""
    if "@module" not in item and "@callable" not in item:
        return
    module, name = str(item.get("@module", "")), str(item.get("@class", ""))
    root = module.partition(".")[0]
    if "@callable" in item or name not in _PARTS.get(root, ()):
        asked = f"{module}.{name}"[:80]
        raise DataError(
            f"not a pymatgen structure (it asks for {asked}; only parts of a structure are decoded)"
        )


def _check_sites(record: Mapping[str, Any]) -> None:
    """Refuse occupancies that pymatgen would leave out without a word."""
    sites = record.get("sites")
    for row, site in enumerate(sites if isinstance(sites, list) else (), start=1):
        kinds = site.get("species") if isinstance(site, dict) else None
        for kind in kinds if isinstance(kinds, list) else ():
            share = kind.get("occu") if isinstance(kind, dict) else None
            if not isinstance(share, int | float) or not 0 <= share <= FULL:
                given = str(share)[:40]
                raise DataError(f"atom {row} has the occupancy {given}; it lies between 0 and 1")


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Put the source before a message."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def _line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:160] or type(error).__name__
