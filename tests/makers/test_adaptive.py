"""A ladder that chooses its next temperature by what it would tell of the conductivity."""

import numpy as np
import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from ssefw.documents import Candidate, Diffusivity, Estimate, Outcome
from ssefw.engines import MDSettings
from ssefw.engines.ase import AseEngine
from ssefw.makers import AdaptivePolicy, DiffusivityMaker, LadderMaker, LengthPolicy, MDMaker
from ssefw.store import connect
from ssefw.units import BOLTZMANN_EV_PER_K
from tests.conftest import CAMPAIGN, work_here
from tests.outcomes import relaxation

Z = 1.959963984540054
TEMPERATURES = (600.0, 700.0, 800.0, 900.0, 1000.0, 1200.0)
ENERGY = 0.3
HOPS_AT_1000 = 400.0
"""Of a run of 40 ps analyzed."""


def hops(temperature, duration=40.0, energy=ENERGY):
    lever = (1 / temperature - 1 / 1000.0) / BOLTZMANN_EV_PER_K
    return HOPS_AT_1000 * duration / 40.0 * np.exp(-energy * lever)


def diffusivity(temperature, *, duration=40.0, energy=ENERGY, noise=0.0, tracer=None, regime=None):
    """What a run gives whose variance of ln D is 2 / hops."""
    n_hops = hops(temperature, duration, energy)
    spread = np.sqrt(2.0 / n_hops)
    best = 1e-5 * n_hops / HOPS_AT_1000 * 40.0 / duration * np.exp(noise * spread)
    tracer = tracer or Estimate(
        value=best, lower=best * np.exp(-Z * spread), upper=best * np.exp(Z * spread), unit="cm^2/s"
    )
    return Diffusivity(
        specie="Li",
        temperature=temperature,
        tracer=tracer,
        regime=regime or ("diffusive" if tracer.kind == "value" else "vibrating"),
        n_mobile=20,
        n_atoms=60,
        volume=1000.0,
        n_frames=2000,
        duration=duration,
        n_hops=n_hops,
        hop_distance=2.5,
        trajectory_key=f"{temperature:g}",
    )


def bound(temperature):
    return diffusivity(
        temperature, tracer=Estimate.below(1e-6, unit="cm^2/s", reason="few hops", level=0.95)
    )


def melted(temperature):
    nothing = Estimate.undetermined("melted", unit="cm^2/s")
    return diffusivity(temperature, tracer=nothing, regime="melted")


def choose(found, policy=None, **given):
    defaults = {
        "temperatures": TEMPERATURES,
        "tried": {d.temperature: 42.0 for d in found},
        "temperature": 300.0,
        "length": 42.0,
        "skipped": 2.0,
        "hours_per_ps": 0.1,
    }
    return (policy or AdaptivePolicy(interval_decades=0.5)).choose(found, **defaults | given)


def line_width(points):
    """Width in decades at 300 K of a weighted line with known errors, in closed form."""
    x = np.array([1 / (BOLTZMANN_EV_PER_K * t) for t, _ in points])
    w = np.array([n / 2.0 for _, n in points])
    mean = (w * x).sum() / w.sum()
    at = 1 / (BOLTZMANN_EV_PER_K * 300.0)
    variance = 1 / w.sum() + (at - mean) ** 2 / (w * (x - mean) ** 2).sum()
    return 2 * Z * np.sqrt(variance) / np.log(10.0)


def test_the_choice_and_its_promise_are_those_of_the_closed_form():
    found = [diffusivity(1200.0), diffusivity(900.0)]
    done = [(1200.0, hops(1200.0)), (900.0, hops(900.0))]
    widths = {t: line_width([*done, (t, hops(t))]) for t in (600.0, 700.0, 800.0, 1000.0)}
    choice = choose(found)
    (best,) = choice.temperatures
    assert best == min(widths, key=widths.get) == 700.0  # neither the coldest nor the hottest
    assert choice.numbers["interval_decades"] == pytest.approx(line_width(done), rel=1e-6)
    assert choice.numbers["expected_decades"] == pytest.approx(widths[best], rel=1e-6)
    assert choice.numbers["expected_core_hours"] == pytest.approx(4.2)


