"""Thresholds by hand, training that learns, repeats itself and survives interruptions."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ssefw.errors import ConfigurationError, DataError
from ssefw.screening.xrdmatch import ensemble as ensemble_module
from ssefw.screening.xrdmatch import training
from ssefw.screening.xrdmatch.augment import make_augmentation
from ssefw.screening.xrdmatch.checkpoints import read_checkpoint, write_checkpoint
from ssefw.screening.xrdmatch.ensemble import (
    EnsembleSettings,
    check_patterns,
    compare_methods,
    member_probabilities,
    train_members,
)
from ssefw.screening.xrdmatch.networks import make_network
from ssefw.screening.xrdmatch.thresholds import class_thresholds
from ssefw.screening.xrdmatch.training import METHODS, Trainer, TrainingSettings


def patterns_of(kinds, rng, size=181):
    """Class 1 has its peaks at low angles, class 0 at high ones."""
    rows = np.zeros((len(kinds), size), dtype=np.float32)
    for row, kind in zip(rows, kinds, strict=True):
        first = 30 if kind else 110
        row[first + rng.choice(40, 6, replace=False)] = rng.uniform(0.2, 1, 6)
    return rows


@pytest.fixture
def problem(rng):
    y = np.repeat([0, 1], 12)
    return patterns_of(y, rng), y, patterns_of(rng.integers(0, 2, 100), rng)


def trainer(problem, seed=3, **settings):
    return Trainer(
        *problem,
        settings=TrainingSettings(**{"iterations": 40, "batch": 8, **settings}),
        augmentation=make_augmentation("paper", start=0, step=0.5),
        seed=seed,
    )


def ensemble(**settings):
    training = TrainingSettings(iterations=settings.pop("iterations", 20), batch=8)
    return EnsembleSettings(training=training, members=2, **settings)


def test_thresholds_follow_the_counts_of_the_paper():
    chosen = torch.tensor([0, 0, 0, 0, 1, 1, -1])
    linear = class_thresholds(chosen, tau=0.95, convex=False, warm_up=False)
    assert linear.tolist() == pytest.approx([0.95, 0.475])
    convex = class_thresholds(chosen, tau=0.95, convex=True, warm_up=False)
    assert convex.tolist() == pytest.approx([0.95, 0.95 * 0.5 / 1.5])


def test_patterns_not_yet_put_anywhere_lower_all_thresholds_in_the_warm_up():
    chosen = torch.tensor([0, 0, 1, -1, -1, -1, -1])
    warm = class_thresholds(chosen, tau=0.9, convex=False, warm_up=True)
    assert warm.tolist() == pytest.approx([0.45, 0.225])
    nothing = torch.full((5,), -1)
    assert class_thresholds(nothing, tau=0.9, convex=False, warm_up=False).tolist() == [0, 0]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_what_is_plain_to_see(problem, rng, method):
    model = trainer(problem, method=method, iterations=60, learning_rate=2e-3)
    list(model.run())
    y = np.repeat([0, 1], 20)
    found = member_probabilities([model.weights()], patterns_of(y, rng), network="small")[0]
    assert ((found >= 0.5) == (y == 1)).mean() >= 0.9


def test_a_seed_repeats_a_training_and_another_does_not(problem):
    one, same, other = (trainer(problem, seed=s, iterations=10) for s in (1, 1, 2))
    for model in (one, same, other):
        list(model.run())
    weights = [model.weights()["head.0.weight"] for model in (one, same, other)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_a_training_leaves_the_generator_of_the_caller_alone(problem):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        expected = torch.rand(3)
        torch.default_generator.manual_seed(5)
        for _ in trainer(problem, iterations=10).run():
            pass
        assert torch.equal(torch.rand(3), expected)


def test_a_training_that_was_put_aside_ends_as_one_that_was_not(problem):
    whole = trainer(problem)
    list(whole.run())
    first = trainer(problem)
    for report in first.run():
        if report.iteration == 20:
            break
    second = trainer(problem)
    second.resume(first.snapshot())
    assert [report.iteration for report in second.run()] == [30, 40]
    for name, array in whole.weights().items():
        np.testing.assert_array_equal(second.weights()[name], array)


def test_progress_says_how_much_is_accepted_and_at_which_thresholds(problem):
    reports = list(trainer(problem, method="fixmatch").run())
    assert [report.iteration for report in reports] == [10, 20, 30, 40]
    assert all(0 <= report.accepted <= 1 for report in reports)
    assert reports[0].thresholds == pytest.approx((0.95, 0.95))


def test_a_stopped_ensemble_goes_on_from_its_folder(problem, tmp_path, monkeypatch):
    whole = train_members(*problem, ensemble(iterations=30))
    monkeypatch.setattr(ensemble_module, "SAVE_EVERY", 10)
    real_step, calls = Trainer._step, []

    def step(self):
        calls.append(self.iteration)
        if len(calls) == 45:
            raise KeyboardInterrupt
        return real_step(self)

    monkeypatch.setattr(Trainer, "_step", step)
    with pytest.raises(KeyboardInterrupt):
        train_members(*problem, ensemble(iterations=30), checkpoints=tmp_path)
    again = train_members(*problem, ensemble(iterations=30), checkpoints=tmp_path)
    assert len(calls) == 45 + 20
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        for name, array in one.weights.items():
            np.testing.assert_array_equal(other.weights[name], array)


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from ssefw.screening.xrdmatch import checkpoints, ensemble
from ssefw.screening.xrdmatch.training import TrainingSettings

ensemble.SAVE_EVERY = 10
data = np.load(sys.argv[1])
real = ensemble.write_checkpoint

def write(path, arrays, *, belongs_to):
    real(path, arrays, belongs_to=belongs_to)
    path.with_suffix(".0.part").write_bytes(b"half a checkp")
    os.kill(os.getpid(), signal.SIGKILL)  # the first member is at iteration 10 of 30

ensemble.write_checkpoint = write
settings = ensemble.EnsembleSettings(TrainingSettings(iterations=30, batch=8), members=2)
ensemble.train_members(
    data["patterns"], data["y"], data["unlabeled"], settings, checkpoints=Path(sys.argv[2])
)
"""


