"""What the pages show, and the changes that are made from them."""

import re
import time

import pytest
from starlette.testclient import TestClient

from ssefw.documents import Outcome
from ssefw.serve.app import application
from ssefw.serve.board import Board
from ssefw.serve.guard import Keys
from ssefw.serve.selection import PAGE_ROWS, TableView
from ssefw.settings import Settings
from ssefw.store import connect
from tests.conftest import CAMPAIGN, work_here
from tests.job_states import MESSAGE
from tests.serve.conftest import SCRIPT, TOKEN, address_of
from tests.serve.test_guard import PAGE, word_in

ESCAPED = "&lt;script&gt;"


@pytest.fixture(scope="module", params=["folder", "server"])
def kind(request):
    """Every page is tried on both kinds of stores."""
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return tmp_path_factory.mktemp(kind)


def change(browser, verb, **fields):
    """Confirm a change as the page asks for it, and return the page that follows."""
    asked = {"verb": verb, "back": PAGE, **fields}
    page = browser.get(f"{PAGE}/change", params=asked).text
    assert '<form method="post"' in page
    return browser.post(f"{PAGE}/change", data=asked | {"word": word_in(browser)}).text


def candidate_paths(text):
    return list(dict.fromkeys(re.findall(rf'"({PAGE}/candidates/\w+)"', text)))


def test_the_only_campaign_is_shown_at_once_and_all_are_listed(browser):
    assert browser.get("/").url.path == PAGE
    assert f'href="{PAGE}"' in browser.get("/?all=1").text


def test_a_campaign_shows_what_failed_and_what_to_do(browser):
    text = browser.get(PAGE).text
    assert "1 failed: engine" in text
    assert MESSAGE in text
    assert "0</b> of 2 candidates concluded" in text


def test_names_from_files_are_shown_as_text(browser):
    (named,) = candidate_paths(browser.get(f"{PAGE}?q=alert").text)
    for path in (PAGE, f"{PAGE}?q=alert", f"{PAGE}/jobs?state=all", "/results?kind=candidates"):
        assert SCRIPT not in browser.get(path).text
    text = browser.get(named).text
    assert ESCAPED in text
    assert SCRIPT not in text


def test_what_an_address_says_is_shown_as_text(browser):
    for path in (
        f"{PAGE}?q={SCRIPT}&sort={SCRIPT}&state={SCRIPT}&page={SCRIPT}",
        f"{PAGE}/jobs?stage={SCRIPT}&state={SCRIPT}&candidate={SCRIPT}&page=-1",
        f"{PAGE}?said={SCRIPT}",
        f"/campaigns/{SCRIPT.replace('/', '%2F')}",
        f"{PAGE}/change?verb={SCRIPT}",
    ):
        assert SCRIPT not in browser.get(path).text


def test_a_failed_job_shows_its_error_its_folder_and_its_output(browser, folder):
    (job,) = set(re.findall(rf"{PAGE}/jobs/\d+", browser.get(f"{PAGE}/jobs?state=failed").text))
    text = browser.get(job).text
    assert MESSAGE in text
    assert str(folder / "runs/one") in text
    assert "the end" in text
    assert SCRIPT not in text
    added = browser.get(f"{job}/log", params={"file": "OUTCAR", "after": 26}).json()
    assert added["text"] == "the end\n"
    assert added["place"] == (folder / "runs/one/OUTCAR").stat().st_size


def test_jobs_are_found_by_where_they_run(browser, folder):
    found = browser.get(f"{PAGE}/jobs", params={"state": "all", "where": "runs/one"}).text
    assert str(folder / "runs/one") in found
    nothing = browser.get(f"{PAGE}/jobs", params={"state": "all", "where": "runs/two"}).text
    assert "No job of this kind" in nothing


@pytest.mark.parametrize("name", ["../../c.yaml", "/etc/passwd", "..", "run.json/.."])
def test_no_file_outside_of_the_run_folder_is_shown(browser, folder, name):
    (job,) = set(re.findall(rf"{PAGE}/jobs/\d+", browser.get(f"{PAGE}/jobs?state=failed").text))
    assert browser.get(job, params={"file": name}).status_code == 404
    assert browser.get(f"{job}/log", params={"file": name}).status_code == 404


