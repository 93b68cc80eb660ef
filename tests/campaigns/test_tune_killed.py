"""A campaign whose potential is tuned to its engine, killed in every part of that loop."""

import pytest

from ssefw.documents import Labels, LearnedPotential
from ssefw.store import connect
from tests.campaigns.killing import killed_at_each, results
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


def one_more(folder, moment):
    before = there(folder, moment)
    return lambda: there(folder, moment) > before


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
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    work_here(submit="c.yaml", folder=whole, env=make(whole))
    environment = make(pieces)
    moments = (one_more(pieces, moment) for moment in MOMENTS)
    killed = killed_at_each(moments, pieces, environment, pause=0.1)
    assert killed >= 5  # what is short may be over within a pause, or before it is seen
    (expected, expected_frames), (same, frames) = found(whole), found(pieces)
    for one, other in zip(same, expected, strict=True):
        assert one == other
    assert frames.keys() == expected_frames.keys()
    for key, positions in expected_frames.items():
        assert (frames[key] == positions).all()
    # A kill costs the label that was being computed, and no other.
    assert evaluations(pieces) <= evaluations(whole) + killed
