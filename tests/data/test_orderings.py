"""Orderings: neutral cells of whole atoms, their energies, and the lowest among all there are."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

from ssefw.data import candidate_from_text, read_pool
from ssefw.data.orderings import order_crystal
from ssefw.data.orderings.annealing import anneal, place
from ssefw.data.orderings.arrangements import Arrangements
from ssefw.data.orderings.cells import choose_cell
from ssefw.data.orderings.charges import _chances, assign_states
from ssefw.data.orderings.listing import count_arrangements, list_arrangements
from ssefw.data.orderings.radii import closest_distance
from ssefw.data.orderings.sites import read_sites
from ssefw.data.orderings.supercells import widest_supercell
from ssefw.documents import OrderingSettings
from ssefw.errors import DataError

FOLDER = Path(__file__).parent / "disordered"
PUBLISHED = sorted(FOLDER.glob("*.cif"))
NARROW = 7.0


def published(name):
    return read_pool(FOLDER / f"{name}.cif").candidates[0].structure


@cache
def ordered(name):
    """Two cells of a published crystal, narrower than by default: the statements are the same."""
    return order_crystal(published(name), OrderingSettings(number=2, min_length=NARROW))


def rock_salt(cation, *, a=5.1):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), [cation, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def spinel(a_site, b_site, *, anion="Cl", a=10.4):
    return Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(a),
        [a_site, b_site, anion],
        [[0, 0, 0], [0.625, 0.625, 0.625], [0.3798, 0.3798, 0.3798]],
    )


def perovskite(a_site, b_site, *, a=3.88):
    return Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(a), [a_site, b_site, "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]
    )


def antiperovskite(anion, *, share=1.0, a=4.02):
    return Structure.from_spacegroup(
        "Pm-3m",
        Lattice.cubic(a),
        [{"Li": share}, anion, "O"],
        [[0.5, 0.5, 0], [0, 0, 0], [0.5] * 3],
    )


SMALL = {
    "Li2TiO3": (rock_salt({"Li": 2 / 3, "Ti": 1 / 3}, a=4.14), 4.0, 24),
    "LiFeO2": (rock_salt({"Li": 0.5, "Fe": 0.5}, a=4.16), 5.0, 24),
    "Li3NbO4": (rock_salt({"Li": 0.75, "Nb": 0.25}, a=4.2), 5.0, 32),
    "Li3TaO4": (rock_salt({"Li": 0.75, "Ta": 0.25}, a=4.2), 4.0, 16),
    "Li2MgCl4": (spinel("Li", {"Li": 0.5, "Mg": 0.5}), 6.0, 56),
    "Li2MnCl4": (spinel("Li", {"Li": 0.5, "Mn": 0.5}, a=10.5), 6.5, 56),
    "LiAl5O8": (spinel("Al", {"Li": 0.25, "Al": 0.75}, anion="O", a=7.9), 5.0, 56),
    "Li0.5La0.5TiO3": (perovskite({"Li": 0.5, "La": 0.5}, "Ti"), 6.0, 60),
    "La2/3TiO3": (perovskite({"La": 2 / 3}, "Ti"), 6.0, 60),
    "SrMgMoO": (perovskite("Sr", {"Mg": 0.5, "Mo": 0.5}, a=3.95), 6.0, 60),
    "Li3OCl0.5Br0.5": (antiperovskite({"Cl": 0.5, "Br": 0.5}), 6.0, 60),
    "Li5OCl3": (antiperovskite({"Cl": 0.75, "O": 0.25}, share=1.0), 5.0, 40),
}


def arrangements(structure, *, min_length, max_atoms):
    cell = read_sites(structure).primitive()
    states = assign_states(cell.amounts, mobile="Li")
    limits = OrderingSettings(min_length=min_length, max_atoms=max_atoms, limit=0.1)
    whole = choose_cell(cell, states, limits)
    return Arrangements(whole.cell, whole.atoms, "smallest")


@pytest.mark.parametrize("name", SMALL)
def test_annealing_finds_the_lowest_of_all_arrangements(name):
    structure, min_length, max_atoms = SMALL[name]
    problem = arrangements(structure, min_length=min_length, max_atoms=max_atoms)
    assert 1 < count_arrangements(problem) < 200_000
    listed = list_arrangements(problem, problem.permutations())
    found = [
        problem.energy(anneal(problem, place(problem, seed=seed), temperature=0.0, seed=seed))
        for seed in range(50)
    ]
    assert min(found) > listed.energies[0] - 1e-6
    n_lowest = np.sum(np.array(found) < listed.energies[0] + 1e-6)
    assert n_lowest >= 48


def test_rounding_that_differs_from_machine_to_machine_changes_no_arrangement():
    """Many sites are equal: exchanging them costs nothing, to within rounding."""
    structure = rock_salt({"Li": 0.5, "Ni": 0.5}, a=4.1)
    problem = arrangements(structure, min_length=8.0, max_atoms=100)
    elsewhere = arrangements(structure, min_length=8.0, max_atoms=100)
    noise = np.random.default_rng(1).normal(scale=1e-13, size=problem.interaction.shape)
    object.__setattr__(elsewhere, "interaction", problem.interaction + noise + noise.T)
    for seed in range(3):
        start = place(problem, seed=seed)
        here, there = (
            anneal(one, start, temperature=0.05, seed=seed) for one in (problem, elsewhere)
        )
        assert np.array_equal(here, there)


def test_symmetry_joins_arrangements_and_loses_none():
    problem = arrangements(SMALL["LiFeO2"][0], min_length=5.0, max_atoms=24)
    listed = list_arrangements(problem, problem.permutations())
    alone = list_arrangements(problem, np.arange(len(problem.free))[None, :])
    assert len(listed.states) < len(alone.states) == listed.weights.sum()
    assert set(np.round(listed.energies, 6)) == set(np.round(alone.energies, 6))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_crystals_become_neutral_cells_with_pymatgens_energies(path):
    found = ordered(path.stem)
    assert len(found.orderings) == 2
    assert found.n_atoms <= 400
    assert found.error <= 0.02
    assert found.width >= NARROW
    for ordering in found.orderings[:1]:
        cell = ordering.structure
        assert cell.composition.as_dict() == pytest.approx(found.composition)
        charges = [found.charges[site.specie.symbol] for site in cell]
        assert sum(charges) == pytest.approx(0.0, abs=1e-9)
        assert_apart(cell, found.charges)
        charged = cell.copy()
        charged.add_oxidation_state_by_site(charges)
        energy = EwaldSummation(charged).total_energy / len(cell)
        assert ordering.energy_per_atom == pytest.approx(energy, abs=1e-6)


def assert_apart(cell, charges):
    distances = cell.distance_matrix.copy()
    np.fill_diagonal(distances, np.inf)
    names = [site.specie.symbol for site in cell]
    for i, j in zip(*np.nonzero(distances < 2.5), strict=True):
        assert distances[i, j] >= closest_distance(names[i], names[j], charges=charges)


def test_split_sites_exclude_each_other():
    cell = ordered("Li7La3Zr2O12").orderings[0].structure
    lithium = [i for i, site in enumerate(cell) if site.specie.symbol == "Li"]
    assert np.sort(cell.distance_matrix[np.ix_(lithium, lithium)], axis=1)[:, 1].min() > 1.7


@pytest.mark.parametrize("choose", ["lowest", "sampled", "random"])
def test_a_larger_number_keeps_the_first_and_a_seed_gives_the_same_cells(choose):
    crystal = published("Li6PS5Cl")

    def cells(number, **changes):
        limits = OrderingSettings(number=number, choose=choose, min_length=9.0, **changes)
        return [ordering.structure for ordering in order_crystal(crystal, limits).orderings]

    few = cells(1)
    assert cells(3)[:1] == few == cells(1)
    assert cells(1, seed=1) != few or choose == "lowest"


def test_lowest_lies_below_sampled_and_sampled_below_random():
    means = []
    for choose in ("lowest", "sampled", "random"):
        limits = OrderingSettings(number=3, choose=choose, min_length=5.0)
        found = order_crystal(published("Li6PS5Cl"), limits)
        means.append(np.mean([ordering.energy_per_atom for ordering in found.orderings]))
    lowest, sampled, random = means
    assert lowest <= sampled + 1e-9 <= random + 2e-9


@given(
    dopant=st.floats(0.0, 0.6),
    lost=st.floats(-0.02, 0.02),
    min_length=st.floats(4.0, 6.0),
    choose=st.sampled_from(["lowest", "sampled", "random"]),
)
@settings(max_examples=8, deadline=None)
def test_any_doped_crystal_is_neutral_near_its_composition_and_apart(
    dopant, lost, min_length, choose
):
    crystal = perovskite(
        {"Li": 0.3 + lost / 3, "La": 0.5 - dopant / 4},
        {"Ti": 1.0 - dopant, "Nb": dopant} if dopant else "Ti",
    )
    limits = OrderingSettings(min_length=min_length, max_atoms=90, number=2, choose=choose)
    try:
        found = order_crystal(crystal, limits)
    except DataError:
        assume(False)
    assert found.error <= limits.limit
    assert found.width >= min_length - 1e-6
    for ordering in found.orderings:
        names = [site.specie.symbol for site in ordering.structure]
        assert sum(found.charges[name] for name in names) == pytest.approx(0.0, abs=1e-9)
        assert set(names) >= {"Li", "La", "Ti", "O"}
        assert_apart(ordering.structure, found.charges)


@given(n_cells=st.integers(1, 12), angle=st.floats(60, 120), c=st.floats(2, 12))
@settings(max_examples=30, deadline=None)
def test_supercells_hold_their_cells_and_are_at_least_as_wide_as_diagonal_ones(n_cells, angle, c):
    lattice = Lattice.from_parameters(4, 5, c, 90, angle, 90)
    transformation, width = widest_supercell(lattice.matrix, n_cells)
    assert round(np.linalg.det(transformation)) == n_cells
    vectors = transformation @ lattice.matrix
    assert width == pytest.approx((1 / np.linalg.norm(np.linalg.inv(vectors), axis=0)).min())
    for a in range(1, n_cells + 1):
        if n_cells % a == 0:
            diagonal = np.diag([a, 1, n_cells // a]) @ lattice.matrix
            # A reduced cell is compared with a diagonal one that is as good as reduced.
            if angle == 90:
                faces = 1 / np.linalg.norm(np.linalg.inv(diagonal), axis=0)
                assert width >= faces.min() - 1e-6


def test_sites_at_one_place_become_one_site():
    crystal = Structure(
        Lattice.cubic(4.2),
        ["Li", "Na", "O", "Li"],
        [[0, 0, 0], [0.005, 0, 0], [0.5] * 3, [0.5, 0, 0]],
    )
    crystal.replace(0, {"Li": 0.5})
    crystal.replace(1, {"Na": 0.5})
    cell = read_sites(crystal)
    assert len(cell.kinds) == 3
    assert cell.occupancies[0] == pytest.approx({"Li": 0.5, "Na": 0.5})


def test_isotopes_are_their_element():
    crystal = Structure(Lattice.cubic(4.0), [{"H": 0.5, "D": 0.3}, "Cl"], [[0, 0, 0], [0.5] * 3])
    assert read_sites(crystal).amounts == pytest.approx({"H": 0.8, "Cl": 1.0})


def test_charges_are_as_likely_as_they_are_frequent():
    from pymatgen.analysis.bond_valence import PRIOR_PROB

    for symbol in ("Li", "Fe", "P", "S"):
        seen = {
            int(ion.oxi_state): count
            for ion, count in PRIOR_PROB.items()
            if ion.symbol == symbol and ion.oxi_state and float(ion.oxi_state).is_integer()
        }
        for state, chance in _chances(symbol).items():
            assert chance == pytest.approx(seen[state] / sum(seen.values()))


def test_too_much_lithium_does_not_make_phosphorus_an_anion_of_one_charge():
    # An argyrodite in whose file the lithium sites are twice as full as they can be.
    crystal = published("Li6PS5Cl")
    for index, site in enumerate(crystal):
        if "Li" in site.species:
            crystal.replace(index, {"Li": 0.95})
    with pytest.raises(DataError, match="leave a charge of"):
        order_crystal(crystal)


def test_mixed_valence_is_shared_over_an_element():
    crystal = published("Li3YCl6")
    crystal.replace_species({"Y": "V"})
    crystal.remove_sites([0])
    states = assign_states({"Li": 10, "V": 8, "P": 12, "O": 48}, mobile="Li")
    assert (states.lowest["V"], states.highest["V"]) == (3, 4)
    assert states.lowest["P"] == states.highest["P"] == 5


@pytest.mark.parametrize(
    ("crystal", "message"),
    [
        (rock_salt("Li"), "ordered already"),
        (rock_salt({"Li": 0.5}), "leave a charge"),
        (rock_salt({"Li": 0.5, "Na": 0.1}), "leave a charge"),
        (antiperovskite("Br", share=0.667), "change at least 10"),
        (spinel("Li", {"Li": 0.5, "Mg": 0.5}, a=5.4), "of full occupancy are .* apart"),
    ],
)
def test_what_cannot_be_ordered_is_refused_in_one_line(crystal, message):
    with pytest.raises(DataError, match=message) as refusal:
        order_crystal(crystal)
    assert "\n" not in str(refusal.value)


def nasicon(aluminum):
    """Li(Al,Ti)2(PO4)3 as X-rays see it: its first lithium site is full, its second not listed."""
    lines = (FOLDER / "LATP.cif").read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith("Li2"))
    for old, new in (
        ("Li 0 0 0 0.85", "Li 0 0 0 1"),
        ("0.1415 0.85", f"0.1415 {1.0 - aluminum}"),
        ("0.1415 0.15", f"0.1415 {aluminum}"),
    ):
        text = text.replace(old, new)
    return candidate_from_text(text, name="nasicon").structure


COMPLETED = {
    "lithium in voids": (nasicon(0.15), "Li sit where the file lists no site"),
    "lithium missing": (
        Structure.from_spacegroup(
            "Pm-3m",
            Lattice.cubic(3.91),
            ["Li", "Cl", {"O": 0.97, "Br": 0.03}],
            [[0.5, 0.5, 0], [0, 0, 0], [0.5] * 3],
        ),
        "1 Li are missing from sites that the file lists as full",
    ),
    "oxygen missing": (
        perovskite("Sr", {"Ti": 0.86, "Al": 0.14}),
        "O are missing from sites that the file lists as full",
    ),
}


@pytest.mark.parametrize("name", COMPLETED)
def test_what_a_file_leaves_out_is_completed_within_the_limit_and_told(name):
    crystal, warning = COMPLETED[name]
    limits = OrderingSettings(number=1, min_length=NARROW)
    found = order_crystal(crystal, limits)
    assert found.error <= limits.limit
    assert warning in " ".join(found.warnings)
    cell = found.orderings[0].structure
    assert sum(found.charges[site.specie.symbol] for site in cell) == pytest.approx(0.0, abs=1e-9)
    assert_apart(cell, found.charges)


def test_polyanions_lose_nothing_and_the_limit_that_would_do_is_named():
    # Three charges on 108 atoms: more than lithium within the limit makes up for.
    with pytest.raises(DataError, match="if only the Li of the file is wrong") as refusal:
        order_crystal(nasicon(0.25))
    limit = float(str(refusal.value).rpartition("limit = ")[2].split()[0])
    assert limit == pytest.approx((9 / 111 - 6 / 108), abs=1e-3)
    found = order_crystal(nasicon(0.25), OrderingSettings(number=1, min_length=NARROW, limit=limit))
    # Li(1+x) Al(x) Ti(2-x) (PO4)3, the more aluminum the more lithium.
    titanium, aluminum = found.composition["Ti"], found.composition["Al"]
    assert found.composition["Li"] == (titanium + aluminum) / 2 + aluminum
    assert found.composition["O"] == 4 * found.composition["P"]


def test_a_limit_of_atoms_is_named():
    with pytest.raises(DataError, match="max_atoms = 30"):
        order_crystal(published("LGPS"), OrderingSettings(max_atoms=30))
