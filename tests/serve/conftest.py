"""A store with a campaign whose names are out to do harm, and its pages without a server."""

import uuid

import pytest
from starlette.testclient import TestClient

from ssefw.serve.app import application
from ssefw.serve.board import Board
from ssefw.serve.guard import Keys
from ssefw.settings import Settings
from ssefw.store import connect
from tests.conftest import CAMPAIGN, call_ssefw
from tests.job_states import fail

SCRIPT = "<script>alert(1)</script>"
TOKEN = "a-token-that-nobody-guesses"


def address_of(kind, folder, request):
    """Return the address of a new store, in a folder or on a server."""
    if kind == "folder":
        return str(folder / "st")
    uri = request.getfixturevalue("mongo")
    return f"{uri}/serve{uuid.uuid4().hex}?blobs={folder}/blobs"


@pytest.fixture(scope="module")
def kind():
    """Where the store is: in a folder, or on a server."""
    return "folder"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which jobs of the store have run."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def address(kind, folder, request):
    """A store with a campaign: of two candidates one has a failed job, the other waits."""
    address = address_of(kind, folder, request)
    text = CAMPAIGN.replace("name: copper\n", f'name: "{SCRIPT}"\n')
    (folder / "c.yaml").write_text(text)
    assert call_ssefw("submit", "c.yaml", "--store", address, folder=folder) == 0
    with connect(address) as connection:
        run = fail(connection, folder)
    (run / "OUTCAR").write_text(f"{SCRIPT}\nthe end\n")
    return address


@pytest.fixture(scope="module")
def serve(address, folder):
    """Return a browser of the pages: signed in or not, of a server that may be read-only."""
    open_ones = []

    def start(*, signed_in=True, read_only=False):
        connection = connect(address, read_only=read_only)
        settings = Settings(store=address, scratch=folder / "scratch")
        board = Board(connection, settings, read_only=read_only)
        app = application(board, Keys(TOKEN), port=8400)
        browser = TestClient(app, base_url="http://localhost:8400", headers={"accept": "text/html"})
        browser.__enter__()
        open_ones.append((browser, connection))
        if signed_in:
            browser.get("/", params={"token": TOKEN})
        return browser

    yield start
    for browser, connection in open_ones:
        browser.__exit__(None, None, None)
        connection.close()


@pytest.fixture(scope="module")
def browser(serve):
    """A browser that is signed in."""
    return serve()
