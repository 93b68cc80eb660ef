"""A campaign whose engine is a student: planned, run and concluded as with any other."""

from dataclasses import replace

import pytest

from ssefw.documents import Outcome
from ssefw.engines.students import add_potential, weights_key, write_student
from ssefw.store import connect
from ssefw.store.upkeep.part import campaign_part
from tests.conftest import work_here
from tests.nep.conftest import SMALL, alloy, shaken_alloys

CAMPAIGN = """
campaign: small
pool: {path: alloy.cif}
specie: Ag
engine: {potential: NAME}
supercell: {min_length: 7}
md: {temperatures: [300, 600], length: 1, equilibration: 0.1}
"""


@pytest.fixture(scope="module")
def student():
    from ssefw.nep import fit

    return fit(shaken_alloys(10), replace(SMALL, steps=150))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    from pymatgen.io.ase import AseAtomsAdaptor

    monkeypatch.setenv("SSEFW_POTENTIALS", str(tmp_path / "potentials"))
    AseAtomsAdaptor.get_structure(alloy()).to(filename=str(tmp_path / "alloy.cif"))
    return tmp_path


def shelf_of(folder):
    return {"SSEFW_POTENTIALS": str(folder / "potentials")}


def test_a_student_runs_a_campaign(folder, student):
    add_potential(student)
    (folder / "c.yaml").write_text(CAMPAIGN.replace("NAME", student.digest[:10]))
    work_here(submit="c.yaml", folder=folder, env=shelf_of(folder))
    with connect(folder / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
    assert outcome.provenance.engine == f"student-{student.digest[:8]}"
    assert [d.temperature for d in outcome.diffusivities] == [300.0, 600.0]
    # Where the campaign is copied to, the potential goes with it.
    with connect(folder / "st", read_only=True) as connection:
        assert weights_key(student.digest) in campaign_part(connection, "small").blobs


def test_a_file_is_put_where_workers_find_it(folder, ssefw, student):
    write_student(folder / "mine.nep", student)
    (folder / "c.yaml").write_text(CAMPAIGN.replace("NAME", "mine.nep"))
    ssefw("plan", "c.yaml")
    assert (folder / "potentials" / f"{student.digest}.nep").exists()


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        ("{potential: ffffffff}", "There is no potential 'ffffffff'"),
        ("{potential: sevenet-0}", "; did you mean 'sevennet-0'? Those with a short name are"),
        ("{potential: ffffffff, calculator: ase.calculators.emt.EMT}", "keep one of them"),
        ("{code: vasp, potential: ffffffff}", "is not for the code 'vasp'"),
    ],
)
def test_what_is_no_potential_is_said_by_the_plan(folder, ssefw, engine, why):
    (folder / "c.yaml").write_text(CAMPAIGN.replace("{potential: NAME}", engine))
    done = ssefw("plan", "c.yaml", check=False)
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
