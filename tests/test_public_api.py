"""What `import ssefw` gives is what docs/python.md says, and what it says there works."""

import pickle
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

import ssefw
from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.submission import submit
from ssefw.data import Chunk
from ssefw.documents import ArrheniusPoint, Label, LabelSet, Outcome, Segment, Trajectory
from ssefw.errors import ConfigurationError, DataError, SsefwError, StoreError
from ssefw.report.training_frames import frames_of, write_frame
from ssefw.screening.base import make_screener, save_screener
from ssefw.store import connect
from ssefw.store.frames.trajectories import TrajectoryStore
from tests import outcomes
from tests.conftest import CAMPAIGN, REPOSITORY
from tests.docs.commands import python_blocks
from tests.screening.conftest import sulfides_and_oxides

PAGE = REPOSITORY / "docs/python.md"
LIF = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.026), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
mpl.use("Agg")


def put_run(store, temperature, *, n_frames=101, equilibration_steps=50):
    """Keep a random walk of LiF's Li with a frame every 10 steps of 2 fs; atom 0 begins along x."""
    moves = np.random.default_rng(1).normal(0.0, 0.3, (n_frames, len(LIF), 3))
    moves *= np.array([site.specie.symbol == "Li" for site in LIF])[None, :, None]
    moves[0], moves[1:4, 0] = 0.0, [0.5, 0.0, 0.0]
    positions = LIF.cart_coords + np.cumsum(moves, axis=0)
    chunk = Chunk(
        first_step=0,
        last_step=(n_frames - 1) * 10,
        first_frame=0,
        positions=positions,
        energies=-1.0 - np.arange(n_frames),
        temperatures=np.full(n_frames, temperature - 3.0),
        cell=LIF.lattice.matrix,
    )
    fields = {
        "key": f"run-{temperature:g}",
        "candidate_id": "lif0",
        "temperature": temperature,
        "timestep": 2.0,
        "steps_per_frame": 10,
        "equilibration_steps": equilibration_steps,
        "target_steps": chunk.last_step,
        "seed": 0,
        "thermostat": "nose-hoover",
        "structure": LIF,
    }
    segment = Segment(
        index=0, first_step=0, last_step=chunk.last_step, first_frame=0, n_frames=n_frames,
        velocities="drawn", end_reason="complete", settings_hash="x", wall_time=1.0,
    )  # fmt: skip
    kept = store.put_frames(fields["key"], segment, [chunk])
    ledger = Trajectory(**fields, segments=(kept,))
    store.save(ledger)
    return ledger


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the store `demo`: LiF with two runs, LiCl with a bound, Li2O that failed."""
    folder = tmp_path_factory.mktemp("api")
    times = tuple(np.geomspace(0.1, 50, 20))
    curves = {"lag_times": times, "msd": tuple(0.3 + 0.6 * t for t in times)}
    with connect(folder / "demo") as connection:
        runs = [put_run(TrajectoryStore(connection.blobs), t) for t in (900.0, 600.0)]
        made = outcomes.outcome("LiF", 1e-4, candidate_id="lif0", campaign="quickstart")
        points = tuple(
            ArrheniusPoint(
                temperature=t,
                diffusivity=outcomes.value(1e-6 * t / 600, unit="cm^2/s"),
                conductivity=outcomes.value(1e-3 * t / 600),
                is_used=True,
            )
            for t in (600.0, 900.0)
        )
        fields = dict(made) | {
            "trajectory_keys": tuple(run.key for run in runs),
            "diffusivities": tuple(outcomes.diffusivity(t, **curves) for t in (600.0, 900.0)),
            "relaxed": outcomes.relaxation(LIF),
            "conductivity": made.conductivity.model_copy(update={"points": points}),
        }
        others = (
            outcomes.outcome("LiCl", outcomes.bound(1e-6), campaign="quickstart"),
            outcomes.outcome("Li2O", status="failed", reason="relax: <no> memory"),
        )
        for item in (Outcome(**fields), *others):
            connection.results.add(item, candidate=item.candidate_id, campaign=item.campaign)
        for run in runs:
            connection.results.add(run, candidate="lif0", campaign="quickstart")
        label = Label(
            candidate_id="lif0", formula="LiF", kind="experiment", temperature=300.0,
            conductivity=outcomes.value(1e-9), reference="made up", row_id="1",
        )  # fmt: skip
        connection.results.add(LabelSet(name="mine", labels=(label,)), candidate="", campaign="")
        (folder / "campaign.yaml").write_text(CAMPAIGN.replace("small", "quickstart", 1))
        submit(make_plan(read_campaign(folder / "campaign.yaml")), connection)
        # As if workers had run all of it elsewhere, which takes them seconds.
        connection.launchpad.fireworks.update_many({}, {"$set": {"state": "COMPLETED"}})
        with (folder / "900K.extxyz").open("w") as file:
            for frame in frames_of(runs[0], TrajectoryStore(connection.blobs)):
                write_frame(frame, file)
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    copper.to(filename=str(folder / "Cu.cif"))
    model = make_screener("composition", {"n_splits": 3, "members": ["dt", "nb"]}).fit(
        sulfides_and_oxides()
    )
    save_screener(model, folder / "composition.model")
    (folder / "pool.csv").write_text("name,formula\na,Li3SnS4\nb,Li3SnO4\n")
    return folder


@pytest.fixture(scope="module")
def store(folder):
    with ssefw.open(folder / "demo") as store:
        yield store


def test_every_public_name_is_documented_and_every_documented_one_is_public():
    documented = set(re.findall(r"^\| `ssefw\.(\w+)", PAGE.read_text(), re.MULTILINE))
    assert documented == {name for name in ssefw.__all__ if name != "__version__"}
    for name in ssefw.__all__:
        assert getattr(ssefw, name) is not None
    assert set(ssefw.__all__) <= set(dir(ssefw))


def test_the_page_does_what_it_says(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SSEFW_SCRATCH", str(folder / "scratch"))
    names = {}
    for block in python_blocks(PAGE):
        exec(block, names)
    assert names["barrier"].barrier_3d.value == pytest.approx(names["barrier"].bands[0].forward)
    assert names["ranking"][0].formula == "Li3SnS4"
    assert names["found"].conductivity.points[0].temperature == 900.0
    assert names["quick"].method == "bvse"


def test_filters_are_those_of_the_command_line(store):
    assert [found.formula for found in store.outcomes(status="failed")] == ["Li2O"]
    assert [found.formula for found in store.outcomes(min_sigma=1e-5)] == ["LiF"]
    assert [found.formula for found in store.outcomes(max_sigma=1e-5, elements=["Cl"])] == ["LiCl"]
    assert [found.temperature for found in store.trajectories(candidate="LiF", sort="temperature")
            ] == [600.0, 900.0]  # fmt: skip
    assert len(store.labels(label_kind="experiment")) == 1
    assert len(store.labels(label_kind="neb")) == 0
    assert len(store.outcomes(sort="sigma", limit=1)) == 1


def test_a_table_has_units_and_nan(store):
    table = store.outcomes(sort="sigma").to_pandas()
    assert table["formula"].tolist()[0] == "LiF"
    assert table["sigma_s_per_cm"].dtype == float
    assert not any(value is None for value in table.to_numpy().ravel())
    bound = table[table["formula"] == "LiCl"].iloc[0]
    assert pd.isna(bound["sigma_s_per_cm"])
    assert bound["sigma_upper_s_per_cm"] == 1e-6
    runs = store.trajectories().to_pandas()
    assert runs["frames"].tolist() == [101, 101]
    empty = store.barriers().to_pandas()
    assert len(empty) == 0
    assert "barrier_1d_ev" in empty.columns
    assert empty["barrier_1d_ev"].dtype == float


def test_frames_are_those_of_the_run(store):
    (outcome,) = store.outcomes(formula="LiF")
    run = outcome.trajectory(900)
    frames = run.to_ase(first=0)
    assert len(frames) == 101
    assert len(run.to_ase(stride=4)) == 24  # of 96 behind equilibration
    assert frames[3].get_positions()[0, 0] == pytest.approx(LIF.cart_coords[0, 0] + 1.5, abs=1e-5)
    assert frames[3].get_potential_energy() == pytest.approx(-4.0)
    assert frames[3].info["time_ps"] == pytest.approx(0.06)
    same = run.to_pymatgen(first=0, stride=2)
    assert len(same) == 51
    assert same.time_step == pytest.approx(40.0)
    moved = same.coords[1, 0] - same.coords[0, 0]
    assert moved @ LIF.lattice.matrix == pytest.approx([1.0, 0, 0], abs=1e-4)
    with pytest.raises(DataError, match="frames 0 to 100"):
        run.to_ase(first=200)


def test_the_structure_is_the_relaxed_one(store):
    (outcome,) = store.outcomes(formula="LiF")
    assert outcome.structure == LIF
    with pytest.raises(DataError, match="neither relaxed nor simulated"):
        _ = store.outcomes(formula="Li2O")[0].structure
    with pytest.raises(DataError, match="has no run at 700 K; it has runs at 600 K, 900 K"):
        outcome.trajectory(700)


def test_figures_are_axes(store):
    from matplotlib import pyplot as plt

    (outcome,) = store.outcomes(formula="LiF")
    own = plt.figure().add_subplot()
    assert outcome.plot_arrhenius(ax=own) is own
    axes = outcome.plot_msd()
    assert {text.get_text() for text in axes.texts} >= {"600 K", "900 K"}
    plt.close("all")
    with pytest.raises(DataError, match="Li2O has no conductivity: relax"):
        store.outcomes(formula="Li2O")[0].plot_arrhenius()


def test_notebooks_show_tables_and_text_is_no_markup(store):
    assert "quickstart" in store._repr_html_()
    shown = store.outcomes()._repr_html_()
    assert "sigma_s_per_cm" in shown
    assert "relax: &lt;no&gt; memory" in shown
    assert "<svg" in store.outcomes(formula="LiF")[0]._repr_html_()


def test_what_is_found_is_what_is_stored(store):
    (found,) = store.outcomes(formula="LiF")
    assert isinstance(found, Outcome)
    assert found.as_dict()["@class"] == "Outcome"
    assert found.trajectory(600).as_dict()["@class"] == "Trajectory"
    travelled = pickle.loads(pickle.dumps(found))
    assert type(travelled) is Outcome
    assert travelled.as_dict() == found.as_dict()


def test_a_store_that_is_written_to_is_read_as_it_is_now(tmp_path):
    with connect(tmp_path / "st") as writing, ssefw.open(tmp_path / "st") as reading:
        assert len(reading.outcomes()) == 0
        assert reading.campaigns == ()
        item = outcomes.outcome("LiF", 1e-4)
        writing.results.add(item, candidate=item.candidate_id, campaign=item.campaign)
        assert [found.formula for found in reading.outcomes()] == ["LiF"]


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"fromula": "LiF"}, ConfigurationError, "did you mean 'formula'"),
        ({"min_sigma": "much"}, ConfigurationError, "min_sigma must be a number above 0"),
        ({"elements": "S"}, ConfigurationError, "elements must be a list"),
        ({"elements": ["Xx"]}, DataError, "'Xx' is no element"),
        ({"status": "good"}, ConfigurationError, "status must be 'determined', 'indicative'"),
        ({"sort": "beauty"}, DataError, "cannot be sorted by 'beauty'"),
        ({"candidate": "Na3PS4"}, StoreError, "Na3PS4"),
    ],
)
def test_a_wrong_question_is_answered_in_one_line(store, asked, error, said):
    with pytest.raises(error, match=said) as refused:
        store.outcomes(**asked)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ssefw.bvse("LiF.cif"), "takes a pymatgen Structure, not a str"),
        (lambda: ssefw.bvse(LIF, resolution=-1), "resolution must be a number"),
        (lambda: ssefw.neb(LIF, imges=3), "did you mean 'images'"),
        (lambda: ssefw.neb(LIF, images=1), "images must be a whole number at least 3"),
        (lambda: ssefw.neb(3.0), "a pymatgen Structure or a file with one, not a float"),
        (lambda: ssefw.analyze("no-such-file", temperature=300), "no-such-file"),
        (lambda: ssefw.analyze("x", level=2), "level must be a number above 0 and below 1"),
        (lambda: ssefw.rank("pool.csv", "no.model"), "no.model"),
        (lambda: ssefw.run("no.yaml"), "no.yaml"),
    ],
)
def test_a_wrong_call_is_an_error_of_one_line(call, said):
    with pytest.raises(SsefwError, match=said) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_there_is_no_store_where_there_is_none(tmp_path):
    with pytest.raises(StoreError, match="There is no store"):
        ssefw.open(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
