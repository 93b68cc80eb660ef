"""Large pools as jobs: the same answers as at once, and killed jobs go on."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from pymatgen.core import Structure

from ssefw.campaigns.running.batches import prepare_batches
from ssefw.errors import DataError
from ssefw.makers import batches as makers
from ssefw.makers.batches import BarrierBatchMaker
from ssefw.screening.base import make_screener, save_screener
from ssefw.store import connect
from tests.conftest import call_ssefw, work_here
from tests.screening.conftest import sulfides_and_oxides


def rows(number):
    """Ten formulas, then crystals of salt of different sizes; two rows are no good."""
    found = [{"formula": f"Li3{m}{x}4", "id": f"mp-{n}"} for n, (m, x) in enumerate(
        [("Cr", "O"), ("Sn", "S"), ("Sb", "S"), ("Fe", "O"), ("V", "S")])]  # fmt: skip
    found += [{"formula": "NaCl", "id": "no-lithium"}, {"formula": "Zz"}]
    for n in range(number):
        edges = (5.0 + 0.001 * n) * (1 - np.eye(3)) / 2
        salt = Structure(edges, ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        found.append({"structure": salt.as_dict(), "icsd_id": 1000 + n, "band_gap": 1.0 * n})
    return found


@pytest.fixture
def pool(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join(json.dumps(row, default=float) for row in rows(4)) + "\n")
    return path


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "toy.model"
    screener = make_screener("composition", {"n_splits": 2, "members": ["dt", "nb"]})
    save_screener(screener.fit(sulfides_and_oxides()), path)
    return path


def said(capsys, *arguments, folder):
    capsys.readouterr()
    assert call_ssefw(*arguments, folder=folder) == 0
    return capsys.readouterr()


def test_a_ranking_by_jobs_is_that_made_at_once(pool, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(makers, "PART", 3)
    asked = ("screen", "rank", pool, "--model", model, "--top", 6, "--json")
    submit = (*asked, "--submit", "--store", tmp_path / "st")
    first = json.loads(said(capsys, *submit, folder=tmp_path).out)
    assert (first["batches"], first["done"], first["added"]) == (1, 0, 1)
    assert json.loads(said(capsys, *submit, folder=tmp_path).out)["added"] == 0
    work_here(folder=tmp_path)
    at_once = said(capsys, *asked, "-o", tmp_path / "one.json", folder=tmp_path)
    by_jobs = said(capsys, *submit, "-o", tmp_path / "two.json", folder=tmp_path)
    assert by_jobs.out == at_once.out
    assert by_jobs.err.endswith(at_once.err)
    assert len(at_once.out.splitlines()) == 6
    pools = [json.loads((tmp_path / f"{name}.json").read_text())["pool"] for name in ("one", "two")]
    assert pools[0] == pools[1]
    status = json.loads(said(capsys, "status", "--json", "--store", "st", folder=tmp_path).out)
    assert (status["campaign"], status["done"]) == (first["campaign"], True)
    assert status["candidates"] == status["concluded"] == 1
    other = said(capsys, *submit, "--threshold", "1e-3", folder=tmp_path)  # a question of its own
    assert json.loads(other.out)["campaign"] != first["campaign"]


def test_a_preset_is_asked_by_the_jobs(pool, model, tmp_path, capsys):
    asked = ("screen", "rank", pool, "--model", model, "--preset", "mchaffie2025", "--json")
    submit = (*asked, "--submit", "--store", tmp_path / "st")
    said(capsys, *submit, folder=tmp_path)
    work_here(folder=tmp_path)
    assert said(capsys, *submit, folder=tmp_path).out == said(capsys, *asked, folder=tmp_path).out


def test_barriers_by_jobs_are_those_computed_at_once(pool, tmp_path, capsys):
    asked = ("bvse", pool, "--resolution", 0.5, "--json", "--workers", 1)
    submit = (*asked, "--submit", "--store", tmp_path / "st")
    assert json.loads(said(capsys, *submit, folder=tmp_path).out)["added"] == 1
    work_here(folder=tmp_path)
    one, two = (
        {
            row["name"]: row
            for row in map(json.loads, said(capsys, *a, folder=tmp_path).out.splitlines())
        }
        for a in (asked, submit)
    )
    assert set(one) < set(two)  # rows without a crystal are told of by the jobs, too
    assert "1003" in one
    for name, row in one.items():
        assert two[name]["barrier_3d_ev"] == row["barrier_3d_ev"]
    assert all(two[name]["reason"] for name in set(two) - set(one))


def test_rows_of_files_and_tables_are_batches_too(tmp_path, model, capsys):
    table = tmp_path / "pool.csv"
    table.write_text("mp_id,formula,band_gap\nmp-7,Li3SnS4,2\nmp-8,Li3CrO4,1\nmp-7,Li2S,3\n")
    submit = ("screen", "rank", table, "--model", model, "--submit", "--store", tmp_path / "st")
    said(capsys, *submit, folder=tmp_path)
    work_here(folder=tmp_path)
    done = said(capsys, *submit, "--json", folder=tmp_path)
    assert [json.loads(line)["source"] for line in done.out.splitlines()] == ["mp-7", "mp-8"]
    assert "1 rows repeat the name" in done.err
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with connect(tmp_path / "st") as store, pytest.raises(DataError, match="no row"):
        prepare_batches(store, empty, BarrierBatchMaker(), names_differ=False)


@pytest.mark.slow
def test_a_killed_job_goes_on_after_the_last_part_that_it_kept(tmp_path, capsys):
    pool = tmp_path / "pool.jsonl"
    salts = [row for row in rows(130) if "structure" in row]
    pool.write_text("\n".join(json.dumps(row, default=float) for row in salts) + "\n")
    store = tmp_path / "st"
    submit = ("bvse", pool, "--resolution", 0.4, "--json", "--submit", "--store", store)
    said(capsys, *submit, folder=tmp_path)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SSEFW_")}
    environment |= {"OMP_NUM_THREADS": "1", "SSEFW_SETTINGS": str(tmp_path / "none.yaml")}
    worker = subprocess.Popen(
        [sys.executable, "-m", "ssefw", "work", "--store", str(store)],
        cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not kept(store):
        assert worker.poll() is None
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    first = kept(store)
    assert len(first) == 1
    work_here(folder=tmp_path)
    assert kept(store).items() > first.items()  # what was there was not computed again
    found = [json.loads(row) for row in said(capsys, *submit, folder=tmp_path).out.splitlines()]
    assert [row["name"] for row in found] == [str(1000 + n) for n in range(130)]
    assert all(row["status"] == "computed" for row in found)


def kept(store):
    """Return when each part that is there was written."""
    files = (store / "blobs").rglob("stages/*")
    return {file.name: file.stat().st_mtime_ns for file in files if file.is_file()}
