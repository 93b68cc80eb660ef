"""Descriptors agree with matminer, and with what can be worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.data.compositions import parse_formula
from ssefw.documents import Cell
from ssefw.errors import DataError
from ssefw.screening.features import (
    CELL_FEATURES,
    COMPOSITION_FEATURES,
    KANG_CELL_FEATURES,
    cell_features,
    composition_features,
)

RECORDED = json.loads((Path(__file__).parent / "data" / "matminer_features.json").read_text())


def column(name):
    return COMPOSITION_FEATURES.index(name)


def test_names_and_values_are_those_of_matminer():
    assert list(COMPOSITION_FEATURES) == RECORDED["names"]
    compositions = [parse_formula(formula) for formula in RECORDED["features"]]
    expected = np.array(list(RECORDED["features"].values()))
    np.testing.assert_allclose(composition_features(compositions), expected, rtol=1e-10)


def test_lithium_fluoride_by_hand():
    (row,) = composition_features([parse_formula("LiF")])
    assert row[column("2-norm")] == pytest.approx(np.sqrt(0.5))
    assert row[column("MagpieData mean Number")] == pytest.approx(6)
    assert row[column("MagpieData avg_dev Number")] == pytest.approx(3)
    assert row[column("max ionic char")] == pytest.approx(1 - np.exp(-((3.98 - 0.98) ** 2) / 4))
    assert row[column("compound possible")] == 1


def test_the_mode_of_a_tie_is_the_smallest_value():
    (row,) = composition_features([parse_formula("LiF")])
    assert row[column("MagpieData mode Number")] == 3


FORMULAS = ["Li3PS4", "Li7La3Zr2O12", "LiCl", "Li10GeP2S12", "Li1.3Al0.3Ti1.7(PO4)3", "Li"]


@given(st.permutations(FORMULAS))
def test_a_row_does_not_depend_on_its_neighbors(order):
    together = composition_features([parse_formula(formula) for formula in order])
    for row, formula in zip(together, order, strict=True):
        np.testing.assert_allclose(row, composition_features([parse_formula(formula)])[0])


def test_a_multiple_of_a_formula_has_the_same_descriptors():
    one, other = composition_features([parse_formula("Li3PS4"), parse_formula("Li6P2S8")])
    np.testing.assert_allclose(one, other)


def test_an_element_without_a_value_is_refused_not_filled():
    with pytest.raises(DataError, match=r"No .* is known for (Ar|He)"):
        composition_features([parse_formula("LiF"), parse_formula("LiAr")])


def test_no_compositions_give_an_empty_table():
    assert composition_features([]).shape == (0, 145)


CUBIC = Cell(a=4, b=4, c=4, alpha=90, beta=90, gamma=90, space_group=225, formula_units=4)


def test_cell_descriptors_by_hand():
    (row,) = cell_features([CUBIC], [parse_formula("LiF")], names=CELL_FEATURES)
    values = dict(zip(CELL_FEATURES, row, strict=True))
    assert values["volume"] == pytest.approx(64)
    assert values["volume per atom"] == pytest.approx(8)
    assert values["lithium per volume"] == pytest.approx(4 / 64)
    assert values["a/c"] == 1
    assert values["crystal system"] == 6


def test_a_cell_without_formula_units_gives_the_five_of_kang_only():
    cell = CUBIC.model_copy(update={"formula_units": None})
    composition = [parse_formula("LiF")]
    assert cell_features([cell], composition, names=KANG_CELL_FEATURES).shape == (1, 5)
    with pytest.raises(DataError, match="formula units"):
        cell_features([cell], composition, names=CELL_FEATURES)


@pytest.mark.parametrize(
    ("formula", "atoms"),
    [
        ("LiTi2(PO4)3", 18),
        ("Li7La3Zr2O12", 24),
        ("Li6.5La3Zr1.5Ta0.5O12", 47),
        ("Li6.75La3Zr1.75Ta0.25O12", 95),
        ("Li0.33La0.557TiO3", 1000),  # 2.97 Li in 44 atoms: rounded too far
        ("Li", 1),
        ("Li0.0001Na0.9999Cl", 1000),
    ],
)
def test_the_ordered_cell_of_a_formula_holds_whole_atoms(formula, atoms):
    from ssefw.screening.features import ordered_cell_atoms

    found = ordered_cell_atoms([parse_formula(formula), parse_formula("Li3YCl6")])
    assert found.tolist() == [atoms, 10]
