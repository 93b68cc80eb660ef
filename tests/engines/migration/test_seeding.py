"""Where images start: hops and paths of the site energy, and bands of other engines."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.bvse import site_energy_landscape
from ssefw.data.defects import distinct_sites, hop_cell
from ssefw.data.hops import Hop, find_hops
from ssefw.engines import NebSettings
from ssefw.engines.ase import AseEngine
from ssefw.engines.band import linear_images, path_lengths
from ssefw.engines.migration import MigrationSettings, hop_barrier, hop_barriers
from ssefw.engines.migration.ends import Ends
from ssefw.engines.migration.first_images import first_images
from ssefw.engines.migration.progress import BandWatch, read_band_progress
from ssefw.engines.migration.seeding import (
    choose_hops,
    images_along,
    images_like,
    keeps_distance,
    site_energy_path,
)
from ssefw.errors import AnalysisError, DataError, EngineError

EMT = AseEngine(calculator="ase.calculators.emt.EMT")


@pytest.fixture(scope="module")
def li2o():
    """Antifluorite Li2O."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.619), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


@pytest.fixture(scope="module")
def landscape(li2o):
    """Its site energy."""
    return site_energy_landscape(li2o, resolution=0.3).landscape


def test_the_path_of_least_site_energy_joins_both_ends_of_every_hop(li2o, landscape):
    (kind,) = find_hops(li2o, max_length=2.4)
    for hop in (*kind.hops, kind.hop.reversed()):
        points = site_energy_path(li2o, hop, landscape)
        way = li2o.frac_coords[hop.end] + hop.image - li2o.frac_coords[hop.start]
        assert points[0] == pytest.approx([0, 0, 0], abs=0.05)
        assert points[-1] == pytest.approx(li2o.lattice.get_cartesian_coords(way), abs=0.05)
        assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() < 0.25


def test_the_path_runs_over_the_saddle_that_the_landscape_has(li2o, landscape):
    (kind,) = find_hops(li2o, max_length=2.4)
    start = li2o.cart_coords[kind.hop.start]
    points = site_energy_path(li2o, kind.hop, landscape)
    highest = landscape.framework.energies(points + start).max() - landscape.minimum
    assert highest == pytest.approx(landscape.thresholds.three, abs=0.01)


def test_a_path_through_an_occupied_site_is_refused(li2o, landscape):
    """Along an edge of the cell the way leads over the lithium halfway."""
    far = find_hops(li2o, max_length=4.7)[-1]
    assert far.hop.length == pytest.approx(4.619)
    with pytest.raises(AnalysisError, match="occupied"):
        site_energy_path(li2o, far.hop, landscape)


def test_an_end_that_is_no_minimum_is_told(li2o, landscape):
    moved = li2o.copy()
    lithium = [k for k, site in enumerate(moved) if site.specie.symbol == "Li"]
    moved.translate_sites([lithium[0]], [1.2, 0, 0], frac_coords=False)
    with pytest.raises(AnalysisError, match="nearest minimum"):
        site_energy_path(moved, Hop(lithium[0], lithium[1], (0, 0, 0), 2.0), landscape)


def test_hops_over_the_lowest_saddles_come_first(li2o):
    classes = find_hops(li2o, max_length=4.1)
    assert choose_hops(li2o, classes, "bvse") == choose_hops(li2o, classes, "shortest")
    assert choose_hops(li2o, classes, "all") == tuple(classes)


def test_images_bend_as_the_band_they_follow():
    lattice = Lattice.cubic(8.0)
    ends = [Structure(lattice, ["Li"], [[x, 2, 2]], coords_are_cartesian=True) for x in (1, 3)]
    band = linear_images(*ends, n_images=5)
    band[2].translate_sites([0], [0, 0.8, 0], frac_coords=False)
    other = [Structure(lattice, ["Li"], [[x, 2, 3]], coords_are_cartesian=True) for x in (1, 3)]
    images = images_like(band, *other)
    assert images[2].cart_coords[0] == pytest.approx([2, 2.8, 3])
    assert images[1].cart_coords[0] == pytest.approx([1.5, 2, 3])
    assert path_lengths(images)[-1] == pytest.approx(path_lengths(band)[-1])
    with pytest.raises(DataError, match="other atoms"):
        images_like(band, *(Structure(lattice, ["Na"], [[x, 0, 0]]) for x in (0, 0.5)))


@pytest.mark.parametrize("direction", [1, -1])
def test_of_two_ways_around_a_small_cell_the_path_tells_which(direction):
    lattice = Lattice.cubic(4.0)
    ends = [Structure(lattice, ["Li"], [[x, 0, 0]]) for x in (0.0, 0.5)]
    path = np.array([[0, 0, 0], [1.0 * direction, 0.4, 0], [2.0 * direction, 0, 0]])
    images = images_along(*ends, mover=0, path=path, n_images=3)
    frac = images[1].frac_coords[0] - [0.25 * direction, 0.1, 0]
    assert frac == pytest.approx(np.rint(frac), abs=1e-6)


QUICK = MigrationSettings(
    min_length=5.0, n_images=3, end_fmax=0.05, path="linear", band=NebSettings(fmax=0.05)
)


