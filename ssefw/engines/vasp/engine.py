"""The engine for VASP: relaxation, single points, and dynamics that survive supercomputers."""

import math
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from pymatgen.core import Composition, Structure
from pymatgen.io.vasp.sets import VaspInputSet

from ssefw.documents import EndReason, NebPath, Provenance, RelaxResult, StaticResult
from ssefw.engines.band import check_images
from ssefw.engines.base import Engine, MDSettings, NebSettings, check_elements, settings_hash
from ssefw.engines.needs import cell_with, words_of
from ssefw.engines.ranks import cores_held, rank_count
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.scf_cost import RYDBERG, rough_step_seconds, scf_core_seconds
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.engines.vasp import process
from ssefw.engines.vasp.band_folder import BandFolder, End
from ssefw.engines.vasp.band_run import VaspBand
from ssefw.engines.vasp.dynamics import VaspDynamics, first_poscar, leg_tags
from ssefw.engines.vasp.inputs import (
    VaspCell,
    check_kpoints,
    check_tags,
    check_values,
    input_files,
    input_set,
    relaxation_tags,
)
from ssefw.engines.vasp.presets import Preset, Task, load_preset
from ssefw.engines.vasp.single import SingleResult, run_single
from ssefw.errors import ConfigurationError, EngineError
from ssefw.mistakes import check_settings
from ssefw.settings import Settings
from ssefw.units import AskedCharge

__all__ = ["VaspEngine"]

USUAL_CUTOFF = 520.0
"""eV, where neither preset nor campaign has one: that of the Materials Project."""


