"""Labelled frames of AIMD runs that a group has, without those that would teach nonsense."""

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from ssefw.engines.students.theory import (
    Theory,
    compare_theories,
    format_of,
    read_theory,
)
from ssefw.errors import DataError
from ssefw.files import replacing
from ssefw.nep import LabelledFrame

__all__ = [
    "LabelledRun",
    "coarse_sampling",
    "labelled_files",
    "read_labelled",
    "read_runs",
    "read_together",
    "write_runs",
]

FloatArray = npt.NDArray[np.float64]

NAMES = ("vasprun*.xml*", "OUTCAR*", "*.extxyz*", "*.xyz", "*.out", "pw*.out*")

HARDEST = 50.0
"""Force (eV/A) that no ion of dynamics feels: atoms have collided."""

CLOSEST = 0.5
"""Distance (A) that no two atoms have; the bond of H2 is 0.74 A long."""

FARTHEST_ENERGY = 5.0
"""eV/atom from the median of a run, which dynamics do not reach: 20,000 K."""


@dataclass(frozen=True)
class LabelledRun:
    """The frames of one file that may be learned.

    Attributes
    ----------
    refused
        A line for each frame that was left out: which, and why.
    """

    path: Path
    frames: tuple[LabelledFrame, ...]
    theory: Theory
    refused: tuple[str, ...]


def labelled_files(folder: Path) -> list[Path]:
    """Return the files in a folder and those below it that hold forces; of a VASP run one.

    Raises
    ------
    DataError
        If there is none.
    """
    if folder.is_file():
        return [folder]
    found = sorted({path for name in NAMES for path in folder.rglob(name) if path.is_file()})
    with_xml = {path.parent for path in found if path.name.startswith("vasprun")}
    kept = [p for p in found if not (p.name.startswith("OUTCAR") and p.parent in with_xml)]
    if not kept:
        raise DataError(
            f"{folder} holds no vasprun.xml, OUTCAR, output of pw.x (*.out) or extended XYZ."
        )
    return kept


def read_together(paths: Sequence[Path]) -> list[LabelledRun]:
    """Return the runs of files that were made at one level of theory.

    Raises
    ------
    DataError
        If two of them were not, or a file cannot be read or holds no frame that may be learned.
    """
    runs = [run for path in paths for run in read_runs(path)]
    for run in runs[1:]:
        if difference := compare_theories(runs[0].theory, run.theory):
            raise DataError(
                f"{run.path} and {runs[0].path} are of two levels of theory: {difference}. A "
                "potential learns one of them; leave the others out."
            )
    return runs


NARROW = 12.0
"""Distance of opposite faces (A) below which one k-point does not do."""


def coarse_sampling(run: LabelledRun) -> str:
    """Return a warning of forces that one k-point of a small cell made; empty where there is none.

    Twenty-seven such labels have brought a conductivity from twice its value to a fifth of it.
    """
    cell = run.frames[0].cell
    widths = abs(np.linalg.det(cell)) / np.linalg.norm(
        np.cross(np.roll(cell, -1, axis=0), np.roll(cell, -2, axis=0)), axis=1
    )
    if run.theory.n_kpoints != 1 or widths.min() >= NARROW:
        return ""
    return (
        f"{run.path}: one k-point in a cell {widths.min():.1f} A wide. Forces of such cells can be "
        "wrong by more than those of the potential are; check some against a mesh"
    )


def read_labelled(path: Path) -> LabelledRun:
    """Return the frames of a file with their energies, forces and stresses.

    Raises
    ------
    DataError
        If it is of no known format, is damaged, or no frame is left.
    """
    file_format = format_of(path)
    theory = read_theory(path, file_format)
    return _sound(path, list(_images(path, file_format)), theory)


def read_runs(path: Path) -> list[LabelledRun]:
    """Return the runs of a file: one, or as many as `write_runs` wrote into it.

    Raises
    ------
    DataError
        As `read_labelled`.
    """
    if format_of(path) != "extxyz":
        return [read_labelled(path)]
    parts: dict[tuple[int, str], list[Atoms]] = {}
    number, before = -1, object()
    for atoms in _images(path, "extxyz"):
        origin = atoms.info.get(ORIGIN, "")
        number, before = number + (origin != before), origin
        parts.setdefault((number, str(origin)), []).append(atoms)
    if len(parts) == 1 and not next(iter(parts))[1]:
        return [read_labelled(path)]
    found = []
    for (_, origin), images in parts.items():
        theory = _theory_of(path, images[0].info.get(THEORY)) if origin else read_theory(path, "")
        found.append(_sound(path, images, theory))
    return found


