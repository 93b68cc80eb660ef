"""Frames for the training of a potential: decorrelated, and those that it would learn most from.

Of the runs of a candidate the frames behind equilibration that have forgotten each other are the
pool. ``uncertain`` takes those on whose forces a committee of potentials disagrees most;
``diverse`` takes each farthest from those before it, by what SevenNet sees around the atoms.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import numpy as np
import numpy.typing as npt

from ssefw.analysis.frame_choice import correlation_stride, farthest_points, force_deviation
from ssefw.documents import Trajectory
from ssefw.engines.potentials.committee import CommitteeMember
from ssefw.engines.potentials.names import POTENTIALS
from ssefw.errors import DataError
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = [
    "Chosen",
    "Frame",
    "Select",
    "choose_frames",
    "decorrelated_frames",
    "frames_of",
    "write_frame",
]

Select = Literal["uncertain", "diverse"]
Floats = npt.NDArray[np.float64]
N_LAYERS = 2
"""Interactions of SevenNet-l3i5 after which its features are taken: those of an atom then
tell of what lies within 10 A."""


@dataclass(frozen=True)
class Frame:
    """A frame of a run: cell and positions in angstrom, energy in eV, temperature in K."""

    ledger: Trajectory
    number: int
    cell: Floats
    positions: Floats
    energy: float
    temperature: float

    @property
    def symbols(self) -> list[str]:
        """Element of each atom."""
        return [site.specie.symbol for site in self.ledger.structure]


@dataclass(frozen=True)
class Chosen:
    """A frame and why: the deviation of forces (eV/angstrom), or the distance to those before."""

    frame: Frame
    measure: str
    value: float


def frames_of(
    ledger: Trajectory,
    store: TrajectoryStore,
    *,
    first: int | None = None,
    last: int | None = None,
    stride: int | None = 1,
) -> Iterator[Frame]:
    """Yield frames of a run, one blob in memory at a time.

    Parameters
    ----------
    first, last
        Frames `first` to `last` (exclusive); None for the first behind equilibration, and the end.
    stride
        Every so many frames; None for those that are decorrelated in energy.

    Raises
    ------
    DataError
        If there is no such frame.
    """
    behind = -(-ledger.equilibration_steps // ledger.steps_per_frame)
    if first is None and ledger.n_frames <= behind:
        raise DataError(
            f"The {ledger.n_frames} frames of trajectory {ledger.key} end within its "
            f"equilibration of {ledger.equilibration_steps} steps."
        )
    begin = behind if first is None else first
    end = ledger.n_frames if last is None else min(last, ledger.n_frames)
    if not 0 <= begin < end or (stride is not None and stride < 1):
        raise DataError(
            f"Trajectory {ledger.key} has frames 0 to {ledger.n_frames - 1}; there is none from "
            f"{begin} to {end} by {stride}."
        )
    if stride is None:
        stride = correlation_stride(store.series(ledger, "energies", first=begin, last=end))
    for chunk in store.chunks(ledger, first=begin, last=end):
        for number in range(chunk.first_frame, chunk.first_frame + len(chunk.positions)):
            if begin <= number < end and (number - begin) % stride == 0:
                place = number - chunk.first_frame
                yield Frame(
                    ledger,
                    number,
                    np.asarray(chunk.cell, dtype=float),
                    chunk.positions[place],
                    float(chunk.energies[place]),
                    float(chunk.temperatures[place]),
                )


def decorrelated_frames(ledgers: Iterable[Trajectory], store: TrajectoryStore) -> list[Frame]:
    """Return the frames of all runs that have forgotten each other."""
    return [frame for ledger in ledgers for frame in frames_of(ledger, store, stride=None)]


def choose_frames(
    frames: Sequence[Frame], n: int, *, select: Select, committee: Sequence[Any] = ()
) -> list[Chosen]:
    """Return n frames, the one that is wanted most first; all where there are fewer.

    Parameters
    ----------
    committee
        ASE calculators, two or more, for ``uncertain``.

    Raises
    ------
    DataError
        If there are no frames.
    """
    if not frames:
        raise DataError("There is no frame to choose from.")
    if select == "diverse":
        order, values = farthest_points(_scaled([_seen(frame) for frame in frames]), n)
        return [
            Chosen(frames[k], "distance", value) for k, value in zip(order, values, strict=True)
        ]
    deviations = [
        force_deviation([_atoms(frame, member).get_forces() for member in committee])
        for frame in frames
    ]
    best = sorted(range(len(frames)), key=lambda k: -deviations[k])[:n]
    return [Chosen(frames[k], "force_deviation", deviations[k]) for k in best]


def _atoms(frame: Frame, calculator: Any) -> Any:
    from ase import Atoms  # noqa: PLC0415 - only where something is evaluated

    return Atoms(
        frame.symbols,
        positions=frame.positions,
        cell=frame.cell,
        pbc=True,
        calculator=calculator,
    )


def _seen(frame: Frame) -> Floats:
    """Return mean and standard deviation of the atom features of each element in turn."""
    # Compiled kernels, which only this choice needs.
    from ssefw.engines.potentials.sevennet import FastSevenNet  # noqa: PLC0415

    atoms, known = _atoms(frame, None), POTENTIALS["sevennet-l3i5"].options
    features = FastSevenNet(**known).site_features(
        atoms.positions, atoms.numbers, atoms.cell.array, n_layers=N_LAYERS
    )
    symbols = np.array(frame.symbols)
    parts = []
    for symbol in sorted(set(frame.symbols)):
        own = features[symbols == symbol]
        parts += [own.mean(axis=0), own.std(axis=0)]
    return np.concatenate(parts)


def _scaled(rows: Sequence[Floats]) -> Floats:
    """Return rows whose columns all vary alike; those that do not vary count for nothing."""
    values = np.array(rows)
    spread = values.std(axis=0)
    scaled: Floats = (values - values.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
    return scaled


def write_frame(
    frame: Frame,
    file: TextIO,
    *,
    level: CommitteeMember | None = None,
    chosen: Chosen | None = None,
) -> None:
    """Write a frame as extended XYZ with cell, energy, time, temperatures and level of theory.

    Time and step count from the start of the run, its equilibration included.
    A store keeps no forces: with a calculator, energy, forces and stress are computed anew.

    Parameters
    ----------
    frame
        What is written.
    file
        Where to.
    level
        The potential that computes energy, forces and stress anew.
    chosen
        Why it was chosen.
    """
    symbols, positions, energy = frame.symbols, frame.positions, frame.energy
    theory, columns, stress = frame.ledger.provenance.engine, "species:S:1:pos:R:3", ""
    rows = [[f"{x:.8f}" for x in xyz] for xyz in positions]
    if level is not None:
        energy, forces, tensor = _evaluated(_atoms(frame, level.calculator))
        theory = level.name
        columns += ":forces:R:3"
        rows = [
            [*row, *(f"{x:.8f}" for x in force)] for row, force in zip(rows, forces, strict=True)
        ]
        if tensor is not None:
            stress = f' stress="{" ".join(f"{x:.8f}" for x in np.ravel(tensor))}"'
    lattice = " ".join(f"{x:.8f}" for x in np.ravel(frame.cell))
    step = frame.number * frame.ledger.steps_per_frame
    timestep = frame.ledger.timestep
    why = f" {chosen.measure}={chosen.value:.6g}" if chosen else ""
    comment = (
        f'Lattice="{lattice}" Properties={columns} energy={energy:.8f}{stress} '
        f'level_of_theory="{theory}" temperature={frame.temperature:.2f} set_temperature='
        f"{frame.ledger.temperature:g} frame={frame.number} step={step} timestep_fs={timestep:g} "
        f'time_ps={step * timestep / 1000.0:.6f} trajectory="{frame.ledger.key}"{why} '
        'pbc="T T T"'
    )
    atoms = "\n".join(" ".join([s, *row]) for s, row in zip(symbols, rows, strict=True))
    file.write(f"{len(symbols)}\n{comment}\n{atoms}\n")


def _evaluated(atoms: Any) -> Any:
    energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
    try:
        return energy, forces, atoms.get_stress(voigt=False)
    except NotImplementedError:
        return energy, forces, None
