"""The system beyond the contract: structures, representations, pre-training, search, saving."""

import ast
import inspect
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from ssefw.data.dataset import Dataset
from ssefw.data.materials import Material
from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.atomsets.network import NetworkConfig
from ssefw.screening.atomsets.screener import AtomSetsScreener
from ssefw.screening.atomsets.search import GRID, search_networks
from ssefw.screening.atomsets.sources import make_source, material_set
from ssefw.screening.base import load_screener, save_screener
from ssefw.screening.papers.pretraining import pretrained

QUICK = {"runs": 2, "networks": [{"epochs": 4, "neurons": 8, "readout": 4}]}


@pytest.fixture(scope="module")
def crystals(toy) -> Dataset:
    """The toy labels as disordered perovskite-like cells: sulfides wide, oxides narrow."""

    def crystal(material):
        amounts = material.composition.get_el_amt_dict()
        anion = "S" if "S" in amounts else "O"
        metal = next(m for m in amounts if m not in {"Li", "S", "O"})
        edge = 5.0 if anion == "S" else 4.0
        return Structure(
            Lattice.cubic(edge),
            [{"Li": 0.7}, {metal: 0.9}, anion],
            [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]],
        )

    rows = list(range(0, len(toy), 3))
    some = toy.take(rows)
    made = tuple(
        Material(name=m.name, formula=m.formula, build=lambda m=m: crystal(m))
        for m in some.materials
    )
    return replace(some, materials=made)


@pytest.mark.parametrize("representation", ["CAMN", "CANS"])
def test_disordered_structures_are_learned_from_and_scored(crystals, representation):
    screener = AtomSetsScreener(members=["lr"], layer="v0", representation=representation, runs=3)
    scores = screener.fit(crystals).score(crystals.materials)
    assert not scores.problems
    right = ((scores.probability >= 0.5) == (crystals.y == 1)).mean()
    assert right > 0.9 if representation == "CAMN" else np.isfinite(scores.probability).all()


def test_a_saved_model_of_structures_scores_the_same(crystals, tmp_path):
    screener = AtomSetsScreener(members=["net", "et"], layer="v0", **QUICK).fit(crystals)
    save_screener(screener, tmp_path / "m.model")
    back = load_screener(tmp_path / "m.model")
    one, other = (s.score(crystals.materials).probability for s in (screener, back))
    np.testing.assert_array_equal(one, other)


def test_labels_without_structure_are_not_learned_from_and_that_is_said(crystals, toy, caplog):
    some = replace(crystals, materials=(*crystals.materials[:-1], toy.materials[-1]))
    screener = AtomSetsScreener(members=["lr"], layer="v0", runs=2).fit(some)
    assert len(screener.trained_on["formulas"]) == len(crystals) - 1
    assert f"1 of {len(crystals)} labels are not learned from" in caplog.text
    scores = screener.score([*crystals.materials[:2], Material("x", "Li3PS4")])
    assert np.isfinite(scores.probability[:2]).all()
    assert "no structure" in scores.problems[2]
    with pytest.raises(DataError, match=r"0 labels of 'toy' can be learned from.*no structure"):
        screener.fit(toy)


