"""Filters count what they stop, and never pass for want of a number."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ssefw.data.compositions import parse_formula
from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import Reject
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.base import make_screener
from ssefw.screening.filters.cascade import Cascade, preset_filters, preset_names
from ssefw.screening.filters.gaps import GapTable, surely_outside
from ssefw.screening.filters.phases import PhaseTable
from ssefw.screening.ranking import rank_materials


def material(formula, **properties):
    return Material(name=formula, formula=formula, properties=properties)


def one(name, item, **limits):
    return preset_filters([{name: limits}]).filters[0].judge(item)


def test_counts_and_reasons_of_a_small_pool():
    pool = [
        material("LiF", band_gap_ev=8.0, e_hull_ev_atom=0.0, v_ox_v=6.4),
        material("LiCoO2", band_gap_ev=0.7, e_hull_ev_atom=0.0),
        material("Li2S", band_gap_ev=3.4, e_hull_ev_atom=0.0, v_ox_v=2.3),
        material("LiBr", band_gap_ev=5.0, e_hull_ev_atom=0.02, v_ox_v=3.1),
        material("LiGaCl4", e_hull_ev_atom=0.0),
    ]
    result = preset_filters("kang2022").run(pool)
    assert [m.formula for m in result.passed] == ["LiF"]
    assert [(s.n_in, s.n_passed, s.n_undetermined) for s in result.steps] == [
        (5, 4, 0),
        (4, 3, 1),
        (3, 2, 0),
        (2, 1, 0),
    ]
    last = {name: trail[-1] for name, trail in result.trails.items()}
    assert last["LiCoO2"].message == "holds Co"
    assert last["LiGaCl4"].code == "undetermined"
    assert last["Li2S"].numbers == {"v_ox_v": 2.3}


@pytest.mark.parametrize(
    ("formula", "passed"), [("LiYO2", False), ("LiLaO2", False), ("LiCeO2", True), ("LiAlO2", True)]
)
def test_transition_metals_are_the_d_block(formula, passed):
    assert one("no_transition_metal", material(formula)).passed is passed


def test_lanthanum_is_none_in_the_preset_of_the_paper_that_kept_it():
    item = material("Li7La3(SnO6)2", band_gap_ev=4.0, e_hull_ev_atom=0.0, v_ox_v=4.0)
    assert len(preset_filters("kang2022").run([item]).passed) == 1


def test_limits_are_inclusive_where_the_paper_says_so():
    assert one("band_gap", material("LiF", band_gap_ev=1.0), at_least=1.0).passed
    assert not one("bvse_barrier", material("LiF", bvse_barrier_ev=0.6), below=0.6).passed


def test_a_barrier_that_the_pool_does_not_state_is_computed_from_the_structure(li2o):
    made = replace(material("Li2O"), build=lambda: li2o)
    gate = one("bvse_barrier", made, below=0.6)
    assert gate.passed
    assert 0.1 < gate.numbers["bvse_barrier_ev"] < 0.6
    assert not one("bvse_barrier", made, below=0.1, resolution=0.4).passed
    stated = replace(material("Li2O", bvse_barrier_ev=0.7), build=lambda: li2o)
    assert not one("bvse_barrier", stated, below=0.6).passed
    assert one("bvse_barrier", material("Li2O"), below=0.6).code == "undetermined"


def test_a_structure_without_a_barrier_is_undetermined(copper):
    gate = one("bvse_barrier", replace(material("Cu"), build=lambda: copper), below=0.6)
    assert gate.code == "undetermined"
    assert "has no Li" in gate.message


def test_a_barrier_in_four_dimensions_is_refused():
    with pytest.raises(ConfigurationError, match="must be 1, 2 or 3"):
        preset_filters([{"bvse_barrier": {"below": 0.6, "dimensions": 4}}])


@pytest.mark.parametrize("value", [None, float("nan"), "unknown"])
def test_a_number_that_is_not_there_is_undetermined(value):
    gate = one("hull_energy", material("LiF", e_hull_ev_atom=value), at_most=0.0)
    assert (gate.passed, gate.code) == (False, "undetermined")


def test_oxidation_without_phases_or_number_is_undetermined():
    assert one("oxidation_voltage", material("LiF"), above=3.7).code == "undetermined"


def test_the_formation_energy_per_lithium_is_a_voltage_of_its_own():
    """Li2O: -6.2 eV a formula make 3.1 V by the elements; it gives off O2 at that voltage, too."""
    table = PhaseTable([("Li2O", -2.07), ("LiCe", -0.1)])
    item = material("Li2O")
    assert table.elements_voltage(item.composition) == pytest.approx(3.105)
    by_elements = {"above": 3.0, "products": "elements"}
    (judged,) = preset_filters([{"oxidation_voltage": by_elements}], phases=table).filters
    assert "3.10 V (formation energy per lithium)" in judged.judge(item).message
    stated = one("oxidation_voltage", material("Li2O", e_form_ev_atom=-2.0), **by_elements)
    assert stated.numbers == {"v_ox_v": pytest.approx(3.0)}
    assert one("oxidation_voltage", item, **by_elements).code == "undetermined"
    assert one("oxidation_voltage", material("MgO", e_form_ev_atom=-3.0), **by_elements).code == (
        "undetermined"
    )


@pytest.fixture(scope="module")
def gaps():
    """Oxides are insulators of 4 eV, intermetallics metals, and sulfides either."""
    metals = ["Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Al", "Ga", "In", "Zn", "Cd", "Sc"]
    pairs = [(a, b) for a in metals for b in metals if a < b]
    known = [(f"Li{a}2{b}3{x}", gap) for n, (a, b) in enumerate(pairs)
             for x, gap in (("O6", 4.0), ("", 0.0), ("S6", 2.0 * (n % 2)))]  # fmt: skip
    return GapTable([parse_formula(formula) for formula, _ in known], [gap for _, gap in known])


def test_a_gap_that_the_pool_does_not_state_is_predicted_where_that_is_sure(gaps):
    (item,) = preset_filters([{"band_gap": {"at_least": 1.0}}], gaps=gaps).filters
    asked = [material(f) for f in ("LiKTl3O6", "LiTl2Pb3", "LiKTl3S6", "LiCf")]
    asked.append(material("LiKTl4O6", band_gap_ev=0.2))
    oxide, metal, sulfide, strange, stated = item.gates(asked)
    assert (oxide.passed, metal.passed, stated.passed) == (True, False, False)
    assert oxide.numbers["predicted_band_gap_ev"] > 1
    assert "predicted (mean error" in oxide.message
    assert metal.code == "outside_limit"
    assert sulfide.code == strange.code == "undetermined"
    assert "none is predicted" in strange.message


def test_who_is_sure_is_right_19_times_of_20():
    share = np.linspace(0, 1, 101)
    low, high = surely_outside(share, share > 0.5)
    assert low <= high
    assert (share[share >= high] > 0.5).mean() >= 0.95
    assert (share[share <= low] <= 0.5).mean() >= 0.95
    assert surely_outside(share, np.arange(101) % 2 == 0) == (-np.inf, np.inf)


def test_few_known_gaps_predict_nothing():
    with pytest.raises(DataError, match="at least 100"):
        GapTable([parse_formula("LiF")], [8.0])


def test_oxidation_from_a_hull_says_what_is_left():
    table = PhaseTable([("LiF", -3.18)])
    (item,) = preset_filters([{"oxidation_voltage": {"above": 3.7}}], phases=table).filters
    gate = item.judge(material("LiF", e_form_ev_atom=-3.18))
    assert gate.passed
    assert "F2" in gate.message


def test_intermetallics_unwanted_elements_and_known_compositions():
    assert not one("no_intermetallic", material("Li2MgSi")).passed
    assert one("no_intermetallic", material("Li3N")).passed
    assert not one("without_elements", material("Li3AsS4"), elements=["As", "Cd"]).passed
    novel = preset_filters([{"novel_composition": {}}], known=["Li10GeP2S12"]).filters[0]
    gate = novel.judge(material("Li9.8Ge0.9P2.1S12"))
    assert (gate.passed, gate.code) == (False, "known")
    assert novel.judge(material("Li10SnP2S12")).passed


def test_presets_are_those_of_the_papers():
    assert preset_names() == [
        "kang2022", "kang2022_stability", "laskowski2023", "mchaffie2025"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "reason"),
    [
        ("kang", "Known: kang2022"),
        ([{"gap": {}}], "Unknown filter 'gap'"),
        ([{"band_gap": {"more_than": 1}}], "has no setting"),
        ([{"cell_size": {"at_most": "many"}}], "at_most must be a whole number.*got .many."),
        (["band_gap"], "A filter is written"),
        ([{"without_elements": {"elements": ["Zz"]}}], "no element"),
    ],
)
def test_a_wrong_preset_is_refused(preset, reason):
    with pytest.raises(ConfigurationError, match=reason):
        preset_filters(preset)


@pytest.fixture
def model(toy):
    return make_screener("composition", {"n_splits": 3, "members": ["dt", "nb"]}).fit(toy)


def test_a_ranking_is_ordered_and_carries_votes_distance_and_trail(model):
    pool = [
        material("Li3CrO4", band_gap_ev=2.0),
        material("Li3SnS4", band_gap_ev=2.0),
        material("Li3BiS4", band_gap_ev=0.5),
        Reject("pool:4", "no formula"),
    ]
    cascade = preset_filters([{"band_gap": {"at_least": 1.0}}])
    result = rank_materials(pool, model, cascade=cascade)
    assert [entry.formula for entry in result.ranking.entries] == ["Li3SnS4", "Li3CrO4"]
    first = result.ranking.entries[0]
    assert first.lower <= first.score <= first.upper
    assert first.n_votes == 6
    assert first.trail[0].name == "band gap"
    assert [(s.name, s.n_in, s.n_passed) for s in result.ranking.cascade] == [
        ("band gap", 3, 2),
        ("score", 2, 2),
    ]
    assert len(result.rejects) == 1


def test_only_unanimous_votes_are_accepted_when_asked(model):
    pool = [material("Li3SnS4"), material("Li3CrO4")]
    entries = rank_materials(pool, model, accepted_only=True).ranking.entries
    assert all(entry.votes == entry.n_votes for entry in entries)
    assert "Li3CrO4" not in [entry.formula for entry in entries]


def test_the_order_of_the_pool_does_not_matter_and_names_count_once(model):
    pool = [material("Li3SnS4"), material("Li3CrO4"), material("Li3SbS4"), material("Li3SnS4")]
    one, other = (rank_materials(p, model).ranking.entries for p in (pool, pool[::-1]))
    assert [e.source for e in one] == [e.source for e in other]
    assert len(one) == 3
    assert rank_materials(pool, model).repeated == ["Li3SnS4"]


def test_nothing_left_says_what_stopped_it(model):
    cascade = preset_filters([{"band_gap": {"at_least": 1.0}}])
    with pytest.raises(DataError, match=r"band gap 1 -> 0 \(1 undetermined\)"):
        rank_materials([material("Li3SnS4")], model, cascade=cascade)


def test_the_empty_cascade_passes_all():
    result = Cascade(()).run([material("LiF")])
    assert (len(result.passed), result.steps) == (1, [])


def test_pools_read_in_their_three_shapes(tmp_path, lif):
    flat = {
        "id": "mp-1",
        "formula": "Li1F1",
        "lattice": list(lif.lattice.parameters),
        "species": [site.specie.symbol for site in lif],
        "frac": lif.frac_coords.tolist(),
        "band_gap": 8.0,
        "e_hull": 0.0,
    }
    nested = {"structure": lif.as_dict(), "name": "mine"}
    path = tmp_path / "pool.jsonl"
    path.write_text(
        "\n".join(
            [json.dumps(flat), json.dumps(nested, default=float), "nonsense", '{"formula": "Zz"}']
        )
    )
    first, second, *bad = read_materials(path)
    assert first.properties["band_gap_ev"] == 8.0
    assert first.candidate_id == second.candidate_id
    assert first.cell.space_group == 225
    assert first.cell.formula_units == pytest.approx(4)
    assert all(isinstance(row, Reject) for row in bad)
    table = tmp_path / "pool.csv"
    table.write_text("mp_id,composition,band_gap_eV\nmp-2,Li3N,1.1\n")
    (row,) = read_materials(table)
    assert (row.name, row.formula, row.properties["band_gap_ev"]) == ("mp-2", "Li3N", 1.1)
    with pytest.raises(DataError, match="no structure"):
        _ = row.structure


def test_the_first_three_filters_of_kang_on_the_shared_index(shared_data):
    """Of entries with properties: 3,061 without transition metal, 1,770 insulating, 553 stable."""
    file = shared_data / "pools" / "laskowski_index_25193.csv.gz"
    pool = {m.name: m for m in read_materials(file) if not isinstance(m, Reject)}
    known = [m for m in pool.values() if "e_hull_ev_atom" in m.properties]
    steps = preset_filters("kang2022").run(known).steps
    assert [step.n_passed for step in steps[:3]] == [3061, 1770, 553]


def test_a_limit_that_yaml_takes_for_text_is_a_number():
    (gap,) = preset_filters([{"band_gap": {"at_least": "1e0"}}]).filters
    assert gap.judge(Material("x", "LiCl", {"band_gap_ev": 2.0})).passed
