"""What an older ssefw has stored is read, continued and finished; what it knew stays known."""

import tarfile
from importlib import import_module
from pathlib import Path

import pytest
from monty.json import MontyDecoder

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.learning.models import campaign_materials
from ssefw.campaigns.planning.change import change_of
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.watch import campaigns_in, latest_record
from ssefw.documents import Outcome, RelaxResult
from ssefw.documents import Trajectory as Ledger
from ssefw.engines import MDSettings, NebSettings, settings_hash
from ssefw.engines.ase import AseEngine
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.migration import MigrationSettings
from ssefw.engines.vasp import VaspEngine
from ssefw.makers import BandMaker, BarrierMaker, EndMaker, MDMaker, NebMaker, RelaxMaker
from ssefw.report.methods import methods_of
from ssefw.store import connect, open_blobs
from ssefw.store.frames.trajectories import TrajectoryStore
from tests.campaigns.killing import results
from tests.conftest import work_here

STORES = Path(__file__).parent / "data/old_store"
INTERRUPTED = "3b8411f2c8904ec6"
"""The trajectory that was stopped, by what it is known by."""


def unpacked(folder, name="campaign"):
    with tarfile.open(STORES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def old(tmp_path):
    """A campaign that was stopped in mid-dynamics."""
    return unpacked(tmp_path / "old")


@pytest.fixture(scope="module")
def continued(tmp_path_factory):
    """The campaign as it is after it was taken up and finished."""
    folder = unpacked(tmp_path_factory.mktemp("continued"))
    work_here(folder=folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same campaign from its beginning to its end, by the code as it is."""
    folder = unpacked(tmp_path_factory.mktemp("undisturbed"))
    (folder / "st").rename(folder / "before")
    work_here(submit="old.yaml", folder=folder)
    return folder


def test_what_was_found_is_read(old):
    with connect(old / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        assert connection.results.count(RelaxResult) == 2
        ledgers = list(connection.results.find(Ledger))
    assert (outcome.formula, outcome.status) == ("Cu", "bound")
    assert outcome.conductivity.conductivity.kind == "upper_bound"
    store = TrajectoryStore(open_blobs(old / "st"))
    assert [ledger.n_steps for ledger in ledgers] == [2000, 2000]
    assert all(
        sum(chunk.n_frames for chunk in store.chunks(ledger)) == ledger.n_frames == 101
        for ledger in ledgers
    )


def test_its_candidates_can_be_ranked(old):
    with connect(old / "st", read_only=True) as connection:
        (name,) = campaigns_in(connection)
        materials = campaign_materials(connection, latest_record(connection, name))
        found = {material.structure.composition.reduced_formula for material in materials}
    assert found == {"Cu", "Cu3Au", "Cu3Pd"}


def test_it_goes_on_where_it_stopped(continued):
    with connect(continued / "st", read_only=True) as connection:
        ledgers = {ledger.key: ledger for ledger in connection.results.find(Ledger)}
    assert len(ledgers) == 6
    first, rest = ledgers[INTERRUPTED].segments
    assert first.end_reason == "preempted"
    assert rest.end_reason == "complete"
    assert first.first_step == 0 < first.last_step == rest.first_step < rest.last_step == 2000


def test_it_ends_as_if_nothing_had_happened(continued, undisturbed):
    outcomes, _, _, counts = results(continued)
    expected, _, _, expected_counts = results(undisturbed)
    assert counts == expected_counts == (3, 6, 3)
    assert outcomes.keys() == expected.keys()
    for formula, outcome in outcomes.items():
        assert_alike(outcome, expected[formula], formula)


SINCE_ANALYSIS_2 = {"statistics", "bend_decades", "extrapolation", "analysis"}
"""What was concluded before is not concluded again: these are missing there, or say version 1."""


def assert_alike(found, expected, where):
    """Numbers agree to what another processor may change; all else, keys too, is equal."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name in expected:
            if name in SINCE_ANALYSIS_2 and found[name] in (None, "1"):
                continue
            assert_alike(found[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_alike(one, other, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-9), where
    elif where.endswith(".reason"):
        # What was concluded before does not say up to which temperature no diffusion was seen.
        assert expected.startswith(found), where
    else:
        assert found == expected, where


def test_a_campaign_goes_on_with_the_default_potential_it_was_begun_with(tmp_path, caplog):
    """Its file names none, nor does its record, and the default is another one now."""
    folder = unpacked(tmp_path / "default", "default_engine")
    with connect(folder / "st", read_only=True) as connection:
        before = latest_record(connection, "default")
    assert "potential" not in before.spec["engine"]
    work_here(submit="default.yaml", folder=folder)
    assert "goes on with it. To change that" in caplog.text
    with connect(folder / "st", read_only=True) as connection:
        assert connection.launchpad.workflows.count_documents({}) == 1
        after = latest_record(connection, "default")
        (outcome,) = connection.results.find(Outcome)
        ledgers = list(connection.results.find(Ledger))
    assert after.plan_key == before.plan_key
    assert after.spec["engine"]["potential"] == "chgnet"
    assert any("CHGNet" in method.used_for for method in methods_of(after))
    assert outcome.status != "failed"
    last = max(ledgers, key=lambda ledger: ledger.n_steps)
    assert [segment.end_reason for segment in last.segments] == ["preempted", "complete"]
    assert {ledger.key for ledger in ledgers} == {last.key}
    assert {ledger.provenance.engine for ledger in ledgers} == {"chgnet-0.3.0"}


def test_a_campaign_may_leave_the_default_it_was_begun_with(tmp_path):
    folder = unpacked(tmp_path / "default", "default_engine")
    text = (folder / "default.yaml").read_text()
    with connect(folder / "st", read_only=True) as connection:
        for named in ("sevennet-l3i5", "chgnet"):
            (folder / "named.yaml").write_text(f"{text}engine: {{potential: {named}}}\n")
            change = change_of(make_plan(read_campaign(folder / "named.yaml")), connection)
            said = change and change.settings
            changed = ("engine.potential: chgnet -> sevennet-l3i5",)
            assert said == (changed if named != "chgnet" else None)


def test_stored_structures_and_settings_have_the_keys_they_had(old):
    with connect(old / "st", read_only=True) as connection:
        ledgers = list(connection.results.find(Ledger))
        functions = [
            task["job"]["function"]
            for firework in connection.launchpad.fireworks.find({"name": {"$regex": "^md"}})
            for task in firework["spec"]["_tasks"]
        ]
    makers = [MontyDecoder().process_decoded(function["@bound"]) for function in functions]
    assert all(isinstance(maker, MDMaker) for maker in makers)
    keys = {maker.key(ledger.structure) for maker in makers for ledger in ledgers}
    assert {ledger.key for ledger in ledgers} <= keys


ENGINE = AseEngine.of("chgnet")
AT_600_K = MDSettings(temperature=600.0)

KEYS = {
    "668a5553f951bd21": ENGINE,
    "37b4d2876b61d327": VaspEngine(),
    "338e46e3197084d8": EspressoEngine(),
    "9fbdc4703be5025d": NebSettings(),
    "cdb74691e83a1028": MigrationSettings(),
    "26b2494a7619f5a2": AT_600_K,
    "3456401f33afc6ee": RelaxMaker(engine=ENGINE),
    "df0fb40e477fc7d1": MDMaker(engine=ENGINE, settings=AT_600_K),
    "25116f94f16614af": EndMaker(engine=ENGINE),
    "898ef8adb5aa6f6a": BandMaker(engine=ENGINE),
    "3a866836b44a5f07": NebMaker(engine=ENGINE),
    "d5bc25ea713e6fa7": BarrierMaker(),
}
"""What stages hash of engines, settings and makers, and its hash before modules moved."""


@pytest.mark.parametrize(("key", "part"), KEYS.items(), ids=lambda it: type(it).__name__)
def test_engines_settings_and_makers_have_the_hashes_they_had(key, part):
    assert settings_hash(part) == key


@pytest.mark.parametrize("version", ["0.2.0", None])
def test_a_newer_release_finds_what_an_older_one_has_computed(version, monkeypatch):
    monkeypatch.setattr("monty.json._module_version", lambda _: version)  # it asks only once
    assert ENGINE.as_dict()["@version"] == version
    assert {key: settings_hash(part) for key, part in KEYS.items()} == {key: key for key in KEYS}


@pytest.mark.parametrize(
    "path",
    [
        "ssefw.documents.Outcome",
        "ssefw.engines.ase.AseEngine",
        "ssefw.engines.base.MDSettings",
        "ssefw.engines.base.NebSettings",
        "ssefw.engines.chgnet.FastCHGNet",
        "ssefw.engines.espresso.engine.EspressoEngine",
        "ssefw.engines.migration.MigrationSettings",
        "ssefw.engines.vasp.engine.VaspEngine",
        "ssefw.engines.vasp.presets.Preset",
        "ssefw.makers.adaptive.AdaptivePolicy",
        "ssefw.makers.candidate.BarrierMaker",
        "ssefw.makers.candidate.CandidateMaker",
        "ssefw.makers.convergence.ConvergenceMaker",
        "ssefw.makers.diffusivity.DiffusivityMaker",
        "ssefw.makers.disordered.DisorderedMaker",
        "ssefw.makers.ladder.LadderMaker",
        "ssefw.makers.ladder.Triage",
        "ssefw.makers.length.LengthPolicy",
        "ssefw.makers.md.MDMaker",
        "ssefw.makers.neb.BandMaker",
        "ssefw.makers.neb.EndMaker",
        "ssefw.makers.neb.NebMaker",
        "ssefw.makers.relax.RelaxMaker",
    ],
)
def test_what_records_name_is_where_they_say(path):
    module, _, name = path.rpartition(".")
    assert getattr(import_module(module), name).__name__ == name
