"""Structures are fetched page by page from what speaks OPTIMADE, and a stopped fetch goes on."""

import json
import os
import signal
import socket
import subprocess
import sys
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


KILLED = """
import os, signal, sys
from pathlib import Path
from ssefw.data.optimade import Question, fetch_structures

def tell(rows, total):
    if rows >= 4:
        os.kill(os.getpid(), signal.SIGKILL)

fetch_structures(Question(*sys.argv[1:3]), Path(sys.argv[3]), page=2, tell=tell)
"""


def served(number):
    """An entry as the file of a provider has it, with the fields that filters ask for."""
    crystal = salt(5.0 + number / 10)
    if number == 6:
        crystal.replace_species({"Li": {"Li": 0.5, "Na": 0.3}})
    symbols = sorted(element.symbol for element in crystal.composition.elements)
    fields = {
        "elements": symbols,
        "nelements": len(symbols),
        "nsites": len(crystal),
        "nperiodic_dimensions": 3,
        "structure_features": ["disorder"] if number == 6 else [],
    }
    own = attributes(crystal) | fields
    own["band_gap"] = own.pop("_x_band_gap")  # the server puts the provider's prefix before it
    return {"type": "structures", "id": f"x-{number}", "attributes": own}


SERVED = (
    {"x-optimade": {"meta": {"api_version": "1.2.0"}}},
    {"type": "info", "id": "structures", "properties": {}},
    *(served(number) for number in range(7)),
)


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    """The address of a server of optimade-python-tools with seven salts, one of them disordered."""
    python = os.environ.get("SSEFW_TEST_OPTIMADE_PYTHON")
    if not python:
        if os.environ.get("SSEFW_TEST_REQUIRE"):
            pytest.fail("SSEFW_TEST_OPTIMADE_PYTHON names no Python with optimade[server]")
        # An environment of its own: the wheel holds a package `tests`, which would hide this one.
        pytest.skip(
            "SSEFW_TEST_OPTIMADE_PYTHON names no Python with `pip install 'optimade[server]'`"
        )
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [python, "-m", "uvicorn", "optimade.server.main:app", "--port", str(port)]
    (folder / "salts.jsonl").write_text("\n".join(map(json.dumps, SERVED)))
    config = {
        "OPTIMADE_DATABASE_BACKEND": "mongomock",
        "OPTIMADE_INSERT_FROM_JSONL": str(folder / "salts.jsonl"),
        "OPTIMADE_INSERT_TEST_DATA": "false",
        "OPTIMADE_PROVIDER": json.dumps({"prefix": "x", "name": "Salts", "description": "Salts"}),
        "OPTIMADE_PROVIDER_FIELDS": json.dumps({"structures": ["band_gap"]}),
        "OPTIMADE_PAGE_LIMIT_MAX": "3",
    }
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            serve, cwd=folder, env=os.environ | config, stdout=log, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urlopen(f"{url}/v1/info", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "server.log").read_text()
                time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(60)


@pytest.mark.slow
def test_the_server_of_optimade_python_tools_is_understood(real_server, ssefw, tmp_path):
    out = tmp_path / "pool.jsonl"
    asked = ("--filter", 'elements HAS "Li"', "--property", "band_gap=_x_band_gap.pbe")
    done = ssefw("pool", "fetch", "optimade", real_server, *asked, "--page", 3, "-o", out, "--json")
    assert json.loads(done.stdout) == {"pool": str(out), "structures": 7, "left_out": 0}
    pool = read_pool(out, merge=False)
    assert [one.source for one in pool.candidates] == [f"x-{n}" for n in range(7)]
    for number, one in enumerate(pool.candidates[:6]):
        assert one.structure.matches(salt(5.0 + number / 10))
        assert one.properties["band_gap"] == pytest.approx(5 + one.structure.volume / 1e3)
    assert pool.candidates[6].structure[0].species.as_dict() == {"Li": 0.5, "Na": 0.3}
    refused = ssefw(
        "pool", "fetch", "optimade", real_server, "--filter", "x = = y", "-o", out, check=False
    )
    assert refused.returncode == 1
    assert "refuses" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_a_fetch_killed_at_a_real_server_goes_on_to_the_same_pool(real_server, tmp_path):
    question = Question(real_server, 'elements HAS "Li"')
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    fetch_structures(question, whole, page=2)
    words = [question.provider, question.condition, str(stopped)]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not stopped.exists()
    begun = (tmp_path / "stopped.jsonl.part").read_text().count("\n")
    assert 4 <= begun < whole.read_text().count("\n")
    fetch_structures(question, stopped, page=2)
    assert stopped.read_text() == whole.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"whole.jsonl", "stopped.jsonl"}