@pytest.mark.slow
def test_an_ensemble_killed_outright_goes_on_in_two_processes_and_ends_the_same(problem, tmp_path):
    data, folder = tmp_path / "data.npz", tmp_path / "members"
    np.savez(data, patterns=problem[0], y=problem[1], unlabeled=problem[2])
    done = subprocess.run([sys.executable, "-c", KILLED, data, folder], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in folder.glob("*.npz")] == ["member-00.npz"]
    again = train_members(*problem, ensemble(iterations=30), workers=2, checkpoints=folder)
    whole = train_members(*problem, ensemble(iterations=30))
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        for name, array in one.weights.items():
            np.testing.assert_array_equal(other.weights[name], array)


def test_where_networks_train_is_asked_in_one_place(problem, monkeypatch):
    """All of the package goes by `training_device`; nothing else asks torch for a GPU."""
    folder = Path(training.__file__).parent
    asking = [path.name for path in folder.glob("*.py") if "cuda.is_available" in path.read_text()]
    assert asking == ["training.py"]
    assert Path(training.__file__).read_text().count("is_available") == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked = []

    class StoppedError(Exception):
        pass

    def trainer(*_, device, **__):
        asked.append(device)
        raise StoppedError

    monkeypatch.setattr(ensemble_module, "Trainer", trainer)
    with pytest.raises(StoppedError):
        train_members(*problem, ensemble(), workers=2)  # one after another, in this process
    assert asked == ["cuda"]


def test_a_checkpoint_of_another_training_is_refused(problem, tmp_path):
    train_members(*problem, ensemble(), checkpoints=tmp_path)
    with pytest.raises(ConfigurationError, match="other data or settings"):
        train_members(*problem, ensemble(seed=1), checkpoints=tmp_path)


