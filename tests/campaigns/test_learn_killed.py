"""A campaign that teaches a student, killed in every part of it."""

from functools import partial

import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.documents import LearnedPotential
from ssefw.store import connect
from tests.campaigns.killing import killed_at_each, results
from tests.campaigns.test_learn_campaign import CAMPAIGN
from tests.conftest import work_here
from tests.nep.conftest import alloy

# What has just appeared when it is killed, below the folder of runs: a chunk of the teacher's
# dynamics, its labels, a fit, a round of exploration with its labels, a chunk of the student's.
MOMENTS = (
    "learn-*/lesson/teacher-*/chunk-*",
    "learn-*/lesson/teacher.npz",
    "learn-*/lesson/student-00-0.nep",
    "learn-*/lesson/round-01.json",
    "learn-*/lesson/student-01-1.nep",
    "*/chunk-*",
)


def taught(folder):
    with connect(folder / "st", read_only=True) as connection:
        return [one.potential for one in connection.results.find(LearnedPotential)]


def has_come(folder, moment):
    return any(folder.glob(f"st/scratch/runs/{moment}"))


def make(folder):
    folder.mkdir()
    AseAtomsAdaptor.get_structure(alloy()).to(filename=str(folder / "alloy.cif"))
    (folder / "c.yaml").write_text(CAMPAIGN)
    return {"SSEFW_POTENTIALS": str(folder / "potentials")}


@pytest.mark.slow
def test_killed_in_every_part_it_ends_with_the_same_potential_and_outcome(tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    work_here(submit="c.yaml", folder=whole, env=make(whole))
    environment = make(pieces)
    moments = (partial(has_come, pieces, moment) for moment in MOMENTS)
    killed = killed_at_each(moments, pieces, environment, pause=0.3)
    assert killed >= len(MOMENTS) - 1  # the last chunks may be done within the pause
    assert taught(pieces) == taught(whole)
    outcomes, _, frames, counts = results(pieces)
    expected, _, expected_frames, expected_counts = results(whole)
    assert counts == expected_counts
    assert outcomes == expected
    assert frames.keys() == expected_frames.keys()
    for key, positions in expected_frames.items():
        assert (frames[key] == positions).all()
