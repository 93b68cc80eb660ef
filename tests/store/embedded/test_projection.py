"""Fields of documents are given out as MongoDB gives them, which is where mongomock agrees."""

import copy

import mongomock
from hypothesis import given
from hypothesis import strategies as st

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
