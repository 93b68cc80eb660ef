"""Teachers: what gives frames their labels, and the first frames to learn from."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from pymatgen.core import Structure

from ssefw.data import decode_chunk
from ssefw.engines.ase import AseEngine
from ssefw.engines.base import MDSettings, settings_hash
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import InterruptionError, StopCheck
from ssefw.nep import LabelledFrame

__all__ = ["Snapshot", "Teacher", "ase_teacher", "rattled", "teacher_run"]

FloatArray = npt.NDArray[np.float64]

Snapshot = tuple[tuple[str, ...], FloatArray, FloatArray]
"""Symbols, positions (A) and cell (A) of atoms that want a label."""

Teacher = Callable[[Sequence[Snapshot]], list[LabelledFrame]]


def ase_teacher(engine: AseEngine) -> Teacher:
    """Return a teacher that labels with the calculator of an engine."""

    def label(snapshots: Sequence[Snapshot]) -> list[LabelledFrame]:
        calculator = engine.calculator_instance()
        frames = []
        for symbols, positions, cell in snapshots:
            atoms = Atoms(list(symbols), positions=positions, cell=cell, pbc=True)
            calculator.reset()
            atoms.calc = calculator
            frames.append(
                LabelledFrame(
                    symbols=symbols,
                    positions=np.array(positions),
                    cell=np.array(cell),
                    energy=float(atoms.get_potential_energy()),
                    forces=np.array(atoms.get_forces(), dtype=np.float64),
                    stress=voigt_6_to_full_3x3_stress(atoms.get_stress()),
                )
            )
        return frames

    return label


def teacher_run(
    engine: AseEngine,
    structure: Structure,
    settings: MDSettings,
    *,
    steps: int,
    folder: Path,
    stop: StopCheck,
) -> list[Snapshot]:
    """Run dynamics with the teacher and return its frames; goes on where `folder` stands.

    Parameters
    ----------
    engine
        The teacher.
    structure
        The cell.
    settings
        Of the dynamics.
    steps
        How many.
    folder
        Of the run, which goes on where it stands.
    stop
        Asked whether to stop.

    Raises
    ------
    InterruptionError
        If `stop` asked to stop before the run was complete.
    """
    run = RunDirectory(folder, key=settings_hash(engine, settings.model_dump(), structure))
    reason = engine.md(structure, settings, run, until=steps, stop=stop)
    if reason != "complete":
        raise InterruptionError("The teacher's dynamics were stopped.", directory=folder)
    symbols = tuple(site.specie.symbol for site in structure)
    chunks = [decode_chunk(file.read_bytes()) for file in run.chunk_files()]
    return [(symbols, positions, chunk.cell) for chunk in chunks for positions in chunk.positions]


SHAKES = (0.03, 0.10)
"""Least and largest width (A) of random displacements: thermal motion at 100 to 1000 K."""

STRAINS = (0.97, 1.03)
"""Least and largest mean factor of the cell's lengths: expansion up to 1500 K, and as much less."""

SHEAR = 0.02
"""Standard deviation of a further change of each length of the cell; angles leave theirs by root
two times as much (rad), 1.6 degrees, as those of small hot cells do."""


def rattled(snapshots: Sequence[Snapshot], number: int, *, seed: int) -> list[Snapshot]:
    """Return frames displaced and strained at random: what a student must know of pressure."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(number):
        symbols, positions, cell = snapshots[int(rng.integers(len(snapshots)))]
        strain = np.eye(3) + SHEAR * rng.normal(size=(3, 3))
        strain = 0.5 * (strain + strain.T) * rng.uniform(*STRAINS)
        moves = rng.normal(size=positions.shape) * rng.uniform(*SHAKES)
        frames.append((symbols, (positions + moves) @ strain, cell @ strain))
    return frames
