"""Fixtures that are named by what they are."""

import os
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _clean_settings(monkeypatch, tmp_path):
    """Tests see neither the settings nor the store of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("SSEFW_") and not name.startswith("SSEFW_TEST"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SSEFW_SETTINGS", str(tmp_path / "no-settings.yaml"))


@pytest.fixture
def copper():
    """Four atoms of copper, which EMT describes."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])


@pytest.fixture
def li2o():
    """Antifluorite Li2O, a = 4.619 A (Farley et al., J. Chem. Soc. Faraday Trans. 87, 2783)."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.619), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


@pytest.fixture
def lif():
    """Rock-salt LiF, a = 4.026 A."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.026), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
