"""Splits do not leak, repeat under a seed, and say when they cannot be made."""

import numpy as np
import pytest
from pymatgen.core import Composition

from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sources import starter_labels
from ssefw.data.pettifor import composition_distances
from ssefw.data.splits import (
    composition_clusters,
    held_out,
    k_fold,
    leave_one_cluster_out,
    read_split,
    repeated_random,
    write_split,
)
from ssefw.errors import DataError


@pytest.fixture(scope="module")
def data():
    return dataset_of(starter_labels())


@pytest.mark.parametrize(
    "splits",
    [
        lambda data: k_fold(data, k=4),
        lambda data: repeated_random(data, n=10),
        lambda data: [held_out(data, share=0.2)],
    ],
    ids=["k_fold", "repeated_random", "held_out"],
)
def test_near_duplicates_never_stand_on_both_sides(data, splits):
    for split in splits(data):
        assert not set(data.groups[split.train]) & set(data.groups[split.test])
        assert sorted([*split.train, *split.test]) == list(range(len(data)))


def test_every_row_is_tested_once_in_k_folds(data):
    tested = np.concatenate([split.test for split in k_fold(data, k=4)])
    assert sorted(tested) == list(range(len(data)))


def test_a_seed_repeats_the_splits_and_another_changes_them(data):
    one, same, other = (repeated_random(data, n=3, seed=s) for s in (1, 1, 2))
    assert all((a.test == b.test).all() for a, b in zip(one, same, strict=True))
    assert any(a.test.tolist() != b.test.tolist() for a, b in zip(one, other, strict=True))


def test_the_plain_split_keeps_the_share_of_classes(data):
    for split in repeated_random(data, n=5, grouped=False):
        assert data.y[split.test].mean() == pytest.approx(data.y.mean(), abs=0.08)


def test_one_cluster_at_a_time_is_left_out(data):
    names = [
        formula[2] if formula[2].isalpha() else "x"
        for formula in (m.formula for m in data.materials)
    ]
    splits = leave_one_cluster_out(data, names)
    assert len(splits) == len(set(names))
    assert sum(len(split.test) for split in splits) == len(data)


def test_clusters_that_are_not_stated_are_not_made_up(data):
    with pytest.raises(DataError, match="states no clusters"):
        leave_one_cluster_out(data)


def test_too_many_folds_are_refused(data):
    with pytest.raises(DataError, match="Use fewer folds"):
        k_fold(data, k=40)


def test_a_split_survives_being_written(data, tmp_path):
    split = held_out(data)
    write_split(split, data, tmp_path / "split.json")
    back = read_split(tmp_path / "split.json", data)
    assert back.test.tolist() == split.test.tolist()
    with pytest.raises(DataError, match="belongs to one version"):
        read_split(tmp_path / "split.json", dataset_of(other_labels()))


def other_labels():
    labels = starter_labels()
    return labels.model_copy(update={"labels": labels.labels[1:]})


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("Li6PS5Cl", "Li3PO4", 7.663462),
        ("LiTi2(PO4)3", "Li1.3Al0.3Ti1.7(PO4)3", 0.915301),
        ("Li2S", "Li3N", 9.0),
    ],
)
def test_distances_are_those_of_elmd(one, other, distance):
    """The numbers are those of ElMD 0.5.15 with its modified Pettifor scale."""
    matrix = composition_distances([Composition(one), Composition(other)])
    assert matrix[0, 1] == pytest.approx(distance, abs=1e-6)


def test_distances_are_a_metric(data):
    matrix = composition_distances([m.composition for m in data.materials])
    np.testing.assert_allclose(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), 0)
    assert (matrix[:, :, None] <= matrix[:, None, :] + matrix.T[None] + 1e-9).all()


def test_few_compositions_are_not_clustered():
    with pytest.raises(DataError, match="too few"):
        composition_clusters([Composition("Li2S")] * 5)


@pytest.mark.slow
def test_families_fall_into_clusters_of_their_own():
    pytest.importorskip("umap")
    halides = [
        Composition(f"Li3{m}{x}6") for m in ("Y", "In", "Sc", "Er", "Ho") for x in ("Cl", "Br")
    ]
    garnets = [
        Composition(f"Li{7 - x:g}La3Zr{2 - x:g}Ta{x:g}O12") for x in np.linspace(0.1, 1.9, 20)
    ]
    names = composition_clusters(halides + garnets)
    assert not set(names[:10]) & set(names[10:])
