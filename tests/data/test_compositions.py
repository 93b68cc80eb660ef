"""Formulas as tables write them, and which compositions are near-duplicates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.data.compositions import (
    are_similar,
    composition_id,
    fractions,
    parse_formula,
    similar_groups,
    spellings,
)
from ssefw.errors import DataError


@pytest.mark.parametrize(
    ("formula", "amounts"),
    [
        ("Li6PS5Cl", {"Li": 6, "P": 1, "S": 5, "Cl": 1}),
        ("Li1.3Al0.3Ti1.7(PO4)3", {"Li": 1.3, "Al": 0.3, "Ti": 1.7, "P": 3, "O": 12}),
        (" (K0.1Li0.9)(SbO3) ", {"K": 0.1, "Li": 0.9, "Sb": 1, "O": 3}),
        ("LiCl*H2O", {"Li": 1, "Cl": 1, "H": 2, "O": 1}),
        ("2Li2O·SiO2", {"Li": 4, "O": 4, "Si": 1}),
        ("β-Li3PS4", {"Li": 3, "P": 1, "S": 4}),
        ("r-LiAlO2", {"Li": 1, "Al": 1, "O": 2}),
        ("Li₃N", {"Li": 3, "N": 1}),
        ("LiD", {"Li": 1, "H": 1}),
        ("Li1 O3", {"Li": 1, "O": 3}),
    ],
)
def test_formulas_of_published_tables_read(formula, amounts):
    assert parse_formula(formula).get_el_amt_dict() == pytest.approx(amounts)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "empty"),
        ("Xx2O", "cannot be read"),
        ("li2s", "cannot be read"),
        ("Li2S + P2S5", r"has '\+' in it"),
        ("Li0.3((Ti)O3", "do not balance"),
        ("Li0", "holds no atoms"),
        ("Li2.5.1O", "cannot be read"),
    ],
)
def test_nonsense_is_refused_with_the_formula_in_the_message(formula, reason):
    with pytest.raises(DataError, match=reason):
        parse_formula(formula)


@given(st.text(max_size=12))
def test_any_text_is_a_composition_or_a_data_error(text):
    try:
        composition = parse_formula(text)
    except DataError:
        return
    assert composition.num_atoms > 0


SYMBOLS = st.sampled_from(["Li", "La", "Zr", "O", "S", "P", "Cl", "Na"])


@given(st.dictionaries(SYMBOLS, st.integers(1, 12), min_size=1), st.integers(2, 5))
def test_a_multiple_of_a_formula_has_the_same_id_and_fractions(amounts, factor):
    one = parse_formula("".join(f"{k}{v}" for k, v in amounts.items()))
    other = parse_formula("".join(f"{k}{v * factor}" for k, v in reversed(amounts.items())))
    assert composition_id(one) == composition_id(other)
    assert fractions(one) == pytest.approx(fractions(other))


def test_similarity_asks_for_the_same_elements_and_close_fractions():
    lgps = parse_formula("Li10GeP2S12")
    assert are_similar(lgps, parse_formula("Li10.35Ge1.35P1.65S12"))
    assert not are_similar(lgps, parse_formula("Li10SnP2S12"))
    assert not are_similar(parse_formula("Li2S"), parse_formula("Li2S2"))


def test_a_solid_solution_series_is_one_group_through_its_members():
    series = [parse_formula(f"Li{3 + x:g}Ge{x:g}P{1 - x:g}S4") for x in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert not are_similar(series[0], series[-1])
    groups = similar_groups([*series, parse_formula("LiCl")])
    assert len(set(groups[:5])) == 1
    assert groups[5] != groups[0]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Li10GeP2S12", ("Li10GeP2S12", "Li10Ge(PS6)2")),
        ("Li10Ge(PS6)2", ("Li10Ge(PS6)2",)),
        ("LiTi2P3O12", ("LiTi2P3O12", "LiTi2(PO4)3")),
        ("ClLi", ("ClLi", "LiCl")),
        ("52d3e3a58a689e67", ("52d3e3a58a689e67",)),
    ],
)
def test_a_formula_is_looked_for_as_written_and_as_candidates_are_called(written, found):
    assert spellings(written) == found