def test_the_promise_is_kept_by_the_run():
    found = [diffusivity(1200.0), diffusivity(900.0)]
    choice = choose(found)
    after = choose([*found, diffusivity(choice.temperatures[0])])
    assert after.numbers["interval_decades"] == pytest.approx(
        choice.numbers["expected_decades"], rel=1e-6
    )


def test_a_temperature_without_hops_is_not_chosen_however_long_its_lever():
    found = [diffusivity(1200.0, energy=0.6), diffusivity(1000.0, energy=0.6)]
    assert hops(600.0, energy=0.6) < 20 < hops(800.0, energy=0.6)
    (best,) = choose(found).temperatures
    assert best == 800.0
    assert choose(found, temperatures=(600.0, 1000.0, 1200.0)).code == "no_gain"


def test_what_exists_of_a_run_makes_it_cheaper():
    found = [diffusivity(1200.0), diffusivity(1000.0)]
    plain = choose(found)
    cheaper = choose(found, done={800.0: 41.0})
    assert plain.temperatures == (700.0,)
    assert cheaper.temperatures == (800.0,)
    assert cheaper.numbers["expected_core_hours"] == pytest.approx(0.1)


def test_a_policy_of_length_lets_a_cold_run_be_as_long_as_its_hops_need():
    found = [diffusivity(1200.0, energy=0.6), diffusivity(1000.0, energy=0.6)]
    length = LengthPolicy(relative_error=0.01, max_length=402.0, step=50.0, give_up=None)
    choice = choose(found, temperatures=(700.0, 1000.0, 1200.0), length_policy=length)
    needed = 40.0 * 20.0 / hops(700.0, energy=0.6)
    assert choice.temperatures == (700.0,)
    assert needed < choice.length - 2.0 < needed + 50.0
    assert choice.numbers["expected_core_hours"] == pytest.approx(0.1 * choice.length)


LONGER = LengthPolicy(relative_error=0.01, max_length=402.0, step=40.0, give_up=None)
THREE = [diffusivity(1200.0), diffusivity(1000.0), diffusivity(700.0)]
DONE = {1200.0: 42.0, 1000.0: 42.0, 700.0: 42.0}


def test_the_run_goes_on_that_tells_most_and_its_promise_is_that_of_the_closed_form():
    rungs = (700.0, 1000.0, 1200.0)
    choice = choose(THREE, temperatures=rungs, length_policy=LONGER, done=DONE)
    widths = {
        rung: line_width([(t, hops(t, 80.0 if t == rung else 40.0)) for t in rungs])
        for rung in rungs
    }
    assert choice.temperatures == (min(widths, key=widths.get),) == (700.0,)
    assert choice.length == 82.0
    assert choice.numbers["expected_decades"] == pytest.approx(widths[700.0], rel=1e-6)
    assert choice.numbers["expected_core_hours"] == pytest.approx(4.0)
    assert "700 K goes on to 82 ps" in choice.reason


def test_a_new_temperature_and_more_of_one_are_weighed_against_each_other():
    policy = AdaptivePolicy(interval_decades=0.1, max_runs=4)
    given = {"length_policy": LONGER, "done": DONE | {900.0: 42.0}}
    hot = [*THREE[:2], diffusivity(900.0)]
    assert choose(hot, policy, **given).temperatures == (700.0,)
    colder = choose(THREE, policy, **given, temperatures=(1100.0, *DONE))
    assert (colder.temperatures, colder.length) == ((700.0,), 82.0)
    # After the most temperatures that are allowed runs go on, and no other is begun.
    policy = AdaptivePolicy(interval_decades=0.1, max_runs=3)
    assert choose(hot, policy, **given).temperatures == (900.0,)
    # Two points make a line whatever the truth, so that a third one comes first.
    two = THREE[::2]
    assert choose(two, policy, **given, temperatures=(700.0, 1100.0, 1200.0)).temperatures == (
        1100.0,
    )


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"length_policy": None}, "no_temperature_left"),
        ({"done": dict.fromkeys(DONE, 402.0)}, "no_temperature_left"),
        # They stopped before they were as long as they should be: they failed, and would again.
        ({"tried": dict.fromkeys(DONE, 82.0)}, "no_temperature_left"),
        ({}, "narrows_most"),
    ],
)
def test_a_run_goes_on_only_where_it_may(changed, code):
    given = {"temperatures": tuple(DONE), "length_policy": LONGER, "done": DONE} | changed
    assert choose(THREE, AdaptivePolicy(interval_decades=0.1), **given).code == code


