"""Small data sets with a known answer."""

import os
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition, Lattice, Structure

from ssefw.data.dataset import Dataset, dataset_of
from ssefw.documents import Estimate, Label, LabelSet


def make_labels(formulas, sigmas, groups=None, structure=lambda formula: None):
    groups = groups or [""] * len(formulas)
    return LabelSet(
        name="toy",
        labels=tuple(
            Label(
                candidate_id=formula,
                formula=formula,
                conductivity=Estimate(value=s, lower=s, upper=s, unit="S/cm"),
                temperature=300,
                kind="experiment",
                row_id=f"row-{number}",
                sources=(f"toy:{number}",),
                group=group,
                structure=structure(formula),
            )
            for number, (formula, s, group) in enumerate(zip(formulas, sigmas, groups, strict=True))
        ),
    )


# Read here: a fixture of the top conftest clears the settings of whoever runs the tests.
SHARED = os.environ.get("SSEFW_SHARED_DATA")
METALS = ["Na", "K", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Sc", "Y", "La", "Ti", "Zr", "Hf"]


def rock_salt(formula):
    """A crystal of this composition: all cations share one site, all anions the other."""
    composition = Composition(formula)
    anions = {"O", "S", "I", "Ar"}
    sides = [
        {e: n for e, n in composition.items() if (e.symbol in anions) == is_anion}
        for is_anion in (False, True)
    ]
    whole = max(sum(side.values()) for side in sides)
    radius = sum(
        sum(n * (e.atomic_radius or 1.5) for e, n in side.items()) / sum(side.values())
        for side in sides
    )
    shared = [{e: n / whole for e, n in side.items()} for side in sides]
    face_centered = Lattice(float(radius) * (1 - np.eye(3)))
    return Structure(face_centered, shared, [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.fixture(scope="session")
def toy() -> Dataset:
    """Sulfides that conduct and oxides that do not: anyone can learn it."""
    return sulfides_and_oxides()


@pytest.fixture(scope="session")
def toy_crystals() -> Dataset:
    """The same with structures."""
    return sulfides_and_oxides(rock_salt)


def sulfides_and_oxides(structure=lambda formula: None):
    sulfides = [f"Li3{m}S4" for m in METALS] + [f"Li{m}PS4" for m in METALS]
    oxides = [f"Li3{m}O4" for m in METALS] + [f"Li{m}PO4" for m in METALS]
    sigmas = [1e-3] * len(sulfides) + [1e-9] * len(oxides)
    clusters = [str(k % 3) for k in range(len(sigmas))]
    return dataset_of(make_labels(sulfides + oxides, sigmas, clusters, structure))


@pytest.fixture
def shared_data():
    """The folder of large validation data, which is not part of the repository."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(SHARED or default)
    if not (folder / "labels").exists():
        pytest.skip(f"no validation data in {folder}; set SSEFW_SHARED_DATA")
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)
