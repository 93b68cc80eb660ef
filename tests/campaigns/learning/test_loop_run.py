"""A closed loop from its file to its report, in the processes a user would start."""

import json
import shutil
import time

import numpy as np
import pytest

from ssefw.campaigns.learning.feedback import ingest
from ssefw.documents import LabelSet, Outcome, Reranking
from ssefw.errors import StoreError
from ssefw.store import connect
from tests.campaigns.fleet import assert_complete_and_computed_once
from tests.campaigns.killing import kill_9, results
from tests.conftest import CAMPAIGN, run_ssefw, start_ssefw

FEEDBACK = """\
feedback:
  batch: 1
  settings: {n_splits: 2, members: [dt]}
"""


@pytest.fixture(scope="module")
def finished_loop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loop")
    text = CAMPAIGN.replace("[300, 600]", "[300]").replace("length: 1.0", "length: 0.4")
    (folder / "small.yaml").write_text(text + FEEDBACK)
    done = run_ssefw("run", "small.yaml", "--store", "st", "--workers", 1, folder=folder)
    return folder, done


def test_batches_run_one_after_the_other_until_nobody_is_left(finished_loop):
    folder, done = finished_loop
    assert done.stderr.count("0 hits so far; next ") == 2
    assert "The loop ends: no candidate is left" in done.stderr
    assert "2 of 2 candidates concluded" in done.stderr
    with connect(folder / "st", read_only=True) as connection:
        assert connection.results.count(Outcome) == 2


def n_outcomes(store):
    try:
        with connect(store, read_only=True) as connection:
            return connection.results.count(Outcome)
    except StoreError:  # it is being made
        return 0


def learned(store):
    """Return hashes of labels and rankings, and of the labels if the potential were a known one."""
    with connect(store) as connection:
        sets = {labels.version for labels in connection.results.find(LabelSet)}
        rankings = [item.ranking_after for item in connection.results.find(Reranking)]
        found = ingest(connection, specie="Cu", methods={"EMT": "mlip"})
    return sets, rankings, found.labels.version


@pytest.mark.slow
def test_a_loop_killed_as_a_whole_goes_on_and_does_nothing_twice(finished_loop, tmp_path):
    """kill -9 of all its processes about when the first batch has concluded."""
    undisturbed, _ = finished_loop
    folder = tmp_path / "c"
    folder.mkdir()
    shutil.copy(undisturbed / "small.yaml", folder)
    store = folder / "st"
    process = start_ssefw("run", "small.yaml", "--store", "st", "--workers", 1, folder=folder)
    while process.poll() is None and not n_outcomes(store):
        time.sleep(0.1)
    kill_9(process, folder, workers_too=True)
    done = run_ssefw("resume", "small", "--store", "st", "--workers", 1, folder=folder)
    assert "The loop ends: no candidate is left" in done.stderr

    outcomes, _, frames, counts = results(folder)
    expected, _, expected_frames, expected_counts = results(undisturbed)
    assert (outcomes, counts) == (expected, expected_counts)
    for key, positions in expected_frames.items():
        np.testing.assert_array_equal(frames[key], positions)
    assert_complete_and_computed_once(store, 2)
    assert learned(store) == learned(undisturbed / "st")


def test_outcomes_of_a_toy_potential_teach_nothing_and_it_says_so(finished_loop):
    folder, _ = finished_loop
    with connect(folder / "st", read_only=True) as connection:
        last = list(connection.results.find(Reranking))[-1]
    assert last.new_labels == ()
    assert last.labels_before == last.labels_after
    page = (folder / "st/small/report.html").read_text()
    assert "Ranking before and after" in page
    assert "no known level of theory" in page


def test_resuming_a_loop_that_is_over_computes_nothing(finished_loop):
    folder, _ = finished_loop
    again = run_ssefw("resume", "small", "--store", "st", folder=folder)
    assert "The loop ends" in again.stderr


def test_the_story_of_a_candidate_has_its_places_in_rankings(finished_loop, ssefw):
    folder, _ = finished_loop
    story = json.loads(ssefw("results", "show", "Cu", "--json", "--store", folder / "st").stdout)
    assert story["rankings"][-1]["after"] in {1, 2}
    assert story["trajectories"][0]["segments"]
    assert story["planned"]["formula"] == "Cu"


