"""Many candidates are put on the launch pad as jobflow and FireWorks would, only sooner."""

import json

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning import template
from ssefw.campaigns.planning.plan import make_plan
from ssefw.campaigns.running.submission import submit
from ssefw.store import connect

CAMPAIGN = """\
campaign: many
specie: Li
pool: {path: pool.jsonl}
engine: {calculator: ase.calculators.emt.EMT}
md: {temperatures: [500, 700], length: 2}
"""
STAMPS = {"created_on", "updated_on", "hosts", "_id", "fw_id"}


@pytest.fixture(params=["", "bvse: {max_barrier: 0.5}\n"], ids=["relax", "bvse"])
def plan(tmp_path, request):
    cells = [
        Structure(Lattice.cubic(5 + number / 10), ["Li", anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for number, anion in enumerate(["F", "Cl", "Br", "I"])
    ]
    cells[1].properties["note"] = f'a "quoted" {template.PRIORITY - 1}'
    lines = [json.dumps(cell.as_dict()) for cell in cells]
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    (tmp_path / "many.yaml").write_text(CAMPAIGN + request.param)
    return make_plan(read_campaign(tmp_path / "many.yaml"))


def plain(record):
    if isinstance(record, dict):
        return {key: plain(value) for key, value in record.items() if key not in STAMPS}
    return [plain(item) for item in record] if isinstance(record, list) else record


def stored(folder):
    with connect(folder, read_only=True) as connection:
        launchpad = connection.launchpad
        fireworks = {f["spec"]["_tasks"][0]["job"]["uuid"]: f for f in launchpad.fireworks.find()}
        names = {f["fw_id"]: f["name"] for f in fireworks.values()}
        graphs = {
            workflow["metadata"]["candidate"]: {
                names[node]: sorted(names[child] for child in workflow["links"][str(node)])
                for node in workflow["nodes"]
            }
            for workflow in launchpad.workflows.find()
        }
        whole = [launchpad.get_wf_by_fw_id(fw_id) for fw_id in names]
    return plain(fireworks), graphs, {(wf.name, wf.state) for wf in whole}


def test_what_a_template_gives_is_what_each_graph_by_itself_gives(plan, tmp_path, monkeypatch):
    with connect(tmp_path / "quick") as connection, monkeypatch.context() as patch:
        built = []
        patch.setattr(
            template, "_built", lambda *a, make=template._built: built.append(1) or make(*a)
        )
        assert submit(plan, connection).added == 4
        assert len(built) == 2  # the sample, and the one on which the template was tried
    monkeypatch.setattr(template, "_template", lambda *_: None)
    with connect(tmp_path / "plain") as connection:
        assert submit(plan, connection).added == 4
    assert stored(tmp_path / "quick") == stored(tmp_path / "plain")


def test_a_template_that_does_not_fit_is_not_used(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(template, "_own", lambda _: [])
    with connect(tmp_path / "st") as connection:
        submit(plan, connection)
        jobs = connection.launchpad.fireworks.find({"name": {"$in": ["relax", "bvse"]}})
        cells = {f["spec"]["candidate"]: json.dumps(f["spec"]["_tasks"]) for f in jobs}
    assert len(set(cells.values())) == 4
    assert all(f'"{word}"' in "".join(cells.values()) for word in ("F", "Cl", "Br", "I"))


def test_what_a_killed_submission_left_half_done_is_submitted_again(plan, tmp_path):
    with connect(tmp_path / "st") as connection:
        submit(plan, connection)
        launchpad = connection.launchpad
        launchpad.fireworks.delete_one({"state": "READY"})
        again = submit(plan, connection)
        assert (again.added, again.present) == (0, 4)  # the workflow was there, its job was not
        assert launchpad.fireworks.count_documents({}) == 8
        assert launchpad.workflows.count_documents({}) == 4
        assert launchpad.fireworks.count_documents({"state": "READY"}) == 4


def test_a_disordered_candidate_among_ordered_ones_has_a_graph_of_its_own(tmp_path):
    cells = [
        Structure(Lattice.cubic(5 + number / 10), ["Li", anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
        for number, anion in enumerate(["F", "Cl", "Br", "I"])
    ]
    half = {"Cl": 0.5, "Br": 0.5}
    mixed = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.3), ["Li", half], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    pool = [*cells[:2], mixed, *cells[2:]]
    (tmp_path / "pool.jsonl").write_text("\n".join(json.dumps(cell.as_dict()) for cell in pool))
    (tmp_path / "many.yaml").write_text(CAMPAIGN + "supercell: {min_length: 5, max_atoms: 100}\n")
    plan = make_plan(read_campaign(tmp_path / "many.yaml"))
    ids = [candidate.id for candidate in plan.candidates]
    assert 0 < ids.index(next(iter(plan.cells))) < len(ids) - 1
    with connect(tmp_path / "st") as connection:
        assert submit(plan, connection).added == 5
    _, graphs, _ = stored(tmp_path / "st")
    jobs = {candidate: set(graph) for candidate, graph in graphs.items()}
    (odd,) = plan.cells
    ordinary = [jobs[candidate] for candidate in ids if candidate != odd]
    assert all(graph == ordinary[0] for graph in ordinary)
    assert jobs[odd] != ordinary[0]
