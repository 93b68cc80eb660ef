"""From the files of a run of neb.x to the record of a band."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Structure

from ssefw.documents import NebIterationRecord, NebPath, NebStatus, Provenance
from ssefw.engines.band import band_document, path_lengths
from ssefw.engines.espresso.bands.neb_output import (
    NebIteration,
    NebLog,
    PathFile,
    parse_log,
    parse_path,
    parse_profile,
)
from ssefw.engines.espresso.inputs import PREFIX
from ssefw.engines.espresso.job import NEB_OUTPUT
from ssefw.engines.espresso.symptoms import diagnose_folder, read_text

if TYPE_CHECKING:
    from emmet.core.neb import NebResult

__all__ = ["neb_result", "read_band", "records"]

ENERGY_MATCH = 1e-4
"""Energies (eV) of the log and the path file that differ by more are of different iterations."""

SAME_SLACK = 1.001


def read_band(
    folder: Path,
    start: Structure | None = None,
    *,
    output: str = NEB_OUTPUT,
    prefix: str = PREFIX,
    earlier: Sequence[NebIterationRecord] = (),
    wall_time: float = 0.0,
    provenance: Provenance | None = None,
) -> NebPath | None:
    """Read a run of neb.x, whatever became of it; None if no iteration was completed.

    Parameters
    ----------
    start
        The first image, for species and lattice; without it the record has no structures.
    earlier
        Iterations of runs that this one continued.
    """
    log = parse_log(read_text(folder / output), symptoms=diagnose_folder(folder, ()))
    if not log.iterations:
        return None
    last = log.iterations[-1]
    path = parse_path(read_text(folder / f"{prefix}.path"))
    if path is not None and not _agree(path, last):
        path = None
    structures = _structures(path, start)
    lengths = _lengths(folder / f"{prefix}.dat", structures, last)
    status, reason = _verdict(log)
    climbed = status == "converged" and log.climbs and bool(last.climbing)
    return band_document(
        structures=structures,
        energies=last.energies,
        lengths=lengths,
        forces=last.errors,
        status=status,
        climbed=climbed,
        reason=reason,
        history=[*earlier, *records(log)],
        wall_time=wall_time,
        provenance=provenance,
    )


def records(log: NebLog) -> list[NebIterationRecord]:
    """Return the history of a run for its record."""
    return [
        NebIterationRecord(
            iteration=iteration.number,
            highest=max(iteration.energies) - iteration.energies[0],
            max_force=max(iteration.errors[1:-1], default=0.0),
            climbing=log.climbs,
        )
        for iteration in log.iterations
    ]


def neb_result(band: NebPath, *, folder: Path | None = None) -> "NebResult":
    """Return a band as emmet stores it. What is not converged has no energies there.

    emmet derives a barrier from whatever energies it is given.
    """
    from emmet.core.neb import BarrierAnalysis, NebMethod, NebResult  # noqa: PLC0415  slow
    from emmet.core.types.enums import TaskState  # noqa: PLC0415

    known = band.forward is not None
    return NebResult(
        images=list(band.structures) or None,
        energies=list(band.energies) if known else None,
        state=TaskState.SUCCESS if known else TaskState.FAILED,
        neb_method=NebMethod.CLIMBING_IMAGE if band.climbed else NebMethod.STANDARD,
        forward_barrier=band.forward,
        reverse_barrier=band.reverse,
        barrier_analysis=BarrierAnalysis.from_energies(band.energies, list(band.lengths))
        if known
        else None,
        dir_name=str(folder) if folder else None,
    )


def _verdict(log: NebLog) -> tuple[NebStatus, str]:
    last = log.iterations[-1]
    worst = max(last.errors[1:-1], default=0.0)
    if log.end == "failed":
        return "failed", "; ".join(s.message for s in log.symptoms)
    if log.end == "converged":
        # A log may be patched together from runs: its last table must bear out what it says.
        if log.threshold is None or worst > log.threshold * SAME_SLACK:
            return "unconverged", f"the last iteration has a force of {worst:.3f} eV/A"
        return "converged", ""
    if log.end == "nstep":
        return "unconverged", f"out of iterations with a force of {worst:.3f} eV/A"
    return "interrupted", f"{log.end} at iteration {last.number}"


def _agree(path: PathFile, last: NebIteration) -> bool:
    return len(path.energies) == len(last.energies) and bool(
        np.allclose(path.energies, last.energies, atol=ENERGY_MATCH, rtol=0.0)
    )


def _structures(path: PathFile | None, start: Structure | None) -> list[Structure]:
    if path is None or start is None or path.positions.shape[1] != len(start):
        return []
    return [
        Structure(start.lattice, start.species, positions, coords_are_cartesian=True)
        for positions in path.positions
    ]


def _lengths(profile: Path, structures: Sequence[Structure], last: NebIteration) -> Sequence[float]:
    """Return lengths along the path (A); of unit length where only relative ones are known."""
    if structures:
        return [float(x) for x in path_lengths(structures)]
    table = parse_profile(read_text(profile))
    relative = np.array(last.energies) - last.energies[0]
    if (
        table is not None
        and len(table) == len(relative)
        and np.allclose(table[:, 1], relative, atol=ENERGY_MATCH, rtol=0.0)
    ):
        return [float(x) for x in table[:, 0]]
    # The springs of neb.x keep images at about equal distances.
    return [float(x) for x in np.linspace(0.0, 1.0, len(relative))]
