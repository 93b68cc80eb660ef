"""Small data sets with a known answer."""

import os
from pathlib import Path

import numpy as np
import pytest

from ssefw.data.dataset import Dataset, dataset_of
from ssefw.documents import Estimate, Label, LabelSet


def make_labels(formulas, sigmas, groups=None):
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
            )
            for number, (formula, s, group) in enumerate(zip(formulas, sigmas, groups, strict=True))
        ),
    )


# Read here: a fixture of the top conftest clears the settings of whoever runs the tests.
SHARED = os.environ.get("SSEFW_SHARED_DATA")
METALS = ["Na", "K", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Sc", "Y", "La", "Ti", "Zr", "Hf"]


@pytest.fixture(scope="session")
def toy() -> Dataset:
    """Sulfides that conduct and oxides that do not: anyone can learn it."""
    sulfides = [f"Li3{m}S4" for m in METALS] + [f"Li{m}PS4" for m in METALS]
    oxides = [f"Li3{m}O4" for m in METALS] + [f"Li{m}PO4" for m in METALS]
    sigmas = [1e-3] * len(sulfides) + [1e-9] * len(oxides)
    clusters = [str(k % 3) for k in range(len(sigmas))]
    return dataset_of(make_labels(sulfides + oxides, sigmas, clusters))


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
