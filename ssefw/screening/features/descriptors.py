"""The 20 descriptors of Laskowski, McHaffie, See (2023), Table 1, by name.

A descriptor takes one structure with oxidation states and returns numbers: an array of fixed
length, an array whose length grows with the cell (to be filled with zeros), or numbers by name (to
be joined over a pool). SOAP, the diffraction pattern, densities and cavities are computed here and
take shared sites; the others are matminer's with the paper's settings, which ask for ordered
structures.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pymatgen.core import Element, Structure

from ssefw.errors import ConfigurationError, DataError, MissingDependencyError
from ssefw.screening.features.cavity import cavity_radii
from ssefw.screening.features.modified_xrd import modified_xrd
from ssefw.screening.features.soap import SOAP

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
    slow
        Whether it takes more than some ten milliseconds.
    """

    name: str
    title: str
    of_simplified: Callable[[Structure], Values]
    of_unperturbed: Callable[[Structure], Values] | None = None
    slow: bool = False


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
        featurizer = _featurizer("composition", kind, settings)
        return _numbers(featurizer.featurize(structure.composition))

    return compute


def _of_elements(kind: str, **settings: Any) -> Callable[[Structure], Values]:
    def compute(structure: Structure) -> Values:
        featurizer = _featurizer("composition", kind, settings)
        return _numbers(featurizer.featurize(structure.composition.element_composition))

    return compute


def _fitted_to_itself(kind: str, **settings: Any) -> Callable[[Structure], Values]:
    """Return what names its numbers after the bonds or atoms of the structure at hand."""

    def compute(structure: Structure) -> Values:
        featurizer = _package("structure", kind)(**settings)
        bare = _ordered(structure).copy()
        bare.remove_oxidation_states()
        featurizer.fit([bare])
        values = _numbers(featurizer.featurize(bare))
        return dict(zip(featurizer.feature_labels(), values.tolist(), strict=True))

    return compute


def _sine_coulomb(structure: Structure) -> Values:
    """Return the eigenvalues of the sine Coulomb matrix, largest magnitude first."""
    matrix = _featurizer("structure", "SineCoulombMatrix", {"flatten": False})
    values = np.linalg.eigvalsh(np.array(matrix.featurize(_ordered(structure))[0], dtype=float))
    return np.asarray(values[np.argsort(-np.abs(values), kind="stable")])


def _radial(structure: Structure) -> Values:
    found = _featurizer("structure", "RadialDistributionFunction", {"cutoff": 10, "bin_size": 0.1})
    return _numbers(found.featurize(_ordered(structure)))


def _jarvis(structure: Structure) -> Values:
    bare = _ordered(structure).copy()
    bare.remove_oxidation_states()
    return _numbers(_featurizer("structure", "JarvisCFID", {}).featurize(bare))


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
    Descriptor("bond_fraction", "Bond fraction", _fitted_to_itself("BondFractions"), slow=True),
    Descriptor(
        "chemical_ordering", "Chemical ordering", _of_structure("ChemicalOrdering"), slow=True
    ),
    Descriptor(
        "electronegativity",
        "Electronegativity difference",
        _of_composition("ElectronegativityDiff"),
    ),
    Descriptor("ewald", "Ewald energy", _of_structure("EwaldEnergy")),
    # Bonds beyond 6 A have valences under 1e-5; the paper's 20 A take minutes a structure.
    Descriptor(
        "instability", "Global instability", _of_structure("GlobalInstabilityIndex", r_cut=6.0)
    ),
    Descriptor("jarvis", "Jarvis", _jarvis, slow=True),
    Descriptor("packing", "Maximum packing", _of_structure("MaximumPackingEfficiency"), slow=True),
    Descriptor("meredig", "Meredig", _of_elements("Meredig")),
    Descriptor(
        "orbital_field",
        "Orbital field",
        _of_structure("OrbitalFieldMatrix", period_tag=True),
        slow=True,
    ),
    Descriptor("oxidation", "Oxidation states", _of_composition("OxidationStates")),
    Descriptor("rdf", "RDF", _radial),
    Descriptor("sine_coulomb", "Sine Coulomb", _sine_coulomb),
    Descriptor("complexity", "Complexity", _of_structure("StructuralComplexity")),
    Descriptor(
        "heterogeneity", "Structure variance", _of_structure("StructuralHeterogeneity"), slow=True
    ),
    Descriptor("valence_orbital", "Valence orbital", _of_elements("ValenceOrbital")),
)
DESCRIPTORS: Final = {entry.name: entry for entry in _ALL}
"""All descriptors by name, in no order of merit."""
