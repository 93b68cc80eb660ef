"""A relaxation or a single point in its own folder, run once and read as often as asked."""

import gzip
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from ase import units
from atomate2.vasp.files import write_vasp_input_set
from atomate2.vasp.jobs.base import get_vasp_task_document
from custodian.vasp.utils import is_valid_poscar
from custodian.vasp.validators import VaspFilesValidator, VasprunXMLValidator
from emmet.core.tasks import TaskDoc
from pymatgen.core import Structure
from pymatgen.io.vasp.sets import VaspInputSet

from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.engines.vasp.inputs import VaspCell
from ssefw.engines.vasp.leg import call_vasp
from ssefw.engines.vasp.outputs import last_words
from ssefw.engines.vasp.policy import single_point_handlers
from ssefw.engines.vasp.process import end_processes
from ssefw.engines.vasp.watch import Watch
from ssefw.errors import EngineError
from ssefw.settings import Settings

__all__ = ["SingleResult", "run_single", "write_inputs"]

FloatArray = npt.NDArray[np.float64]

MAX_ERRORS = 5
NO_GAP = 0.01
"""A band gap (eV) below this is none."""


@dataclass(frozen=True)
class SingleResult:
    """What a relaxation or single point gives.

    Energies in eV, forces in eV/A, stress in eV/A^3 (tension positive; None where it was not
    computed), times in s, magnetization in Bohr magnetons a cell.
    """

    structure: Structure
    energy: float
    converged: bool
    n_steps: int
    forces: FloatArray
    stress: FloatArray | None
    band_gap: float | None
    magnetization: float | None
    wall_time: float
    vasp_version: str

    @property
    def max_force(self) -> float:
        """Largest force on an atom."""
        return float(np.linalg.norm(self.forces, axis=1).max())


def write_inputs(
    folder: Path, vasp_set: VaspInputSet, *, potcar_spec: bool, poscar: str | None = None
) -> None:
    """Write the input files of a calculation, with another POSCAR if one is given.

    Parameters
    ----------
    folder
        Where to.
    vasp_set
        pymatgen's input set.
    potcar_spec
        Whether POTCARs are named only, as where there are none.
    poscar
        The text of another POSCAR.

    Raises
    ------
    EngineError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_vasp_input_set(
            vasp_set.structure,  # type: ignore[arg-type]
            vasp_set,  # type: ignore[arg-type]
            folder,
            potcar_spec=potcar_spec,
            apply_incar_updates=False,  # a file in somebody's home must not change the physics
            clean_prev=False,  # it would clean the working directory, not this folder
        )
        if poscar is not None:
            (folder / "POSCAR").write_text(poscar)
    except OSError as error:
        raise EngineError(
            f"Cannot write VASP's input files to {folder}: {error.strerror or error}. Free space "
            "or point SSEFW_SCRATCH elsewhere.",
            directory=folder,
        ) from error


def run_single(
    folder: Path,
    cell: VaspCell,
    vasp_set: VaspInputSet,
    *,
    site: Settings,
    potcar_spec: bool,
    metals: Literal["refuse", "allow"],
) -> SingleResult:
    """Run VASP in a folder, unless it has run there, and return its result.

    Beside VASP's files the folder keeps emmet's TaskDoc as ``task.json.gz``, which emmet and
    atomate2 builders read.

    Parameters
    ----------
    folder
        Where VASP runs.
    cell
        The atoms as VASP has them.
    vasp_set
        pymatgen's input set.
    site
        Settings of this site: commands and POTCARs.
    potcar_spec
        Whether POTCARs are named only.
    metals
        What becomes of a result without a gap.

    Raises
    ------
    InterruptionError
        If the time of this process was up before VASP had finished.
    EngineError
        If VASP fails, or the result is a metal and metals are refused.
    """
    record = RunDirectory(folder, key=folder.name)
    began = time.monotonic()
    with record.lock(), warnings.catch_warnings():
        # A charged cell of plain elements: pymatgen misses their oxidation states.
        warnings.filterwarnings("ignore", message="Structure charge")
        if not (folder / "task.json.gz").exists():
            _run(folder, vasp_set, site, potcar_spec=potcar_spec)
        task = _parse(folder)
        write_atomically(folder / "task.json.gz", gzip.compress(task.model_dump_json().encode()))
    # emmet's fields are optional for records of old; a parsed calculation has them.
    output: Any = task.output
    calculation: Any = task.calcs_reversed[0] if task.calcs_reversed else None
    if metals == "refuse" and output.bandgap is not None and output.bandgap < NO_GAP:
        raise EngineError(
            f"{task.formula_pretty} has no band gap in PBE and is no solid electrolyte. Set "
            "another preset (hull allows metals) if you want its energy.",
            directory=folder,
        )
    relaxed: Structure = output.structure
    sites = [relaxed[int(k)] for k in np.argsort(cell.order)]
    structure = Structure(
        relaxed.lattice, [s.specie for s in sites], [s.frac_coords for s in sites]
    )
    forces = np.asarray(output.forces, dtype=np.float64)
    return SingleResult(
        structure=structure,
        energy=float(output.energy),
        converged=str(task.state).rpartition(".")[2].lower() == "successful",
        n_steps=len(calculation.output.ionic_steps or ()),
        forces=forces[np.argsort(cell.order)],
        # VASP prints the pressure of the cell on its surroundings, in kbar.
        stress=None if output.stress is None else -0.1 * units.GPa * np.asarray(output.stress),
        band_gap=output.bandgap,
        magnetization=(calculation.output.outcar or {}).get("total_magnetization"),
        wall_time=time.monotonic() - began,
        vasp_version=str(calculation.vasp_version),
    )


def _run(folder: Path, vasp_set: VaspInputSet, site: Settings, *, potcar_spec: bool) -> None:
    end_processes(folder, soft=0.0)  # an orphan of a killed worker
    old = folder / "CONTCAR"
    goes_on = vasp_set.incar.get("NSW", 0) > 0 and is_valid_poscar("CONTCAR", os.fspath(folder))
    geometry = old.read_text() if goes_on else None
    write_inputs(folder, vasp_set, potcar_spec=potcar_spec, poscar=geometry)
    watch = Watch([], stop=stop_check())
    failure = call_vasp(
        folder,
        watch,
        site,
        max_errors=MAX_ERRORS,
        handlers=single_point_handlers(),
        validators=[VaspFilesValidator(), VasprunXMLValidator()],
    )
    if watch.asked is not None:
        raise InterruptionError(
            f"VASP in {folder} was interrupted ({watch.asked}); run it again to continue from its "
            "last geometry.",
            directory=folder,
        )
    if failure is not None and not _is_whole(folder):
        raise EngineError(f"VASP failed ({failure}): {last_words(folder)}", directory=folder)


def _is_whole(folder: Path) -> bool:
    """Whether VASP came to its end; custodian may be dissatisfied with an unconverged result."""
    checks = (VaspFilesValidator(), VasprunXMLValidator())
    return not any(check.check(folder) for check in checks)


def _parse(folder: Path) -> TaskDoc:
    try:
        task = get_vasp_task_document(folder)
    except (OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise EngineError(
            f"Cannot read VASP's output in {folder}: {error}", directory=folder
        ) from error
    if not isinstance(task, TaskDoc):
        raise TypeError(f"{folder} holds no single calculation")
    return task
