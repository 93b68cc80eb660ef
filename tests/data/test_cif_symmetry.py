"""CIFs that name their space group only: the atoms of pymatgen's reader, in its order."""

import numpy as np
import pytest
from pymatgen.io.cif import CifParser

from ssefw.data.reading.structure_files import structure_from_text

CIF = """\
data_
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {c}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma {gamma}
{name} '{group}'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Li1 0.11 0.17 0.29
Cl1 0 0 0
"""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "group", "a", "gamma"),
    [
        ("_symmetry_space_group_name_H-M", "P n m a", 11.0, 90),
        ("_space_group_name_H-M_alt", "P 42/n m c", 11.0, 90),
        ("_symmetry_space_group_name_H-M", "F-43m", 11.0, 90),
        ("_symmetry_space_group_name_H-M", "R -3 m", 11.0, 120),
    ],
)
def test_atoms_are_those_of_pymatgen_in_its_order(name, group, a, gamma):
    text = CIF.format(name=name, group=group, a=a, c=1.2 * a, gamma=gamma)
    found = structure_from_text(text, fmt="cif", source="it")
    expected = CifParser.from_str(text).parse_structures(primitive=False)[0]
    assert [site.species for site in found] == [site.species for site in expected]
    np.testing.assert_array_equal(found.frac_coords, expected.frac_coords)
