"""A second look at hits: a larger cell at one temperature, compared with the first."""

import pytest
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from ssefw.documents import Candidate, Estimate, Outcome
from ssefw.engines import MDSettings
from ssefw.engines.ase import AseEngine
from ssefw.makers import ConfirmMaker, DiffusivityMaker, LadderMaker, MDMaker
from ssefw.makers.confirm.maker import compared, doubled
from ssefw.report.rows import summary
from ssefw.report.story_text import _confirmation
from ssefw.store import connect
from tests.campaigns.test_disordered import CAMPAIGN as MIXED
from tests.campaigns.test_disordered import prepare as prepare_mixed
from tests.conftest import CAMPAIGN, work_here
from tests.makers.test_adaptive import TEMPERATURES, KnownMaterial, diffusivity
from tests.outcomes import relaxation, value

EMT = AseEngine(calculator="ase.calculators.emt.EMT")


class Softer(KnownMaterial):
    """A material whose larger cells conduct a hundred times better."""

    def estimate(self, trajectory, store):
        found = super().estimate(trajectory, store)
        if len(trajectory.structure) == 4:
            return found
        tracer = {name: 100 * getattr(found.tracer, name) for name in ("value", "lower", "upper")}
        return found.model_copy(update={"tracer": found.tracer.model_copy(update=tracer)})


def climbed(tmp_path, monkeypatch, copper, *, material, **confirm):
    connect(tmp_path / "store").close()
    monkeypatch.setenv("SSEFW_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    ladder = LadderMaker(
        md=MDMaker(engine=EMT, settings=MDSettings(temperature=1.0, steps_per_frame=5)),
        temperatures=TEMPERATURES[-3:],
        length=0.1,
        equilibration=0.02,
        min_length=3.0,
        diffusivity=material(),
        confirm=ConfirmMaker(**confirm),
    )
    candidate = Candidate(id="c", formula="Cu", structure=copper)
    job = ladder.make(relaxation(copper), candidate=candidate)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    responses = run_locally(job, store=store, ensure_success=True, log=False)
    return Outcome.model_validate(responses[job.uuid][max(responses[job.uuid])].output)


def test_a_hit_is_run_once_more_in_a_larger_cell(tmp_path, monkeypatch, copper):
    found = climbed(tmp_path, monkeypatch, copper, material=KnownMaterial, above=1e-30)
    (look,) = found.confirmations
    assert (look.n_atoms, look.engine) == (8, "EMT")
    assert look.temperature in {d.temperature for d in found.diffusivities}
    assert look.agrees is True
    assert look.ratio.lower < 1.0 < look.ratio.upper
    assert len(found.diffusivities) == 3  # the fit is that of the ladder
    (told,) = summary(found)["confirmations"]
    assert _confirmation(told).startswith("agrees: D at ")


def test_what_does_not_agree_is_said(tmp_path, monkeypatch, copper):
    found = climbed(tmp_path, monkeypatch, copper, material=Softer, above=1e-30)
    assert found.confirmations[0].agrees is False
    assert found.confirmations[0].ratio.value == pytest.approx(100.0)


def test_what_is_no_hit_is_not_run_again(tmp_path, monkeypatch, copper):
    found = climbed(tmp_path, monkeypatch, copper, material=KnownMaterial, above=1e30)
    assert found.confirmations == ()


def test_a_cell_is_doubled_where_its_faces_are_closest():
    flat = Structure(Lattice.from_parameters(9, 8, 10, 90, 90, 30), ["Li"], [[0, 0, 0]])
    # Its faces are 4.5, 4 and 10 A apart.
    assert doubled(flat).lattice.abc == pytest.approx((9, 16, 10))
    assert doubled(Structure(Lattice.orthorhombic(9, 8, 5), ["Li"], [[0, 0, 0]])).lattice.c == 10


def test_a_bound_disagrees_only_where_it_lies_below_the_interval():
    before = value(1e-6, unit="cm^2/s")
    low = Estimate.below(1e-8, unit="cm^2/s", reason="no hops")
    high = Estimate.below(1e-5, unit="cm^2/s", reason="no hops")
    assert compared(before, low)[1] is False
    assert compared(before, high)[1] is None
    assert compared(before, Estimate.undetermined("short", unit="cm^2/s"))[0].reason == "short"


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("{size: false}", "would repeat the same run"),
        ("{temperature: 450}", "is none of md.temperatures: 300, 600"),
        ("{arrangements: 0}", "at least 1"),
    ],
)
def test_a_block_that_makes_no_sense_is_said_in_a_line(tmp_path, ssefw, block, why):
    (tmp_path / "c.yaml").write_text(f"{CAMPAIGN}confirm: {block}\n")
    done = ssefw("plan", "c.yaml", check=False)
    assert done.returncode == 1
    assert why in done.stderr


def test_a_plan_shows_the_second_look(tmp_path, ssefw):
    (tmp_path / "c.yaml").write_text(f"{CAMPAIGN}confirm: {{above: 0.001}}\n")
    assert "hits above 0.001 S/cm in a cell twice as large" in ssefw("plan", "c.yaml").stdout


@pytest.mark.slow
def test_an_arrangement_is_compared_with_itself(tmp_path, monkeypatch):
    def known(self, trajectory, store):
        found = diffusivity(trajectory.temperature)
        return found.model_copy(update={"trajectory_key": trajectory.key, "duration": 0.5})

    monkeypatch.setattr(DiffusivityMaker, "estimate", known)
    prepare_mixed(tmp_path)
    (tmp_path / "pool/unbalanced.cif").unlink()
    text = MIXED.replace("length: 0.6", "length: 0.2").replace("[300, 600]", "[800, 1000, 1200]")
    confirm = "confirm: {above: 1.0e-30, arrangements: 2, temperature: 1000}\n"
    (tmp_path / "c.yaml").write_text(text + confirm)
    work_here(folder=tmp_path, submit="c.yaml")
    with connect(tmp_path / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
    before = len(outcome.arrangements[0].relaxed.structure)
    assert [look.arrangement for look in outcome.confirmations] == [0, 1]
    assert all(look.temperature == 1000.0 for look in outcome.confirmations)
    assert all(look.n_atoms == 2 * before for look in outcome.confirmations)
    assert all(look.agrees for look in outcome.confirmations)