def test_a_broken_checkpoint_is_named(tmp_path):
    path = tmp_path / "member-00.npz"
    write_checkpoint(path, {"a": np.arange(3)}, belongs_to="x")
    assert read_checkpoint(path, belongs_to="x")["a"].tolist() == [0, 1, 2]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match="cannot be read"):
        read_checkpoint(path, belongs_to="x")


def test_members_learn_from_different_draws_of_equal_size(problem):
    members = train_members(*problem, ensemble(per_class=7))
    for member in members:
        assert np.bincount(problem[1][member.rows]).tolist() == [7, 7]
        assert len(set(member.rows.tolist())) == 14
    assert set(members[0].rows.tolist()) != set(members[1].rows.tolist())


def test_methods_are_compared_on_the_same_draws_in_one_call(problem, rng):
    held_out = patterns_of([0, 1, 1], rng)
    found = compare_methods(*problem, held_out, ensemble(iterations=10))
    assert list(found) == ["supervised", "fixmatch", "flexmatch"]
    assert all(each.shape == (2, 3) for each in found.values())
    alone = compare_methods(*problem, held_out, ensemble(iterations=10), methods=["fixmatch"])
    np.testing.assert_array_equal(alone["fixmatch"], found["fixmatch"])


def test_fewer_labels_than_a_member_needs_are_refused(problem):
    patterns, y, unlabeled = problem
    with pytest.raises(DataError, match=r"10 labels of each class.*9 superionic and 12 others"):
        train_members(patterns[:21], y[:21], unlabeled, ensemble())


def test_one_class_only_is_refused(problem):
    patterns, _, unlabeled = problem
    with pytest.raises(DataError, match="All 24 labels are superionic"):
        train_members(patterns, np.ones(24, dtype=np.int64), unlabeled, ensemble())


def test_patterns_of_another_length_are_refused(problem):
    patterns, y, unlabeled = problem
    with pytest.raises(DataError, match="have 100 points, the others have 181"):
        train_members(patterns, y, unlabeled[:, :100], ensemble())


@pytest.mark.parametrize(
    ("value", "message"), [(0.0, "is empty"), (-1.0, "negative"), (np.nan, "no number")]
)
def test_a_pattern_that_is_none_is_refused_by_its_number(problem, value, message):
    patterns = problem[0].copy()
    patterns[4] = value
    with pytest.raises(DataError, match=f"Pattern 4 .*{message}"):
        check_patterns(patterns)


@pytest.mark.parametrize(
    "wrong", [{"method": "mixmatch"}, {"iterations": 0}, {"tau": 1.0}, {"batch": 0}]
)
def test_impossible_settings_of_a_training_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        TrainingSettings(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"per_class": 0}, {"unlabeled_share": 0}, {"augmentation": "mixup"}]
)
def test_impossible_settings_of_an_ensemble_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        ensemble(**wrong)


def test_the_published_network_has_the_published_widths():
    paper, code = (make_network(name, 4501) for name in ("vgg11", "vgg11_code"))
    assert [layer.out_features for layer in paper.head if hasattr(layer, "out_features")] == [
        1024,
        1024,
        2,
    ]
    assert code.head[0].in_features == 7680
    layers = [*code.features, *code.head]
    assert sum(type(layer).__name__ in {"Conv1d", "Linear"} for layer in layers) == 11


@pytest.mark.parametrize("size", [60, 181, 451, 4501])
def test_the_small_network_takes_any_length(size):
    network = make_network("small", size).eval()
    assert network(torch.rand(2, size)).shape == (2, 2)


def test_a_pattern_too_short_for_the_large_network_is_refused():
    with pytest.raises(ConfigurationError, match="451 points are too short"):
        make_network("vgg11", 451)


def test_a_score_does_not_depend_on_who_else_is_asked_about(problem):
    model = trainer(problem, iterations=10)
    list(model.run())
    together = member_probabilities([model.weights()], problem[0], network="small")
    alone = member_probabilities([model.weights()], problem[0][3:4], network="small")
    np.testing.assert_allclose(alone[0, 0], together[0, 3], rtol=1e-12)
