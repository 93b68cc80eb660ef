"""Mean squared displacements against direct sums, and pymatgen's numbers."""

import gzip
import json
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
from ssefw.analysis.pymatgen_rules import as_pymatgen
from ssefw.errors import AnalysisError

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


def analyzer(smoothed, displacements, structure, **settings_):
    return DiffusionAnalyzer(
        structure, displacements, "Li", 600, 2, 10, smoothed=smoothed, avg_nsteps=200, **settings_
    )


@pytest.mark.parametrize("smoothed", ["max", "constant", False])
def test_the_rules_of_pymatgen_give_its_numbers_on_li_at_600_k(smoothed):
    with gzip.open(trajectories() / "DiffusionAnalyzer_Li_600K.json.gz", "rt") as file:
        record = json.load(file)
    structure = Structure.from_dict(record["structure"])
    displacements = np.array(record["displacements"])
    theirs = analyzer(smoothed, displacements, structure)
    frames = Frames(
        displacements.transpose(1, 0, 2),
        structure.lattice.matrix,
        tuple(site.specie.symbol for site in structure),
        20.0,
        is_unwrapped=True,
    )
    first = displacements[:, 0][None]
    paths, _ = unwrapped_paths(frames, specie="Li")
    mobile = frames.is_specie("Li")
    # pymatgen counts displacements from before the first frame.
    paths = paths + first - first[:, ~mobile].mean(axis=1, keepdims=True)
    ours = as_pymatgen(
        paths[:, mobile],
        timestep=20.0,
        temperature=600.0,
        volume=structure.volume,
        smoothed=smoothed,
        avg_nsteps=200,
    )
    for name in ("diffusivity", "chg_diffusivity", "conductivity", "chg_conductivity"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-6)
    assert ours.haven_ratio == pytest.approx(theirs.haven_ratio, rel=1e-6)
    np.testing.assert_allclose(ours.msd, theirs.msd, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        ours.diffusivity_components, theirs.diffusivity_components, rtol=1e-6
    )
    if smoothed == "max":
        # The numbers of record of this file, which pymatgen's own tests hold.
        assert ours.conductivity == pytest.approx(74.165, abs=5e-4)
        assert ours.chg_conductivity == pytest.approx(232.828, abs=5e-4)
        assert ours.haven_ratio == pytest.approx(0.318542, rel=5e-6)


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
    ours = as_pymatgen(
        paths[:, frames.is_specie("Na")],
        timestep=100.0,
        temperature=800.0,
        volume=structure.volume,
        smoothed="max",
    )
    assert ours.diffusivity == pytest.approx(theirs.diffusivity, rel=1e-6)
    assert ours.conductivity == pytest.approx(theirs.conductivity, rel=1e-6)
    assert ours.haven_ratio == pytest.approx(theirs.haven_ratio, rel=1e-6)


@pytest.mark.parametrize(
    ("smoothed", "message"), [("max", "hold no lag"), ("constant", "too few for an average")]
)
def test_runs_that_pymatgen_refuses_are_refused(smoothed, message):
    with pytest.raises(AnalysisError, match=message):
        as_pymatgen(
            paths_of(20), timestep=20.0, temperature=600.0, volume=1000.0, smoothed=smoothed
        )
