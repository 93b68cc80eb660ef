"""One crystal in other cells is found again, each is reduced once, and others are not compared."""

import json

import numpy as np
from pymatgen.core import Lattice, Structure

from ssefw.data import read_pool
from ssefw.data.structures import same_structure
from ssefw.data.twins import VOLUME_TOLERANCE, Crystals


def salt(a, anion="F"):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", anion], [[0] * 3, [0.5] * 3])


def test_a_supercell_and_a_primitive_cell_are_the_crystal_itself(monkeypatch):
    reduced = []
    monkeypatch.setattr(
        "ssefw.data.twins.reduced_cell",
        lambda structure: reduced.append(1) or structure.get_reduced_structure(
            "niggli"
        ).get_primitive_structure(),
    )  # fmt: skip
    crystals = Crystals()
    cells = [salt(4.0), salt(4.0).get_primitive_structure(), salt(4.0) * (1, 1, 2)]
    found = [crystals.twin_or_add(str(n), "LiF", cell) for n, cell in enumerate(cells)]
    assert found == [None, "0", "0"]
    assert len(reduced) == len(cells)


def test_crystals_of_other_volume_or_formula_are_not_reduced(monkeypatch):
    monkeypatch.setattr("ssefw.data.twins.reduced_cell", lambda _: 1 / 0)
    crystals = Crystals()
    for n, a in enumerate(np.linspace(4, 6, 6)):
        assert crystals.twin_or_add(f"f{n}", "LiF", salt(a)) is None
    assert crystals.twin_or_add("c", "LiCl", salt(4.0, "Cl")) is None


def test_no_pair_that_the_matcher_takes_for_one_is_left_out_by_its_volume():
    rng = np.random.default_rng(0)
    start = salt(4.0).get_primitive_structure()
    apart = []
    for _ in range(40):
        strained = start.copy()
        strained.apply_strain(rng.uniform(-0.03, 0.03, 3))
        if same_structure(start, strained):
            apart.append(abs(np.log(strained.volume / start.volume)))
    assert len(apart) > 3
    assert max(apart) < VOLUME_TOLERANCE


def test_a_row_is_called_what_it_calls_itself(tmp_path):
    pool = tmp_path / "pool.jsonl"
    rows = [
        {"structure": salt(a).as_dict(), **names}
        for a, names in (
            (4.0, {"mp_id": "mp-1138", "name": "lithium fluoride"}),
            (5.0, {"icsd_id": 155950.0}),
            (6.0, {}),
            (7.0, {"id": "mp-1138"}),
        )
    ]
    pool.write_text("\n".join(json.dumps(row, default=float) for row in rows))
    sources = [candidate.source for candidate in read_pool(pool).candidates]
    assert sources == ["mp-1138", "155950", "pool.jsonl:3", "mp-1138 (pool.jsonl:4)"]
