"""A held candidate is the candidate, to the last digit, in a fraction of the memory."""

import json
import tracemalloc
import warnings

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.data import hold, read_pool

CAMPAIGN = """\
campaign: many
pool: {path: pool.jsonl}
engine: {calculator: ase.calculators.emt.EMT}
md: {temperatures: [500, 700], length: 2}
supercell: {min_length: 6, max_atoms: 200}
"""


def crystal(number=0):
    """Return one of many crystals of 16 atoms, none like another."""
    places = [[x, y, z] for z in (0, 0.25, 0.5, 0.75) for x in (0, 0.5) for y in (0, 1 / 3)]
    kinds = ["Li"] * 4 + ["Na", "K", "Mg", "Al"] + ["Cl"] * (number % 8) + ["O"] * (8 - number % 8)
    lattice = Lattice.from_parameters(5.6 + number / 10, 5.7, 11.0, 89, 91.3, 92)
    return Structure(lattice, kinds, places)


def charged(structure):
    structure.add_oxidation_state_by_guess()


def shared(structure):
    structure.replace(0, {"Li": 1 / 3})


def magnetic(structure):
    structure.add_site_property("magmom", [0.1 * number for number in range(len(structure))])


def told(structure):
    structure.properties["note"] = 'a "quoted" word'
    for number, site in enumerate(structure):
        site.label = f"A{number}"


def with_charge(structure):
    structure.set_charge(0)


CHANGES = [lambda _: None, charged, shared, magnetic, told, with_charge]


def write_pool(path, count):
    """Write crystals as they come, some of them twice: as they are, in another cell, as a CIF."""
    lines = []
    for number in range(count):
        one = crystal(number)
        CHANGES[number % len(CHANGES)](one)
        lines.append(one.as_dict() | {"id": f"own-{number}", "band_gap": number / 7})
        if number % 7 == 0:
            lines.append({"structure": one.as_dict(), "name": f"again-{number}"})
        if number % 7 == 1:
            lines.append({"structure": (one * [1, 2, 1]).as_dict(), "name": f"double-{number}"})
        if number % 7 == 2:
            moved = one.copy().translate_sites(range(len(one)), [0.1, 0.2, 0.3])
            lines.append({"cif": moved.to(fmt="cif"), "icsd": number + 1})
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n{broken\n")
    return len(lines)


@pytest.mark.parametrize("change", CHANGES)
def test_a_held_candidate_is_the_one_that_was_given(tmp_path, change):
    one = crystal()
    change(one)
    (tmp_path / "pool.jsonl").write_text(json.dumps(one.as_dict()))
    (candidate,) = read_pool(tmp_path / "pool.jsonl").candidates
    held = hold(candidate)
    assert held.whole.as_dict() == candidate.as_dict()
    assert held.structure == candidate.structure
    assert held.composition == candidate.structure.composition
    assert held.volume == candidate.structure.volume
    assert held.lattice == candidate.structure.lattice


def test_a_campaign_takes_of_a_pool_what_reading_it_gives(tmp_path):
    n_lines = write_pool(tmp_path / "pool.jsonl", 100)
    (tmp_path / "many.yaml").write_text(CAMPAIGN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pool = read_pool(tmp_path / "pool.jsonl")
        plan = make_plan(read_campaign(tmp_path / "many.yaml"))
    assert len(pool.candidates) + len(pool.merged) == n_lines
    assert len(pool.merged) > 30
    taken = {item.id: item.whole.as_dict() for item in plan.candidates}
    left_out = {item.candidate_id for item in plan.excluded}
    given = {item.id: item.as_dict() for item in pool.candidates if item.id not in left_out}
    assert list(taken) == list(given)
    assert taken == given
    assert list(plan.merged) == pool.merged
    assert list(plan.rejects) == pool.rejects


def test_a_held_candidate_takes_a_few_kilobytes(tmp_path):
    write_pool(tmp_path / "pool.jsonl", 6 * 10)
    candidates = read_pool(tmp_path / "pool.jsonl", merge=False).candidates
    hold(candidates[0])
    tracemalloc.start()
    try:
        held = [hold(candidate) for candidate in candidates]
        size = tracemalloc.get_traced_memory()[0] / len(held)
    finally:
        tracemalloc.stop()
    assert size < 4 * 1024