def test_a_band_may_start_from_that_of_another_engine(copper, tmp_path):
    (kind,) = find_hops(copper, specie="Cu", max_length=2.8)
    band = hop_barrier(EMT, copper, kind, tmp_path, settings=QUICK, first=EMT)
    again = hop_barrier(EMT, copper, kind, tmp_path / "plain", settings=QUICK)
    assert band.forward == pytest.approx(again.forward, abs=0.01)
    assert band.history[0].max_force < QUICK.band.fmax  # the first band was already there
    assert again.history[0].max_force > QUICK.band.fmax
    assert band.hop.n_equivalent == 24


def images_of(crystal, kind, landscape, path):
    cell = hop_cell(crystal, kind.hop, min_length=4.0)
    images, warnings = first_images(
        crystal, kind, path=path, n_images=5,
        ends=(cell.start, cell.end), landscape=landscape, mover=cell.mover,
    )  # fmt: skip
    return images, warnings, cell.mover


def test_by_default_a_path_close_by_other_ions_is_not_taken(li2o, landscape):
    (kind,) = find_hops(li2o, max_length=2.4)
    along, _, mover = images_of(li2o, kind, landscape, "bvse")
    assert not keeps_distance(along, mover=mover)  # through the empty octahedron
    for path in ("auto", "idpp"):
        images, warnings, mover = images_of(li2o, kind, landscape, path)
        assert keeps_distance(images, mover=mover)
        assert warnings == ()


def test_an_ion_keeps_its_distance_from_its_like_alone():
    lattice = Lattice.cubic(9.0)
    ends = [Structure(lattice, ["Li", "Li"], [[x, 0, 0], [0, 0.5, 0]]) for x in (0.0, 0.3)]
    images = linear_images(*ends, n_images=3)
    assert keeps_distance(images, mover=0)
    images[1].translate_sites([0], [0, 0.35, 0])
    assert not keeps_distance(images, mover=0)


def test_what_a_cheaper_engine_finds_impossible_costs_the_other_nothing(copper, tmp_path):
    (kind,) = find_hops(copper, specie="Cu", max_length=2.8)
    asked = []

    def ends():
        asked.append(1)
        return {}

    settings = QUICK.model_copy(update={"end_steps": 1, "end_fmax": 1e-6})
    with pytest.raises(EngineError, match="did not relax"):
        hop_barrier(
            EMT, copper, kind, tmp_path, settings=settings, ends=ends, representatives={}, first=EMT
        )
    assert not asked


def test_a_hop_that_fails_is_a_band_that_says_why(copper, tmp_path):
    (kind,) = find_hops(copper, specie="Cu", max_length=2.8)
    settings = QUICK.model_copy(update={"end_steps": 1, "end_fmax": 1e-6})
    ((_, band),) = hop_barriers(EMT, copper, [kind], tmp_path, settings=settings)
    assert band.status == "failed"
    assert "Allow more steps" in band.reason


def test_ends_are_relaxed_once_for_all_hops(copper):
    kinds = find_hops(copper, specie="Cu", max_length=3.7)
    ends = Ends(EMT, copper, kinds, min_length=5.0, fmax=0.05, steps=100)
    first = ends.of(kinds[0])
    assert ends.of(kinds[1]) == first
    assert len(first) == 1


@pytest.mark.parametrize(("lengths", "n_distinct"), [((4.0, 4.0, 4.0), 1), ((4.0, 4.0, 4.4), 2)])
def test_vacancies_are_one_only_where_the_crystal_makes_them_so(lengths, n_distinct):
    """Three ions at the middles of edges of a cube; stretched, one differs."""
    sites = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    crystal = Structure(Lattice.orthorhombic(*lengths), ["Cl", "Li", "Li", "Li"], sites)
    kinds = find_hops(crystal, max_length=3.1)
    assert len(set(distinct_sites(crystal, kinds, min_length=4.0).values())) == n_distinct


def test_a_supercell_less_symmetric_than_the_crystal_has_more_distinct_vacancies():
    sites = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    crystal = Structure(Lattice.orthorhombic(4.02, 4.0, 4.0), ["Cl", "Li", "Li", "Li"], sites)
    kinds = find_hops(crystal, max_length=3.1)
    cell = hop_cell(crystal, kinds[0].hop, min_length=4.01)
    assert cell.size == (1, 2, 2)
    assert len(set(distinct_sites(crystal, kinds, min_length=4.01).values())) == 2
    assert len(set(distinct_sites(crystal, kinds, min_length=4.0).values())) == 1


def test_progress_is_told_once_for_each_iteration(copper, tmp_path):
    (kind,) = find_hops(copper, specie="Cu", max_length=2.8)
    seen = []
    stop = BandWatch(lambda: None, tmp_path, lambda *new: seen.append(new), interval=0.0)
    band = hop_barrier(EMT, copper, kind, tmp_path / "one", settings=QUICK, stop=stop)
    assert [at.iteration for _, at in seen] == [at.iteration for at in band.history]
    assert {name for name, _ in seen} == {"one"}
    assert read_band_progress(tmp_path / "one") == band.history[-1]
    assert read_band_progress(tmp_path) is None
