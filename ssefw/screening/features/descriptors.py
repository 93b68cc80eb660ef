"""The 20 descriptors of Laskowski, McHaffie, See (2023), Table 1, by name.

A descriptor takes one structure with oxidation states and returns numbers: an array of fixed
length, an array whose length grows with the cell (to be filled with zeros), or numbers by name (to
be joined over a pool). SOAP, the diffraction pattern, densities and cavities are computed here and
take shared sites. The others are those of matminer with the paper's settings and ask for ordered
structures; what is slow there (Voronoi cells, neighbors, angles) is computed here too.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pymatgen.core import Composition, Element, Structure

from ssefw.errors import ConfigurationError, DataError, MissingDependencyError
from ssefw.screening.features.cavity import cavity_radii
from ssefw.screening.features.force_field import distributions
from ssefw.screening.features.modified_xrd import modified_xrd
from ssefw.screening.features.pairs import instability, radial_distribution, sine_coulomb
from ssefw.screening.features.soap import SOAP
from ssefw.screening.features.voronoi import (
    bond_fractions,
    chemical_ordering,
    heterogeneity,
    orbital_field,
    packing_efficiency,
)

__all__ = ["DESCRIPTORS", "Descriptor", "density_features", "describe", "descriptor"]

FloatArray = npt.NDArray[np.float64]
Values = FloatArray | dict[str, float]

ATOMIC_MASS_TO_GRAM_PER_A3: Final = 1.66053906660


@dataclass(frozen=True)
class Descriptor:
    """A descriptor and how it is used.

    Attributes
    ----------
    title
        As a table or a figure calls it.
    of_simplified, of_unperturbed
        What computes it; most do not tell the two apart.
    """

    name: str
    title: str
    of_simplified: Callable[[Structure], Values]
    of_unperturbed: Callable[[Structure], Values] | None = None


def density_features(structure: Structure) -> FloatArray:
    """Return density (g/cm3), volume of an atom (A3) and share of the cell that atoms fill.

    As matminer's ``DensityFeatures``; atoms count by their occupancy.
    """
    mass = volume = count = 0.0
    for specie, amount in structure.composition.items():
        radius = Element(specie.symbol).atomic_radius
        if radius is None:
            raise DataError(f"There is no atomic radius of {specie}. Leave the structure out.")
        mass += Element(specie.symbol).data["Atomic mass"] * amount
        volume += 4 / 3 * np.pi * float(radius) ** 3 * amount
        count += amount
    cell = structure.volume
    return np.array([mass * ATOMIC_MASS_TO_GRAM_PER_A3 / cell, cell / count, volume / cell])


def describe(name: str, structure: Structure, *, unperturbed: bool) -> Values:
    """Return a descriptor of a structure that has oxidation states, or of a simplified one.

    Raises
    ------
    DataError
        If it cannot be computed; the message says why.
    """
    entry = descriptor(name)
    compute = entry.of_unperturbed if unperturbed and entry.of_unperturbed else entry.of_simplified
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = compute(structure)
    except (DataError, MissingDependencyError):
        raise
    except Exception as error:  # packages fail in every way on unusual structures
        raise DataError(f"{entry.title}: {type(error).__name__}: {_first_line(error)}") from error
    numbers = np.array(list(values.values())) if isinstance(values, dict) else values
    if not np.isfinite(numbers).all():
        raise DataError(f"{entry.title}: some numbers are not defined for this structure.")
    return values


def descriptor(name: str) -> Descriptor:
    """Return a descriptor by its name.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    if name not in DESCRIPTORS:
        raise ConfigurationError(
            f"Unknown descriptor {name!r}. Known: {', '.join(sorted(DESCRIPTORS))}."
        )
    return DESCRIPTORS[name]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:120]


def _ordered(structure: Structure) -> Structure:
    if not structure.is_ordered:
        raise DataError(
            "This descriptor takes no shared sites. Order the structure first, or use soap, mxrd, "
            "density or cavity."
        )
    return structure


def _of_structure(kind: str, **settings: Any) -> Callable[[Structure], Values]:
    def compute(structure: Structure) -> Values:
        return _numbers(_featurizer("structure", kind, settings).featurize(_ordered(structure)))

    return compute


def _of_composition(kind: str, **settings: Any) -> Callable[[Structure], Values]:
    def compute(structure: Structure) -> Values:
        amounts = structure.composition.as_dict()
        return _featurized(kind, tuple(sorted(settings.items())), tuple(amounts.items()))

    return compute


