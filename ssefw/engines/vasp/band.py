"""The input files of a band for VASP with the VTST tools (theory.cm.utexas.edu/vtsttools).

VASP itself knows elastic bands but neither climbing images nor the optimizers that converge them:
LCLIMB, ICHAIN and IOPT need a binary that was built with the VTST code.
"""

from collections.abc import Sequence

from pymatgen.core import Structure
from pymatgen.io.vasp import Incar

from ssefw.engines.band import check_images
from ssefw.engines.base import NebSettings
from ssefw.engines.vasp.engine import VaspEngine
from ssefw.engines.vasp.inputs import VaspCell, band_tags, poscar_text

__all__ = ["band_files"]


def band_files(
    engine: VaspEngine, images: Sequence[Structure], settings: NebSettings
) -> dict[str, str]:
    """Return path and text of each input file of a band, both ends in ``00`` and the last folder.

    The cell is neutral where no POTCAR is at hand: NELECT of a charged one follows from it.

    Raises
    ------
    DataError
        If the images are not a path.
    """
    check_images(images)
    files = engine.input_files(
        images[0], "relax", fmax=settings.fmax, max_steps=settings.max_steps, relax_cell=False
    )
    tags = band_tags(settings, n_images=len(images), climb=settings.climb)
    files["INCAR"] = str(Incar(Incar.from_str(files["INCAR"]) | tags)) + "\n"
    del files["POSCAR"]
    for k, image in enumerate(images):
        cell = VaspCell.of(image)
        files[f"{k:02d}/POSCAR"] = poscar_text(cell, frac_coords=cell.structure.frac_coords)
    return files
