"""What is drawn and downloaded of outcomes, and how a ranking changed by them."""

import io

import pyarrow.parquet
import pytest
from starlette.testclient import TestClient

from ssefw.campaigns.running.watch import latest_record
from ssefw.documents import RankChange, RankedCandidate, Ranking, Reranking
from ssefw.serve.app import application
from ssefw.serve.board import Board
from ssefw.serve.guard import Keys
from ssefw.settings import Settings
from ssefw.store import connect
from tests.conftest import CAMPAIGN, call_ssefw
from tests.outcomes import bound, outcome, value
from tests.serve.conftest import TOKEN

SIGMAS = {"Cu": value(1e-4), "Cu3Au": bound(1e-9)}
SCORES = {"Cu": 0.2, "Cu3Au": 0.7}
PAGE = "/campaigns/small/screening"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explored")
    (folder / "c.yaml").write_text(CAMPAIGN + "feedback: {}\n")
    assert call_ssefw("submit", "c.yaml", "--store", "st", folder=folder) == 0
    with connect(folder / "st") as connection:
        found = latest_record(connection, "small").candidates
        for planned in found:
            about = {"candidate": planned.candidate_id, "campaign": "small"}
            made = outcome(
                planned.formula, SIGMAS[planned.formula],
                candidate_id=planned.candidate_id, campaign="small",
            )  # fmt: skip
            connection.results.add(made, **about)
        keys = {planned.formula: planned.candidate_id for planned in found}
        ranking = Ranking(
            entries=tuple(
                RankedCandidate(candidate_id=keys[name], formula=name, score=score)
                for name, score in SCORES.items()
            ),
            screener="composition",
            meaning="a chance",
        )
        before = connection.results.add(ranking, candidate="", campaign="small")
        change = RankChange(
            candidate_id=keys["Cu"], formula="Cu", before=2, after=1,
            score_before=0.2, score_after=0.9, why="its own label",
        )  # fmt: skip
        changed = Reranking(
            campaign="small", screener="composition", threshold=1e-5,
            labels_before="starter 1", labels_after="starter 2",
            ranking_before=before, ranking_after="b",
            new_labels=(("copper-label", value(1e-4)),),
            refused=(("Cu3Au", "only a bound"),), changes=(change,),
        )  # fmt: skip
        connection.results.add(changed, candidate="", campaign="small")
        board = Board(connection, Settings(store=str(folder / "st")), read_only=False)
        app = application(board, Keys(TOKEN), port=8400)
        with TestClient(app, base_url="http://localhost:8400") as client:
            client.get("/", params={"token": TOKEN})
            yield client


def test_the_screening_page_shows_both_rankings_and_why(browser):
    text = browser.get(PAGE).text
    assert f'href="{PAGE}"' in browser.get("/campaigns/small").text
    for words in ("its own label", "starter 1 to starter 2", "copper-label", "only a bound", "▲"):
        assert words in text
    assert "1.0×10⁻⁴ (5.0×10⁻⁵ … 2.0×10⁻⁴)" in text


def test_what_was_computed_is_drawn_over_what_was_predicted(browser):
    points = browser.get(f"{PAGE}/points.json").json()
    assert [(p["x"], p["kind"]) for p in points] == [(0.2, "value"), (0.7, "upper_bound")]
    assert points[0]["y"] == 1e-4
    assert points[1]["y"] == 1e-9


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"x": "score"}, [0.2, 0.7]),
        ({"x": "share", "element": "Au"}, [0.0, 0.25]),
        ({"x": "share", "element": "Cu"}, [0.75, 1.0]),
    ],
)
def test_results_are_drawn_over_composition_and_score(browser, asked, expected):
    points = browser.get("/results/points.json", params=asked).json()
    assert sorted(point["x"] for point in points) == expected


def test_an_element_that_there_is_not_is_refused(browser):
    answer = browser.get("/results/points.json", params={"x": "share", "element": "Xx"})
    assert answer.status_code == 400
    assert "is no element" in answer.text


def test_results_come_as_parquet(browser):
    content = browser.get("/results.parquet?kind=outcomes&status=determined").content
    table = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    assert [(row["formula"], row["sigma_s_per_cm"]) for row in table] == [("Cu", 1e-4)]
