"""Oxidation limits against pymatgen's grand potential diagram and against paper and pencil."""

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Element

from ssefw.errors import AnalysisError, DataError
from ssefw.screening.filters.phases import PhaseTable, read_phases

LI_P_O = {
    "Li2O": -2.0,
    "Li2O2": -1.65,
    "P2O5": -2.25,
    "Li3PO4": -2.72,
    "LiPO3": -2.52,
    "Li4P2O7": -2.64,
    "Li3P": -0.87,
    "LiP": -0.55,
}


def pymatgen_profile(phases, formula):
    entries = [
        PDEntry(Composition(f), energy * Composition(f).num_atoms) for f, energy in phases.items()
    ]
    symbols = {element for f in phases for element in Composition(f)}
    entries += [PDEntry(Composition(element.symbol), 0.0) for element in symbols]
    return PhaseDiagram(entries).get_element_profile(Element("Li"), Composition(formula))


def test_a_binary_salt_is_oxidized_at_its_formation_energy():
    table = PhaseTable([("LiF", -3.18)])
    limit = table.oxidation_limit(Composition("LiF"), -3.18)
    assert limit.voltage == pytest.approx(2 * 3.18)
    assert list(limit.products) == ["F2"]


def test_limits_agree_with_pymatgens_grand_potential_diagram():
    table = PhaseTable(LI_P_O.items())
    for formula in ("Li3PO4", "Li4P2O7", "LiPO3", "Li2O"):
        found = table.oxidation_limit(Composition(formula), LI_P_O[formula]).voltage
        # The limit is one of the steps at which the profile gives lithium away.
        steps = [-step["chempot"] for step in pymatgen_profile(LI_P_O, formula)]
        assert np.isclose(steps, found, atol=1e-6).any()


def test_a_more_stable_product_lowers_the_limit():
    loose = PhaseTable([("Li3PO4", -2.72), ("P2O5", -2.25), ("Li2O", -2.0)])
    full = PhaseTable(LI_P_O.items())
    one, other = (t.oxidation_limit(Composition("Li3PO4"), -2.72).voltage for t in (loose, full))
    assert other < one


def test_a_missing_competitor_is_said_and_not_guessed():
    table = PhaseTable([("LiAlCl4", -1.9), ("LiCl", -2.1)])
    with pytest.raises(AnalysisError, match="No Al-Cl compound"):
        table.oxidation_limit(Composition("LiAlCl4"), -1.9)


def test_a_cation_that_would_be_reduced_shows_a_missing_phase():
    table = PhaseTable([("LiCl", -2.107), ("InCl", -0.97), ("Li3InCl6", -1.72)])
    with pytest.raises(AnalysisError, match="instead of 3"):
        table.oxidation_limit(Composition("Li3InCl6"), -1.72)


def test_a_compound_far_above_the_hull_has_no_window():
    table = PhaseTable(LI_P_O.items())
    with pytest.raises(AnalysisError, match="above the hull"):
        table.oxidation_limit(Composition("Li3PO4"), -2.4)
    with pytest.raises(AnalysisError, match="no lithium"):
        table.oxidation_limit(Composition("P2O5"), -2.25)


def test_the_lowest_energy_of_a_composition_counts():
    table = PhaseTable([("LiF", -3.0), ("Li2F2", -3.18)])
    assert table.energy_of(Composition("LiF")) == -3.18
    assert table.energy_of(Composition("LiCl")) is None


def test_a_file_without_phases_is_refused(tmp_path):
    path = tmp_path / "phases.jsonl"
    path.write_text('{"formula": "LiF"}\n')
    with pytest.raises(DataError, match="no phase with a formation energy"):
        read_phases(path)
    with pytest.raises(DataError, match=r"Cannot read .*none\.jsonl"):
        read_phases(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("formula", "volt"), [("LiF", 6.4), ("LiCl", 4.2), ("Li3PO4", 4.2), ("Li3YCl6", 4.2)]
)
def test_limits_from_the_materials_project_are_the_known_ones(shared_data, formula, volt):
    table = read_phases(shared_data / "pools" / "mp36k.jsonl.gz")
    composition = Composition(formula)
    limit = table.oxidation_limit(composition, table.energy_of(composition))
    assert limit.voltage == pytest.approx(volt, abs=0.05)
