"""Cards tell a soft potential from a true one, and say what they could not compare."""

import json

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes

from ssefw.engines.ase import AseEngine
from ssefw.engines.cards import measured_card, shipped_card
from ssefw.engines.cards.measuring import _forces
from ssefw.engines.cards.references import crystals, frames_with_forces
from ssefw.engines.potentials.names import POTENTIALS

HALF = "tests.engines.cards.test_cards.Halved"


class Halved(Calculator):
    """PBE's own forces times a half, known of the frames of the references alone."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        frames = (frame for item in frames_with_forces().values() for frame in item)
        forces = next(
            0.5 * frame.get_forces()
            for frame in frames
            if len(frame) == len(atoms) and np.allclose(frame.positions, atoms.positions, atol=1e-6)
        )
        self.results = {"energy": 0.0, "forces": forces, "stress": np.zeros(6)}


def test_a_potential_half_as_stiff_has_half_the_slope(monkeypatch):
    monkeypatch.setenv("SSEFW_CALCULATOR_PACKAGES", "tests")
    engine = AseEngine(calculator=HALF)
    for name, frames in frames_with_forces().items():
        check = _forces(engine, name, frames)
        assert check.slope == pytest.approx(0.5)
        assert check.error == pytest.approx(0.5 * check.size)


def test_references_are_crystals_that_lithium_moves_in():
    assert len({crystal.name for crystal in crystals()}) == len(crystals()) >= 15
    for crystal in crystals():
        assert crystal.structure.is_valid(tol=1.0)
        assert "Li" in crystal.structure.symbol_set
        assert crystal.source
    for frames in frames_with_forces().values():
        assert [np.linalg.norm(f.get_forces().sum(axis=0)) < 0.05 for f in frames] == [True] * 3


def test_what_a_potential_does_not_know_is_left_out_with_the_reason():
    card = measured_card(AseEngine(calculator="ase.calculators.emt.EMT"))
    assert card.volumes == card.forces == ()
    assert card.slope is None
    assert len(card.left_out) > 10
    assert all(": " in reason for reason in card.left_out)


@pytest.mark.parametrize("name", POTENTIALS)
def test_each_packaged_potential_has_a_card(name):
    card = shipped_card(name)
    assert card.potential == AseEngine.of(name).name
    assert not card.left_out
    assert len(card.volumes) >= 10
    assert len(card.forces) >= 6
    assert len(card.barriers) == 5


def test_the_default_is_the_truest_by_its_card():
    cards = [shipped_card(name) for name in POTENTIALS]
    assert min(cards, key=lambda card: card.barrier_error).potential == "sevennet-l3i5"
    assert min(cards, key=lambda card: abs(card.slope - 1.0)).potential == "sevennet-l3i5"


def test_a_shipped_card_is_what_is_measured_here():
    shipped = {check.compound: check for check in shipped_card("sevennet-0").forces}
    engine = AseEngine.of("sevennet-0")
    for name, frames in list(frames_with_forces().items())[:2]:
        found = _forces(engine, name, frames)
        assert found.slope == pytest.approx(shipped[name].slope, abs=1e-3)
        assert found.error == pytest.approx(shipped[name].error, abs=1e-3)


def test_the_command_shows_tables_json_and_one_line_of_what_is_wrong(ssefw):
    assert "barriers off by" in ssefw("potential", "card", "sevennet-l3i5").stdout
    shown = json.loads(ssefw("potential", "card", "chgnet", "--json").stdout)
    assert shown["potential"] == "chgnet-0.3.0"
    wrong = ssefw("potential", "card", "no.such.Potential", check=False)
    assert wrong.returncode != 0
    assert wrong.stderr.startswith("Error: ")
    assert len(wrong.stderr.splitlines()) == 1


def test_a_calculator_with_options_has_a_card_too(ssefw):
    softer = ["ase.calculators.lj.LennardJones", "--set", "epsilon=0.01", "--set", "sigma=2.0"]
    shown = json.loads(ssefw("potential", "card", *softer, "--json").stdout)
    other = measured_card(AseEngine(calculator=softer[0], options={"epsilon": 0.02, "sigma": 2.0}))
    assert 2.0 * shown["forces"][0]["slope"] == pytest.approx(other.forces[0].slope)
    wrong = ssefw("potential", "card", "chgnet", "--set", "modality", check=False)
    assert "--set takes KEY=VALUE" in wrong.stderr


def test_two_levels_of_theory_of_one_model_have_two_names():
    path = "ssefw.engines.potentials.sevennet.FastSevenNet"
    names = {
        AseEngine(calculator=path, options={"model": "mf-0", "modality": level}).name
        for level in ("PBE", "R2SCAN")
    }
    assert names == {"FastSevenNet-mf-0-PBE", "FastSevenNet-mf-0-R2SCAN"}