def test_a_link_out_of_the_run_folder_is_not_followed(browser, folder):
    (folder / "runs/one/secret").symlink_to(folder / "c.yaml")
    (job,) = set(re.findall(rf"{PAGE}/jobs/\d+", browser.get(f"{PAGE}/jobs?state=failed").text))
    assert browser.get(job, params={"file": "secret"}).status_code == 404
    (folder / "runs/one/secret").unlink()


def test_a_table_is_searched_sorted_and_paged(browser):
    assert len(candidate_paths(browser.get(PAGE).text)) == 2
    assert len(candidate_paths(browser.get(f"{PAGE}?q=gold").text)) == 1
    assert len(candidate_paths(browser.get(f"{PAGE}?state=waiting").text)) == 1
    assert "No candidate fits" in browser.get(f"{PAGE}?q=nothing").text
    up = candidate_paths(browser.get(f"{PAGE}?sort=place").text)
    down = candidate_paths(browser.get(f"{PAGE}?sort=place&reverse=1").text)
    assert up == down[::-1]


def test_columns_are_chosen_and_stay_chosen(browser):
    usual = browser.get(PAGE).text
    assert "value and interval</a>" in usual
    assert "concluded (UTC)" not in usual
    text = browser.get(f"{PAGE}?column=source&column=ended&column=nothing").text
    assert "value and interval</a>" not in text
    assert "concluded (UTC)" in text
    assert "?sort=compound&amp;column=ended&amp;column=source" in text


def test_a_second_page_goes_on_where_the_first_ended():
    rows = list(range(PAGE_ROWS + 3))
    assert TableView.of({"page": "1"}).rows(rows) + TableView.of({"page": "2"}).rows(rows) == rows
    assert TableView.of({"page": "9" * 30}).page == 1


def test_pause_and_resume_of_a_candidate_say_what_they_touch(browser, address):
    path = candidate_paths(browser.get(f"{PAGE}?q=gold").text)[0]
    candidate = path.rpartition("/")[2]
    asked = browser.get(f"{PAGE}/change", params={"verb": "pause", "candidate": candidate}).text
    assert "2 jobs, 0 of them running" in asked
    assert "Held 2 jobs" in change(browser, "pause", candidate=candidate)
    with connect(address, read_only=True) as connection:
        (record,) = connection.database["holds"].find({})
    assert (record["kind"], record["candidates"]) == ("pause", [candidate])
    assert "is paused" in browser.get(path).text
    assert "It goes on" in change(browser, "resume", candidate=candidate)
    assert "is paused" not in browser.get(path).text


def test_cancelling_and_taking_it_back(browser):
    assert "Cancelled" in change(browser, "cancel")
    assert "The whole campaign</b> is cancelled" in browser.get(PAGE).text
    assert "It goes on" in change(browser, "resume")


def test_priority_is_a_number(browser, address):
    assert "have priority 70" in change(browser, "priority", priority="70")
    refused = change(browser, "priority", priority="soon")
    assert "The priority is" in refused
    with connect(address, read_only=True) as connection:
        query = {"spec._priority": 70}
        assert connection.launchpad.fireworks.count_documents(query) > 0


def test_a_change_leads_back_to_a_page_of_ours_only(browser):
    data = {"verb": "resume", "word": word_in(browser)}
    change(browser, "pause")
    for back in ("//evil.example", "https://evil.example", "/\\evil.example"):
        answer = browser.post(f"{PAGE}/change", data=data | {"back": back}, follow_redirects=False)
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/campaigns/small?")
        change(browser, "pause")
    change(browser, "resume")


@pytest.mark.parametrize(
    "fields",
    [{"verb": "drop"}, {"verb": "pause", "candidate": "x"}, {"verb": "pause", "stage": "x"},
     {"verb": "rerun", "cause": "x"}],
    ids=str,
)  # fmt: skip
def test_a_change_of_what_is_not_there_is_refused(browser, fields):
    assert browser.get(f"{PAGE}/change", params=fields).status_code == 400


