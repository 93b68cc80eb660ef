"""A lesson that begins with frames which somebody has."""

from dataclasses import replace

import pytest

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.lesson import given_frames
from ssefw.documents import Outcome, StaticResult
from ssefw.engines.students.frame_files import write_runs
from ssefw.makers.learn.given import difference, to_check
from ssefw.store import connect
from tests.conftest import call_ssefw, work_here
from tests.engines.tuning.test_tuning import CRYSTAL, labelled_run
from tests.makers.test_tune import CAMPAIGN, ENVIRONMENT, found_by, make

FROM = CAMPAIGN.replace("  frames: 16\n", "  frames_from: [frames.extxyz]\n")


@pytest.fixture(scope="module")
def run():
    return labelled_run(700.0, 5)


def labels_like(frames, *, scale=1.0, shift=0.0, tilt=0.0):
    return [
        StaticResult(
            structure=CRYSTAL,
            energy=frame.energy + shift + tilt * number,
            energy_per_atom=0.0,
            max_force=0.0,
            forces=(scale * frame.forces).tolist(),
            wall_time=0.0,
        )
        for number, frame in enumerate(frames)
    ]


def test_labels_of_the_same_level_agree_whatever_the_zero_of_energy(run):
    frames = to_check([run])
    assert frames == [run.frames[0], run.frames[14], run.frames[29]]
    assert not difference(frames, labels_like(frames, shift=-3000.0))


@pytest.mark.parametrize(
    ("other", "why"), [({"scale": 0.8}, "forces differ by"), ({"tilt": 0.5}, "energies differ by")]
)
def test_labels_of_another_level_are_told(run, other, why):
    frames = to_check([run])
    assert difference(frames, labels_like(frames, **other)).startswith(why)


def test_the_same_frames_have_the_same_key_and_paths_are_those_beside_the_file(run, tmp_path):
    make(tmp_path, FROM)
    write_runs(tmp_path / "frames.extxyz", [run])
    learn = read_campaign(tmp_path / "c.yaml").learn
    assert learn.frames_from == (str((tmp_path / "frames.extxyz").resolve()),)
    assert given_frames(learn) == given_frames(learn)


@pytest.mark.parametrize(
    ("campaign", "why"),
    [
        (FROM, "frames.extxyz is not there"),
        (FROM.replace("  base: tests.engines.tuning.test_tuning.Soft\n", ""), "a student learns"),
    ],
)
def test_what_cannot_begin_a_lesson_is_refused_by_the_plan(
    tmp_path, monkeypatch, capsys, campaign, why
):
    make(tmp_path, campaign)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert call_ssefw("plan", "c.yaml", folder=tmp_path) == 1
    said = capsys.readouterr().err
    assert why in said
    assert "learn.frames_from" in said


@pytest.mark.slow
def test_a_potential_begins_with_the_frames_and_few_are_asked_for(run, tmp_path):
    write_runs(tmp_path / "frames.extxyz", [run, labelled_run(700.0, 6)])
    _, _, potential, packs, _ = found_by(tmp_path, FROM)
    assert [len(pack.keys) for pack in packs if len(pack.keys) == 3]  # those that were compared
    assert potential.n_evaluations <= 3 + 5
    assert potential.rounds[0].labels == 3
    assert potential.n_labels <= 3 + 5
    assert potential.errors[0].force < potential.first_errors.force / 2


@pytest.mark.slow
def test_frames_of_another_level_are_refused_by_the_lesson(run, tmp_path):
    soft = [replace(frame, forces=0.7 * frame.forces) for frame in run.frames]
    write_runs(tmp_path / "frames.extxyz", [replace(run, frames=tuple(soft))])
    work_here(submit="c.yaml", folder=tmp_path, env=make(tmp_path, FROM))
    with connect(tmp_path / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
    assert any("forces differ by" in failure.message for failure in outcome.failures)
    assert not outcome.diffusivities
