"""How far a campaign is, told from what an index knows."""

from ssefw.campaigns.running.watch import snapshot
from ssefw.documents import CampaignRecord
from ssefw.store import connect
from ssefw.store.embedded.collection import EmbeddedCollection
from tests.outcomes import outcome


def test_concluded_candidates_are_counted_without_a_look_at_their_outcomes(tmp_path, monkeypatch):
    record = CampaignRecord(campaign="x", plan_key="p", spec={"specie": "Li"}, candidates=())
    found = [("Li2O", "a"), ("Li2S", "b"), ("Li2S", "b"), ("LiCl", "c")]
    with connect(tmp_path / "st") as connection:
        for formula, candidate in found:
            connection.results.add(outcome(formula), candidate=candidate, campaign="x")
        connection.results.add(outcome("LiF"), candidate="d", campaign="y")
        read = []
        find = EmbeddedCollection.find

        def noted(self, *arguments, **options):
            read.append(self.name)
            return find(self, *arguments, **options)

        monkeypatch.setattr(EmbeddedCollection, "find", noted)
        assert snapshot(connection, record, tmp_path).concluded == 3
    assert "jobs" not in read
