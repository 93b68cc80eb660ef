"""The search for neighbors, against ASE's on random cells."""

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.nep.neighbors import neighbors


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_atoms=st.integers(1, 40),
    cutoff=st.floats(0.5, 7.0),
    lengths=st.tuples(*[st.floats(1.5, 14.0)] * 3),
)
def test_every_pair_is_found_once(seed, n_atoms, cutoff, lengths):
    rng = np.random.default_rng(seed)
    cell = np.diag(lengths) + rng.uniform(-0.4, 0.4, size=(3, 3)) * min(lengths)
    if abs(np.linalg.det(cell)) < 0.2 * np.prod(lengths):
        return  # nearly flat: no crystal
    positions = rng.uniform(-2, 3, size=(n_atoms, 3)) @ cell
    start, index, shift = neighbors(positions, cell, cutoff)
    center = np.repeat(np.arange(n_atoms), np.diff(start))
    found = positions[index] + shift - positions[center]
    i, j, expected = neighbor_list("ijD", Atoms(positions=positions, cell=cell, pbc=True), cutoff)

    def rows(centers, others, vectors):
        table = np.column_stack([centers, others, np.round(vectors, 6)])
        return table[np.lexsort(np.round(table, 4).T)]

    assert len(found) == len(expected)
    assert np.allclose(rows(center, index, found), rows(i, j, expected), atol=1e-5)


def test_ten_thousand_atoms_cost_ten_times_a_thousand():
    """By the number of distances looked at, which is what the search spends its time on."""
    rng = np.random.default_rng(0)
    for n in (1000, 10_000):
        edge = (n * 15.0) ** (1 / 3)
        start, _, _ = neighbors(rng.uniform(0, edge, size=(n, 3)), np.eye(3) * edge, 6.0)
        assert start[-1] / n < 1.2 * 4 / 3 * np.pi * 6.0**3 / 15.0
