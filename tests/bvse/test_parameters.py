"""The table of parameters, against the package it was transcribed from and spot values."""

import pickle
from pathlib import Path

import pytest
from ase.data import chemical_symbols

from ssefw.bvse.parameters import (
    covalent_radius,
    known_anions,
    mobile_charges,
    morse_pair,
    principal_quantum_number,
)
from ssefw.errors import DataError


def test_every_pair_is_the_one_of_the_source():
    bvlain = pytest.importorskip("bvlain")
    source = Path(bvlain.__file__).parent / "data" / "cation.pkl"
    rows = pickle.loads(source.read_bytes())
    compared = 0
    for cation, charges in rows.items():
        for charge, anions in charges.items():
            for anion, states in anions.items():
                for state, row in states.items():
                    if row["alpha"] < 0:
                        continue
                    pair = morse_pair(
                        chemical_symbols[cation], int(charge), chemical_symbols[anion], int(state)
                    )
                    assert (pair.r_min, pair.alpha, pair.d0) == pytest.approx(
                        (row["r_min"], row["alpha"], row["d0"]), abs=1e-5
                    )
                    compared += 1
    assert compared == 557


def test_every_radius_is_the_one_of_the_source():
    radii = pytest.importorskip("bvlain.data.covalent_radii").covalent_radii_softbv
    for number, states in radii.items():
        for state, radius in states.items():
            if state:
                assert covalent_radius(chemical_symbols[number], state) == pytest.approx(radius)


def test_a_pair_reads_the_same_from_either_ion():
    assert morse_pair("O", -2, "Zr", 4) == morse_pair("Zr", 4, "O", -2)


def test_a_negative_alpha_of_the_source_is_refused_by_name():
    with pytest.raises(DataError, match=r"Mg2\+ and I- have a negative alpha"):
        morse_pair("Mg", 2, "I", -1)


def test_a_missing_pair_lists_what_there_is():
    with pytest.raises(DataError, match=r"Li\+ and P3-. Li\+ has parameters with: N3-, O2-, F-"):
        morse_pair("Li", 1, "P", -3)


def test_missing_radius_is_refused_and_another_set_offered():
    with pytest.raises(DataError, match="radii='ase'"):
        covalent_radius("Pu", 4)
    assert covalent_radius("Pu", 4, radii="ase") > 1.0


@pytest.mark.parametrize(("symbol", "period"), [("H", 1), ("Li", 2), ("S", 3), ("Ge", 4), ("U", 7)])
def test_principal_quantum_number_is_the_period(symbol, period):
    assert principal_quantum_number(symbol) == period


@pytest.mark.parametrize(
    ("symbol", "charges"), [("Li", (1,)), ("Ag", (1,)), ("O", (-2,)), ("F", (-1,)), ("Cu", (1, 2))]
)
def test_mobile_ions_beyond_lithium_have_parameters(symbol, charges):
    assert set(charges) <= set(mobile_charges(symbol))
    assert known_anions(symbol, charges[0])
