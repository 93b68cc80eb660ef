"""A label that Sendek's features are not defined for is left out, and that is said."""

import json

import pytest
from click.testing import CliRunner

from ssefw.campaigns.file import FeedbackSpec
from ssefw.campaigns.learning.models import _learnable
from ssefw.cli.screen.group import command as screen
from ssefw.data.dataset import dataset_of
from ssefw.data.labels.sets import save_label_set
from ssefw.errors import DataError
from ssefw.screening.base import make_screener, usable_rows
from tests.screening.conftest import METALS, make_labels, rock_salt


def crystal(formula):
    """Lithium stands in the formula of the first, and not in its file."""
    return rock_salt("NaI" if formula == "Li3NaS4" else formula)


@pytest.fixture(scope="module")
def labels():
    formulas = [f"Li3{metal}{anion}4" for anion in "SO" for metal in METALS]
    sigmas = [1e-3] * len(METALS) + [1e-9] * len(METALS)
    return make_labels(formulas, sigmas, structure=crystal)


@pytest.fixture(scope="module")
def folder(labels, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sendek")
    save_label_set(labels, folder / "labels.json")
    return folder


def call(*arguments):
    result = CliRunner().invoke(screen, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_training_and_evaluation_leave_out_a_crystal_without_lithium(folder):
    said = call("train", "--system", "sendek2017", "--labels", folder / "labels.json", "--out",
                folder / "m.model", "--set", "n_splits=2")  # fmt: skip
    assert "1 labels have no lithium and are left out" in said.stderr
    assert f"learned from {2 * len(METALS) - 1} labels" in said.stdout
    measured = call("evaluate", folder / "m.model", "--labels", folder / "labels.json", "--json")
    assert "1 labels have no lithium and are left out: the measures are of 97%" in measured.stderr
    assert json.loads(measured.stdout)["n"] == 2 * len(METALS) - 1


def test_so_does_the_model_of_a_campaign(labels):
    spec = FeedbackSpec(system="sendek2017", labels=["obelix"])
    data = _learnable(labels, make_screener("sendek2017", {}), spec)
    assert len(data) == 2 * len(METALS) - 1


def test_labels_of_which_none_is_of_use_are_refused_with_the_reason():
    salts = make_labels(["NaI", "KI", "MgO", "CaO"], [1e-3, 1e-3, 1e-9, 1e-9], structure=rock_salt)
    with pytest.raises(DataError, match="learn from no label of 'toy': 4 have no lithium"):
        usable_rows(make_screener("sendek2017", {}), dataset_of(salts))
