"""Known frameworks with other ions: likely, neutral, new."""

import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data.materials import Material, read_materials
from ssefw.errors import DataError
from ssefw.screening.filters.phases import PhaseTable
from ssefw.screening.substitution import substitute
from tests.conftest import call_ssefw

PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def chloride(symbol="Cl", edge=5.14):
    cell = edge * (1 - np.eye(3)) / 2
    return Structure(Lattice(cell), ["Li", symbol], [[0, 0, 0], [0.5, 0.5, 0.5]])


def material(name, structure):
    formula = structure.composition.reduced_formula
    return Material(name=name, formula=formula, build=lambda: structure)


def test_halogens_take_each_others_place_in_a_cell_of_their_size():
    made = substitute([material("mp-22905", chloride())]).found
    by_formula = {one.structure.composition.reduced_formula: one for one in made}
    assert {"LiBr", "LiI", "LiF"} <= set(by_formula)
    assert "Li" not in {new for one in made for new in one.exchanged.values()}
    bromide = by_formula["LiBr"]
    assert bromide.name == "mp-22905 (Cl- to Br-)"
    assert 0.01 <= bromide.probability < 1
    # Measured: LiF 4.03, LiCl 5.14, LiBr 5.50, LiI 6.03 angstrom.
    edge = {f: (4 * by_formula[f].structure.volume) ** (1 / 3) for f in ("LiF", "LiBr", "LiI")}
    assert edge["LiF"] == pytest.approx(4.03, abs=0.3)
    assert edge["LiBr"] == pytest.approx(5.50, abs=0.3)
    assert edge["LiI"] == pytest.approx(6.03, abs=0.3)
    assert [one.probability for one in made] == sorted((p.probability for p in made), reverse=True)


def test_what_the_pool_has_or_makes_twice_is_left_out():
    pool = [material("a", chloride()), material("b", chloride("Br", 5.5))]
    made = substitute(pool)
    formulas = [one.structure.composition.reduced_formula for one in made.found]
    assert len(set(formulas)) == len(formulas)
    assert "LiBr" not in formulas
    assert made.twins >= 2


def test_phases_leave_out_what_is_known_and_say_how_low_the_rest_must_lie():
    phases = PhaseTable([("LiBr", -1.8), ("NaI", -1.5)])
    made = substitute([material("a", chloride())], phases=phases)
    formulas = {one.structure.composition.reduced_formula: one.hull_energy for one in made.found}
    assert "LiBr" not in formulas
    assert made.listed == 1
    assert formulas["LiI"] == 0.0  # nothing is listed beside the elements


def test_two_exchanges_are_made_when_asked_for():
    fluoride = Structure(Lattice.cubic(4.0), ["Li", "Mg", "F", "F", "F"], PEROVSKITE)
    one = substitute([material("a", fluoride)], least_probability=0.0005)
    two = substitute([material("a", fluoride)], least_probability=0.0005, at_once=2)
    assert max(len(made.exchanged) for made in one.found) == 1
    assert max(len(made.exchanged) for made in two.found) == 2
    assert len(two.found) > len(one.found)
    none = substitute([material("a", fluoride)], without=["Br", "I", "Cl"])
    assert {"Br", "I", "Cl"}.isdisjoint(
        element for made in none.found for element in made.structure.composition.get_el_amt_dict()
    )


def test_a_crystal_without_charges_is_told_of():
    alloy = Structure(Lattice.cubic(3.2), ["Li", "Mg"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(DataError, match="No new crystal can be made of 1"):
        substitute([material("alloy", alloy)])


def test_the_command_writes_a_pool(tmp_path, capsys):
    row = {"mp_id": "mp-22905", "structure": chloride().as_dict()}
    (tmp_path / "known.jsonl").write_text(json.dumps(row, default=float) + "\n")
    asked = ("pool", "substitute", "known.jsonl", "-o", "new.jsonl", "--without", "I", "--json")
    assert call_ssefw(*asked, folder=tmp_path) == 0
    said = json.loads(capsys.readouterr().out)
    rows = list(read_materials(tmp_path / "new.jsonl"))
    assert len(rows) == said["structures"] > 1
    assert {row.properties["parent"] for row in rows} == {"mp-22905"}
    assert "LiI" not in {row.formula for row in rows}
