"""Relaxation, single points and bands with any ASE calculator."""

import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.core import PeriodicSite, Structure

from ssefw.documents import NebPath, RelaxResult, StaticResult
from ssefw.engines.ase.calculators import BREAKDOWNS
from ssefw.engines.band import check_images
from ssefw.engines.base import Engine, NebSettings, settings_hash
from ssefw.engines.ranks import cores_held
from ssefw.engines.stopping import StopCheck, never_stop, stop_check
from ssefw.errors import DataError, EngineError

__all__ = ["CalculatorEngine", "plain_atoms"]


@dataclass(frozen=True, kw_only=True)
class CalculatorEngine(Engine):
    """What an engine does whose forces come from an ASE calculator."""

    @abstractmethod
    def calculating(
        self, structure: Structure, *, task: str, directory: Path | None, stop: StopCheck
    ) -> AbstractContextManager[Atoms]:
        """Return a context in which the atoms of a structure have a calculator.

        Parameters
        ----------
        structure
            What the atoms are made of.
        task
            What is calculated, for a program that keeps files of it.
        directory
            Where it is calculated, if it has a place.
        stop
            Asked whether to stop.
        """

    def relax(
        self,
        structure: Structure,
        *,
        fmax: float,
        max_steps: int,
        relax_cell: bool,
        directory: Path | None = None,
        stop: StopCheck = never_stop,
    ) -> RelaxResult:
        """Relax with FIRE, the cell by its deformation gradient; see `Engine.relax`."""
        # ASE's optimizers and filters: not for a plan, nor for dynamics.
        from ssefw.engines.ase.relax import relax_atoms  # noqa: PLC0415

        parts = {"fmax": fmax, "cell": relax_cell, "steps": max_steps}
        key = settings_hash(self, parts, structure) if directory else ""
        with self.calculating(structure, task="relax", directory=directory, stop=stop) as atoms:
            before = atoms.get_volume()
            try:
                done = relax_atoms(
                    atoms,
                    fmax=fmax,
                    max_steps=max_steps,
                    relax_cell=relax_cell,
                    directory=directory,
                    key=key,
                    stop=stop,
                )
                energy = self._finite(atoms.get_potential_energy(), "relaxation")
                forces = atoms.get_forces()
            except BREAKDOWNS as error:
                raise EngineError(f"Relaxation with {self.name} broke down: {error}") from error
        final: Structure = _adaptor().get_structure(atoms)
        return RelaxResult(
            structure=_plain(final),
            energy=energy,
            energy_per_atom=energy / len(atoms),
            converged=done.converged,
            n_steps=done.n_steps,
            max_force=float(np.linalg.norm(forces, axis=1).max()),
            volume_change=float(atoms.get_volume() / before - 1.0),
            wall_time=done.seconds,
            provenance=self.provenance(parts),
        )

    def static(self, structure: Structure) -> StaticResult:
        """Return the energy and the largest force."""
        start = time.monotonic()
        stop = stop_check()
        with self.calculating(structure, task="static", directory=None, stop=stop) as atoms:
            try:
                energy = self._finite(atoms.get_potential_energy(), "evaluation")
                forces = atoms.get_forces()
                stress = _stress(atoms)
            except BREAKDOWNS as error:
                raise EngineError(f"Evaluation with {self.name} broke down: {error}") from error
        return StaticResult(
            structure=structure,
            energy=energy,
            energy_per_atom=energy / len(atoms),
            max_force=float(np.linalg.norm(forces, axis=1).max()),
            forces=forces.tolist(),
            stress=stress,
            cores=cores_held(),
            wall_time=time.monotonic() - start,
            provenance=self.provenance(),
        )

    def neb(
        self,
        images: Sequence[Structure],
        settings: NebSettings,
        directory: Path,
        *,
        stop: StopCheck = never_stop,
    ) -> NebPath:
        """Relax a band with ASE's NEB; see `Engine.neb`."""
        from ssefw.engines.ase.neb import AseBand  # noqa: PLC0415  slow to import; see `idpp_images`

        check_images(images)
        key = settings_hash(self, settings.model_dump(), *images)
        with self.calculating(images[0], task="neb", directory=directory, stop=stop) as atoms:
            return AseBand(
                folder=directory,
                images=images,
                calculator=atoms.calc,
                settings=settings,
                key=key,
                provenance=self.provenance(settings.model_dump()),
            ).execute(stop)

    def _finite(self, energy: float, what: str) -> float:
        if not np.isfinite(energy):
            raise EngineError(f"The energy of this {what} with {self.name} is not finite.")
        return float(energy)


def plain_atoms(structure: Structure) -> Atoms:
    """Return the atoms of an ordered structure, without a calculator.

    Raises
    ------
    DataError
        If sites are partly occupied.
    """
    if not structure.is_ordered:
        raise DataError(
            f"{structure.composition.reduced_formula} has partly occupied sites; "
            "molecular dynamics and relaxation need an ordered structure."
        )
    atoms: Atoms = _adaptor().get_atoms(structure, msonable=False)
    return atoms


def _stress(atoms: Atoms) -> list[list[float]] | None:
    """Return the stress (eV/A^3) where the calculator has it and the atoms repeat."""
    has_it = "stress" in getattr(atoms.calc, "implemented_properties", ())
    return atoms.get_stress(voigt=False).tolist() if has_it and atoms.pbc.all() else None


def _adaptor() -> Any:
    # A third of a second to import, and a plan converts no structure.
    from pymatgen.io.ase import AseAtomsAdaptor  # noqa: PLC0415

    return AseAtomsAdaptor


def _plain(structure: Structure) -> Structure:
    """Drop what the calculator attached to the sites."""
    return Structure.from_sites(
        [PeriodicSite(site.species, site.frac_coords, site.lattice) for site in structure]
    )
