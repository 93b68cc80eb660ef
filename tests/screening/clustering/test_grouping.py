"""Related materials stay on one side of a split."""

import numpy as np
import pytest

from ssefw.errors import DataError
from ssefw.screening.clustering.grouping import framework_groups, grouped_folds, random_folds
from ssefw.screening.clustering.matching import LabeledPool, label_pool
from tests.screening.clustering.test_pool import fluorite, halite, label, material


def pool_of(structures, families):
    materials = tuple(material(f"m{k}", one) for k, one in enumerate(structures))
    n = len(materials)
    return LabeledPool(materials, np.arange(n), np.zeros(n), {}, tuple(map(frozenset, families)))


def test_a_prototype_a_family_and_a_series_are_groups():
    bromide, chloride = halite(5.5, "Br"), halite(5.1)
    sulfide = fluorite(5.7)
    other = fluorite(6.0)
    other.replace_species({"S": "Se"})
    oxide = fluorite(4.6)
    oxide.replace_species({"S": "O"})
    oxide.translate_sites([0], [0.01, 0.02, 0.03])
    doped = oxide.copy()
    doped.replace_species({"O": {"O": 0.98, "S": 0.02}})
    groups = framework_groups(
        pool_of([bromide, chloride, sulfide, other, oxide, doped], [[], [], [], [], ["x"], ["x"]])
    )
    # Halites have a prototype in common, so do fluorites; a shifted atom breaks the symmetry.
    assert groups[0] == groups[1]
    assert groups[2] == groups[3]
    assert groups[4] == groups[5]
    assert len(set(groups.tolist())) == 3


def test_groups_join_through_others():
    chloride, oxide = halite(5.1), fluorite(4.6)
    oxide.replace_species({"S": "O"})
    rows = [chloride, halite(5.5, "Br"), oxide, fluorite(5.7)]
    groups = framework_groups(pool_of(rows, [["salt"], [], ["salt"], []]))
    assert len(set(groups.tolist())) == 1


def test_the_family_of_a_label_goes_with_its_row():
    labels = [
        label("LiCl", 1e-8, candidate_id="a", structure=halite(5.1), group="Halides "),
        label("Li2S", 1e-9, candidate_id="b", structure=fluorite(5.7)),
    ]
    labeled = label_pool([], labels)
    assert labeled.families == (frozenset({"halides"}), frozenset())


def test_no_group_is_on_both_sides_and_every_label_is_held_out_once():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 15, 80)
    folds = grouped_folds(rng.normal(size=80), groups, k=5)
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
    np.testing.assert_array_equal(np.sort(np.concatenate([t for _, t in folds])), np.arange(80))
    plain = random_folds(80, k=5)
    np.testing.assert_array_equal(np.sort(np.concatenate([t for _, t in plain])), np.arange(80))


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(DataError, match="5 folds need 5 groups"):
        grouped_folds(np.arange(8.0), np.array([0, 0, 1, 1, 2, 2, 3, 3]))
