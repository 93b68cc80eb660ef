"""Structures are fetched page by page from what speaks OPTIMADE, and a stopped fetch goes on."""

import json
import os
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data import read_pool
from ssefw.data.optimade import Question, fetch_structures, structure_of_entry
from ssefw.errors import DataError

QUESTION = 'elements HAS "Li"'


def salt(a, anion="Cl"):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", anion], [[0] * 3, [0.5] * 3])


def attributes(structure):
    """The same crystal in OPTIMADE's words."""
    kinds = {site.species_string: site.species for site in structure}
    return {
        "dimension_types": [1, 1, 1],
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "species_at_sites": [site.species_string for site in structure],
        "species": [
            {
                "name": name,
                "chemical_symbols": [e.symbol for e in kind.elements],
                "concentration": [kind[e] for e in kind.elements],
            }
            for name, kind in kinds.items()
        ],
        "_x_band_gap": {"pbe": 5.0 + structure.volume / 1e3},
        "last_modified": "2026-01-01T00:00:00Z",
    }


@contextmanager
def provider(entries, *, per_page=2, trouble=()):
    """Serve entries as OPTIMADE does; `trouble` are the answers that come before the right ones."""
    queue, asked = list(trouble), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            at = urlsplit(self.path)
            if at.path == "/v1/info":
                self.say(200, {"data": {"attributes": {"license": {"href": "https://cc.org/by"}}}})
            elif queue:
                code, body, headers = queue.pop(0)
                self.say(code, body, headers)
            else:
                first = int(parse_qs(at.query).get("page_offset", ["0"])[0])
                data = entries[first : first + per_page]
                more = f"/v1/structures?page_offset={first + per_page}"
                link = more if first + per_page < len(entries) else None
                meta = {"data_returned": len(entries)}
                self.say(200, {"data": data, "links": {"next": link}, "meta": meta})

        def say(self, code, body, headers=()):
            self.send_response(code)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


ENTRIES = [
    {"id": f"x-{n}", "type": "structures", "attributes": attributes(salt(5.0 + n / 10))}
    for n in range(5)
]
MOLECULE = {"id": "mol", "attributes": {**ENTRIES[0]["attributes"], "dimension_types": [0, 0, 0]}}
BUSY = (503, {}, [("Retry-After", "7")])


def test_a_fetched_pool_holds_the_crystals_with_ids_numbers_and_licence(tmp_path):
    out, waits, told = tmp_path / "pool.jsonl", [], []
    with provider([*ENTRIES, MOLECULE], trouble=[BUSY]) as (url, asked):
        found = fetch_structures(
            Question(url, QUESTION, {"band_gap": "_x_band_gap.pbe"}),
            out,
            tell=lambda *now: told.append(now),
            wait=waits.append,
        )
    assert found == (5, [("mol", "is not periodic in three dimensions")])
    assert waits == [7.0]
    assert told == [(2, 6), (4, 6), (5, 6)]
    assert "filter=elements+HAS+%22Li%22" in asked[1]
    pool = read_pool(out, merge=False).candidates
    assert [one.source for one in pool] == [f"x-{n}" for n in range(5)]
    assert pool[0].structure.matches(salt(5.0))
    assert pool[0].properties["band_gap"] == pytest.approx(5.125)
    assert pool[0].properties["license"] == "https://cc.org/by"
    assert pool[0].properties["reference"].endswith("/v1/structures/x-0")
    assert [file.name for file in tmp_path.iterdir()] == ["pool.jsonl"]


def test_a_fetch_that_was_stopped_goes_on_where_it_was(tmp_path):
    out = tmp_path / "pool.jsonl"

    class KilledError(Exception):
        pass

    def kill(rows, _total):
        if rows == 4:
            raise KilledError

    with provider(ENTRIES) as (url, asked):
        with pytest.raises(KilledError):
            fetch_structures(Question(url, QUESTION), out, tell=kill)
        assert not out.exists()
        with (tmp_path / "pool.jsonl.part").open("a") as file:
            file.write('{"id": "half of a r')
        with pytest.raises(DataError, match="another fetch"):
            fetch_structures(Question(url, 'elements HAS "Na"'), out)
        before = len(asked)
        assert fetch_structures(Question(url, QUESTION), out)[0] == 5
    assert asked[before:] == ["/v1/structures?page_offset=4"]
    assert len(read_pool(out, merge=False).candidates) == 5


def test_a_limit_ends_within_a_page(tmp_path):
    with provider(ENTRIES) as (url, asked):
        assert fetch_structures(Question(url, QUESTION), tmp_path / "p.jsonl", limit=3)[0] == 3
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ((400, {"errors": [{"detail": "no such field"}]}, ()), "refuses: no such field"),
        ((404, {}, ()), "HTTP 404"),
        ((200, {"hello": 1}, ()), "does not answer as OPTIMADE"),
        ((200, {"data": [], "links": {}}, ()), "no structure that"),
    ],
)
def test_what_a_provider_answers_wrongly_is_said_in_a_line(tmp_path, trouble, words):
    with provider(ENTRIES, trouble=[trouble]) as (url, _), pytest.raises(DataError, match=words):
        fetch_structures(Question(url, "x"), tmp_path / "p.jsonl")
    assert not (tmp_path / "p.jsonl").exists()


def test_a_page_of_another_kind_of_address_is_not_read(tmp_path):
    with pytest.raises(DataError, match="no address of a web server"):
        fetch_structures(Question("file:///etc", QUESTION), tmp_path / "p.jsonl")


def test_vacancies_and_shared_sites_are_occupancies():
    one = attributes(salt(5.0))
    one["species"][0] |= {
        "chemical_symbols": ["Li", "Na", "vacancy"],
        "concentration": [0.5, 0.2, 0.3],
    }
    found = structure_of_entry(one)
    assert found[0].species.as_dict() == {"Li": 0.5, "Na": 0.2}
    one["species"].pop()
    with pytest.raises(DataError, match="no OPTIMADE structure"):
        structure_of_entry(one)


@pytest.mark.slow
def test_the_server_of_optimade_python_tools_is_understood(tmp_path):
    python = os.environ.get("SSEFW_OPTIMADE_PYTHON")
    if not python:
        pytest.skip("SSEFW_OPTIMADE_PYTHON names no Python with `pip install 'optimade[server]'`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [python, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port)]
    config = {"OPTIMADE_DATABASE_BACKEND": "mongomock", "OPTIMADE_INSERT_TEST_DATA": "true"}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            serve, cwd=tmp_path, env=os.environ | config, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urlopen(f"{url}/v1/info", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "server.log").read_text()
                time.sleep(0.5)
        out = tmp_path / "pool.jsonl"
        number, left_out = fetch_structures(
            Question(url, "nelements>=2 AND nsites<40"), out, page=3
        )
        pool = read_pool(out, merge=False)
        assert number + len(left_out) > 6
        assert len(pool.candidates) == number
        assert not pool.rejects
    finally:
        server.terminate()
        server.wait(30)
