"""Convergence of cutoffs and k-points, on energies with a known limit."""

import math
from types import SimpleNamespace

import pytest
import yaml
from jobflow import CURRENT_JOB, Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure

from ssefw.documents import Candidate, Convergence, ConvergencePoint, RelaxResult
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.convergence import coarsest_within, converge
from ssefw.errors import AnalysisError
from ssefw.makers import NebMaker, RelaxMaker
from ssefw.makers.convergence import ConvergenceMaker


@pytest.fixture
def exponential(monkeypatch):
    """Energies that fall exponentially with the cutoff and rise with the k-point spacing."""
    calls = []

    def static(engine, structure):
        calls.append((engine.ecutwfc, engine.kspacing))
        energy = math.exp(-engine.ecutwfc / 8) + 0.1 * engine.kspacing**4
        return SimpleNamespace(energy_per_atom=energy)

    monkeypatch.setattr(EspressoEngine, "static", static)
    return calls


def test_coarsest_settings_within_the_tolerance_are_found(exponential, lif):
    found = converge(EspressoEngine(), lif, tolerance=1e-3)
    # exp(-x/8) < 1e-3 from x = 55 on; 0.1 s^4 is within 1e-3 of its limit below s = 0.32.
    assert found.ecutwfc == 60
    assert found.ecutrho == 480
    assert found.kspacing == pytest.approx(0.25, abs=0.1)
    assert [point.setting for point in found.cutoffs] == [30, 40, 50, 60, 80, 100]


def test_equal_grids_are_computed_once(exponential):
    cell = Structure(Lattice.cubic(60.0), ["Li"], [[0, 0, 0]])
    found = converge(EspressoEngine(), cell)
    assert found.spacings == ()
    assert len(exponential) == 6


def series(energies):
    return [ConvergencePoint(setting=x, energy_per_atom=energy) for x, energy in energies.items()]


def test_a_series_that_has_not_ended_is_refused():
    points = series({30: -1.0, 40: -1.1, 50: -1.15})
    with pytest.raises(AnalysisError, match="Go on to finer"):
        coarsest_within(points, tolerance=1e-3)


def test_agreement_by_chance_in_between_does_not_count():
    energies = [-1.15, -1.2, -1.149, -1.15]
    points = series({10.0 * k: energy for k, energy in enumerate(energies)})
    assert coarsest_within(points, tolerance=2e-3).setting == 20.0


def test_the_command_prints_options_to_copy_and_draws(exponential, lif, ssefw, tmp_path):
    lif.to(filename=str(tmp_path / "LiF.cif"))
    done = ssefw("converge", "LiF.cif", "--figure", "series.png")
    assert yaml.safe_load(done.stdout)["options"]["ecutwfc"] == 60
    assert (tmp_path / "series.png").stat().st_size > 10_000
    assert (tmp_path / "series.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "nonsense=1"], "has no setting 'nonsense'"),
        (["--tolerance", "0"], "--tolerance"),
        (["--cutoff", "30", "--cutoff", "35"], "Go on to finer"),
    ],
)
def test_the_command_refuses_what_leads_nowhere(
    *, exponential, lif, ssefw, tmp_path, arguments, words
):
    lif.to(filename=str(tmp_path / "LiF.cif"))
    done = ssefw("converge", "LiF.cif", *arguments, check=False)
    assert done.returncode in {1, 2}
    assert words in done.stderr


def test_bands_are_computed_with_what_was_found(exponential, lif, monkeypatch):
    engine = EspressoEngine(smearing=0.1)
    maker = NebMaker(engine=engine, relax=RelaxMaker(engine=engine), converge=1e-3)
    candidate = Candidate(id="c", formula="LiF", structure=lif)
    relaxed = RelaxResult(
        structure=lif, energy=0, energy_per_atom=0, converged=True, n_steps=0, max_force=0,
        volume_change=0, wall_time=0,
    )  # fmt: skip
    first, then = maker.jobs(relaxed, candidate=candidate)
    assert first.name == "neb converge"
    found = converge(engine, lif, tolerance=1e-3)
    monkeypatch.setattr(CURRENT_JOB, "job", then)
    response = NebMaker.with_settings.original(maker, relaxed, found, candidate=candidate)
    again, bands = response.replace.jobs
    for job in (again, bands):
        assert job.maker.engine.ecutwfc == found.ecutwfc == 60
        assert job.maker.engine.kspacing == found.kspacing
        assert job.maker.engine.smearing == 0.1
    assert bands.maker.converge is None
    assert bands.uuid == then.uuid


def test_the_job_stores_what_was_found(exponential, lif):
    store = JobStore(MemoryStore())
    job = ConvergenceMaker(engine=EspressoEngine()).make(lif)
    run_locally(Flow([job]), store=store, log=False, raise_immediately=True)
    found = Convergence(**store.get_output(job.uuid, load=True))
    assert found.ecutwfc == 60
    assert found.cutoffs[-1].setting == 100
