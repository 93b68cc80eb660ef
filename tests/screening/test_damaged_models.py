"""A saved model is checked whole when it is read: no crash, no endless loop, no NaN as a rank."""

import io
import json
import zipfile
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssefw.errors import DataError, SsefwError
from ssefw.files.arrays import read_npz
from ssefw.screening.base import load_screener, make_screener, save_screener
from ssefw.screening.frozen import Frozen, freeze, join_frozen, part_frozen
from tests.screening.test_screeners import QUICK

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = (X[:, 0] + 0.3 * RNG.normal(size=40) > 0).astype(int)
KINDS = {
    "trees": RandomForestClassifier(n_estimators=3, max_depth=3, random_state=0),
    "line": LogisticRegression(),
    "normal": GaussianNB(),
    "neighbors": KNeighborsClassifier(3),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
}


@cache
def frozen(kind):
    return freeze(KINDS[kind].fit(X, Y))


def changed(kind, **arrays):
    own = {name: np.array(array) for name, array in frozen(kind).arrays.items()}
    for name, change in arrays.items():
        own[name] = change(own[name])
    return Frozen(frozen(kind).form, own)


def put(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_frozen_is_read_back(kind):
    (back,) = part_frozen(*join_frozen([frozen(kind)]))
    np.testing.assert_array_equal(back.probability(X), frozen(kind).probability(X))


@pytest.mark.parametrize(
    ("kind", "arrays", "words"),
    [
        ("trees", {"left": put(0, 0)}, "children are no later nodes"),
        ("trees", {"right": put(0, 10**6)}, "children are no later nodes"),
        ("trees", {"left": put(0, -5)}, "children are no later nodes"),
        ("trees", {"left": np.zeros_like}, "children are no later nodes"),
        ("trees", {"left": lambda a: a[:-1]}, "children are not two"),
        ("trees", {"left": lambda a: a.astype(float)}, "left is of float64"),
        ("trees", {"roots": put(0, 10**6)}, "roots are no nodes"),
        ("trees", {"roots": put(0, -1)}, "roots are no nodes"),
        ("trees", {"roots": lambda a: a[:0]}, "roots are no nodes"),
        ("trees", {"value": put(0, np.nan)}, "value holds what is no number"),
        ("trees", {"threshold": put(0, np.inf)}, "threshold holds what is no number"),
        ("trees", {"value": lambda a: a[:-1]}, "value is not one for each node"),
        ("trees", {"start": lambda a: a + np.nan}, "start holds what is no number"),
        ("line", {"slope": put(0, np.nan)}, "slope holds what is no number"),
        ("line", {"slope": lambda a: a.astype(str)}, "slope is of"),
        ("normal", {"variance": put((0, 0), 0.0)}, "variances are not positive"),
        ("normal", {"mean": lambda a: a[:1]}, "classes are not two"),
        ("neighbors", {"k": lambda a: np.array(0)}, "k is no number of points"),
        ("neighbors", {"k": lambda a: np.array(1000)}, "k is no number of points"),
        ("neighbors", {"classes": put(0, 7)}, "classes are not 0 and 1"),
        ("scaled", {"scale": put(0, 0.0)}, "scale holds a zero"),
        ("scaled", {"shift": put(0, np.nan)}, "shift holds what is no number"),
    ],
)
def test_a_classifier_that_is_none_is_refused_before_it_runs(kind, arrays, words):
    damaged = changed(kind, **arrays)
    with pytest.raises(DataError, match=words):
        part_frozen(*join_frozen([damaged]))
    with pytest.raises(DataError, match=words):
        damaged.probability(X)


def test_a_feature_that_is_not_there_is_refused():
    far = changed("trees", feature=put(0, 10**6))
    with pytest.raises(DataError, match="is given 3"):
        far.probability(X)
    for kind in ("line", "normal", "neighbors"):
        with pytest.raises(DataError, match="is given 2"):
            frozen(kind).probability(X[:, :2])


@pytest.fixture(scope="module")
def model(toy, tmp_path_factory):
    """A small model, as bytes."""
    path = tmp_path_factory.mktemp("model") / "good.model"
    save_screener(make_screener("composition", QUICK["composition"]).fit(toy), path)
    return path


def rewritten(model, path, arrays=(), **meta):
    """Write a model with other arrays or other words in its JSON."""
    own = read_npz(model)
    record = json.loads(own.pop("__meta__").tobytes()) | meta
    own |= dict(arrays)
    text = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez(file, __meta__=text, **own)
    return path


@pytest.mark.parametrize(
    "meta",
    [
        {"format": 99},
        {"format": "x"},
        {"format": None},
        {"state": None},
        {"state": {}},
        {"state": []},
        {"settings": {"nosuch": 1}},
        {"settings": None},
        {"screener": "nosuch"},
        {"screener": ["x"]},
        {"screener": None},
    ],
)
def test_words_of_a_model_that_are_none_are_one_line_with_its_name(model, tmp_path, meta):
    path = rewritten(model, tmp_path / "bad.model", **meta)
    with pytest.raises(SsefwError, match=r"bad\.model") as caught:
        load_screener(path)
    assert "\n" not in str(caught.value)


def test_numbers_of_a_model_that_are_none_are_refused(model, tmp_path):
    for name in ("typical", "member_value"):
        array = read_npz(model)[name].copy()
        array.flat[0] = np.nan
        path = rewritten(model, tmp_path / "nan.model", {name: array})
        with pytest.raises(DataError, match="no number"):
            load_screener(path)


def test_an_array_that_claims_what_the_file_cannot_hold_is_refused(tmp_path):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    path = tmp_path / "huge.model"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__meta__.npy", head.getvalue() + bytes(64))
    with pytest.raises(DataError, match=r"huge\.model"):
        load_screener(path)


def test_a_bomb_is_refused_by_what_it_unpacks_to(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(2**22))
    with pytest.raises(DataError, match=r"bomb\.npz: unpacks to"):
        read_npz(path, largest=2**20)


@given(st.integers(0, 10**9), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_flipped_byte_of_a_model_scores_or_is_refused(model, tmp_path_factory, toy, place, byte):
    content = bytearray(model.read_bytes())
    content[place % len(content)] = byte
    path = tmp_path_factory.mktemp("flip") / "flip.model"
    path.write_bytes(content)
    try:
        scores = load_screener(path).score(toy.materials[:3])
    except SsefwError:
        return
    assert np.isfinite(scores.probability).all()
