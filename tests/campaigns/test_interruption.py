"""A campaign that is killed again and again ends as if nothing had happened."""

import os
import random
import re
import signal
import time

import numpy as np
import pytest

from ssefw.store import connect
from tests.campaigns.killing import kill_9, prepare, results, session, start, worker_pids
from tests.conftest import run_ssefw

pytestmark = pytest.mark.slow

STEPS_PER_CHUNK = 50


def evaluations(folder):
    return len((folder / "evaluations").read_text().splitlines())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "c"
    environment = prepare(folder, min_length=3)
    run_ssefw("run", "small.yaml", "--store", "st", folder=folder, env=environment)
    return folder


def kill_at_random(folder, environment, rng, *, workers_too):
    """Start (or go on with) a campaign and kill -9 it at a random moment of its work."""
    process = start(folder, environment, "run", "small.yaml", "--workers", "2")
    before = evaluations(folder) if (folder / "evaluations").exists() else 0
    goal = before + rng.randint(20, 500)  # in work done, since a busy machine makes time vary
    while process.poll() is None:
        done = evaluations(folder) if (folder / "evaluations").exists() else 0
        if done >= goal:
            break
        time.sleep(0.02)
    return kill_9(process, folder, workers_too=workers_too)


@pytest.mark.parametrize("workers_too", [False, True], ids=["parent", "parent-and-workers"])
def test_five_kills_leave_the_same_results(undisturbed, tmp_path, workers_too):
    folder = tmp_path / "c"
    environment = prepare(folder, min_length=3)
    rng = random.Random(7)
    killed = [kill_at_random(folder, environment, rng, workers_too=workers_too) for _ in range(5)]
    assert sum(killed) >= 3, "the campaign ended before it was killed"
    run_ssefw("resume", "--store", "st", folder=folder, env=environment)

    outcomes, ledgers, frames, counts = results(folder)
    expected, _, expected_frames, expected_counts = results(undisturbed)
    assert counts == expected_counts
    assert outcomes == expected
    for key, positions in expected_frames.items():
        np.testing.assert_array_equal(frames[key], positions)
    assert all(ledger.is_complete for ledger in ledgers)
    if workers_too:
        assert any(s.end_reason == "killed" for ledger in ledgers for s in ledger.segments)

    # Each kill costs at most one chunk, the evaluation that starts a segment, or one relaxation.
    relaxation = 60
    lost = sum(killed) * (STEPS_PER_CHUNK + 1 + relaxation)
    assert evaluations(folder) <= evaluations(undisturbed) + lost


def test_kills_of_workers_and_of_their_server_leave_the_same_results(tmp_path):
    seed = int(os.environ.get("SSEFW_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"SSEFW_TEST_SEED={seed}")  # noqa: T201 - pytest shows it where the test fails
    with session(tmp_path, seed=seed, on_server=True) as killing:
        killing.go_on(3)


def test_a_worker_that_is_told_to_stop_leaves_the_rest_ready(tmp_path):
    folder = tmp_path / "c"
    environment = prepare(folder)
    run_ssefw("submit", "small.yaml", "--store", "st", folder=folder, env=environment)
    worker = start(folder, environment, "work")
    while worker.poll() is None and not list(folder.glob("st/scratch/runs/*/chunk-*")):
        time.sleep(0.02)
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert re.search(r"\d+ jobs? run", said)
    with connect(folder / "st", read_only=True) as connection:
        states = connection.launchpad.fireworks.distinct("state")
    assert "RUNNING" not in states
    assert "FIZZLED" not in states
    ledgers = [path.read_text() for path in folder.glob("st/blobs/trajectories/*/ledger.json")]
    assert len(ledgers) == 1
    assert '"preempted"' in ledgers[0]


def test_ctrl_c_stops_at_a_chunk_says_how_to_go_on_and_resume_does(tmp_path):
    folder = tmp_path / "c"
    environment = prepare(folder)
    process = start(folder, environment, "run", "small.yaml")
    while process.poll() is None and not list(folder.glob("st/scratch/runs/*/chunk-*")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "`ssefw resume small --store st` goes on" in said
    assert not worker_pids(folder)

    run_ssefw("resume", "--store", "st", folder=folder, env=environment)
    _, ledgers, _, (n_outcomes, _, _) = results(folder)
    assert n_outcomes == 2
    assert any(s.end_reason == "preempted" for ledger in ledgers for s in ledger.segments)


def test_a_worker_whose_allocation_is_over_takes_no_job(tmp_path):
    folder = tmp_path / "c"
    environment = prepare(folder) | {"SSEFW_END_TIME": str(time.time() + 30)}
    run_ssefw("submit", "small.yaml", "--store", "st", folder=folder, env=environment)
    done = run_ssefw("work", "--store", "st", folder=folder, env=environment)
    assert "0 jobs run" in done.stderr