def test_a_structure_that_lacks_an_element_of_its_formula_is_not_scored(crystals):
    screener = AtomSetsScreener(members=["lr"], layer="v0", runs=2).fit(crystals)
    bare = Structure(Lattice.cubic(4), ["Na", "S"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    scores = screener.score([Material("x", "LiNaS", build=lambda: bare)])
    assert "holds no Li" in scores.problems[0]


def test_a_pool_with_gaps_or_energies_can_come_first(toy, tmp_path):
    pool = tmp_path / "pool.jsonl"
    rows = [
        {"formula": m.formula, "id": str(k), "band_gap": float(k % 2), "e_form": -1.0}
        for k, m in enumerate(toy.materials)
    ]
    pool.write_text("\n".join(json.dumps(row) for row in rows))
    plain = AtomSetsScreener(members=["net"], **QUICK).fit(toy).score(toy.materials)
    first = AtomSetsScreener(members=["net"], pretrain=str(pool), **QUICK).fit(toy)
    assert not np.array_equal(plain.probability, first.score(toy.materials).probability)
    pool.write_text("\n".join(json.dumps({"formula": row["formula"]}) for row in rows))
    with pytest.raises(DataError, match="states band_gap or e_form_ev_atom for 0"):
        AtomSetsScreener(members=["net"], pretrain=str(pool), **QUICK).fit(toy)


def test_networks_of_one_shape_share_a_first_task_and_it_is_kept(toy, tmp_path):
    pool = tmp_path / "pool.jsonl"
    rows = [
        {"formula": m.formula, "id": str(k), "band_gap": float(k % 2)}
        for k, m in enumerate(toy.materials)
    ]
    pool.write_text("\n".join(json.dumps(row) for row in rows))
    source = make_source("chgnet")
    make_set = partial(material_set, source=source, layer="elements", representation="CAMN")
    small = NetworkConfig(neurons=8, readout=4)
    configs = [small, replace(small, dropout=0.4, l2=1e-2), replace(small, neurons=6)]
    first = partial(
        pretrained, pool, make_set, configs, sites="x", rows=60, seed=0, folder=tmp_path / "kept"
    )
    one, same, other = first()
    assert one is same
    assert other.parameters["site_0/weight"].shape == (1, 64, 6)
    files = sorted((tmp_path / "kept").iterdir())
    assert len(files) == 2
    written = {file: file.stat().st_mtime_ns for file in files}
    again = first()[0]
    assert {file: file.stat().st_mtime_ns for file in files} == written
    for name, value in one.parameters.items():
        assert torch.equal(value, again.parameters[name])
    pool.write_text(pool.read_text() + "\n")
    first()
    assert len(list((tmp_path / "kept").iterdir())) == 4


@pytest.fixture
def searched(toy):
    small = toy.take(range(0, 60, 2))
    source = make_source("chgnet")
    sets = [
        material_set(m, source, layer="elements", representation="CAMN") for m in small.materials
    ]
    return sets, small


def test_a_search_returns_networks_of_the_grid_and_goes_on(searched, tmp_path):
    """What a killed search left running does not count, and no trial is made twice."""
    optuna = pytest.importorskip("optuna")
    find = partial(search_networks, *searched, folder=tmp_path, epochs=3)
    for settings in find(trials=2):
        assert settings["neurons"] in GRID["neurons"]
    storage = f"sqlite:///{tmp_path / 'search.db'}"
    (name,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=name, storage=storage)
    study.ask()
    assert len(find(trials=4)) == 4
    ended = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(ended) == 4
    assert len({json.dumps(t.params, sort_keys=True) for t in ended}) == 4


def test_a_search_on_other_labels_begins_anew(searched, tmp_path):
    optuna = pytest.importorskip("optuna")
    sets, data = searched
    search_networks(sets, data, trials=1, folder=tmp_path, epochs=2)
    turned = replace(data, y=1 - data.y)
    search_networks(sets, turned, trials=1, folder=tmp_path, epochs=2)
    assert len(optuna.get_all_study_names(f"sqlite:///{tmp_path / 'search.db'}")) == 2


def test_the_elements_that_make_the_rule_are_the_most_important(toy):
    screener = AtomSetsScreener(members=["lr"], runs=2).fit(toy)
    found = [name for name, _ in screener.importances(top=50)]
    assert {name.split()[0] for name in found} >= {"S", "O", "Li"}
    assert next(n for n in found if n.startswith("S ")).startswith("S (raises")
    assert next(n for n in found if n.startswith("O ")).startswith("O (lowers")


def test_a_model_of_structures_has_no_importances(crystals):
    assert AtomSetsScreener(members=["lr"], layer="v0", runs=2).fit(crystals).importances() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": ["forest"]}, "members must be a list of"),
        ({"layer": "v9"}, "elements, v0, v1, v2, v3"),
        ({"networks": []}, "at least one configuration"),
        ({"runs": 0}, "whole number from 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        AtomSetsScreener(**settings)


def test_each_kind_has_one_voice_however_many_members(toy):
    screener = AtomSetsScreener(members=["net", "lr"], runs=2, networks=QUICK["networks"] * 3)
    screener.fit(toy)
    scores = screener.score(toy.materials)
    assert scores.n_votes == 2 + 3 * 2
    assert (scores.details["votes_lr"] <= 2).all()
    each = np.array([[0.0] * 1] * 2 + [[1.0]] * 6)
    assert screener._middle(each)[0] == 0.5


def test_an_ensemble_takes_as_many_different_networks_as_asked():
    settings = [json.dumps(one) for one in AtomSetsScreener(networks=10).settings()["networks"]]
    assert len(set(settings)) == 10
    some = AtomSetsScreener(networks=3).settings()["networks"]
    assert [json.dumps(one) for one in some] == settings[:3]


def test_a_search_without_networks_is_refused(toy):
    with pytest.raises(ConfigurationError, match="none among the members et, gb"):
        AtomSetsScreener().tuned_on(toy, trials=2)


def test_a_model_of_an_earlier_version_is_read_though_its_parts_have_moved():
    """Trained by LAMB before what is a paper's own lay with the papers."""
    model = load_screener(Path(__file__).parents[1] / "data" / "lamb.model")
    assert model.settings()["networks"][0]["optimizer"] == "lamb"
    asked = [Material(name=formula, formula=formula) for formula in ("Li7P3S11", "LiCl")]
    # As that version said, to what floating point leaves.
    assert model.score(asked).probability == pytest.approx([0.379814, 0.414826], abs=1e-4)


def test_what_is_of_a_paper_is_not_read_without_being_asked_for():
    for path in Path(inspect.getfile(AtomSetsScreener)).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            module = node.module if isinstance(node, ast.ImportFrom) else ""
            assert not (module or "").startswith("ssefw.screening.papers"), path.name
