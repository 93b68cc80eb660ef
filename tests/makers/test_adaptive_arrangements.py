"""A longer run or another arrangement: whichever narrows the interval of the crystal for less."""

from dataclasses import replace

import pytest

from ssefw.makers.adaptive import AdaptivePolicy, NextTemperatures
from ssefw.makers.disordered.adaptive_arrangements import Climber, choose_runs
from tests.analysis.test_arrangements import conductivity


def climber(log10=None, *, error=0.1, expected=None, cost=1.0, hours=3.0, kind="value"):
    """An arrangement whose next run narrows its own interval to `expected` decades (1 sigma)."""
    if log10 is None:
        return Climber(False, None, 0, NextTemperatures((1000.0, 700.0), "first_pair", "", {}), 0.0)
    numbers = {} if expected is None else {"expected_decades": 2 * 1.96 * expected}
    following = NextTemperatures(
        () if expected is None else (600.0,),
        "no_temperature_left" if expected is None else "narrows_most",
        "",
        numbers | {"expected_core_hours": cost},
    )
    fit = conductivity(10**log10, decades=error, kind=kind)
    return Climber(True, fit, 3, following, hours)


def choose(*climbers, **policy):
    return choose_runs(climbers, AdaptivePolicy(**{"interval_decades": 0.5} | policy), scale=0.3)


def ran(told):
    return {i: run.temperatures for i, run in told.runs.items()}


def test_two_arrangements_are_run_before_anything_is_weighed():
    assert choose(climber(), climber(), climber()).runs.keys() == {0, 1}
    told = choose(climber(-3.0, expected=0.05), climber(), climber())
    assert (ran(told).keys(), told.code) == ({1}, "first_lines")


def test_an_arrangement_without_a_line_comes_to_one_first():
    alone = Climber(True, None, 1, NextTemperatures((800.0,), "second_value", "", {}), 1.0)
    told = choose(alone, climber(-3.0, expected=0.05), climber())
    assert ran(told) == {0: (800.0,)}
    # Two points make a line whatever the truth.
    third = replace(climber(-3.0, expected=0.05), n_values=2)
    assert choose(third, climber(-3.0, expected=0.05), climber()).runs[0].temperatures == (600.0,)


def test_arrangements_that_differ_more_than_their_runs_err_get_another():
    told = choose(
        climber(-3.6, error=0.05, expected=0.04),
        climber(-2.6, error=0.05, expected=0.04),
        climber(),
    )
    assert (ran(told), told.code) == ({2: (1000.0, 700.0)}, "another_arrangement")
    assert told.numbers["expected_decades"] < told.numbers["interval_decades"]


def test_runs_that_err_more_than_arrangements_differ_go_on():
    told = choose(
        climber(-3.0, error=0.5, expected=0.15),
        climber(-3.1, error=0.6, expected=0.15),
        climber(),
        interval_decades=0.3,
    )
    assert told.code == "further_run"
    assert ran(told).keys() <= {0, 1}
    assert "arrangement" in told.reason


def test_what_costs_more_must_tell_more():
    runs = [
        climber(-3.0, error=0.3, expected=0.1, cost=100.0, hours=1.0),
        climber(-3.1, error=0.3, expected=0.1, cost=100.0, hours=1.0),
    ]
    assert choose(*runs, climber()).code == "another_arrangement"


def test_the_end_is_a_narrow_interval_or_nothing_left_or_the_budget():
    close = [climber(-3.0 + 0.01 * i, error=0.02, expected=0.01) for i in range(4)]
    assert choose(*close, climber(), interval_decades=1.0).code == "narrow_enough"
    assert choose(climber(-3.6), climber(-2.6)).code == "no_gain"
    told = choose(climber(-3.6), climber(-2.6), climber(), max_core_hours=7.0)
    assert (ran(told), told.code) == ({}, "budget")
    assert "exceed the 7 allowed" in told.reason
    assert choose(climber(-3.6, expected=0.1), climber(), max_core_hours=3.0).code == "budget"


def test_bounds_alone_call_for_the_next_arrangement():
    bounds = [climber(-5.0, kind="upper_bound"), climber(-4.0, kind="upper_bound")]
    assert choose(*bounds, climber()).runs.keys() == {2}
    assert choose(*bounds).code == "no_value"


@pytest.mark.parametrize(("spread", "error"), [(0.02, 0.8), (0.8, 0.15)])
def test_the_wider_of_both_spreads_decides(spread, error):
    """At equal cost of a further run and an arrangement."""
    runs = [climber(-3.0 + s * spread, error=error, expected=0.1, cost=3.0) for s in (-1, 1)]
    told = choose(*runs, climber())
    assert told.code == ("further_run" if spread < 0.1 else "another_arrangement")
