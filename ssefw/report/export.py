"""Structures and trajectories of the store as files that other programs read."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ssefw.documents import Outcome, Trajectory
from ssefw.engines.potentials.committee import CommitteeMember
from ssefw.report.training_frames import (
    Select,
    choose_frames,
    decorrelated_frames,
    frames_of,
    write_frame,
)
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = ["write_chosen", "write_runs", "write_structures"]


def write_structures(outcomes: Iterable[Outcome], folder: Path) -> list[Path]:
    """Write the relaxed structure of each outcome as a CIF; those without one are left out.

    Of a disordered crystal each arrangement is written, relaxed or else as it was ordered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for outcome in outcomes:
        stem = f"{outcome.formula}-{outcome.candidate_id}".replace("/", "-")
        for item in outcome.arrangements:
            cell = item.relaxed.structure if item.relaxed else item.ordering.structure
            path = folder / f"{stem}-{item.ordering.index}.cif"
            cell.to(filename=str(path), fmt="cif")
            written.append(path)
        if outcome.relaxed is not None and not outcome.arrangements:
            path = folder / f"{stem}.cif"
            outcome.relaxed.structure.to(filename=str(path), fmt="cif")
            written.append(path)
    return written


def write_runs(
    outcome: Outcome,
    runs: Iterable[Trajectory],
    store: TrajectoryStore,
    folder: Path,
    *,
    stride: int | None = 1,
    level: CommitteeMember | None = None,
) -> list[Path]:
    """Write the frames of each run behind equilibration as extended XYZ.

    Each has cell, temperature, potential energy and level of theory. A store keeps no forces: with
    a calculator, energy, forces and stress are computed anew and are those of the calculator.

    Parameters
    ----------
    stride
        Every so many frames; None takes those that are decorrelated in energy.

    Raises
    ------
    DataError
        If no frame of a run lies behind equilibration.
    """
    written = []
    for ledger in runs:
        path = folder / f"{outcome.formula}-{ledger.temperature:g}K-{ledger.key[:8]}.extxyz"
        with path.open("w") as file:
            for frame in frames_of(ledger, store, stride=stride):
                write_frame(frame, file, level=level)
        written.append(path)
    return written


def write_chosen(
    outcome: Outcome,
    runs: Iterable[Trajectory],
    store: TrajectoryStore,
    folder: Path,
    *,
    n: int,
    select: Select,
    committee: Sequence[CommitteeMember],
    level: CommitteeMember | None,
) -> tuple[Path, int]:
    """Write the frames of a candidate that a potential would learn most from; return how many.

    Parameters
    ----------
    outcome
        Of the candidate.
    runs
        Its trajectories.
    store
        Where their frames are.
    folder
        Where to.
    n
        At most so many frames.
    select
        How they are chosen.
    committee
        Potentials whose disagreement counts.
    level
        The one that computes energies, forces and stress anew.

    Raises
    ------
    DataError
        If the candidate has no frames behind equilibration.
    """
    pool = decorrelated_frames(runs, store)
    calculators = [member.calculator for member in committee]
    chosen = choose_frames(pool, n, select=select, committee=calculators)
    path = folder / f"{outcome.formula}-{outcome.candidate_id}-{select}.extxyz"
    with path.open("w") as file:
        for item in chosen:
            write_frame(item.frame, file, level=level, chosen=item)
    return path, len(chosen)
