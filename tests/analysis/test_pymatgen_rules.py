"""pymatgen's DiffusionAnalyzer beside ours, and what it says of its own examples."""

import gzip
import json

import numpy as np
import pytest
from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
from pymatgen.core import Lattice, Structure

from ssefw.analysis import Frames, estimate_diffusivity
from ssefw.analysis.pymatgen_rules import pymatgen_arrhenius, pymatgen_numbers
from ssefw.errors import AnalysisError
from tests.analysis.test_msd import trajectories

TIMESTEP = 100.0


def walk(*, step=0.25, n_frames=400, seed=3):
    """Eight Li that walk between eight S that tremble, wrapped into a cell of 10 A."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 10, size=(16, 3))
    moved = np.concatenate(
        [
            np.cumsum(step * rng.normal(size=(n_frames, 8, 3)), axis=0),
            0.05 * rng.normal(size=(n_frames, 8, 3)),
        ],
        axis=1,
    )
    species = ("Li",) * 8 + ("S",) * 8
    return Frames((start + moved) % 10.0, 10.0 * np.eye(3), species, TIMESTEP)


def test_it_is_what_the_package_makes_of_the_same_structures():
    frames = walk()
    lattice = Lattice(frames.lattice)
    structures = [
        Structure(lattice, frames.species, coords, coords_are_cartesian=True)
        for coords in frames.positions
    ]
    theirs = DiffusionAnalyzer.from_structures(structures, "Li", 600, TIMESTEP, 1, smoothed="max")
    found = pymatgen_numbers(frames, specie="Li", temperature=600.0)
    assert found.diffusivity == pytest.approx(theirs.diffusivity, rel=1e-9)
    assert found.chg_diffusivity == pytest.approx(theirs.chg_diffusivity, rel=1e-9)
    assert found.conductivity == pytest.approx(1e-3 * theirs.conductivity, rel=1e-9)
    assert found.haven_ratio == pytest.approx(theirs.haven_ratio, rel=1e-9)


def test_equilibration_is_left_out_of_both():
    frames = walk()
    later = pymatgen_numbers(frames, specie="Li", temperature=600.0, equilibration=10.0)
    assert later != pymatgen_numbers(frames, specie="Li", temperature=600.0)


def test_it_lies_in_our_interval_of_a_random_walk():
    frames = walk(n_frames=2000)
    truth = 0.25**2 * 3 / (6 * TIMESTEP) * 0.1  # cm^2/s
    ours = estimate_diffusivity(frames, specie="Li", temperature=600.0).tracer
    theirs = pymatgen_numbers(frames, specie="Li", temperature=600.0).diffusivity
    assert theirs == pytest.approx(truth, rel=0.5)
    assert ours.lower < theirs < ours.upper


def test_the_numbers_of_record_of_li_at_600_k_are_found():
    with gzip.open(trajectories() / "DiffusionAnalyzer_Li_600K.json.gz", "rt") as file:
        record = json.load(file)
    structure = Structure.from_dict(record["structure"])
    frames = Frames(
        np.array(record["displacements"]).transpose(1, 0, 2) + structure.cart_coords,
        structure.lattice.matrix,
        tuple(site.specie.symbol for site in structure),
        20.0,
        is_unwrapped=True,
    )
    found = pymatgen_numbers(frames, specie="Li", temperature=600.0)
    # pymatgen's own tests hold 74.165 and 232.828 mS/cm; the lags are those of this file.
    assert found.conductivity == pytest.approx(74.165e-3, rel=1e-4)
    assert found.chg_conductivity == pytest.approx(232.828e-3, rel=1e-4)


def test_two_temperatures_make_a_line_and_one_does_not():
    slow = pymatgen_numbers(walk(step=0.1), specie="Li", temperature=600.0)
    fast = pymatgen_numbers(walk(step=0.3), specie="Li", temperature=900.0)
    line = pymatgen_arrhenius([slow, fast], specie="Li", temperature=300.0)
    by_hand = 8.617333e-5 * np.log(fast.diffusivity / slow.diffusivity) / (1 / 600 - 1 / 900)
    assert line.activation_energy == pytest.approx(by_hand, rel=1e-4)
    assert 0 < line.conductivity < slow.conductivity
    assert pymatgen_arrhenius([slow, slow], specie="Li", temperature=300.0) is None


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (walk(n_frames=12), "too few"),
        (Frames(walk().positions, 10 * np.eye(3), ("Li",) * 16, TIMESTEP), "framework"),
        (Frames(walk().positions, 10 * np.eye(3), walk().species, TIMESTEP, breaks=(9,)), "gaps"),
    ],
    ids=["short", "no framework", "gaps"],
)
def test_runs_for_which_it_has_no_rule_are_refused(frames, message):
    with pytest.raises(AnalysisError, match=message):
        pymatgen_numbers(frames, specie="Li", temperature=600.0)
