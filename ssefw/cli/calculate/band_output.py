"""What ``ssefw neb`` tells while bands are computed, draws of them, and prints at the end."""

from pathlib import Path
from typing import TYPE_CHECKING

from ssefw.cli.options import print_json
from ssefw.cli.say import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from ssefw.data.hops import HopClass
    from ssefw.documents import Barrier, NebIterationRecord, NebPath
    from ssefw.engines import NebSettings

__all__ = [
    "doubt_small",
    "draw",
    "progress",
    "show_bands",
    "show_barrier",
    "silence",
    "verdict",
    "write_vasp",
]

CROWDED = 8.0
"""Defects closer than this (A) to their images are worth a warning."""


def doubt_small(cell: "Structure") -> None:
    """Say so where a defect meets its own images."""
    lattice = cell.lattice
    apart = min(lattice.d_hkl(face) for face in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    if apart < CROWDED:
        say(
            f"Warning: the defect is {apart:.1f} A from its own images, and the barrier will be "
            "that of defects so close together. --min-length 10 is usual.",
            err=True,
        )


def silence(name: str, latest: "NebIterationRecord") -> None:
    """Say nothing."""


def progress(name: str, latest: "NebIterationRecord") -> None:
    """Say how far a band is."""
    stage = "climbing" if latest.climbing else "plain"
    say(
        f"{name}: iteration {latest.iteration}, {stage}, force {latest.max_force:.3f} eV/A, "
        f"highest image {latest.highest:.3f} eV",
        err=True,
    )


def draw(band: "NebPath", stem: Path) -> None:
    """Draw a band."""
    from ssefw.report.figures.neb import band_figure
    from ssefw.report.style import save_figure

    stem.parent.mkdir(parents=True, exist_ok=True)
    for path in save_figure(band_figure(band), stem):
        say(f"Wrote {path}", err=True)


def write_vasp(band: "NebPath", folder: Path, how: "NebSettings") -> None:
    """Write the images of a band as inputs of VASP with VTST."""
    from ssefw.engines.vasp import VaspEngine
    from ssefw.engines.vasp.band import band_files

    engine = VaspEngine(potcar_spec=True)
    for name, text in band_files(engine, band.structures, how).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    say(
        f"Wrote inputs for VASP with VTST to {folder}: relax both ends first; the cell is neutral.",
        err=True,
    )


def verdict(band: "NebPath") -> str:
    """Return what a band gave, in words."""
    if band.forward is None or band.reverse is None:
        return f"{band.status}: {band.reason}"
    return f"{band.forward:.3f} eV forward, {band.reverse:.3f} eV back"


def show_bands(
    bands: "Mapping[HopClass, NebPath]", *, arrangement: int | None, as_json: bool
) -> None:
    """Print the bands of a crystal, or of one arrangement of a disordered one."""
    which = {} if arrangement is None else {"arrangement": arrangement}
    if as_json:
        for kind, band in bands.items():
            record = band.model_dump(mode="json", exclude={"structures", "history"})
            print_json(
                {**which, "hop_length": kind.hop.length, "symmetric": kind.symmetric} | record
            )
        return

    from ssefw.cli.listing import Heading, Listing

    table = Listing(
        [
            Heading("hop (A)", 0, "right"),
            Heading("in the cell", 1, "right"),
            Heading("forward (eV)", 0, "right"),
            Heading("reverse (eV)", 0, "right"),
            Heading("status"),
        ],
        title="" if arrangement is None else f"Arrangement {arrangement}",
    )
    for kind, band in bands.items():
        table.add(
            f"{kind.hop.length:.3f}",
            str(len(kind.hops)),
            "–" if band.forward is None else f"{band.forward:.3f}",
            "–" if band.reverse is None else f"{band.reverse:.3f}",
            band.status,
        )
    table.show()


def show_barrier(barrier: "Barrier", *, arrangements: int = 0, as_json: bool) -> None:
    """Print what it takes to cross the crystal, in several arrangements where there are."""
    if as_json:
        print_json(
            {
                "candidate_id": barrier.candidate_id,
                "specie": barrier.specie,
                "barrier_1d_ev": barrier.barrier_1d.plain(),
                "barrier_2d_ev": barrier.barrier_2d.plain(),
                "barrier_3d_ev": barrier.barrier_3d.plain(),
                "warnings": list(barrier.warnings),
            }
        )
        return

    from ssefw.cli.console import console, show_estimate

    dimensions = {"1D": barrier.barrier_1d, "2D": barrier.barrier_2d, "3D": barrier.barrier_3d}
    plural = "s" if arrangements > 1 else ""
    over = f", over {arrangements} arrangement{plural}" if arrangements else ""
    for name, estimate in dimensions.items():
        console().print(f"to cross in {name}{over}: {show_estimate(estimate)} eV")
    for warning in barrier.warnings:
        label = "" if warning.startswith("arrangement ") else "Warning: "
        say(f"{label}{warning}", err=True)
