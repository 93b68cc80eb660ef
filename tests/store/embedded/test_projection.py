"""Fields of documents are given out as MongoDB gives them, which is where mongomock agrees."""

import copy
from datetime import UTC, datetime
from unittest import mock

import bson
import mongomock
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mongomock.filtering import filter_applies

from ssefw.store.embedded import cutting
from ssefw.store.embedded.cutting import Cutter, fields_asked
from ssefw.store.embedded.projection import included, wanted_fields

NAMES = ("_id", "a", "b", "a.b", "a.c", "a.b.c", "b.a")
documents = st.recursive(
    st.one_of(st.none(), st.integers(0, 2), st.just("text")),
    lambda inner: st.one_of(
        mappings := st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        st.lists(mappings, max_size=2),
    ),
    max_leaves=8,
)
projections = st.one_of(
    st.lists(st.sampled_from(NAMES), max_size=3, unique=True),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from([1, True, 0, False]), max_size=3),
)


@given(st.dictionaries(st.sampled_from("abc"), documents), projections)
def test_the_same_fields_are_given_as_by_mongomock(document, projection):
    wanted = wanted_fields(projection)
    if wanted is None:
        return
    document = {"_id": 7, **document}
    collection = mongomock.MongoClient().db.things
    expected = collection._copy_only_fields(document, copy.copy(projection), dict)
    found = included(document, wanted)
    assert found == expected


def test_what_no_plain_list_of_fields_is_stays_with_mongomock():
    for projection in (
        None,
        {},
        {"_id": 0},
        {"a": 0},
        {"a": {"$slice": 1}},
        {"a": 1, "a.b": 1},
        {"a.b": 1, "a": 1},
        {"a.$": 1},
    ):
        assert wanted_fields(projection) is None


def test_what_is_no_document_within_a_list_has_no_fields():
    assert included({"a": [1, {"b": 2, "c": 3}]}, {"a": {"b": True}}) == {"a": [{"b": 2}]}


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False),
        st.text(max_size=3), st.binary(max_size=3), st.just(datetime(2026, 1, 1, tzinfo=UTC)),
        st.builds(bson.ObjectId), st.just(bson.Regex("a", "i")), st.just(bson.MaxKey()),
        st.just(bson.Decimal128("1.5")), st.just(bson.Timestamp(1, 2)), st.just(bson.Code("f", {})),
    ),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abcd"), inner, max_size=4), st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)  # fmt: skip
conditions = st.one_of(
    st.integers(0, 2), st.just({"$exists": True}), st.just({"$ne": None}), st.just({"b": 1})
)
filters = st.dictionaries(st.sampled_from(NAMES), conditions, max_size=2)
filters = st.one_of(
    filters, st.fixed_dictionaries({"$or": st.lists(filters, min_size=1, max_size=2)})
)


@given(st.dictionaries(st.sampled_from("abcd"), values), st.lists(st.sampled_from(NAMES)), filters)
def test_what_is_cut_has_the_wanted_fields_and_meets_the_same_filters(document, names, spec):
    wanted = wanted_fields(names)
    if wanted is None:
        return
    body = bson.encode({"_id": 7, **document})
    with mock.patch.object(cutting, "WORTH_BYTES", 0):
        cut = bson.decode(Cutter(wanted, fields_asked(spec))(body))
    whole = bson.decode(body)
    assert included(cut, wanted) == included(whole, wanted)
    assert filter_applies(spec, cut) == filter_applies(spec, whole)


@pytest.mark.parametrize("spec", [{"$where": "this.a"}, {"$and": [{"a": 1}, {"$expr": {}}]}])
def test_of_a_filter_that_may_look_at_all_nothing_is_cut(spec):
    assert fields_asked(spec) is None


def test_of_a_large_document_only_what_is_wanted_is_decoded():
    body = bson.encode({"_id": 1, "a": {"b": 2, "much": [0.5] * 1000}, "more": "x" * 5000})
    cut = Cutter(wanted_fields(["a.b"]), {"a.c"})(body)
    assert bson.decode(cut) == {"_id": 1, "a": {"b": 2}}
