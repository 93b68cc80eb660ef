"""The embedded store stands on names that mongomock keeps to itself: which they are.

A newer mongomock must not be allowed in pyproject.toml before these are as they are here. Its fork
mongomock-ng, which maggma brings along under another name, has others.
"""

import inspect

import mongomock
import pytest
from mongomock import aggregate, collection, filtering, helpers

from ssefw.store.embedded.collection import EmbeddedCollection, SortlessBulk
from ssefw.store.embedded.cursor import EmbeddedCursor
from ssefw.store.embedded.database import EmbeddedDatabase

OVERRIDDEN = {
    "Collection": (
        "_delete",
        "_find_and_modify",
        "_insert",
        "_internalize_dict",
        "_iter_documents",
        "_list_all_indexes",
        "_update",
    ),
    "Cursor": ("_compute_results",),
    "Database": (),
    "BulkOperationBuilder": (),
}
"""What mongomock calls and we answer."""

CALLED = {
    "Collection": {
        "_apply_update_document": ("self", "existing_document", "spec", "document", "was_insert"),
        "_apply_update_pipeline": None,
        "_copy_only_fields": ("self", "doc", "fields", "container"),
        "_discard_operators": ("self", "doc"),
        "_expand_dots": ("self", "doc"),
    },
    "Database": {"_ensure_valid_collection_name": ("self", "name")},
}
"""What we call of mongomock, with its parameters."""

OURS = {
    "Collection": EmbeddedCollection,
    "Cursor": EmbeddedCursor,
    "Database": EmbeddedDatabase,
    "BulkOperationBuilder": SortlessBulk,
}


def theirs(kind):
    return getattr(collection, kind, None) or getattr(mongomock, kind)


def private(kind):
    return {name for name in vars(kind) if name.startswith("_") and not name.startswith("__")}


@pytest.mark.parametrize("kind", OURS)
def test_we_override_these_private_methods_and_no_others(kind):
    base = theirs(kind)
    assert issubclass(OURS[kind], base)
    overridden = {name for name in private(OURS[kind]) if hasattr(base, name)}
    assert overridden == set(OVERRIDDEN[kind])


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in OVERRIDDEN.items() for name in names]
)
def test_what_we_override_takes_what_mongomock_passes(kind, name):
    wanted = inspect.signature(getattr(theirs(kind), name)).parameters
    ours = inspect.signature(getattr(OURS[kind], name)).parameters
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in ours.values())
    assert takes_all or len(ours) >= len(wanted), (list(ours), list(wanted))


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in CALLED.items() for name in names]
)
def test_what_we_call_is_there_with_its_parameters(kind, name):
    found = tuple(inspect.signature(getattr(theirs(kind), name)).parameters)
    assert CALLED[kind][name] in {None, found}, found


def test_the_functions_are_there():
    assert callable(aggregate.process_pipeline)
    assert callable(filtering.iter_key_candidates)
    assert callable(filtering.resolve_sort_key)
    assert callable(helpers.create_index_list)
    assert callable(helpers.gen_index_name)
    assert callable(helpers.patch_datetime_awareness_in_document)
    assert callable(collection._validate_data_fields)
    assert callable(collection._validate_document_stages)
