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
from ssefw.engines.vasp.inputs import VaspCell, poscar_text

__all__ = ["band_files"]

FIRE = 7
"""VTST's number of the optimizer FIRE."""


def band_files(
    engine: VaspEngine, images: Sequence[Structure], settings: NebSettings
) -> dict[str, str]:
    """Return path and text of each input file of a band, both ends in ``00`` and the last folder.

    The ends must be relaxed with VASP first, and their OUTCARs be put beside their POSCARs. The
    cell is neutral: NELECT of a charged vacancy follows from the POTCAR.

    Raises
    ------
    DataError
        If the images are not a path.
    """
    check_images(images)
    files = engine.input_files(
        images[0], "relax", fmax=settings.fmax, max_steps=settings.max_steps, relax_cell=False
    )
    incar = Incar.from_str(files["INCAR"]) | {
        "IMAGES": len(images) - 2,
        "ICHAIN": 0,
        "LCLIMB": settings.climb,
        "SPRING": -settings.spring,
        "IBRION": 3,
        "POTIM": 0,
        "IOPT": FIRE,
        "ISYM": 0,
    }
    files["INCAR"] = str(Incar(incar)) + "\n"
    del files["POSCAR"]
    for k, image in enumerate(images):
        cell = VaspCell.of(image)
        files[f"{k:02d}/POSCAR"] = poscar_text(cell, frac_coords=cell.structure.frac_coords)
    return files