@dataclass(frozen=True, kw_only=True)
class VaspEngine(Engine):
    """Run VASP under custodian, with the settings of a preset.

    Attributes
    ----------
    preset
        Name of the settings: ``xrdmatch``, ``kang2022``, or ``hull`` for energies that can stand
        beside those of the Materials Project.
    incar
        Tags that override the preset's, for every task; None removes a tag.
    kpoints
        pymatgen's k-point settings in place of the preset's, for relax and static.
    potcar
        Element to POTCAR symbol in place of the preset's.
    potcar_spec
        Write ``POTCAR.spec`` in place of POTCAR: for dry runs and stand-ins of VASP.
    charge
        Of the cell in e, with a uniform background; sets NELECT from the POTCARs.

    Examples
    --------
    >>> engine = VaspEngine(preset="kang2022", incar={"NCORE": 4})
    >>> engine.name
    'vasp-kang2022'
    """

    preset: str = "xrdmatch"
    incar: dict[str, Any] = field(default_factory=dict)
    kpoints: dict[str, Any] = field(default_factory=dict)
    potcar: dict[str, str] = field(default_factory=dict)
    potcar_spec: bool = False
    charge: AskedCharge = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields; a neutral engine is what it was before there was a charge."""
        content: dict[str, Any] = super().as_dict()
        if not self.charge:
            del content["charge"]
        return content

    @property
    def name(self) -> str:
        """Short name with the preset."""
        return f"vasp-{self.preset}"

    def check(self) -> None:
        """Refuse an unknown preset, misspelled tags, tags that a task decides, and odd values."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        check_settings(type(self), given, of="The engine vasp")
        preset = self._preset
        for task in preset.tasks:
            check_tags(self.incar, task)
        check_values(self.incar)
        check_kpoints(self.kpoints)
        check_elements(self.potcar, of="potcar")

    def missing(self, elements: Collection[str], *, has_bands: bool = False) -> Iterator[str]:  # noqa: ARG002
        """Yield which program or POTCAR is not here, and how NCORE and the like misfit."""
        vasp_set = self._input_set("relax", VaspCell.of(cell_with(elements)), {})
        yield from process.missing_here(vasp_set, needs_potcars=not self.potcar_spec)

    def versions(self) -> dict[str, str]:
        """Return the versions of what writes, watches and reads.

        VASP's own version is in the provenance of each result.
        """
        return {name: version(name) for name in ("atomate2", "custodian", "pymatgen")}

    @property
    def doubt(self) -> float:
        """The rough model of a step, on an unknown machine and number of ranks."""
        return 6.0

    def step_core_seconds(
        self, composition: Composition, *, volume: float, is_dynamics: bool
    ) -> float | None:
        """Return about the core-seconds of a step; see `rough_step_seconds`."""
        tags = self._preset.incar("md" if is_dynamics else "relax") | self.incar
        cutoff = float(tags.get("ENCUT") or USUAL_CUTOFF) / RYDBERG
        return rough_step_seconds(
            composition, volume=volume, ecutwfc=cutoff, ecutrho=4 * cutoff, is_gamma=is_dynamics
        )

    def evaluation_core_seconds(self, structure: Structure) -> float | None:
        """Estimate a self-consistent calculation; None where POTCARs are missing."""
        vasp_set = self._input_set("relax", VaspCell.of(structure), {})
        try:
            electrons = process.electron_count(
                vasp_set.potcar_symbols,
                vasp_set.poscar.natoms,
                functional=str(vasp_set.user_potcar_functional),
                settings=process.site_settings(),
            )
        except EngineError:
            return None
        cutoff = float(vasp_set.incar.get("ENCUT", USUAL_CUTOFF)) / RYDBERG
        grid = vasp_set.kpoints
        return scf_core_seconds(
            volume=structure.volume,
            electrons=electrons - self.charge,
            ecutwfc=cutoff,
            ecutrho=4 * cutoff,
            n_kpoints=1 if grid is None else (math.prod(grid.kpts[0]) + 1) // 2,
            spins=int(vasp_set.incar.get("ISPIN", 1)),
        )

    def charged(self, charge: float) -> Self:
        """Return this engine for cells of another charge (e)."""
        return replace(self, charge=charge)

    def relax(
        self,
        structure: Structure,
        *,
        fmax: float,
        max_steps: int,
        relax_cell: bool,
        directory: Path | None = None,  # noqa: ARG002
        stop: StopCheck = never_stop,  # noqa: ARG002
    ) -> RelaxResult:
        """Relax with VASP's own optimizer; see `Engine.relax`.

        The preset ``hull`` relaxes as the Materials Project does, whatever `fmax` says. A
        relaxation that was interrupted continues from its last geometry when called again.
        """
        tags = relaxation_tags(fmax=fmax, max_steps=max_steps, relax_cell=relax_cell)
        parts = {"fmax": fmax, "steps": max_steps, "cell": relax_cell}
        result = self._single("relax", structure, tags, parts)
        before, after = structure.volume, result.structure.volume
        return RelaxResult(
            structure=result.structure,
            energy=result.energy,
            energy_per_atom=result.energy / len(structure),
            converged=result.converged,
            n_steps=result.n_steps,
            max_force=result.max_force,
            volume_change=after / before - 1.0,
            band_gap=result.band_gap,
            magnetization=result.magnetization,
            wall_time=result.wall_time,
            provenance=self._provenance(result.vasp_version, parts),
        )

    def static(self, structure: Structure) -> StaticResult:
        """Return energy and forces of a structure as it is."""
        result = self._single("static", structure, {}, {})
        return StaticResult(
            structure=structure,
            energy=result.energy,
            energy_per_atom=result.energy / len(structure),
            max_force=result.max_force,
            forces=result.forces.tolist(),
            stress=None if result.stress is None else result.stress.tolist(),
            cores=cores_held(rank_count(words_of(process.site_settings().vasp_cmd))),
            band_gap=result.band_gap,
            magnetization=result.magnetization,
            wall_time=result.wall_time,
            provenance=self._provenance(result.vasp_version, {}),
        )

    def md(
        self,
        structure: Structure,
        settings: MDSettings,
        run: RunDirectory,
        *,
        until: int,
        stop: StopCheck = never_stop,
    ) -> EndReason:
        """Advance the dynamics; see `Engine.md`. Each run of VASP is a segment of the ledger."""
        if until % settings.steps_per_frame:
            raise ValueError(f"{until} steps are no whole number of frames")
        cell = VaspCell.of(structure)
        site = process.site_settings()
        run.ranks = rank_count(words_of(site.vasp_cmd))

        def inputs(tags: Mapping[str, Any], **corrections: Any) -> VaspInputSet:
            return self._checked_set("md", cell, tags, site, **corrections)

        return VaspDynamics(
            run=run,
            cell=cell,
            settings=settings,
            inputs=inputs,
            site=site,
            potcar_spec=self.potcar_spec,
        ).advance(until=until, stop=stop)

    def neb(
        self,
        images: Sequence[Structure],
        settings: NebSettings,
        directory: Path,
        *,
        stop: StopCheck = never_stop,
    ) -> NebPath:
        """Relax a band with VASP and its VTST tools; see `Engine.neb`.

        Raises
        ------
        EngineError
            If the program has no VTST, or its MPI ranks cannot be divided between the images.
        """
        check_images(images)
        if self._preset.input_sets != "own":
            raise ConfigurationError(
                f"Preset {self.preset!r} is for energies and has no bands; use another for them."
            )
        site = process.site_settings()
        _check_ranks(site.vasp_cmd, n_images=len(images) - 2)
        tags = relaxation_tags(
            fmax=settings.fmax, max_steps=settings.max_steps, relax_cell=False
        ) | {"ISYM": 0}
        ends = [
            self._single("relax", image, tags | {"NSW": 0}, {"end of a band": settings.fmax})
            for image in (images[0], images[-1])
        ]
        first, last = (End(end.energy, end.max_force) for end in ends)
        vasp_set = self._checked_set("relax", VaspCell.of(images[0]), tags, site)
        band = VaspBand(
            files=BandFolder(directory, list(images), (first, last)),
            vasp_set=vasp_set,
            settings=settings,
            site=site,
            key=settings_hash(self, settings, *images),
            potcar_spec=self.potcar_spec,
        )
        path = band.execute(stop)
        provenance = self.provenance(settings)
        versions = provenance.versions | band.versions
        return path.model_copy(
            update={"provenance": provenance.model_copy(update={"versions": versions})}
        )

    def input_files(
        self,
        structure: Structure,
        task: Task,
        *,
        settings: MDSettings | None = None,
        steps: int = 0,
        fmax: float = 0.01,
        max_steps: int = 200,
        relax_cell: bool = True,
    ) -> dict[str, str]:
        """Return name and text of each input file of a task, without needing POTCARs.

        Of dynamics, those of the first run of VASP, and INCAR of the later ones.

        Parameters
        ----------
        settings, steps
            For ``md``: what is run, and for how many steps.
        fmax, max_steps, relax_cell
            For ``relax``.
        """
        cell = VaspCell.of(structure)
        if task == "md":
            if settings is None:
                raise ValueError("md needs settings")
            return self._dynamics_files(cell, settings, steps=steps)
        tags: dict[str, Any] = {}
        if task == "relax":
            tags = relaxation_tags(fmax=fmax, max_steps=max_steps, relax_cell=relax_cell)
        return input_files(self._input_set(task, cell, tags), cell)

    def _dynamics_files(
        self, cell: VaspCell, settings: MDSettings, *, steps: int
    ) -> dict[str, str]:
        files: dict[str, str] = {}
        for first, last, tags in leg_tags(settings, cell, steps=steps):
            vasp_set = self._input_set("md", cell, tags)
            if first == 0:
                files |= input_files(vasp_set, cell, poscar=first_poscar(cell, settings))
            else:
                files[f"INCAR of steps {first} to {last}"] = str(vasp_set.incar)
        return files

    def _input_set(
        self, task: Task, cell: VaspCell, tags: Mapping[str, Any], **corrections: Any
    ) -> VaspInputSet:
        return input_set(
            self._preset,
            task,
            cell,
            tags=tags,
            incar=self.incar | corrections,
            kpoints=None if task == "md" else self.kpoints,
            potcar=self.potcar,
        )

    @property
    def _preset(self) -> Preset:
        return load_preset(self.preset)

    def _provenance(self, vasp_version: str, parts: dict[str, Any]) -> Provenance:
        provenance = self.provenance(parts)
        versions = provenance.versions | {"vasp": vasp_version}
        return provenance.model_copy(update={"versions": versions})

    def _single(
        self, task: Task, structure: Structure, tags: Mapping[str, Any], parts: dict[str, Any]
    ) -> SingleResult:
        site = process.site_settings()
        cell = VaspCell.of(structure)
        key = settings_hash(self, task, parts, cell.structure.as_dict())
        return run_single(
            site.scratch_folder() / "vasp" / f"{task}-{key}",
            cell,
            self._checked_set(task, cell, tags, site),
            site=site,
            potcar_spec=self.potcar_spec,
            metals=self._preset.metals,
        )

    def _checked_set(
        self,
        task: Task,
        cell: VaspCell,
        tags: Mapping[str, Any],
        site: Settings,
        **corrections: Any,
    ) -> VaspInputSet:
        """Return the input set, after a look at program, POTCARs and electrons.

        Raises
        ------
        EngineError
            If a program or POTCAR is missing, or spin would be missed.
        """
        process.require_command(site.vasp_cmd, setting="vasp_cmd")
        vasp_set = self._input_set(task, cell, tags, **corrections)
        if self.potcar_spec:
            if self.charge:
                raise EngineError(
                    f"The number of electrons of a cell with charge {self.charge:+g} follows from "
                    "the POTCARs, and potcar_spec goes without them. Drop potcar_spec, or set the "
                    "charge to 0."
                )
            return vasp_set
        poscar = vasp_set.poscar
        electrons = process.electron_count(
            vasp_set.potcar_symbols,
            poscar.natoms,
            functional=str(vasp_set.user_potcar_functional),
            settings=site,
        )
        electrons -= self.charge
        spin = vasp_set.incar.get("ISPIN", 1)
        if spin == 1 and round(electrons) % 2 and "ISPIN" not in self.incar:
            formula = poscar.structure.composition.reduced_formula
            raise EngineError(
                f"{formula}: the cell has an odd number of electrons ({electrons:g}), so that it "
                "is magnetic or a metal, and no spin was planned. Check the composition, or set "
                "ISPIN in incar."
            )
        if not self.charge:
            return vasp_set
        return self._input_set(task, cell, tags, **corrections, NELECT=electrons)


def _check_ranks(command: str, *, n_images: int) -> None:
    ranks = rank_count(shlex.split(command))
    if ranks > 1 and ranks % n_images:
        raise EngineError(
            f"{ranks} MPI ranks of {command!r} cannot be divided between {n_images} images that "
            f"move: VASP wants a multiple of {n_images}."
        )
