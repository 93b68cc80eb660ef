"""A survey says of a pool what reading it would, without holding its structures."""

import json

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data import parallel, read_pool
from ssefw.data import survey as room
from ssefw.data.structures import reduced_cell
from ssefw.data.survey import survey_pool
from ssefw.errors import DataError
from tests.data.test_twins import salt


@pytest.fixture
def pool(tmp_path):
    half = Structure(Lattice.cubic(4.0), [{"Li": 0.5}, "O"], [[0] * 3, [0.5] * 3])
    crystals = [salt(4.0), salt(4.0) * (1, 1, 2), salt(4.0), salt(5.0), salt(4.0, "Cl"), half]
    rows = [{"name": f"n{n % 5}", "structure": s.as_dict()} for n, s in enumerate(crystals)]
    lines = [json.dumps(row) for row in rows]
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join([*lines[:2], "{broken", *lines[2:]]))
    return path


def same(found, read):
    assert sorted(found.merged) == sorted(read.merged)
    assert found.rejects == read.rejects
    assert found.n_candidates == len(read.candidates)
    assert [one.id for one in found.disordered] == [
        one.id for one in read.candidates if not one.structure.is_ordered
    ]


def test_it_finds_what_reading_finds(pool):
    same(survey_pool(pool), read_pool(pool))
    with pytest.raises(DataError, match=r"pool\.jsonl:3"):
        survey_pool(pool, strict=True)


@pytest.mark.slow
def test_several_processes_find_the_same(pool, monkeypatch):
    monkeypatch.setattr(room, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(parallel, "CHUNK", 2)
    same(survey_pool(pool, workers=2), read_pool(pool))


def test_a_pool_without_structures_is_refused(tmp_path):
    (tmp_path / "p.jsonl").write_text('{"formula": "Li2O"}')
    with pytest.raises(DataError, match="no readable structure"):
        survey_pool(tmp_path / "p.jsonl")


@pytest.mark.parametrize("cell", [(1, 1, 1), (2, 1, 1), [[1, 1, 0], [0, 1, 0], [0, 0, 3]]])
def test_the_reduced_cell_is_that_of_pymatgen(cell):
    start = Structure(
        Lattice.from_parameters(4, 5, 6, 80, 95, 100),
        ["Li", "Li", {"Li": 0.3, "Na": 0.7}, "O"],
        [[0, 0, 0], [0.31, 0.22, 0.4], [0.5, 0.6, 0.1], [0.8, 0.1, 0.7]],
    )
    made = start.make_supercell(cell, in_place=False)
    made.perturb(0.001)
    found = reduced_cell(made)
    peer = made.get_reduced_structure("niggli").get_primitive_structure()
    assert found.composition.almost_equals(peer.composition)
    assert sorted(found.lattice.abc) == pytest.approx(sorted(peer.lattice.abc), abs=0.02)
    assert found.matches(peer)
