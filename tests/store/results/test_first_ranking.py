"""What a screen said before anything was computed is not what it learned since."""

import pytest

from ssefw.documents import RankedCandidate, Ranking, Reranking
from ssefw.store.results.first_ranking import first_ranking


def ranking(score):
    entry = RankedCandidate(candidate_id="a", formula="Li2O", score=score)
    return Ranking(entries=(entry,), screener="composition", meaning="probability")


@pytest.fixture
def kept(connection):
    """Keep rankings of a campaign in this order, and return their keys."""
    return lambda *scores: [
        connection.results.add(ranking(score), candidate="", campaign="small") for score in scores
    ]


def test_a_campaign_that_learned_nothing_has_its_first(connection, kept):
    assert first_ranking(connection.results, "small") is None
    kept(0.3, 0.6)
    assert first_ranking(connection.results, "small").entries[0].score == 0.3


def test_a_campaign_that_learned_has_the_one_before(connection, kept):
    after, before, later = kept(0.99, 0.4, 0.98)
    for old, new in ((before, after), (after, later)):
        step = Reranking(
            campaign="small",
            screener="composition",
            threshold=1e-4,
            labels_before="starter",
            labels_after=f"computed {new}",
            ranking_before=old,
            ranking_after=new,
        )
        connection.results.add(step, candidate="", campaign="small")
    assert first_ranking(connection.results, "small").entries[0].score == 0.4
