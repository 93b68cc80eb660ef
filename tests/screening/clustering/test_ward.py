"""Trees against scipy, and what a tree must be."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.clustering.ward import build_tree, cut


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(300, 8)) + 6 * rng.integers(0, 3, size=(300, 1))).astype(np.float32)


def test_the_tree_is_that_of_scipy(points):
    tree = build_tree(points)
    want = linkage(points.astype(float), "ward")
    np.testing.assert_allclose(tree.heights, want[:, 2], rtol=1e-4)
    for depth in (2, 5, 40, 150):
        mine = cut(tree, [depth])[0]
        assert adjusted_rand_score(mine, fcluster(want, depth, "maxclust")) == 1


@pytest.mark.parametrize("kind", ["average", "complete", "single"])
def test_other_linkages_are_those_of_scipy(points, kind):
    tree = build_tree(points, linkage=kind)
    np.testing.assert_allclose(tree.heights, linkage(points.astype(float), kind)[:, 2], rtol=1e-6)


def test_each_merge_adds_half_its_height_squared_to_the_sum_of_squares(points):
    tree = build_tree(points)
    depths = [1, 2, 3, 10, 300]

    def scatter(names):
        return sum(
            ((points[names == name] - points[names == name].mean(axis=0)) ** 2).sum()
            for name in np.unique(names)
        )

    for depth, names in zip(depths, cut(tree, depths), strict=True):
        inside = tree.heights[: len(points) - depth]
        assert scatter(names) == pytest.approx((inside**2).sum() / 2, rel=1e-3)


def test_a_depth_has_so_many_clusters_and_each_lies_in_one_of_the_coarser(points):
    tree = build_tree(points)
    depths = [1, 2, 7, 50, 300]
    cuts = cut(tree, depths)
    for depth, names in zip(depths, cuts, strict=True):
        assert len(np.unique(names)) == depth
    for coarse, fine in pairwise(cuts):
        pairs = set(zip(fine.tolist(), coarse.tolist(), strict=True))
        assert len(pairs) == len(np.unique(fine))


def test_the_order_of_depths_does_not_matter(points):
    tree = build_tree(points)
    np.testing.assert_array_equal(cut(tree, [50, 2, 7])[[1, 2, 0]], cut(tree, [2, 7, 50]))


def test_the_order_of_rows_does_not_matter(points):
    turn = np.random.default_rng(1).permutation(len(points))
    one, other = build_tree(points), build_tree(points[turn])
    np.testing.assert_allclose(one.heights, other.heights, rtol=1e-4)
    assert adjusted_rand_score(cut(one, [12])[0][turn], cut(other, [12])[0]) == 1


def test_equal_rows_merge_first_at_height_zero():
    rows = np.array([[0.0, 1.0], [5.0, 5.0], [0.0, 1.0], [5.0, 5.0]], dtype=np.float32)
    tree = build_tree(rows)
    np.testing.assert_allclose(tree.heights[:2], 0)
    names = cut(tree, [2])[0]
    assert names[0] == names[2] != names[1] == names[3]


def test_what_cannot_be_clustered_is_refused(points):
    with pytest.raises(DataError, match="finite"):
        build_tree(np.full((3, 2), np.nan))
    with pytest.raises(ConfigurationError, match="Known: ward"):
        build_tree(points, linkage="wards")
    with pytest.raises(ConfigurationError, match=r"needs 0\.0 GB"):
        build_tree(points, linkage="single", matrix_gb=1e-6)
    with pytest.raises(DataError, match="300 rows have 1 to 300 clusters"):
        cut(build_tree(points), [301])
