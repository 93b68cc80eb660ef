"""What a candidate used, beside what a published protocol would have."""

import pytest

from ssefw.cli.records.results import STATUSES
from ssefw.documents import (
    OUTCOME_STATUSES,
    Candidate,
    Conductivity,
    Estimate,
    Segment,
    Trajectory,
)
from ssefw.engines.vasp import load_preset
from ssefw.makers.outcome import PROTOCOL_PICOSECONDS, conclude_candidate
from tests.outcomes import relaxation


def trajectory(structure, *, temperature, picoseconds, seconds):
    steps = round(picoseconds * 500)
    segment = Segment(
        index=0,
        first_step=0,
        last_step=steps,
        first_frame=0,
        n_frames=steps // 10 + 1,
        velocities="drawn",
        end_reason="complete",
        settings_hash="s",
        wall_time=seconds,
    )
    return Trajectory(
        key=f"{temperature}",
        candidate_id="c",
        temperature=temperature,
        timestep=2.0,
        steps_per_frame=10,
        equilibration_steps=0,
        target_steps=steps,
        seed=0,
        thermostat="nose-hoover",
        structure=structure,
        segments=(segment,),
    )


@pytest.fixture
def relaxed(lif):
    return relaxation(lif, wall_time=360.0)


def conclude(lif, **found):
    candidate = Candidate(id="c", formula="LiF", structure=lif)
    return conclude_candidate(candidate, campaign="x", temperature=300.0, threads=2, **found)


def test_the_protocol_is_that_of_the_preset():
    protocol = load_preset("xrdmatch").protocol
    steps = protocol.heating_steps + protocol.equilibration_steps + protocol.production_steps
    total = len(protocol.temperatures) * steps * protocol.timestep / 1000.0
    assert total == PROTOCOL_PICOSECONDS


def test_what_is_saved_is_the_rest_of_the_protocol_at_the_same_speed(lif, relaxed):
    runs = [
        trajectory(lif, temperature=900, picoseconds=20, seconds=3600),
        trajectory(lif, temperature=600, picoseconds=12, seconds=2160),
    ]
    cost = conclude(lif, relaxed=relaxed, trajectories=runs).cost
    assert cost.core_hours == pytest.approx(2 * (0.1 + 1.6))
    assert cost.protocol_core_hours == pytest.approx(2 * (0.1 + 1.6 * 128 / 32))
    assert cost.saved_core_hours == pytest.approx(2 * 1.6 * 3)
    assert "XRDMatch" in cost.protocol


def test_segments_that_know_their_cores_count_them(lif, relaxed):
    run = trajectory(lif, temperature=900, picoseconds=32, seconds=3600)
    wide = [segment.model_copy(update={"cores": 64}) for segment in run.segments]
    run = run.model_copy(update={"segments": tuple(wide)})
    cost = conclude(lif, relaxed=relaxed, trajectories=[run]).cost
    assert cost.core_hours == pytest.approx(64 * (0.1 + 1.0))
    assert cost.protocol_core_hours == pytest.approx(64 * (0.1 + 4.0))


def test_longer_runs_than_the_protocol_save_less_than_nothing(lif, relaxed):
    runs = [trajectory(lif, temperature=900, picoseconds=256, seconds=3600)]
    cost = conclude(lif, relaxed=relaxed, trajectories=runs).cost
    assert cost.saved_core_hours == pytest.approx(-1.0)


def test_nothing_is_said_where_no_dynamics_ran(lif, relaxed):
    cost = conclude(lif, relaxed=relaxed).cost
    assert cost.protocol_core_hours is None
    assert cost.saved_core_hours is None


def sigma(lower, upper, *, lif, relaxed, **settings):
    value = Estimate(value=(lower * upper) ** 0.5, lower=lower, upper=upper, unit="S/cm")
    energy = Estimate.undetermined("of no interest", unit="eV")
    fit = Conductivity(
        specie="Li",
        conductivity=value,
        activation_energy=energy,
        prefactor=Estimate.undetermined("of no interest", unit="cm^2/s"),
        points=(),
        carrier_charge=1.0,
        n_mobile=4,
        volume=70.0,
    )
    return conclude(lif, relaxed=relaxed, conductivity=fit, **settings)


def test_only_a_narrow_interval_is_called_determined(lif, relaxed):
    within = {"lif": lif, "relaxed": relaxed}
    assert sigma(1e-4, 0.99e-2, **within).status == "determined"
    wide = sigma(1e-5, 1e-2, **within)
    assert wide.status == "indicative"
    assert wide.reason == "the interval is 3 decades wide, more than 2"
    assert sigma(1e-5, 1e-2, **within, determined_within=3.0).status == "determined"


def test_the_command_line_knows_every_status():
    assert STATUSES == OUTCOME_STATUSES
