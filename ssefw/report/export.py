"""Structures and trajectories of the store as files that other programs read."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ssefw.documents import Outcome, Trajectory
from ssefw.errors import DataError
from ssefw.store.trajectories import TrajectoryStore

__all__ = ["correlation_stride", "write_frames", "write_structures"]


def write_structures(outcomes: Iterable[Outcome], folder: Path) -> list[Path]:
    """Write the relaxed structure of each outcome as a CIF; those without one are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for outcome in outcomes:
        if outcome.relaxed is not None:
            path = folder / f"{outcome.formula}-{outcome.candidate_id}.cif".replace("/", "-")
            outcome.relaxed.structure.to(filename=str(path), fmt="cif")
            written.append(path)
    return written


def correlation_stride(energies: Any) -> int:
    """Return after how many frames a series has forgotten itself: twice its correlation time.

    The integrated autocorrelation time, summed until the correlation first reaches zero.
    """
    series = np.asarray(energies, dtype=float)
    series = series - series.mean()
    n = len(series)
    if n < 4 or not series.any():
        return 1
    transformed = np.fft.rfft(series, 2 * n)
    correlation = np.fft.irfft(transformed * transformed.conj())[:n]
    correlation = correlation / (correlation[0] * (n - np.arange(n)) / n)
    end = int(np.argmax(correlation <= 0)) if (correlation <= 0).any() else n
    return max(1, int(np.ceil(2 * (0.5 + correlation[1:end].sum()))))


def write_frames(
    ledger: Trajectory,
    store: TrajectoryStore,
    file: TextIO,
    *,
    stride: int | None = 1,
    calculator: Any = None,
) -> int:
    """Write frames behind equilibration as extended XYZ; return how many.

    Each has cell, temperature, potential energy and level of theory. A store keeps no forces: with
    an ASE calculator, energy, forces and stress are computed anew and are those of the calculator.

    Parameters
    ----------
    stride
        Every so many frames; None takes those that are decorrelated in energy.

    Raises
    ------
    DataError
        If no frame lies behind equilibration.
    """
    first = -(-ledger.equilibration_steps // ledger.steps_per_frame)
    if stride is None:
        energies = np.concatenate(
            [chunk.energies for chunk in store.chunks(ledger, first=first)] or [np.empty(0)]
        )
        stride = correlation_stride(energies)
    count = 0
    for number, frame in _frames(ledger, store, first):
        if (number - first) % stride == 0:
            file.write(_extended_xyz(ledger, number, frame, calculator))
            count += 1
    if not count:
        raise DataError(
            f"The {ledger.n_frames} frames of trajectory {ledger.key} end within its "
            f"equilibration of {ledger.equilibration_steps} steps."
        )
    return count


def _frames(
    ledger: Trajectory, store: TrajectoryStore, first: int
) -> Iterator[tuple[int, tuple[Any, Any, float, float]]]:
    for chunk in store.chunks(ledger, first=first):
        for place in range(max(0, first - chunk.first_frame), len(chunk.positions)):
            yield (
                chunk.first_frame + place,
                (
                    chunk.cell,
                    chunk.positions[place],
                    float(chunk.energies[place]),
                    float(chunk.temperatures[place]),
                ),
            )


def _extended_xyz(
    ledger: Trajectory, number: int, frame: tuple[Any, Any, float, float], calculator: Any
) -> str:
    cell, positions, energy, temperature = frame
    symbols = [site.specie.symbol for site in ledger.structure]
    level, columns, stress = ledger.provenance.engine, "species:S:1:pos:R:3", ""
    rows = [[f"{x:.8f}" for x in xyz] for xyz in positions]
    if calculator is not None:
        energy, forces, tensor = _evaluated(calculator, symbols, cell, positions)
        level = type(calculator).__name__
        columns += ":forces:R:3"
        rows = [
            [*row, *(f"{x:.8f}" for x in force)] for row, force in zip(rows, forces, strict=True)
        ]
        if tensor is not None:
            stress = f' stress="{" ".join(f"{x:.8f}" for x in np.ravel(tensor))}"'
    lattice = " ".join(f"{x:.8f}" for x in np.ravel(cell))
    comment = (
        f'Lattice="{lattice}" Properties={columns} energy={energy:.8f}{stress} '
        f'level_of_theory="{level}" temperature={temperature:.2f} set_temperature='
        f'{ledger.temperature:g} frame={number} trajectory="{ledger.key}" pbc="T T T"'
    )
    atoms = "\n".join(" ".join([s, *row]) for s, row in zip(symbols, rows, strict=True))
    return f"{len(symbols)}\n{comment}\n{atoms}\n"


def _evaluated(calculator: Any, symbols: list[str], cell: Any, positions: Any) -> Any:
    from ase import Atoms  # noqa: PLC0415 - only with a calculator

    atoms = Atoms(symbols, positions=positions, cell=cell, pbc=True, calculator=calculator)
    energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
    try:
        return energy, forces, atoms.get_stress(voigt=False)
    except NotImplementedError:
        return energy, forces, None
