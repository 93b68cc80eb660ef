"""Sites, saddle points and hops of the exact energy surface."""

import itertools

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.bvse import (
    distinct_hops,
    hop_images,
    nearest_mobile_sites,
    route,
    site_barriers,
    site_energy_landscape,
)
from ssefw.bvse.critical import eigensystem
from ssefw.bvse.landscape import Link, link_thresholds
from ssefw.bvse.paths import reverse_hop
from ssefw.errors import AnalysisError


@pytest.fixture(scope="module")
def li2te():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.517), ["Te2-", "Li+"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


@pytest.fixture(scope="module")
def ligate2():
    """Chalcopyrite LiGaTe2, a = 6.338, c = 11.704 A, x = 0.2646, Li on 4a (Isaenko et al. 2005)."""
    return Structure.from_spacegroup(
        "I-42d",
        Lattice.tetragonal(6.338, 11.704),
        ["Ga3+", "Li+", "Te2-"],
        [[0, 0, 0.5], [0, 0, 0], [0.2646, 0.25, 0.125]],
    )


@pytest.fixture(scope="module")
def found(ligate2):
    return site_energy_landscape(ligate2, resolution=0.2)


def test_antifluorite_has_the_tetrahedral_and_octahedral_sites(li2te):
    landscape = site_energy_landscape(li2te, resolution=0.2).landscape
    cart = landscape.frac_sites @ landscape.framework.matrix
    frac = np.sort(np.round(cart / 6.517 % 1.0, 4) % 1.0, axis=1)
    tetrahedral = [row for row in frac if (np.isin(row, [0.25, 0.75])).all()]
    octahedral = [row for row in frac if (np.isin(row, [0.0, 0.5])).all()]
    assert (len(tetrahedral), len(octahedral)) == (2, 1)
    assert len(set(landscape.site_orbits)) == 2
    assert len(distinct_hops(landscape)) == 1


def test_saddle_points_are_stationary_with_one_way_down(found):
    landscape = found.landscape
    for hop in landscape.hops:
        energy, gradient, hessian = landscape.framework.derivatives(hop.cart_points[hop.saddle])
        assert energy == pytest.approx(hop.energy, abs=1e-9)
        assert np.abs(gradient).max() < 1e-4
        assert (np.linalg.eigvalsh(hessian) < 0).sum() == 1


def test_sites_are_minima(found):
    landscape = found.landscape
    for frac, expected in zip(landscape.frac_sites, landscape.energies, strict=True):
        energy, gradient, hessian = landscape.framework.derivatives(
            frac @ landscape.framework.matrix
        )
        assert energy == pytest.approx(expected, abs=1e-6)
        assert np.abs(gradient).max() < 1e-3
        assert np.linalg.eigvalsh(hessian).min() > -1e-3


def test_a_path_rises_to_its_saddle_point_and_falls_after_it(found):
    for hop in found.landscape.hops:
        rise, fall = np.split(hop.energies, [hop.saddle + 1])
        assert (np.diff(rise) > -1e-6).all()
        assert (np.diff(np.append(rise[-1], fall)) < 1e-6).all()
        assert np.linalg.norm(np.diff(hop.cart_points, axis=0), axis=1).max() < 0.25


def test_a_path_runs_along_the_gradient(found):
    framework = found.landscape.framework
    hop = found.landscape.hops[0]
    middle = hop.saddle // 2
    tangent = hop.cart_points[middle + 1] - hop.cart_points[middle - 1]
    force = framework.forces(hop.cart_points[middle])[0]
    cosine = abs(tangent @ force) / np.linalg.norm(tangent) / np.linalg.norm(force)
    assert cosine > 0.99


def test_a_path_ends_at_its_sites_in_the_right_cells(found):
    landscape = found.landscape
    inverse = np.linalg.inv(landscape.framework.matrix)
    for hop in landscape.hops:
        first, last = hop.cart_points[0] @ inverse, hop.cart_points[-1] @ inverse
        assert first == pytest.approx(landscape.frac_sites[hop.start], abs=0.02)
        assert last - hop.image == pytest.approx(landscape.frac_sites[hop.end], abs=0.02)


def test_every_hop_has_all_its_symmetry_equivalents(found):
    landscape = found.landscape
    for orbit in set(landscape.hop_orbits):
        members = [
            hop for hop, o in zip(landscape.hops, landscape.hop_orbits, strict=True) if o == orbit
        ]
        energies = [hop.energy for hop in members]
        assert np.ptp(energies) < 1e-3
        ends = {
            frozenset((int(landscape.site_orbits[h.start]), int(landscape.site_orbits[h.end])))
            for h in members
        }
        assert len(ends) == 1


def test_images_lie_at_equal_distance_along_a_hop(found):
    hop = found.landscape.hops[0]
    images = hop_images(hop, n_images=7)
    assert images[[0, -1]] == pytest.approx(hop.cart_points[[0, -1]])
    lengths = np.linalg.norm(np.diff(images, axis=0), axis=1)
    assert lengths == pytest.approx(np.full(6, lengths.mean()), rel=0.1)


def test_a_reversed_hop_reversed_is_itself(found):
    matrix = found.landscape.framework.matrix
    for hop in found.landscape.hops[:5]:
        again = reverse_hop(reverse_hop(hop, matrix), matrix)
        assert (again.start, again.end, again.image) == (hop.start, hop.end, hop.image)
        assert again.cart_points == pytest.approx(hop.cart_points)
        assert again.energies[again.saddle] == pytest.approx(hop.energy)


def test_a_route_is_connected_and_as_low_as_the_pair_allows(found):
    landscape = found.landscape
    barriers = site_barriers(landscape)
    start = 0
    reachable = np.flatnonzero(np.isfinite(barriers[start]))
    end = int(reachable[np.argmax(barriers[start][reachable])])
    steps = route(landscape, start, end)
    assert steps[0].hop.start == start
    assert steps[-1].hop.end == end
    for one, two in itertools.pairwise(steps):
        assert one.hop.end == two.hop.start
        assert two.cell == tuple(np.add(one.cell, one.hop.image))
    highest = max(step.hop.energy for step in steps) - landscape.minimum
    assert highest == pytest.approx(barriers[start, end])


def test_a_route_through_the_crystal_costs_the_one_dimensional_barrier(found):
    landscape = found.landscape
    site = landscape.bottlenecks[0].start
    images = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    energies = [
        max(step.hop.energy for step in route(landscape, site, site, image=image))
        for image in images
    ]
    assert min(energies) - landscape.minimum >= landscape.thresholds.one - 1e-9


def test_a_route_where_no_hops_lead_is_refused(found):
    with pytest.raises(AnalysisError, match="No hops lead from site 0 to site 999"):
        route(found.landscape, 0, 999)


def test_lithium_of_the_structure_is_found_at_a_stable_site(found, ligate2):
    """By symmetry the 4a site is stationary; the vacant tetrahedra are lower, 2.4 A away."""
    ions, distances = nearest_mobile_sites(found.landscape, ligate2)
    assert distances.min() == pytest.approx(0.0, abs=0.01)
    assert distances.max() > 2.0
    assert {ligate2[int(ion)].specie.symbol for ion in ions} == {"Li"}


def test_links_percolate_like_the_net_they_draw():
    """Honeycomb sheets: 2D at 0.3; joined by ladders at 0.7."""
    sheet = [
        Link(0, 1, image, energy, "saddle")
        for image, energy in (((0, 0, 0), 0.1), ((-1, 0, 0), 0.2), ((0, -1, 0), 0.3))
    ]
    ladder = Link(0, 0, (0, 0, 1), 0.7, "saddle")
    thresholds, bottlenecks, _ = link_thresholds(2, [ladder, *sheet])
    assert tuple(thresholds) == pytest.approx((0.2, 0.3, 0.7))
    assert bottlenecks == (sheet[1], sheet[2], ladder)


def test_own_eigenvectors_agree_with_numpy():
    generator = np.random.default_rng(0)
    for size in (1.0, 1e-6, 1e6):
        matrix = size * generator.normal(size=(3, 3))
        matrix += matrix.T
        values, vectors = eigensystem(matrix)
        assert values == pytest.approx(np.linalg.eigvalsh(matrix), rel=1e-9)
        assert vectors @ np.diag(values) @ vectors.T == pytest.approx(matrix, rel=1e-9)