def _sound(path: Path, images: Sequence[Atoms], theory: Theory) -> LabelledRun:
    """Return the frames that may be learned."""
    kept, refused = [], []
    energies = [energy / len(atoms) for atoms in images if (energy := _energy(atoms)) is not None]
    median = float(np.median(energies)) if energies else 0.0
    for number, atoms in enumerate(images, 1):
        reason = _why_not(atoms, median=median)
        if number in theory.unconverged:
            reason = "its electrons are not converged"
        if reason:
            refused.append(f"{path}: frame {number}: {reason}")
        else:
            kept.append(_labelled(atoms))
    if not kept:
        why = refused[0] if refused else f"{path} holds no frame"
        raise DataError(f"No frame of {path} may be learned: {why}.")
    return LabelledRun(path, tuple(kept), theory, tuple(refused))


ORIGIN, THEORY = "ssefw_run", "ssefw_theory"
"""What a frame of extended XYZ says of where it comes from, and of its level of theory."""


def write_runs(path: Path, runs: Sequence[LabelledRun]) -> None:
    """Write runs as one file of extended XYZ, which other programs train on, too.

    Each frame says which run it is of, and the level of theory: read back, the runs are the same.
    """
    images = []
    for number, run in enumerate(runs, 1):
        theory = asdict(run.theory) | {"unconverged": [], "whole": not run.refused}
        for frame in run.frames:
            atoms = Atoms(list(frame.symbols), frame.positions, cell=frame.cell, pbc=True)
            stress = None if frame.stress is None else full_3x3_to_voigt_6_stress(frame.stress)
            labels = {"energy": frame.energy, "forces": frame.forces, "stress": stress}
            given = {name: value for name, value in labels.items() if value is not None}
            atoms.calc = SinglePointCalculator(atoms, **given)
            atoms.info = {ORIGIN: f"{number}:{run.path.name}", THEORY: quote(json.dumps(theory))}
            images.append(atoms)
    with replacing(path) as draft:
        write(draft, images, format="extxyz")


def _theory_of(path: Path, said: object) -> Theory:
    try:
        # Quoted, since ASE does not read quotation marks back that are escaped within others.
        known = json.loads(unquote(str(said)))
        return Theory(
            settings={str(k): str(v) for k, v in known["settings"].items()},
            pseudopotentials={str(k): str(v) for k, v in known["pseudopotentials"].items()},
            timestep=known["timestep"] if known["whole"] else None,
            temperature=known["temperature"],
            n_kpoints=known["n_kpoints"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} says a level of theory that cannot be read: {error}") from error


def _images(path: Path, file_format: str) -> Iterator[Atoms]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that was cut off, what is whole is read
            yield from read(path, index=":", format=file_format)
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{path} cannot be read as {file_format}: {reason}") from error


def _energy(atoms: Atoms) -> float | None:
    """Return the energy whose gradient the forces are."""
    found = {} if atoms.calc is None else atoms.calc.results
    energy = found.get("free_energy", found.get("energy"))
    return None if energy is None else float(energy)


def _why_not(atoms: Atoms, *, median: float) -> str:
    """Return why a frame may not be learned; empty if it may."""
    energy, found = _energy(atoms), {} if atoms.calc is None else atoms.calc.results
    forces = found.get("forces")
    if energy is None or forces is None:
        return "it has no energy" if energy is None else "it has no forces"
    if not np.isfinite(energy) or not np.isfinite(forces).all():
        return "it holds numbers that are not finite"
    if not atoms.pbc.all():
        return "it is not periodic in all directions"
    return _explosion(atoms, forces, apart=energy / len(atoms) - median)


def _explosion(atoms: Atoms, forces: FloatArray, *, apart: float) -> str:
    """Return how a frame shows that it has exploded; `apart` in eV/atom from those before."""
    if (hardest := float(np.linalg.norm(forces, axis=1).max())) > HARDEST:
        return f"it has exploded: a force of {hardest:.0f} eV/A"
    if abs(apart) > FARTHEST_ENERGY:
        return f"it has exploded: {apart:+.1f} eV/atom from the median of the run"
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    if (closest := float(distances.min())) < CLOSEST:
        return f"two atoms are {closest:.2f} A apart"
    return ""


def _labelled(atoms: Atoms) -> LabelledFrame:
    stress = atoms.calc.results.get("stress")
    frame = LabelledFrame(
        symbols=tuple(atoms.get_chemical_symbols()),
        positions=np.array(atoms.positions),
        cell=np.array(atoms.cell.array),
        energy=float(_energy(atoms) or 0.0),
        forces=np.array(atoms.calc.results["forces"], dtype=np.float64),
        stress=None if stress is None else voigt_6_to_full_3x3_stress(stress),
    )
    frame.check("A frame")
    return frame
