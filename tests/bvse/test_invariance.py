"""Barriers do not depend on how the crystal is written down, nor on the grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from ssefw.bvse import site_energy_barrier

MEV = 1e-3


@pytest.fixture(scope="module")
def liinte2():
    """Chalcopyrite LiInTe2, a = 6.419, c = 12.486 A, x = 0.2441 (Hoenle et al. 1988)."""
    return Structure.from_spacegroup(
        "I-42d",
        Lattice.tetragonal(6.419, 12.486),
        ["In3+", "Li+", "Te2-"],
        [[0, 0, 0.5], [0, 0, 0], [0.2441, 0.25, 0.125]],
    )


@pytest.fixture(scope="module")
def oblique():
    """A triclinic oxide without symmetry; P in the middle of a distorted cage."""
    lattice = Lattice.from_parameters(5.3, 5.9, 6.4, 81, 97, 106)
    return Structure(
        lattice,
        ["Li+", "P5+", "O2-", "O2-", "O2-"],
        [
            [0.1, 0.1, 0.1],
            [0.5, 0.5, 0.5],
            [0.25, 0.45, 0.6],
            [0.6, 0.75, 0.45],
            [0.7, 0.3, 0.65],
        ],
    )


@pytest.fixture(scope="module")
def crystals(liinte2, oblique):
    return {"liinte2": liinte2, "oblique": oblique}


def values(structure, *, resolution=0.3):
    barrier = site_energy_barrier(structure, resolution=resolution)
    return [
        estimate.value if estimate.value is not None else np.inf
        for estimate in (barrier.barrier_1d, barrier.barrier_2d, barrier.barrier_3d)
    ]


@settings(max_examples=6, deadline=None)
@given(
    shift=st.tuples(*[st.floats(0, 1)] * 3),
    turn=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
    cells=st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]),
    name=st.sampled_from(["liinte2", "oblique"]),
)
def test_translation_rotation_and_supercell_change_nothing(crystals, shift, turn, cells, name):
    structure = crystals[name]
    expected = values(structure)
    matrix = structure.lattice.matrix @ Rotation.from_quat(turn).as_matrix()
    other = Structure(Lattice(matrix), structure.species, structure.frac_coords + shift)
    other.make_supercell(cells)
    assert values(other) == pytest.approx(expected, abs=MEV)


@settings(max_examples=6, deadline=None)
@given(
    rows=st.sampled_from(
        [
            [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
            [[1, 0, 0], [2, 1, 0], [0, 1, 1]],
            [[1, 1, 1], [0, 1, 1], [0, 0, 1]],
            [[0, 1, 0], [1, 0, 0], [0, 0, -1]],
        ]
    )
)
def test_another_choice_of_lattice_vectors_changes_nothing(oblique, rows):
    skewed = oblique.copy()
    skewed.make_supercell(rows)
    assert values(skewed) == pytest.approx(values(oblique), abs=MEV)


def test_primitive_and_conventional_cells_agree(liinte2):
    primitive = liinte2.get_primitive_structure()
    assert len(primitive) < len(liinte2)
    assert values(primitive) == pytest.approx(values(liinte2), abs=MEV)


@pytest.mark.parametrize("name", ["liinte2", "oblique"])
def test_coarse_and_fine_grids_give_the_same_barrier(request, name):
    structure = request.getfixturevalue(name)
    fine = values(structure, resolution=0.1)
    for resolution in (0.4, 0.2):
        assert values(structure, resolution=resolution) == pytest.approx(fine, abs=MEV)


def test_the_saddle_point_is_where_ever_finer_grids_lead(liinte2):
    exact = values(liinte2)
    errors = []
    for resolution in (0.4, 0.2, 0.1):
        grid = site_energy_barrier(liinte2, resolution=resolution, mode="grid")
        errors.append(abs(grid.barrier_3d.value - exact[2]))
    assert errors[2] < 0.012
    assert errors[2] < errors[0]
