"""Mean squared displacements against direct sums, and pymatgen's numbers."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
from pymatgen.core import Structure

from ssefw.analysis import Frames, mean_squared_displacement, msd_tensor, unwrapped_paths
from ssefw.analysis.msd import split_squared_displacements

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SSEFW_SHARED_DATA", ROOT.parent / "shared" / "data"))


def trajectories():
    folders = [SHARED / "trajectories", ROOT.parents[1] / "shared" / "data" / "trajectories"]
    for folder in folders:
        if folder.is_dir():
            return folder
    pytest.skip("the reference trajectories are not here; set SSEFW_SHARED_DATA")


def paths_of(n_frames=50, n_ions=4, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=(n_frames, n_ions, 3)), axis=0)


def direct(paths, lag):
    moved = paths[lag:] - paths[: len(paths) - lag]
    return (moved**2).sum(axis=2).mean()


@given(n_frames=st.integers(2, 60), n_ions=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_the_fast_sum_is_the_direct_sum(n_frames, n_ions, seed):
    paths = paths_of(n_frames, n_ions, seed) + 1000.0
    msd = mean_squared_displacement(paths)
    expected = [direct(paths, lag) for lag in range(n_frames)]
    np.testing.assert_allclose(msd, expected, rtol=1e-9, atol=1e-8)


def test_pieces_are_averaged_with_the_weight_of_their_origins():
    paths = paths_of(30)
    msd = mean_squared_displacement(paths, pieces=[(0, 20), (20, 30)])
    moved = np.concatenate([paths[3:20] - paths[:17], paths[23:] - paths[20:27]])
    assert msd[3] == pytest.approx((moved**2).sum(axis=2).mean())
    assert len(msd) == 20


def test_the_tensor_has_the_msd_as_trace_and_the_direct_products_beside():
    paths = paths_of()
    tensor = msd_tensor(paths)
    np.testing.assert_allclose(
        np.trace(tensor, axis1=1, axis2=2), mean_squared_displacement(paths), atol=1e-9
    )
    moved = paths[7:] - paths[:-7]
    np.testing.assert_allclose(
        tensor[7], np.einsum("tna,tnb->ab", moved, moved) / moved[..., 0].size, atol=1e-9
    )


def test_splits_by_atom_and_block_add_up():
    paths = paths_of(100)
    sums = split_squared_displacements(paths, [1, 5, 20], n_blocks=8)
    msd = mean_squared_displacement(paths)
    np.testing.assert_allclose(sums.msd, msd[[1, 5, 20]])
    np.testing.assert_allclose(sums.by_atom.mean(axis=1), msd[[1, 5, 20]])
    together = mean_squared_displacement(paths.sum(axis=1, keepdims=True)) / 4
    np.testing.assert_allclose(sums.charge_msd, together[[1, 5, 20]])


def test_paths_from_wrapped_positions_are_those_of_pymatgen_on_c_na3ps4():
    folder = trajectories()
    frac = np.load(folder / "cNa3PS4_trajectories.npy")
    structure = Structure.from_file(folder / "cNa3PS4.cif")
    structures = [Structure(structure.lattice, structure.species, coords) for coords in frac]
    theirs = DiffusionAnalyzer.from_structures(structures, "Na", 800, 2, 50, smoothed="max")
    frames = Frames(
        frac @ structure.lattice.matrix,
        structure.lattice.matrix,
        tuple(site.specie.symbol for site in structure),
        100.0,
    )
    paths, _ = unwrapped_paths(frames, specie="Na")
    np.testing.assert_allclose(paths.transpose(1, 0, 2), theirs.corrected_displacements, atol=1e-9)
