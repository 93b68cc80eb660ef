"""Who is let in, and what other sites and machines cannot do."""

import re

import pytest

from ssefw.serve.guard import Keys
from tests.serve.conftest import TOKEN

PAGE = "/campaigns/small"
PAUSE = {"verb": "pause", "back": PAGE}
ELSEWHERE = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:9999"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


def word_in(browser):
    """Return the word that a form of the server carries."""
    text = browser.get(f"{PAGE}/change", params=PAUSE).text
    return re.search(r'name="word" value="(\w+)"', text)[1]


def holds(browser):
    return browser.app.state.board.view("small").now.holds


@pytest.fixture
def stranger(serve):
    return serve(signed_in=False)


def test_nobody_sees_a_page_without_the_token(stranger):
    assert stranger.get(PAGE).url.path == "/login"
    plain = {"accept": "application/json"}
    for path in (PAGE, "/", "/events", f"{PAGE}/jobs", f"{PAGE}/jobs/1/log"):
        answer = stranger.get(path, headers=plain)
        assert answer.status_code == 401
        assert "small" not in answer.text


def test_a_wrong_token_lets_nobody_in(stranger):
    answer = stranger.get("/", params={"token": f"{TOKEN}x"})
    assert "That is not the token" in answer.text
    assert stranger.post("/login", data={"token": "é" * 10}).url.path == "/login"
    assert not stranger.cookies


def test_the_token_opens_the_page_and_stands_in_no_address_after(stranger):
    answer = stranger.get("/", params={"token": TOKEN})
    assert answer.status_code == 200
    assert TOKEN not in str(answer.url)
    assert TOKEN not in answer.text
    (cookie,) = stranger.cookies.jar
    assert cookie.name == "ssefw-8400"
    assert TOKEN not in cookie.value
    assert "HttpOnly" in cookie._rest


def test_a_token_that_is_typed_opens_it_too(stranger):
    assert stranger.post("/login", data={"token": f" {TOKEN} "}).url.path == PAGE


def test_a_link_with_a_token_leads_to_no_other_server(stranger):
    answer = stranger.get(
        f"http://localhost:8400//evil.example/?token={TOKEN}", follow_redirects=False
    )
    assert answer.headers["location"].startswith("/evil.example")


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_another_site_changes_nothing(browser, headers):
    data = PAUSE | {"word": word_in(browser)}
    answer = browser.post(f"{PAGE}/change", data=data, headers=headers)
    assert answer.status_code == 403
    assert holds(browser) == ()


@pytest.mark.parametrize("word", [None, "", "x", "é"])
def test_a_form_without_the_word_changes_nothing(browser, word):
    data = PAUSE if word is None else PAUSE | {"word": word}
    assert browser.post(f"{PAGE}/change", data=data).status_code == 403
    assert holds(browser) == ()


def test_a_form_that_is_too_large_changes_nothing(browser):
    data = PAUSE | {"word": word_in(browser), "candidate": "x" * 100_000}
    assert browser.post(f"{PAGE}/change", data=data).status_code == 403


def test_a_name_that_is_not_ours_is_not_answered(browser):
    for host in ("evil.example", "localhost.evil.example", "evil.example:8400", "127.0.0.1.nip.io"):
        assert browser.get(PAGE, headers={"host": host}).status_code == 421
    assert browser.get(PAGE, headers={"host": "[::1]:8400"}).status_code == 200


def test_a_read_only_server_offers_and_makes_no_change(browser, serve):
    shown = serve(read_only=True)
    text = shown.get(PAGE).text
    assert "read-only" in text
    assert "Run again" not in text
    assert "Run again" in browser.get(PAGE).text
    answer = shown.post(f"{PAGE}/change", data=PAUSE | {"word": word_in(browser)})
    assert answer.status_code == 403
    assert "--read-only" in answer.text


def test_pages_run_no_script_but_their_own_and_are_not_kept(browser):
    headers = browser.get(PAGE).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_a_server_that_is_started_again_with_its_token_knows_its_browsers():
    assert Keys(TOKEN).session == Keys(TOKEN).session
    assert Keys().session != Keys().session
    assert Keys(TOKEN).session != Keys(TOKEN).word
