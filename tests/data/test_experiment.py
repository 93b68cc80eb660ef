"""What is expected in experiment: learned from compounds of which both are known."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from ssefw.data.labels import experiment
from ssefw.data.labels.experiment import (
    ENOUGH,
    Compared,
    Scoreboard,
    expectation,
    expected_in_experiment,
    kind_offset,
    left_out,
)
from ssefw.data.labels.kinds import mix_labels
from ssefw.data.labels.outcomes import label_from_outcome
from ssefw.documents import Estimate, LabelSet
from ssefw.errors import DataError
from ssefw.report.rows import summary
from tests.outcomes import bound, conductivity, outcome, value


def board(n, *, offset=0.5, spread=0.5, own=0.15, seed=0, floor=-9.0):
    """Return n compounds; what is computed below `floor` is a bound there."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n):
        truth = rng.uniform(-9, -2)
        found = truth + offset + rng.normal(0, spread) + rng.normal(0, own)
        computed = value(10**found, decades=1.96 * own) if found > floor else bound(10**floor)
        rows.append(Compared(f"c{k}", f"id{k}", 10**truth, computed))
    return Scoreboard("sevennet-l3i5", "2026-12-01", "0.1.0", 9.0, tuple(rows))


def holds(row, expected):
    found = expected.conductivity
    return (found.lower or 0.0) <= row.measured <= (found.upper or math.inf)


@pytest.mark.parametrize(
    ("n", "offset", "least", "most"), [(14, 0.5, 0.91, 0.98), (4, 1.0, 0.9, 1)]
)
def test_a_compound_that_was_left_out_lies_in_its_interval_as_often_as_that_says(
    n, offset, least, most
):
    hits = [
        holds(*pair)
        for seed in range(400 // n)
        for pair in left_out(board(n, offset=offset, seed=seed, floor=-7.0))
        if pair[0].computed.value
    ]
    assert least <= np.mean(hits) <= most  # the guess is wide, and few compounds do not narrow it


def test_many_compounds_give_the_offset_and_the_spread():
    found = kind_offset(board(60, offset=0.8, spread=0.4))
    assert found.offset.lower <= 0.8 <= found.offset.upper
    assert found.spread.lower <= 0.4 <= found.spread.upper
    assert kind_offset(board(ENOUGH - 1)) is None


def test_without_a_compound_it_is_a_guess_and_wide():
    found = expectation(value(1e-3), board(0))
    assert found.basis.startswith("a guess")
    assert found.conductivity.decades > 3.0
    assert expectation(value(1e-3), board(3)).basis.endswith("and a guess")
    assert expectation(value(1e-3), board(12)).basis == "learned from 12 compounds of 2026-12-01"


def test_bounds_stay_bounds_and_give_way():
    found = expectation(bound(1e-8), board(12, offset=0.0)).conductivity
    assert found.kind == "upper_bound"
    assert found.upper > 1e-8


def test_a_bound_that_experiment_contradicts_teaches_an_offset():
    rows = tuple(Compared(f"c{k}", f"id{k}", 1e-5, bound(1e-7)) for k in range(6))
    found = expectation(value(1e-6), Scoreboard("x", "", "", 0.0, rows))
    assert found.offset < -1.0


def test_a_compound_of_the_board_is_judged_by_the_others(monkeypatch):
    own = Compared("own", "mine", 1e-9, value(1e-3))
    rest = board(12)
    shipped = Scoreboard(rest.engine, rest.date, rest.version, 1.0, (*rest.compounds, own))
    monkeypatch.setattr(experiment, "_shipped", lambda: {rest.engine: shipped})
    item = outcome("Li2O", value(1e-3), candidate_id="mine", engine="sevennet-l3i5")
    assert expected_in_experiment(item).n_compounds == 12


def test_programs_get_both_numbers(monkeypatch):
    monkeypatch.setattr(experiment, "_shipped", dict)
    record = summary(outcome("Li2O", value(1e-3), engine="sevennet-l3i5"))
    assert record["sigma_s_per_cm"]["value"] == 1e-3
    wider = record["sigma_expected_in_experiment_s_per_cm"]
    assert wider["lower"] < record["sigma_s_per_cm"]["lower"]
    assert record["expectation"].startswith("a guess")


@pytest.mark.parametrize("engine", ["vasp", "EMT", ""])
def test_nothing_is_expected_of_what_no_potential_computed(engine):
    assert expected_in_experiment(outcome("Li2O", value(1e-3), engine=engine)) is None


def test_nothing_is_expected_at_another_temperature():
    item = outcome("Li2O", value(1e-3), engine="sevennet-l3i5")
    hot = conductivity(value(1e-3), temperature=500.0)
    assert expected_in_experiment(item.model_copy(update={"conductivity": hot})) is None


def test_a_record_comes_back_as_it_was():
    first = board(5)
    slope = Estimate(value=0.3, lower=0.2, upper=0.4, unit="eV")
    more = Compared("own", "mine", 1e-9, value(1e-3), slope, core_hours=0.4, date="2026-12-01")
    first = replace(first, compounds=(*first.compounds, more))
    back = Scoreboard.of(json.loads(json.dumps(first.as_record())))
    assert back.as_record() == first.as_record()
    assert back.compounds[-1].barrier == slope
    with pytest.raises(DataError, match="no scoreboard"):
        Scoreboard.of({"engine": "x"})


def test_the_shipped_tables_can_be_read():
    experiment._shipped.cache_clear()
    assert all(table.compounds for table in experiment._shipped().values())


def test_labels_move_by_the_offset_of_a_scoreboard_where_their_set_has_none(monkeypatch):
    shipped = board(12, offset=1.0, spread=0.2)
    monkeypatch.setattr(experiment, "_shipped", lambda: {shipped.engine: shipped})
    label = label_from_outcome(outcome("Li2O", value(1e-3), engine="sevennet-l3i5"))
    base, own = (
        LabelSet(name=name, labels=labels) for name, labels in (("a", ()), ("b", (label,)))
    )
    mixed, offsets, _ = mix_labels(base, own)
    assert len(offsets) == 1
    assert mixed.labels[0].conductivity.value == pytest.approx(1e-4, rel=0.5)
    assert mixed.labels[0].as_computed == label.conductivity