def test_frames_are_exported_with_forces_of_a_calculator(finished_loop, ssefw, tmp_path):
    import ase.io

    folder, _ = finished_loop
    done = ssefw(
        "results", "export", "Cu", "--store", folder / "st", "-o", tmp_path / "out", "--frames",
        "--stride", 10, "--calculator", "ase.calculators.emt.EMT",
    )  # fmt: skip
    written = done.stdout.split()
    assert sum(name.endswith(".cif") for name in written) == 1
    frames = ase.io.read(next(name for name in written if name.endswith(".extxyz")), ":")
    assert len(frames) == 3  # 20, 30 and 40; equilibration ends with frame 20
    from ase.calculators.emt import EMT

    stored = frames[0].get_forces()
    frames[0].calc = EMT()
    assert abs(frames[0].get_forces() - stored).max() < 1e-5
    assert frames[0].info["level_of_theory"] == "EMT"


def test_energies_of_exported_frames_are_those_of_the_run(finished_loop, ssefw, tmp_path):
    import ase.io
    from ase.calculators.emt import EMT

    folder, _ = finished_loop
    done = ssefw(
        "results", "export", "Cu", "--store", folder / "st", "-o", tmp_path / "out", "--frames",
        "--no-structures", "--decorrelated",
    )  # fmt: skip
    frame = ase.io.read(done.stdout.split()[0], 0)
    stored = frame.get_potential_energy()
    frame.calc = EMT()
    assert abs(frame.get_potential_energy() - stored) < 1e-3


def test_the_frames_that_potentials_disagree_on_are_exported(finished_loop, ssefw, tmp_path):
    """EMT against a potential that is another one only where atoms are close."""
    import ase.io
    import numpy as np
    from ase.calculators.emt import EMT
    from ase.calculators.morse import MorsePotential

    folder, _ = finished_loop
    export = ("results", "export", "Cu", "--store", folder / "st", "--no-structures", "-o")
    members = ("ase.calculators.emt.EMT", "ase.calculators.morse.MorsePotential")
    committee = [word for path in members for word in ("--committee", path)]
    done = ssefw(*export, tmp_path / "some", "--frames", 2, "--select", "uncertain", *committee)
    all_ = ssefw(*export, tmp_path / "all", "--frames", 1000, *committee)
    assert "decorrelated frames, not 1000" in all_.stderr
    (path,), (whole,) = done.stdout.split(), all_.stdout.split()
    assert path.endswith("-uncertain.extxyz")
    chosen, pool = ase.io.read(path, ":"), ase.io.read(whole, ":")
    assert len(chosen) == min(2, len(pool))
    said = [frame.info["force_deviation"] for frame in pool]
    assert said == sorted(said, reverse=True)
    assert [frame.info["frame"] for frame in chosen] == [f.info["frame"] for f in pool[:2]]
    for frame, deviation in zip(pool, said, strict=True):
        energy, forces, stress = (
            frame.get_potential_energy(), frame.get_forces(), frame.get_stress()
        )  # fmt: skip
        assert frame.info["level_of_theory"] == "EMT"
        frame.calc = EMT()
        assert abs(frame.get_potential_energy() - energy) < 1e-6
        assert abs(frame.get_forces() - forces).max() < 1e-6
        assert abs(frame.get_stress() - stress).max() < 1e-6
        frame.calc = MorsePotential()
        half = np.linalg.norm(frame.get_forces() - forces, axis=1).max() / 2
        assert deviation == pytest.approx(half, rel=1e-4)


def test_diverse_frames_have_forces_of_the_default_potential(finished_loop, ssefw, tmp_path):
    import ase.io

    folder, _ = finished_loop
    done = ssefw(
        "results", "export", "Cu", "--store", folder / "st", "-o", tmp_path / "out", "--frames", 3,
        "--select", "diverse", "--no-structures",
    )  # fmt: skip
    frames = ase.io.read(done.stdout.split()[0], ":")
    assert frames[0].info["distance"] == 0.0
    assert len({frame.info["frame"] for frame in frames}) == len(frames)
    assert all(frame.info["level_of_theory"] == "sevennet-l3i5" for frame in frames)
    assert all(frame.get_forces().shape == (len(frame), 3) for frame in frames)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--frames", "Cu"), "must be a whole number"),
        (("--frames", "0"), "at least 1"),
        (("--frames", "--select", "diverse"), "need --frames with a number"),
        (("--frames", "2", "--stride", "5"), "leave out stride"),
        (("--frames", "2", "--committee", "ase.calculators.emt.EMT"), "cannot disagree"),
        (("--frames", "2", "--select", "diverse", "--committee", "x.Y"), "without a committee"),
    ],
)
def test_frames_that_cannot_be_chosen_so_are_refused(finished_loop, ssefw, tmp_path, options, said):
    folder, _ = finished_loop
    done = ssefw(
        "results", "export", "Cu", "--store", folder / "st", "-o", tmp_path, *options, check=False
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
