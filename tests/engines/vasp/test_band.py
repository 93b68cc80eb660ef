"""The inputs of a band for VASP with VTST."""

import pytest
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Poscar

from ssefw.engines import NebSettings
from ssefw.engines.band import linear_images, path_lengths
from ssefw.engines.vasp import VaspEngine
from ssefw.engines.vasp.band import band_files
from ssefw.errors import DataError


@pytest.fixture
def images(lif):
    """Five images of a hop of the first Li, which leaves the cell on its way."""
    start = lif.copy()
    start.remove_sites([1])
    end = start.copy()
    end.translate_sites([0], [-0.5, 0.5, 0], to_unit_cell=False)
    return linear_images(start, end, n_images=5)


def test_every_image_has_a_folder_and_the_incar_asks_for_vtst(images):
    files = band_files(VaspEngine(), images, NebSettings(fmax=0.03, spring=5.0))
    assert sorted(name for name in files if "/" in name) == [f"0{k}/POSCAR" for k in range(5)]
    assert "POSCAR" not in files
    incar = Incar.from_str(files["INCAR"])
    expected = {"IMAGES": 3, "LCLIMB": True, "ICHAIN": 0, "IOPT": 7, "IBRION": 3, "POTIM": 0}
    assert {tag: incar[tag] for tag in expected} == expected
    assert incar["EDIFFG"] == -0.03
    assert incar["SPRING"] == -5.0


def test_images_are_the_path_in_vasps_order(images):
    files = band_files(VaspEngine(), images, NebSettings())
    read = [Poscar.from_str(files[f"0{k}/POSCAR"]).structure for k in range(5)]
    assert [site.specie.symbol for site in read[0]] == ["Li"] * 3 + ["F"] * 4
    assert path_lengths(read) == pytest.approx(path_lengths(images), abs=1e-6)
    assert all(isinstance(image, Structure) for image in read)


def test_what_is_no_path_is_refused(images):
    with pytest.raises(DataError, match="one structure"):
        band_files(VaspEngine(), [images[0]] * 4, NebSettings())
