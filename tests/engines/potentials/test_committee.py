"""Two potentials agree where they have learned the same."""

import numpy as np
import pytest
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.analysis.frame_choice import force_deviation
from ssefw.engines.potentials.committee import load_committee
from ssefw.errors import ConfigurationError


def test_the_default_disagrees_more_about_a_crystal_that_is_torn_than_about_one_at_rest(li2o):
    members = load_committee()
    assert [member.name for member in members] == ["sevennet-l3i5", "sevennet-0"]

    def deviation(structure):
        forces = []
        for member in members:
            atoms = AseAtomsAdaptor.get_atoms(structure)
            atoms.calc = member.calculator
            forces.append(atoms.get_forces())
        return force_deviation(np.array(forces))

    torn = li2o.copy()
    rng = np.random.default_rng(0)
    for site in range(len(torn)):
        torn.translate_sites(site, rng.normal(0.0, 0.3, 3), frac_coords=False)
    assert deviation(torn) > 5 * deviation(li2o)


def test_one_potential_alone_is_no_committee():
    with pytest.raises(ConfigurationError, match="alone cannot disagree"):
        load_committee(["ase.calculators.emt.EMT"])