def test_where_there_are_only_bounds_the_hottest_goes_on():
    given = {"temperatures": (1000.0, 1200.0), "length_policy": LONGER}
    choice = choose([bound(1000.0), bound(1200.0)], done=DONE, **given)
    assert (choice.code, choice.temperatures, choice.length) == ("longer", (1200.0,), 82.0)


@pytest.mark.parametrize(
    ("found", "given", "code", "temperatures"),
    [
        ([], {}, "first_pair", (1200.0, 800.0)),
        ([], {"temperatures": (800.0,)}, "first_pair", (800.0,)),
        ([melted(1200.0)], {}, "first_pair", (1000.0, 800.0)),
        ([diffusivity(1000.0)], {}, "second_value", (700.0,)),
        ([diffusivity(1000.0, duration=10.0)], {"tried": {}}, "second_value", (700.0,)),
        ([diffusivity(600.0)], {}, "second_value", (1200.0,)),
        ([diffusivity(1200.0), bound(800.0)], {}, "second_value", (900.0,)),
        ([bound(1000.0)], {}, "hotter", (1200.0,)),
        ([bound(1200.0)], {}, "only_bounds", ()),
        ([bound(1000.0), melted(1200.0)], {}, "only_bounds", ()),
        ([diffusivity(t) for t in TEMPERATURES], {}, "no_temperature_left", ()),
    ],
)
def test_where_there_is_no_line_yet_or_nothing_left(found, given, code, temperatures):
    choice = choose(found, AdaptivePolicy(interval_decades=0.01, max_runs=9), **given)
    assert (choice.code, choice.temperatures) == (code, temperatures)
    assert choice.reason


def test_it_ends_when_the_interval_is_narrow_enough_but_never_on_two_temperatures():
    policy = AdaptivePolicy(interval_decades=3.0)
    two = [diffusivity(1200.0), diffusivity(600.0)]
    assert choose(two).numbers["interval_decades"] < 3.0
    assert choose(two, policy).temperatures
    three = choose([*two, diffusivity(800.0)], policy)
    assert (three.code, three.temperatures) == ("narrow_enough", ())
    assert "3 wanted" in three.reason


def test_it_ends_at_the_most_runs_and_within_the_budget():
    found = [diffusivity(1200.0), diffusivity(900.0)]
    assert choose(found, AdaptivePolicy(max_runs=2)).code == "max_runs"
    enough = AdaptivePolicy(max_core_hours=12.7)
    assert choose(found, enough, hours=8.4).code == "narrows_most"
    short = choose(found, enough, hours=8.6)
    assert (short.code, short.temperatures) == ("budget", ())
    assert "decades wide" in short.reason


def test_points_that_lie_on_no_line_end_it_with_that_reason():
    found = [diffusivity(t, noise=n) for t, n in ((1200, 0), (1000, 12), (800, 0), (700, -12))]
    choice = choose(found)
    assert choice.code == "no_line"
    assert "straight" in choice.reason


@pytest.mark.parametrize("seed", range(8))
def test_over_known_materials_it_reaches_the_interval_of_the_whole_ladder_for_less(seed):
    rng = np.random.default_rng(seed)
    noise = dict(zip(TEMPERATURES, rng.uniform(-1, 1, size=len(TEMPERATURES)), strict=True))
    whole = line_width([(t, hops(t)) for t in TEMPERATURES])
    policy = AdaptivePolicy(interval_decades=1.3 * whole)
    found, tried = [], {}
    while (choice := choose(found, policy, tried=tried)).temperatures:
        found += [diffusivity(t, noise=noise[t]) for t in choice.temperatures]
        tried |= dict.fromkeys(choice.temperatures, choice.length)
    assert choice.code == "narrow_enough"
    assert len(tried) <= 4 < len(TEMPERATURES)


class KnownMaterial(DiffusivityMaker):
    """Gives what a material of known diffusivity would give, whatever the frames say."""

    def estimate(self, trajectory, store):
        found = diffusivity(trajectory.temperature)
        return found.model_copy(update={"trajectory_key": trajectory.key, "duration": 0.08})


