"""Barriers of crystals: published values, and what does not change them."""

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.bvse import site_energy_barrier
from ssefw.errors import DataError


@pytest.fixture(scope="module")
def li2te():
    """Antifluorite Li2Te, a = 6.517 A."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.517), ["Te", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


def test_li2te_has_the_published_barrier(li2te):
    """260 meV in Laskowski et al., doi:10.1039/d2ee03499a, on steps of 10 meV."""
    barrier = site_energy_barrier(li2te, resolution=0.1)
    assert barrier.barrier_3d.value == pytest.approx(0.260, abs=0.010)
    assert barrier.barrier_1d.value == pytest.approx(barrier.barrier_3d.value, abs=0.002)
    assert barrier.specie == "Li+"


def test_the_authors_rule_gives_the_authors_value(li2te):
    """0.264 eV in their table, on the primitive cell."""
    barrier = site_energy_barrier(li2te.get_primitive_structure(), mode="cavd")
    assert barrier.barrier_3d.value == pytest.approx(0.264, abs=0.011)


def test_guessed_oxidation_states_are_reported(li2te):
    assert "guessed" in site_energy_barrier(li2te, resolution=0.3).warnings[0]
    given = li2te.copy()
    given.add_oxidation_state_by_element({"Li": 1, "Te": -2})
    assert site_energy_barrier(given, resolution=0.3).warnings == ()


def test_a_structure_without_the_mobile_ion_is_refused(li2te):
    with pytest.raises(DataError, match=r"Li2Te has no Na. Choose the mobile ion among: Li, Te"):
        site_energy_barrier(li2te, ion="Na")


def test_a_metal_is_refused():
    lithium = Structure.from_spacegroup("Im-3m", Lattice.cubic(3.5), ["Li"], [[0, 0, 0]])
    with pytest.raises(DataError, match="Li alone is not ionic"):
        site_energy_barrier(lithium)
    with pytest.raises(DataError, match="Li alone is not ionic"):
        site_energy_barrier(lithium.get_primitive_structure())


def test_overlapping_atoms_are_refused(li2te):
    broken = li2te.copy()
    broken.add_oxidation_state_by_element({"Li": 1, "Te": -2})
    broken.append("Te2-", [0.51, 0.5, 0.0], validate_proximity=False)
    with pytest.raises(DataError, match="atoms overlap"):
        site_energy_barrier(broken)