def test_a_failed_job_is_run_again(browser):
    assert "1 job is ready to run again" in change(browser, "rerun", cause="engine")
    assert "failed: engine" not in browser.get(PAGE).text


def test_results_are_found_as_on_the_command_line_and_downloaded(browser):
    text = browser.get("/results?kind=candidates&formula=CuAu%2F").text
    assert 'role="alert"' in text or "Nothing fits" in text
    assert "is no element" in browser.get("/results?elements=Xx").text
    assert "min sigma" in browser.get("/results?min_sigma=much").text
    table = browser.get("/results.csv?kind=candidates&elements=Au")
    assert table.headers["content-type"].startswith("text/csv")
    head, line = table.text.splitlines()
    assert {"candidate_id", "formula"} <= set(head.split(","))
    assert "Cu3Au" in line
    (record,) = browser.get("/results.jsonl?kind=candidates&without=Au").text.splitlines()
    assert '"formula": "Cu"' in record
    assert browser.get("/results.exe").status_code == 404


def test_the_site_is_shown_as_config_check_finds_it(browser):
    assert "vasp_cmd" in browser.get("/site").text


def test_a_finished_candidate_shows_its_curves_its_crystal_and_its_moves(kind, tmp_path, request):
    (tmp_path / "small.yaml").write_text(CAMPAIGN)
    address = address_of(kind, tmp_path, request)
    work_here(folder=tmp_path, submit="small.yaml", store=address)
    with connect(address, read_only=True) as connection:
        board = Board(connection, Settings(store=address), read_only=True)
        app = application(board, Keys(TOKEN), port=8400)
        with TestClient(app, base_url="http://localhost:8400") as browser:
            browser.get("/", params={"token": TOKEN})
            path = candidate_paths(browser.get(PAGE).text)[0]
            text = browser.get(path).text
            assert "Ledger of segments" in text
            curves = browser.get(f"{path}/curves.json").json()
            assert [run["temperature"] for run in curves["msd"]] == [300.0, 600.0]
            assert all(len(run["x"]) == len(run["y"]) > 3 for run in curves["msd"])
            grown = browser.get(f"{path}/growth.json").json()
            assert [run["label"] for run in grown] == ["300 K", "600 K"]
            # The last point of a run is what its analysis has stored.
            (stored,) = connection.results.find(Outcome, candidate=path.rpartition("/")[2])
            for run, found in zip(grown, stored.diffusivities, strict=True):
                last = run["points"][-1]
                assert (last["x"], last["upper"]) == (
                    found.equilibration + found.duration,
                    found.tracer.upper,
                )
            cell = browser.get(f"{path}/crystal.json").json()
            assert len(cell["positions"]) == len(cell["atoms"]) > 0
            runs = re.findall(rf"{path}/runs/\w+\.json", text)
            assert len(runs) == 2
            moves = browser.get(runs[0]).json()
            assert {len(frame) for frame in moves["frames"]} == {3 * len(moves["atoms"])}
            assert moves["between_ps"] > 0
            frames = browser.get(runs[0].replace(".json", ".extxyz"))
            assert "attachment" in frames.headers["content-disposition"]
            first, second, *_ = re.findall(r"time_ps=(\S+)", frames.text)
            assert float(second) - float(first) == pytest.approx(moves["between_ps"])
            assert "data_" in browser.get(f"{path}/crystal.cif").text
            assert browser.get(f"{path}/runs/none.json").status_code == 404


def test_what_others_change_in_the_store_is_seen(browser, address):
    board = browser.app.state.board
    before = board.versions()
    with connect(address) as connection:
        jobs = connection.launchpad.fireworks
        jobs.update_one({"state": "READY"}, {"$set": {"state": "PAUSED"}})
        deadline = time.monotonic() + 60
        while board.versions() == before and time.monotonic() < deadline:
            board.look()
            time.sleep(0.05)
        jobs.update_one({"state": "PAUSED"}, {"$set": {"state": "READY"}})
    assert board.versions() != before


def test_everything_was_read_before_the_server_answers(serve):
    """Whoever opens the printed address at once does not wait for the first look at the store."""
    assert serve(signed_in=False).app.state.board.versions()
