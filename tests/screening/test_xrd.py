"""Powder patterns agree with pymatgen's calculator and with textbook diffraction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.diffraction.xrd import WAVELENGTHS as PYMATGEN_WAVELENGTHS
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.features import PatternGrid, bin_patterns, xrd_pattern, xrd_patterns
from ssefw.screening.features.xrd import WAVELENGTHS

FULL = PatternGrid(floor=0)


@pytest.fixture
def lithium_sulfide():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.708), ["Li", "S"], [[0.25] * 3, [0, 0, 0]]
    )


@pytest.fixture
def mixed():
    """A low-symmetry cell whose sites are shared and partly empty."""
    return Structure(
        Lattice.from_parameters(5.1, 6.3, 7.7, 81, 97, 106),
        [{"Li": 0.6, "Na": 0.4}, {"P": 1}, {"S": 0.5, "Se": 0.3}, {"Li": 0.25}, {"O": 1}],
        [[0.02, 0.1, 0.3], [0.5, 0.45, 0.61], [0.2, 0.77, 0.13], [0.91, 0.3, 0.8], [0.7, 0.2, 0.4]],
    )


def by_pymatgen(structure, grid):
    calculator = XRDCalculator(grid.wavelength)
    peaks = calculator.get_pattern(structure, two_theta_range=(grid.start, grid.stop))
    pattern = np.zeros(grid.size)
    np.add.at(pattern, np.rint((peaks.x - grid.start) / grid.step).astype(int), peaks.y)
    return pattern / pattern.max()


@pytest.mark.parametrize("wavelength", ["CuKa", "MoKa", 1.2])
def test_ordered_and_mixed_sites_agree_with_pymatgen(lithium_sulfide, mixed, wavelength):
    grid = PatternGrid(floor=0, wavelength=wavelength)
    for structure in (lithium_sulfide, mixed, mixed * (1, 2, 1)):
        # pymatgen leaves out peaks under 1e-5 of the largest; a point can hold several of them.
        expected = by_pymatgen(structure, grid)
        np.testing.assert_allclose(xrd_pattern(structure, grid), expected, atol=1e-4)


def test_wavelengths_are_those_of_pymatgen():
    assert all(value == PYMATGEN_WAVELENGTHS[name] for name, value in WAVELENGTHS.items())


def test_antifluorite_shows_the_lines_of_a_face_centered_cell(lithium_sulfide):
    pattern = xrd_pattern(lithium_sulfide, FULL)
    allowed = [
        2 * np.degrees(np.arcsin(1.54184 / 2 * np.sqrt(h * h + k * k + m * m) / 5.708))
        for h, k, m in [(1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1), (2, 2, 2), (4, 0, 0)]
    ]
    seen = FULL.angles[pattern > 1e-6]
    np.testing.assert_allclose(seen[: len(allowed)], allowed, atol=0.0101)


def test_a_supercell_and_an_origin_shift_change_nothing(mixed):
    pattern = xrd_pattern(mixed, FULL)
    np.testing.assert_allclose(xrd_pattern(mixed * (2, 1, 1), FULL), pattern, atol=1e-9)
    moved = mixed.copy()
    moved.translate_sites(range(len(moved)), [0.13, 0.29, 0.41])
    np.testing.assert_allclose(xrd_pattern(moved, FULL), pattern, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.tuples(*[st.floats(3, 9)] * 3),
    angles=st.tuples(*[st.floats(70, 110)] * 3),
    share=st.floats(0.05, 0.95),
)
def test_any_cell_gives_a_pattern_scaled_to_one(lengths, angles, share):
    cell = Lattice.from_parameters(*lengths, *angles)
    structure = Structure(cell, [{"Li": share}, {"Cl": 1}], [[0, 0, 0], [0.4, 0.5, 0.45]])
    pattern = xrd_pattern(structure)
    assert pattern.shape == (4501,)
    assert pattern.max() == 1
    assert ((pattern == 0) | (pattern >= 0.1)).all()


def test_a_mixed_site_scatters_as_its_mean(lithium_sulfide):
    half = lithium_sulfide.copy()
    half.replace_species({"Li": {"Li": 0.5, "Na": 0.5}})
    ends = [lithium_sulfide.copy(), lithium_sulfide.copy()]
    ends[1].replace_species({"Li": "Na"})
    grid = PatternGrid(floor=0, start=25, stop=29)  # one line, 111: only sulfur scatters into it
    line = [int(np.argmax(xrd_pattern(s, grid))) for s in (half, *ends)]
    assert line[0] == line[1] == line[2]
    fraction = by_pymatgen(half, FULL)
    np.testing.assert_allclose(xrd_pattern(half, FULL), fraction, atol=1e-4)


def test_broad_peaks_have_the_width_asked_for(lithium_sulfide):
    grid = PatternGrid(floor=0, start=20, stop=29.5, fwhm=0.4)
    pattern = xrd_pattern(lithium_sulfide, grid)
    above = grid.angles[pattern >= 0.5]
    assert above[-1] - above[0] == pytest.approx(0.4, abs=0.04)


def test_bins_keep_the_height_of_sticks():
    patterns = np.zeros((1, 11), dtype=np.float32)
    patterns[0, [3, 4, 10]] = [0.4, 1.0, 0.7]
    np.testing.assert_allclose(bin_patterns(patterns, 5), [[1.0, 0.0, 0.7]])


def test_no_structures_give_no_rows():
    assert xrd_patterns([]).shape == (0, 4501)


def test_a_cell_without_reflections_is_refused(lithium_sulfide):
    with pytest.raises(DataError, match="no reflection between 5 and 10 degrees"):
        xrd_pattern(lithium_sulfide, PatternGrid(start=5, stop=10))


def test_an_element_without_form_factor_is_refused():
    structure = Structure(Lattice.cubic(4), ["X0+", "Li"], [[0, 0, 0], [0.5] * 3])
    with pytest.raises(DataError, match="no X-ray form factor"):
        xrd_pattern(structure)


@pytest.mark.parametrize(
    "wrong",
    [{"step": 0}, {"stop": 190}, {"wavelength": "CuKz"}, {"wavelength": -1.0}, {"floor": 1}],
)
def test_an_impossible_grid_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        PatternGrid(**wrong)


def test_the_published_pattern_of_lithium_sulfide_has_our_intensities(shared_data, lithium_sulfide):
    import csv
    import gzip

    with gzip.open(shared_data / "xrd" / "xrdmatch_labelled_112.csv.gz", "rt") as file:
        row = next(row for row in csv.DictReader(file) if row["formula_id"] == "Li2S")
    theirs = np.array([float(row[f"v{i}"]) for i in range(1, 4502)])
    lithium_sulfide.scale_lattice((1.54184 / 2 / np.sin(np.radians(26.82 / 2)) * 3**0.5) ** 3)
    ours = xrd_pattern(lithium_sulfide, FULL)
    np.testing.assert_allclose(ours[ours > 0.03][:8], theirs[theirs > 0.03][:8], atol=0.01)
