"""A crystal out of pymatgen's dictionary is the one that pymatgen itself makes of it."""

import copy
import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ssefw.data.reading.structure_files import structure_from_record
from ssefw.data.structures import content_id
from ssefw.errors import DataError

CUBE = Lattice.cubic(5.7)
PLACES = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.75]]


def spinning():
    """Sites with numbers, vectors and texts, of which one has nothing."""
    species = ["Li+", "Fe3+", "O2-"]
    found = Structure(CUBE, species, PLACES, charge=2.0, properties={"from": "test"})
    found[0].properties = {"magmom": 0.5, "forces": [0.0, 0.1, 0.2]}
    found[1].properties = {"magmom": 4.0, "coordination": "octahedron"}
    return found


CRYSTALS = {
    "ordered": Structure.from_spacegroup("Fm-3m", CUBE, ["Li", "S"], [[0.25] * 3, [0] * 3]),
    "partly occupied": Structure(
        CUBE, [{"Li": 0.4, "Na": 0.35}, {"Li": 0.4, "Na": 0.35}, "Cl"], PLACES
    ),
    "charged": Structure(CUBE, ["Li+", {"Fe3+": 0.5, "Fe2+": 0.5}, "O2-"], PLACES),
    "labeled": Structure(CUBE, ["Li", "Li", "O"], PLACES, labels=["Li1", "Li2", "O1"]),
    "with properties": spinning(),
}


@pytest.mark.filterwarnings("ignore:Not all sites have property")
@pytest.mark.parametrize("kind", CRYSTALS)
def test_it_is_what_pymatgen_makes_of_it(kind):
    record = json.loads(json.dumps(CRYSTALS[kind].as_dict()))
    theirs = Structure.from_dict(copy.deepcopy(record))
    ours = structure_from_record(record, source="here")
    assert ours == theirs
    assert ours.as_dict() == theirs.as_dict()
    assert content_id(ours) == content_id(theirs)
    assert ours.charge == theirs.charge


def test_sites_of_one_content_share_it():
    record = CRYSTALS["ordered"].as_dict()
    ours = structure_from_record(record, source="here")
    assert len({id(site.species) for site in ours}) == 2


def test_what_is_done_to_a_site_is_not_done_to_its_likes():
    ours = structure_from_record(CRYSTALS["ordered"].as_dict(), source="here")
    ours.replace(0, "Na")
    ours[1].properties["magmom"] = 1.0
    assert ours.composition["Na"] == 1
    assert "magmom" not in ours[2].properties


@pytest.mark.parametrize("shift", [0.02, 0.98])
def test_atoms_on_top_of_each_other_are_named_across_the_face_of_the_cell(shift):
    record = Structure(CUBE, ["Li", "O", "Cl"], [[0, 0, 0], [shift, 0, 0], [0.5] * 3]).as_dict()
    with pytest.raises(DataError, match=r"Li1 \(atom 1\) and O1 \(atom 2\) at 0.114 A"):
        structure_from_record(record, source="here")


def test_a_class_that_is_asked_for_within_a_list_of_a_site_is_refused():
    record = CRYSTALS["with properties"].as_dict()
    record["sites"][2]["properties"] = {"x": [[{"@module": "os", "@class": "system"}]]}
    with pytest.raises(DataError, match=r"asks for os\.system"):
        structure_from_record(record, source="here")


def test_a_site_without_a_place_is_no_site():
    record = CRYSTALS["ordered"].as_dict()
    del record["sites"][3]["abc"]
    with pytest.raises(DataError, match="here: not a pymatgen structure"):
        structure_from_record(record, source="here")
    record["sites"][3]["abc"] = [0.0, float(np.pi)]
    with pytest.raises(DataError, match="here: not a pymatgen structure"):
        structure_from_record(record, source="here")
