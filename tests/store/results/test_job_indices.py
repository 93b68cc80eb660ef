"""Every question that the command line can ask has an index that answers it."""

from itertools import combinations

import pytest

from ssefw.documents import Label
from ssefw.errors import DataError, StoreError
from ssefw.store import connect
from ssefw.store.results.job_indices import CLASS, job_indices
from ssefw.store.results.query import KINDS, SORTS, Ask
from ssefw.store.results.result_store import ResultStore
from tests.outcomes import bound, outcome

ASKED = {
    "formula": {"formula": "Li2O"},
    "system": {"system": "Li-O"},
    "elements": {"elements": ["S"], "without": ["Ge"]},
    "campaign": {"campaign": "x"},
    "candidate": {"candidate": "a"},
    "status": {"status": "failed"},
    "engine": {"engine": "chgnet-0.3.0"},
    "temperature": {"temperature": 600.0},
    "gate": {"gate": "volume_change"},
    "sigma": {"min_sigma": 1e-4, "max_sigma": 1e-2, "reading": "value"},
    "at least": {"min_sigma": 1e-4},
    "at most": {"max_sigma": 1e-4},
    "energy": {"min_ea": 0.1, "max_ea": 0.3, "reading": "value"},
    "energy for certain": {"max_ea": 0.3},
}
RECORDS = ("outcomes", "trajectories", "diffusivities", "barriers")


class Recorded:
    """A store of jobs that notes what it is asked and knows no answer."""

    def __init__(self):
        self.questions = []
        self.docs_store = self

    def distinct(self, field):
        self.distinct_of = field
        return ["Li2O", "Li2S", "Li3PS4"]

    def query(self, criteria, properties=None, sort=None, **_):
        self.questions.append((criteria, list((sort or {}).items())))
        return iter(())

    def query_one(self, *_, **__):
        return None


def question(kind, sort, **asked):
    store = Recorded()
    list(ResultStore(store).ask(kind, Ask(**asked), sort=sort))
    own = [one for one in store.questions if one[0][CLASS] == KINDS[kind].__name__]
    return own[-1] if own else None


def is_one_value(demand):
    return not isinstance(demand, dict) or set(demand) == {"$in"}


def used_fields(index, criteria, order):
    """Return how many fields of an index MongoDB uses for a filter or an order.

    Fields with one demanded value, then the sort's in one direction, or else one range; beyond a
    field that is not asked for, none. See "The ESR guideline" in MongoDB's manual.
    """
    fields = list(index)
    n = 0
    while n < len(fields) and fields[n][0] in criteria and is_one_value(criteria[fields[n][0]]):
        n += 1
    rest = fields[n:]
    turned = [(field, -direction) for field, direction in rest]
    if order and (rest[: len(order)] == order or turned[: len(order)] == order):
        return n + len(order)
    return n + (bool(rest) and rest[0][0] in criteria)


def questions():
    for kind in RECORDS:
        for sort in (None, *SORTS[kind]):
            for n in (0, 1, 2):
                for names in combinations(ASKED, n):
                    asked = {k: v for name in names for k, v in ASKED[name].items()}
                    try:
                        found = question(kind, sort, **asked)
                    except DataError:
                        continue  # such records have no such field
                    if found is not None:
                        yield kind, sort, names, found


def test_every_question_is_answered_from_an_index_on_more_than_the_class():
    count = 0
    for kind, sort, names, (criteria, order) in questions():
        best = max(used_fields(index, criteria, order) for index in job_indices())
        assert best >= (2 if names or sort else 1), (kind, sort, names)
        count += 1
    assert count > 500


@pytest.mark.parametrize("kind", RECORDS)
def test_the_order_of_every_sort_is_in_an_index(kind):
    for sort in SORTS[kind]:
        criteria, order = question(kind, sort)
        assert max(used_fields(index, criteria, order) for index in job_indices()) == 3


def test_the_formulas_that_there_are_come_from_an_index():
    assert [("output.formula", 1)] in job_indices()


def test_a_server_is_not_asked_for_more_indices_than_it_takes():
    assert len(job_indices()) < 50  # MongoDB takes 64 a collection
    assert all(list(index) for index in job_indices())
    assert len({str(index) for index in job_indices()}) == len(job_indices())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with connect(tmp_path_factory.mktemp("pages") / "store") as connection:
        for number in range(12):
            sigma = [1e-3, 1e-4, bound(1e-9)][number % 3]
            item = outcome(f"Li{number + 1}O", sigma, campaign="x")
            connection.results.add(item, candidate=item.candidate_id, campaign="x")
        for formula in ("LiH", "LiD"):
            failed = outcome(formula, status="failed")
            connection.results.add(failed, candidate=formula, campaign="x")
        yield connection.results


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("asked", [{}, {"min_sigma": 5e-4}, {"status": "determined"}])
@pytest.mark.parametrize("sort", ["sigma", "formula", "status", "cost"])
def test_pages_behind_a_key_are_the_whole_without_overlap(results, sort, asked, reverse):
    """Eight share a value with others, four have a bound and no value, two no conductivity."""
    whole = [
        item.formula for item in results.ask("outcomes", Ask(**asked), sort=sort, reverse=reverse)
    ]
    found, after = [], None
    for _ in range(10):
        page = results.page(
            "outcomes", Ask(**asked), sort=sort, reverse=reverse, after=after, limit=3
        )
        found += [item.formula for item in page.documents]
        after = page.last
        if after is None:
            break
    assert found == whole
    assert len(found) == len(set(found))


def test_a_page_far_behind_asks_for_no_more_than_the_first():
    store = Recorded()
    store.query_one = lambda *_, **__: {"output": {"formula": "Li3PS4"}, "uuid": "job-9"}
    ResultStore(store).page("outcomes", Ask(), sort="formula", after="job-9", limit=3)
    for criteria, order in store.questions:
        best = max(used_fields(index, criteria, order) for index in job_indices())
        assert best == 3, criteria


def test_pages_behind_what_is_not_there_are_refused(results):
    with pytest.raises(StoreError, match="no record 'job-0' to go on behind"):
        results.page("outcomes", Ask(), sort="sigma", after="job-0")
    with pytest.raises(DataError, match="Labels have no keys"):
        results.page("labels", Ask(), sort="sigma")


def test_a_record_of_a_class_of_the_same_name_elsewhere_is_no_answer(tmp_path):
    with connect(tmp_path / "store") as connection:
        foreign = {"@class": "Label", "@module": "somebody.else", "kind": "price"}
        connection.job_store.update({"uuid": "a", "index": 1, "output": foreign, "metadata": {}})
        assert list(connection.results.find(Label)) == []
        assert connection.results.count(Label) == 0
