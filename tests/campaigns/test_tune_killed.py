"""A campaign whose potential is tuned to its engine, killed in every part of that loop."""

import random
import time

import pytest

from ssefw.documents import Labels, LearnedPotential
from ssefw.store import connect
from tests.campaigns.killing import kill_9, results, start
from tests.conftest import REPOSITORY, work_here
from tests.makers.test_tune import CAMPAIGN
from tests.makers.test_tune import make as prepare

RUNS = "st/scratch/runs"
# What has just appeared when it is killed, generation by generation.
MOMENTS = (
    f"{RUNS}/explore-*/runs/*/chunk-*",
    "evaluations of labels",
    f"{RUNS}/tune-*/fits/learned.npz",
    f"{RUNS}/tune-*/fits/correction-*-00.nep",
    f"{RUNS}/explore-*/runs/*/chunk-*",
    "evaluations of labels",
    f"{RUNS}/tune-*/fits/correction-*-01.nep",
    f"{RUNS}/*/chunk-*",
)


def evaluations(folder):
    file = folder / "evaluations"
    return len(file.read_text().splitlines()) if file.exists() else 0


def there(folder, moment):
    """Return what there is of a moment's kind, which grows when it comes."""
    if moment == "evaluations of labels":
        # Relaxation is over when frames are explored.
        is_learning = any(folder.glob(f"{RUNS}/explore-*")) or any(folder.glob("potentials/*"))
        return set(range(evaluations(folder))) if is_learning else set()
    return set(folder.glob(moment))


def found(folder):
    """Return outcomes, frames and counts without what a clock told, and what was learned."""
    outcomes, _, frames, counts = results(folder)
    for outcome in outcomes.values():
        for gate in outcome["gates"]:
            if gate["name"] == "learn":
                gate["numbers"] = {k: v for k, v in gate["numbers"].items() if "hours" not in k}
                gate["message"] = gate["message"].partition(" generations")[0]
    with connect(folder / "st", read_only=True) as connection:
        (potential,) = connection.results.find(LearnedPotential)
        packs = sorted(pack.keys for pack in connection.results.find(Labels))
        stages = sorted(connection.blobs.keys("stages/"))
        weights = sorted(connection.blobs.keys("potentials/"))
    hashes = [one.potential for one in potential.rounds]
    return (outcomes, counts, packs, stages, weights, hashes), frames


def make(folder):
    folder.mkdir()
    environment = prepare(folder, CAMPAIGN)
    return environment | {
        "EVALUATIONS": str(folder / "evaluations"),
        "PYTHONPATH": str(REPOSITORY),
    }


@pytest.mark.slow
def test_killed_in_every_part_it_ends_with_the_same_potentials_and_outcome(tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - told where the test fails
    rng = random.Random(seed)
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    work_here(submit="c.yaml", folder=whole, env=make(whole))
    environment = make(pieces)
    command = ("run", "c.yaml", "--workers", "1")
    killed = 0
    for moment in MOMENTS:
        before = there(pieces, moment)
        process = start(pieces, environment, *command)
        while process.poll() is None and there(pieces, moment) <= before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.1))
        killed += process.poll() is None
        kill_9(process, pieces, workers_too=True)
    assert killed >= 5  # what is short may be over within a pause, or before it is seen
    last = start(pieces, environment, *command)
    with last.stderr:
        said = last.stderr.read()
    assert last.wait() == 0, said
    (expected, expected_frames), (same, frames) = found(whole), found(pieces)
    for one, other in zip(same, expected, strict=True):
        assert one == other
    assert frames.keys() == expected_frames.keys()
    for key, positions in expected_frames.items():
        assert (frames[key] == positions).all()
    # A kill costs the label that was being computed, and no other.
    assert evaluations(pieces) <= evaluations(whole) + killed
