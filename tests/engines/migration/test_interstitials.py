"""Interstitial ions: where they sit, and how they move in copper."""

import numpy as np
import pytest

from ssefw.data.defects import find_hops_of, mark_interstitials
from ssefw.documents import HopRecord
from ssefw.engines import NebSettings
from ssefw.engines.ase import AseEngine
from ssefw.engines.band import displacements
from ssefw.engines.migration import MigrationSettings, hop_barrier
from ssefw.engines.migration.hop_records import hop_label, hop_record
from ssefw.engines.migration.percolation import percolation_barrier
from ssefw.engines.migration.seeding import choose_hops, prepared_for
from ssefw.errors import AnalysisError

EMT = AseEngine(calculator="ase.calculators.emt.EMT")
OCTAHEDRA = [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]


def how(mechanism):
    return MigrationSettings(
        mechanism=mechanism, min_length=7.0, n_images=3, end_fmax=0.05, band=NebSettings()
    )


def marks(structure):
    return np.array([s.frac_coords for s in structure if s.specie.symbol == "X"])


def test_interstitial_lithium_of_antifluorite_sits_in_octahedra(li2o):
    marked = prepared_for("interstitial", li2o, specie="Li")
    away = li2o.lattice.get_all_distances(marks(marked), OCTAHEDRA)
    assert away.shape == (4, 4)
    assert np.sort(away, axis=1)[:, 0] == pytest.approx([0] * 4, abs=0.02)
    assert prepared_for("vacancy", li2o, specie="Li") is li2o


def test_interstitial_lithium_of_rock_salt_sits_in_tetrahedra(lif):
    for cell, number in ((lif, 8), (lif.get_primitive_structure(), 2), (lif * (1, 1, 2), 16)):
        found = marks(prepared_for("concerted", cell, specie="Li"))
        assert len(found) == number
        near = cell.lattice.get_all_distances(found, cell.frac_coords).min(axis=1)
        assert near == pytest.approx(4.026 * np.sqrt(3) / 4, abs=0.05)


def test_hops_of_two_ions_are_not_chosen_by_the_site_energy(li2o):
    marked = prepared_for("concerted", li2o, specie="Li")
    kinds = find_hops_of(marked, "concerted", specie="Li", max_length=4.1)
    assert choose_hops(marked, kinds, "shortest") == kinds
    with pytest.raises(AnalysisError, match="one ion that moves"):
        choose_hops(marked, kinds, "bvse")


def test_charges_follow_from_the_mechanism():
    assert how("vacancy").cell_charge == -1.0
    assert how("interstitial").cell_charge == how("concerted").cell_charge == 1.0
    assert MigrationSettings(mechanism="concerted", charge=2.0).cell_charge == 2.0


def test_a_hop_is_labelled_by_what_it_pushes():
    hop = HopRecord(
        start=4, end=5, image=(0, -1, 0), via=3, via_image=(1, 0, 0), length=3.6, symmetric=True,
        n_equivalent=12,
    )  # fmt: skip
    assert hop_label(hop) == "4-3+1+0+0-5+0-1+0"
    assert hop_label(hop, first=1) == "5-4+1+0+0-6+0-1+0"


def test_an_interstitial_of_copper_moves_by_pushing_its_neighbor(copper, tmp_path):
    """By pushing it needs about 0.12 eV (Ehrhart 1991), and by itself far more."""
    crystal = EMT.relax(copper, fmax=0.001, max_steps=200, relax_cell=True).structure
    marked = mark_interstitials(crystal, OCTAHEDRA, ion="Cu")
    barriers = {}
    for mechanism in ("interstitial", "concerted"):
        kinds = find_hops_of(marked, mechanism, specie="Cu", max_length=3.62)
        kind = kinds[0]
        band = hop_barrier(EMT, marked, kind, tmp_path / mechanism, settings=how(mechanism))
        assert band.forward == pytest.approx(band.reverse, abs=0.002)
        barriers[mechanism] = band.forward
        moved = np.linalg.norm(displacements(band.structures[0], band.structures[-1]), axis=1)
        assert (moved > 1.0).sum() == (1 if mechanism == "interstitial" else 2)
        result = percolation_barrier(marked, {kind: band}, specie="Cu")
        assert result.formula == "Cu"
        assert result.bands[0].hop == hop_record(kind)
    assert 0.05 < barriers["concerted"] < 0.25
    assert barriers["interstitial"] > 1.0