def test_the_graph_grows_until_enough_is_known(tmp_path, monkeypatch, copper):
    connect(tmp_path / "store").close()
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    engine = AseEngine(calculator="ase.calculators.emt.EMT")
    ladder = LadderMaker(
        md=MDMaker(engine=engine, settings=MDSettings(temperature=1.0, steps_per_frame=5)),
        temperatures=TEMPERATURES,
        length=0.1,
        equilibration=0.02,
        min_length=3.0,
        adaptive=AdaptivePolicy(interval_decades=2.0),
        determined_within=10.0,
        diffusivity=KnownMaterial(),
    )
    relaxed = relaxation(copper)
    candidate = Candidate(id="c", formula="Cu", structure=copper)
    job = ladder.make(relaxed, candidate=candidate)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    responses = run_locally(job, store=store, ensure_success=True, log=False)
    outcome = Outcome.model_validate(responses[job.uuid][max(responses[job.uuid])].output)
    choices = [gate for gate in outcome.gates if gate.name == "ladder"]
    assert choices[0].code == "first_pair"
    assert choices[-1].code == "narrow_enough"
    assert all(gate.passed for gate in choices)
    assert len(outcome.diffusivities) == len(outcome.trajectory_keys) == len(choices)
    assert outcome.cost.md_steps == 50 * len(outcome.diffusivities)
    assert outcome.status == "determined"


class Growing(KnownMaterial):
    """The same, and more hops where a run is longer: 500 times as many as in real time."""

    def estimate(self, trajectory, store):
        ps = (trajectory.n_steps - trajectory.equilibration_steps) * trajectory.timestep / 1000.0
        found = diffusivity(trajectory.temperature, duration=500.0 * ps)
        return found.model_copy(update={"trajectory_key": trajectory.key, "duration": ps})


def test_a_run_goes_on_in_the_graph_and_stays_one_trajectory(tmp_path, monkeypatch, copper):
    connect(tmp_path / "store").close()
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    engine = AseEngine(calculator="ase.calculators.emt.EMT")
    ladder = LadderMaker(
        md=MDMaker(engine=engine, settings=MDSettings(temperature=1.0, steps_per_frame=5)),
        temperatures=(700.0, 900.0, 1200.0),
        length=0.1,
        equilibration=0.02,
        min_length=3.0,
        policy=LengthPolicy(relative_error=0.01, max_length=0.3, step=0.1, give_up=None),
        adaptive=AdaptivePolicy(interval_decades=0.9),
        diffusivity=Growing(),
    )
    job = ladder.make(
        relaxation(copper), candidate=Candidate(id="c", formula="Cu", structure=copper)
    )
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    responses = run_locally(job, store=store, ensure_success=True, log=False)
    outcome = Outcome.model_validate(responses[job.uuid][max(responses[job.uuid])].output)
    reasons = [gate.message for gate in outcome.gates if gate.name == "ladder"]
    assert any("700 K goes on to 0.2 ps" in reason for reason in reasons)
    assert len(outcome.diffusivities) == len(outcome.trajectory_keys) == 3
    assert outcome.cost.md_steps == 3 * 50 + 50
    by_rung = {found.temperature: found.duration for found in outcome.diffusivities}
    assert by_rung == pytest.approx({1200.0: 0.08, 900.0: 0.08, 700.0: 0.18})


def test_a_campaign_of_metals_that_do_not_hop_ends_after_the_first_pair(tmp_path, ssefw):
    text = CAMPAIGN.replace("[300, 600]", "[300, 400, 600]\n  ladder: adaptive")
    (tmp_path / "small.yaml").write_text(text)
    done = ssefw("plan", "small.yaml")
    assert "at most 6 of 300, 400, 600 K" in done.stdout + done.stderr
    work_here(submit="small.yaml", folder=tmp_path)
    with connect(tmp_path / "st", read_only=True) as connection:
        outcomes = list(connection.results.find(Outcome))
        states = connection.launchpad.fireworks.distinct("state")
    assert states == ["COMPLETED"]
    for outcome in outcomes:
        assert outcome.status == "bound"
        assert [d.temperature for d in outcome.diffusivities] == [400.0, 600.0]
        assert [g.code for g in outcome.gates if g.name == "ladder"] == [
            "first_pair",
            "only_bounds",
        ]