def _of_elements(kind: str, **settings: Any) -> Callable[[Structure], Values]:
    def compute(structure: Structure) -> Values:
        amounts = structure.composition.get_el_amt_dict()
        return _featurized(kind, tuple(sorted(settings.items())), tuple(amounts.items()))

    return compute


@lru_cache(maxsize=4096)
def _featurized(
    kind: str, settings: tuple[tuple[str, Any], ...], amounts: tuple[tuple[str, float], ...]
) -> FloatArray:
    """Return a descriptor of a composition; those of simplified structures come again and again."""
    composition = Composition(dict(amounts))
    return _numbers(_cached("composition", kind, settings).featurize(composition))


def _of_ordered(compute: Callable[[Structure], Values]) -> Callable[[Structure], Values]:
    def checked(structure: Structure) -> Values:
        return compute(_ordered(structure))

    return checked


def _orbital_field(structure: Structure) -> Values:
    shells = _featurizer("structure", "OrbitalFieldMatrix", {"period_tag": True}).ohvs
    return orbital_field(_ordered(structure), shells)


def _instability(structure: Structure) -> Values:
    table = _featurizer("structure", "GlobalInstabilityIndex", {})

    def parameters(
        cation: str, anion: str, cation_charge: float, anion_charge: float
    ) -> tuple[float, float]:
        row = table.get_bv_params(cation, anion, cation_charge, anion_charge)
        return float(row["Ro"]), float(row["B"])

    # Bonds beyond 6 A have valences under 1e-5; the paper's 20 A add nothing.
    return instability(_ordered(structure), parameters, cutoff=6.0)


def _jarvis(structure: Structure) -> Values:
    featurizer = _featurizer("structure", "JarvisCFID", {})
    featurizer.get_distributions = distributions
    bare = _ordered(structure).copy()
    bare.remove_oxidation_states()
    return _numbers(featurizer.featurize(bare))


def _numbers(values: Any) -> FloatArray:
    return np.array([np.nan if v is None else v for v in np.ravel(values)], dtype=float)


def _featurizer(room: str, kind: str, settings: Mapping[str, Any]) -> Any:
    return _cached(room, kind, tuple(sorted(settings.items())))


@cache
def _cached(room: str, kind: str, settings: tuple[tuple[str, Any], ...]) -> Any:
    return _package(room, kind)(**dict(settings))


def _package(room: str, kind: str) -> Any:
    try:
        return getattr(import_module(f"matminer.featurizers.{room}"), kind)
    except ImportError as error:
        raise MissingDependencyError(
            "matminer", purpose=f"The descriptor {kind}", extra="screen"
        ) from error


_SOAP = SOAP()
_ALL = (
    Descriptor("soap", "SOAP", _SOAP.simplified, _SOAP.by_element),
    Descriptor("mxrd", "mXRD", modified_xrd),
    Descriptor("density", "Density", density_features),
    Descriptor("cavity", "CAVD", cavity_radii),
    Descriptor("band_center", "Band center", _of_elements("BandCenter")),
    Descriptor("bond_fraction", "Bond fraction", _of_ordered(bond_fractions)),
    Descriptor("chemical_ordering", "Chemical ordering", _of_ordered(chemical_ordering)),
    Descriptor(
        "electronegativity",
        "Electronegativity difference",
        _of_composition("ElectronegativityDiff"),
    ),
    Descriptor("ewald", "Ewald energy", _of_structure("EwaldEnergy")),
    Descriptor("instability", "Global instability", _instability),
    Descriptor("jarvis", "Jarvis", _jarvis),
    Descriptor("packing", "Maximum packing", _of_ordered(packing_efficiency)),
    Descriptor("meredig", "Meredig", _of_elements("Meredig")),
    Descriptor("orbital_field", "Orbital field", _orbital_field),
    Descriptor("oxidation", "Oxidation states", _of_composition("OxidationStates")),
    Descriptor("rdf", "RDF", _of_ordered(radial_distribution)),
    Descriptor("sine_coulomb", "Sine Coulomb", _of_ordered(sine_coulomb)),
    Descriptor("complexity", "Complexity", _of_structure("StructuralComplexity")),
    Descriptor("heterogeneity", "Structure variance", _of_ordered(heterogeneity)),
    Descriptor("valence_orbital", "Valence orbital", _of_elements("ValenceOrbital")),
)
DESCRIPTORS: Final = {entry.name: entry for entry in _ALL}
"""All descriptors by name, in no order of merit."""
