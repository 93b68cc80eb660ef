"""From the engine's fields and a structure to an input of pw.x, and what refuses to become one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pymatgen.core import Structure

from ssefw.engines.espresso.inputs import Calculation, kpoint_grid, pw_input
from ssefw.engines.espresso.presets import Namelists, Preset, Task, merged
from ssefw.engines.espresso.pseudopotentials import (
    Pseudopotential,
    check_functional,
    check_hash,
    electron_count,
    find_pseudopotentials,
    recommended_cutoffs,
)
from ssefw.engines.scf_cost import RYDBERG
from ssefw.errors import DataError, EngineError
from ssefw.settings import Settings

__all__ = ["USUAL_DUAL", "Recipe", "relaxation_namelists"]

USUAL_DUAL = 8.0
"""Cutoff of the density over that of wavefunctions, where only the latter is given."""
RY_PER_BOHR = 25.711043
"""One Ry/bohr in eV/A."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an input is made of; the fields are those of `EspressoEngine`, the preset is read."""

    preset: Preset
    ecutwfc: float | None
    ecutrho: float | None
    kspacing: float | None
    charge: float
    smearing: float | None
    magmoms: Mapping[str, float]
    options: Mapping[str, Mapping[str, Any]]
    family: str
    pseudo_files: Mapping[str, str]
    pseudo_hash: str | None

    def spacing(self, task: Task) -> float | None:
        """Return the largest distance of k-points (1/A) of a task; None for Gamma alone."""
        own = None if task == "md" else self.kspacing
        return own or self.preset.settings(task).kspacing

    def input(
        self,
        task: Task,
        calculation: Calculation,
        structure: Structure,
        pseudos: Mapping[str, Pseudopotential],
        tags: Namelists,
    ) -> str:
        """Return the input of a task, tags being what the task itself decides.

        Parameters
        ----------
        task
            Whose preset is taken.
        calculation
            What pw.x calls it.
        structure
            What is calculated.
        pseudos
            By element.
        tags
            What the task itself decides.
        """
        return pw_input(
            structure,
            pseudos,
            calculation=calculation,
            options=self.namelists(task, structure, pseudos, tags),
            kpoints=self.grid(task, structure),
            magmoms=self.magmoms,
        )

    def grid(self, task: Task, structure: Structure) -> tuple[int, int, int]:
        """Return the grid of k-points of a task."""
        spacing = self.spacing(task)
        return (1, 1, 1) if spacing is None else kpoint_grid(structure, spacing=spacing)

    def find(self, structure: Structure, site: Settings) -> dict[str, Pseudopotential]:
        """Find the pseudopotentials of a structure's elements."""
        elements = [element.symbol for element in structure.composition.elements]
        return find_pseudopotentials(
            site.pseudo_dir, elements, family=self.family, files=self.pseudo_files
        )

    def pseudopotentials(self, structure: Structure, site: Settings) -> dict[str, Pseudopotential]:
        """Find what the structure needs, and refuse what cannot be run with it."""
        if not structure.is_ordered:
            msg = f"{structure.composition.reduced_formula} has partly occupied sites. Order it."
            raise DataError(msg)
        pseudos = self.find(structure, site)
        check_hash(pseudos.values(), self.pseudo_hash, folder=site.pseudo_dir)
        if (functional := self.preset.functional) is not None:
            check_functional(pseudos.values(), functional, of=f"the preset {self.preset.name!r}")
        electrons = electron_count(structure, pseudos, charge=self.charge)
        system = self.namelists("static", structure, pseudos, {})["system"]
        is_paired = system.get("nspin", 1) == 1 and not system.get("noncolin")
        if system.get("occupations") == "fixed" and is_paired and round(electrons) % 2:
            msg = (
                f"{structure.composition.reduced_formula} with charge {self.charge:+g} has "
                f"{electrons:g} electrons: an odd number cannot fill bands. Set charge (-1 for a "
                "missing Li+), smearing, or magmoms."
            )
            raise EngineError(msg)
        return pseudos

    def namelists(
        self,
        task: Task,
        structure: Structure,
        pseudos: Mapping[str, Pseudopotential],
        tags: Namelists,
    ) -> Namelists:
        """Merge the preset, what follows from fields and structure, the task, and the user.

        Parameters
        ----------
        task
            Whose preset is taken.
        structure
            What is calculated.
        pseudos
            By element; cutoffs may be theirs.
        tags
            What the task itself decides.
        """
        if self.ecutwfc is None:
            waves, density = recommended_cutoffs(pseudos.values())
        else:
            waves, density = self.ecutwfc, USUAL_DUAL * self.ecutwfc
        system: dict[str, Any] = {"ecutwfc": waves, "ecutrho": self.ecutrho or density}
        if self.charge:
            system |= {"tot_charge": self.charge, "nosym": True}
        if self.smearing is not None:
            width = self.smearing / RYDBERG
            system |= {"occupations": "smearing", "smearing": "cold", "degauss": width}
        if self.magmoms:
            system["nspin"] = 2
        accuracy = {"conv_thr": self.preset.accuracy(task) * len(structure)}
        fixed: Namelists = {"system": system, "electrons": accuracy}
        return merged(self.preset.namelists(task), fixed, tags, self.options)


def relaxation_namelists(*, fmax: float, max_steps: int, relax_cell: bool) -> Namelists:
    """Return what the task of a relaxation decides.

    pw.x looks at components of forces, so that it is asked for fmax / sqrt(3).
    """
    namelists: Namelists = {
        "control": {"forc_conv_thr": fmax / RY_PER_BOHR / math.sqrt(3.0), "nstep": max_steps},
        "ions": {"ion_dynamics": "bfgs"},
    }
    if relax_cell:
        namelists["cell"] = {"cell_dynamics": "bfgs", "press_conv_thr": 0.5}
    return namelists
