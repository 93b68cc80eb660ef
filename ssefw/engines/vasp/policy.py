"""What custodian may do: which errors are looked for, and which remedies are accepted.

Custodian's remedies were made for relaxations: they halve POTIM, change the smearing or the k-mesh,
and start again from POSCAR. In dynamics each of these spoils the trajectory without a word. Here
custodian looks, and proposes; a proposal that touches only how the electrons are solved starts the
next segment from where this one ended, and is on the ledger. Any other is refused.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custodian.custodian import ErrorHandler
from custodian.vasp.handlers import (
    FrozenJobErrorHandler,
    MeshSymmetryErrorHandler,
    NonConvergingErrorHandler,
    PositiveEnergyErrorHandler,
    StdErrHandler,
    UnconvergedErrorHandler,
    VaspErrorHandler,
)
from pymatgen.io.vasp import Incar, Kpoints

__all__ = [
    "Correction",
    "dynamics_handlers",
    "refused_changes",
    "single_point_handlers",
    "tag_changes",
]

ELECTRONIC = frozenset(
    {
        "ALGO", "AMIN", "AMIX", "BMIX", "ICHARG", "IMIX", "ISEARCH", "ISTART", "KPAR", "LREAL",
        "NBANDS", "NCORE", "NELM", "NELMIN", "NPAR", "NSIM", "SYMPREC", "TIME",
    }
)  # fmt: skip
"""Tags that decide how the electronic ground state is found, not which one it is. LREAL is an
approximation that a remedy only ever switches off."""

IGNORED_IN_DYNAMICS = frozenset({"brions", "dentet", "subspacematrix", "symprec_noise", "zbrent"})
"""Messages of relaxations, of symmetry, or warnings from which dynamics recover by themselves."""

FROZEN_AFTER = 1800.0
"""Seconds without a word of VASP after which it is frozen; it prints at each electronic step."""


@dataclass(frozen=True)
class Correction:
    """An error that a handler found, and whether it proposed a remedy."""

    handler: str
    errors: tuple[str, ...]
    has_remedy: bool

    def __str__(self) -> str:
        return f"{', '.join(self.errors)} ({self.handler})"


def dynamics_handlers() -> list[ErrorHandler]:
    """Return the handlers that watch dynamics.

    Left out, since their remedies change the physics: LargeSigmaErrorHandler and
    IncorrectSmearingHandler (SIGMA, ISMEAR), PotimErrorHandler (POTIM, IBRION),
    MeshSymmetryErrorHandler and KspacingMetalHandler (k-points), DriftErrorHandler (PREC, grids).
    UnconvergedErrorHandler asks for converged ions, which dynamics have not.
    """
    messages = [m for m in VaspErrorHandler.error_msgs if m not in IGNORED_IN_DYNAMICS]
    return [
        VaspErrorHandler(errors_subset_to_catch=messages),
        StdErrHandler(),
        NonConvergingErrorHandler(),
        PositiveEnergyErrorHandler(),
        FrozenJobErrorHandler(timeout=FROZEN_AFTER),
    ]


def single_point_handlers() -> list[ErrorHandler]:
    """Return the handlers for relaxations and single points.

    They are atomate2's without those that change smearing or time step, which would make energies
    of different structures incomparable.
    """
    return [
        VaspErrorHandler(),
        MeshSymmetryErrorHandler(),
        UnconvergedErrorHandler(),
        NonConvergingErrorHandler(),
        StdErrHandler(),
        FrozenJobErrorHandler(timeout=FROZEN_AFTER),
    ]


def tag_changes(before: Incar, after: Incar) -> dict[str, Any]:
    """Return the tags that differ, with their new values; None is a removed tag."""
    names = {*before, *after}
    return {name: after.get(name) for name in sorted(names) if before.get(name) != after.get(name)}


def refused_changes(folder: Path, *, incar: Incar, kpoints: str | None) -> list[str]:
    """Return the changes to a folder's inputs that dynamics must not accept."""
    changes = tag_changes(incar, Incar.from_file(folder / "INCAR"))
    refused = [f"{name} = {value}" for name, value in changes.items() if name not in ELECTRONIC]
    file = folder / "KPOINTS"
    if kpoints is not None and str(Kpoints.from_file(file)) != kpoints:
        refused.append("other k-points")
    return refused
