"""One barrier for several arrangements: the median, the range, and those that have none."""

import pytest

from ssefw.documents import Barrier, Estimate
from ssefw.engines.migration.arrangements import over_arrangements
from ssefw.errors import AnalysisError

NAMES = {0: "first", 1: "second", 2: "third"}


def barrier(value):
    if value is None:
        estimate = Estimate.undetermined("bands did not converge", unit="eV")
    else:
        estimate = Estimate(value=value, lower=value - 0.02, upper=value + 0.02, unit="eV")
    return Barrier(
        formula="LiCl",
        specie="Li",
        method="neb",
        barrier_1d=estimate,
        barrier_2d=estimate,
        barrier_3d=estimate,
        wall_time=2.0,
    )


def pooled(values):
    def compute(_crystal, index):
        if isinstance(values[index], str):
            raise AnalysisError(values[index])
        return barrier(values[index])

    return over_arrangements(NAMES, compute, formula="Li2Cl2")


def test_the_value_is_the_median_and_the_interval_spans_all():
    found = pooled([0.5, 0.2, 0.3])
    crossing = found.barrier_1d
    assert (crossing.value, crossing.lower, crossing.upper) == pytest.approx((0.3, 0.18, 0.52))
    assert found.formula == "Li2Cl2"
    assert found.wall_time == 6.0
    assert [w.partition(":")[0] for w in found.warnings] == [f"arrangement {i}" for i in range(3)]


def test_one_without_a_barrier_is_named_and_does_not_stop_the_others():
    found = pooled([0.5, "the bands do not cross", 0.3])
    assert found.barrier_1d.value == pytest.approx(0.4)
    assert "arrangement 1 has no barrier: the bands do not cross" in found.warnings
    told = pooled([0.5, None, 0.3]).barrier_3d
    assert told.value == pytest.approx(0.4)
    assert "1 more have no value" in told.method


def test_no_barrier_at_all_is_an_error_that_says_why_of_each():
    with pytest.raises(AnalysisError, match=r"arrangement 2 has no barrier: third reason"):
        pooled(["one", "two", "third reason"])


def test_what_is_stopped_ends_and_computes_no_other():
    def compute(_crystal, _index):
        raise AnalysisError("Stopped before there was a barrier")

    with pytest.raises(AnalysisError, match=r"^Stopped"):
        over_arrangements(NAMES, compute, formula="Li2Cl2", stop=lambda: "signal")
