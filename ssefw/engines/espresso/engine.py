"""The engine for Quantum ESPRESSO: relaxation, single points, dynamics, and paths by neb.x."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pymatgen.core import Composition, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.documents import EndReason, NebPath, Provenance, RelaxResult, StaticResult
from ssefw.engines.ase.dynamics import advance_dynamics
from ssefw.engines.band import check_images
from ssefw.engines.base import Engine, MDSettings, NebSettings, check_elements, settings_hash
from ssefw.engines.espresso.bands.neb_run import NebRun
from ssefw.engines.espresso.command import ParallelLayout, command_words
from ssefw.engines.espresso.forces import PwForces
from ssefw.engines.espresso.inputs import (
    PW_INPUT,
    Calculation,
    check_namelists,
    kpoint_count,
)
from ssefw.engines.espresso.needs import missing_here
from ssefw.engines.espresso.presets import DEFAULT, Namelists, Task, load_preset
from ssefw.engines.espresso.pseudopotentials import (
    Pseudopotential,
    electron_count,
    family_hash,
)
from ssefw.engines.espresso.recipe import USUAL_DUAL, Recipe, relaxation_namelists
from ssefw.engines.espresso.single import Finished, run_single
from ssefw.engines.ipi import ServedDriver
from ssefw.engines.ranks import cores_held, rank_count
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.scf_cost import rough_step_seconds, scf_core_seconds
from ssefw.engines.stopping import StopCheck, never_stop, stop_check
from ssefw.errors import ConfigurationError, EngineError
from ssefw.mistakes import check_settings
from ssefw.settings import Settings, load_settings
from ssefw.units import AskedCharge, AskedCount, AskedCutoff, AskedSpacing, Energy, Limits, Unit

__all__ = ["EspressoEngine"]

USUAL_CUTOFF = 50.0
"""Ry, as ultrasoft pseudopotentials mostly suggest."""


@dataclass(frozen=True, kw_only=True)
class EspressoEngine(Engine):
    """Run pw.x and neb.x under custodian, with the settings of a preset.

    Attributes
    ----------
    preset
        Name of the settings: ``xrdmatch``, ``kang2022``, or ``hull`` for energies that can stand
        beside each other; without one, those of `presets/default.yaml`.
    ecutwfc, ecutrho
        Cutoffs in Ry; by default the largest that the pseudopotentials suggest.
    kspacing
        Largest distance of k-points, in 1/A with 2 pi, in place of the preset's: of relaxations,
        single points and bands.
    charge
        Charge of the cell in e: -1 for a cell that lacks a Li+.
    smearing
        Width of cold smearing in eV; None for the preset's, mostly the fixed occupations of an
        insulator.
    magmoms
        Element to initial magnetic moment in Bohr magnetons; makes the run spin-polarized.
    options
        Namelist to keyword to value, which override everything else; None removes a keyword.
    family, pseudo_files, pseudo_hash
        Which pseudopotentials of the folder ``pseudo_dir`` are meant: a family, files by element,
        and the hash that those must have (see `family_hash`), so that nobody continues a series
        with other ones.
    layout
        How MPI ranks are divided between images and k-points: ``image_groups``, ``pools``.

    Examples
    --------
    >>> EspressoEngine(charge=-1).name
    'espresso'
    """

    preset: str | None = None
    ecutwfc: AskedCutoff | None = None
    ecutrho: Annotated[float, Unit("Ry"), Limits("Ry", least=1, most=1e4)] | None = None
    kspacing: AskedSpacing | None = None
    charge: AskedCharge = 0.0
    smearing: Annotated[Energy, Limits("eV", above=0, most=10)] | None = None
    magmoms: dict[str, Annotated[float, Limits("mu_B", least=-20, most=20)]] = field(
        default_factory=dict
    )
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    family: str = "any"
    pseudo_files: dict[str, str] = field(default_factory=dict)
    pseudo_hash: str | None = None
    layout: dict[str, AskedCount] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Say the spacing aloud where no preset names it, as before there were presets."""
        if self.preset is None and self.kspacing is None:
            spacing = load_preset(DEFAULT).static.kspacing
            object.__setattr__(self, "kspacing", spacing)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields; without a preset, as before there were presets."""
        content: dict[str, Any] = super().as_dict()
        if self.preset is None:
            del content["preset"]
        return content

    @property
    def name(self) -> str:
        """The name of the code, with the preset where there is one."""
        return f"espresso-{self.preset}" if self.preset else "espresso"

    @property
    def tells_stress(self) -> bool:
        """Not asked for: tstress costs as much as forces, and outputs of single cells lack it."""
        return False

    def check(self) -> None:
        """Refuse settings of the wrong kind, and namelists and keywords that pw.x does not know."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        check_settings(type(self), given, of="The engine espresso")
        check_settings(ParallelLayout, self.layout, of="The layout of the engine espresso")
        load_preset(self.preset or DEFAULT)
        check_namelists(self.options)
        check_elements([*self.magmoms, *self.pseudo_files], of="magmoms and pseudo_files")

    def versions(self) -> dict[str, str]:
        """Return the versions of what writes, watches and reads.

        That of Quantum ESPRESSO is in the provenance of each result.
        """
        return {name: version(name) for name in ("ase", "custodian")}

    def missing(self, elements: Collection[str], *, has_bands: bool = False) -> Iterator[str]:
        """Yield which program or pseudopotential is not here, and how the layout misfits."""
        yield from missing_here(
            elements,
            family=self.family,
            files=self.pseudo_files,
            layout=self.layout,
            has_bands=has_bands,
        )

    @property
    def doubt(self) -> float:
        """The rough model of a step, on an unknown machine and number of ranks."""
        return 6.0

    def step_core_seconds(
        self,
        composition: Composition,
        *,
        volume: float,
        is_dynamics: bool,
    ) -> float | None:
        """Return about the core-seconds of a step; see `rough_step_seconds`."""
        cutoff = self.ecutwfc or USUAL_CUTOFF
        return rough_step_seconds(
            composition,
            volume=volume,
            ecutwfc=cutoff,
            ecutrho=self.ecutrho or USUAL_DUAL * cutoff,
            is_gamma=is_dynamics,
        )

    def evaluation_core_seconds(self, structure: Structure) -> float | None:
        """Estimate a self-consistent calculation; None where pseudopotentials are missing."""
        try:
            pseudos = self._recipe.find(structure, load_settings().settings)
            system = self._recipe.namelists("static", structure, pseudos, {})["system"]
        except (ConfigurationError, EngineError):
            return None
        return scf_core_seconds(
            volume=structure.volume,
            electrons=electron_count(structure, pseudos, charge=self.charge),
            ecutwfc=system["ecutwfc"],
            ecutrho=system["ecutrho"],
            n_kpoints=kpoint_count(self._recipe.grid("static", structure)),
            spins=system.get("nspin", 1),
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
        """Relax with the BFGS of pw.x; see `Engine.relax`."""
        tags = relaxation_namelists(fmax=fmax, max_steps=max_steps, relax_cell=relax_cell)
        parts = {"fmax": fmax, "steps": max_steps, "cell": relax_cell}
        done, pseudos = self._single(
            "relax", "vc-relax" if relax_cell else "relax", structure, tags, parts
        )
        return RelaxResult(
            structure=done.final,
            energy=done.energy,
            energy_per_atom=done.energy / len(structure),
            converged=done.last.relaxed and done.last.finished,
            n_steps=sum(len(attempt.energies) for attempt in done.attempts),
            max_force=done.max_force,
            volume_change=done.final.volume / structure.volume - 1.0,
            wall_time=done.wall_time,
            provenance=self._provenance(done.last.version, pseudos, parts),
        )

    def static(self, structure: Structure) -> StaticResult:
        """Return energy and forces of a structure as it is."""
        done, pseudos = self._single("static", "scf", structure, {}, {})
        return StaticResult(
            structure=structure,
            energy=done.energy,
            energy_per_atom=done.energy / len(structure),
            max_force=done.max_force,
            forces=None if done.last.forces is None else done.last.forces.tolist(),
            cores=cores_held(
                rank_count(command_words(load_settings().settings.pw_cmd, setting="pw_cmd"))
            ),
            wall_time=done.wall_time,
            provenance=self._provenance(done.last.version, pseudos, {}),
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
        """Advance the dynamics with forces of pw.x; see `Engine.md`.

        pw.x moves no atoms: it is sent positions over a socket and lives on from step to step.
        """
        if until % settings.steps_per_frame:
            raise ValueError(f"{until} steps are no whole number of frames")
        if "md" not in self._recipe.preset.tasks:
            raise ConfigurationError(
                f"The preset {self.preset!r} is for energies and has no dynamics; use another."
            )
        site = load_settings().settings
        pseudos = self._recipe.pseudopotentials(structure, site)
        text = self._recipe.input("md", "md", structure, pseudos, {})
        command = self._pw_command("md", structure, site)
        run.ranks = rank_count(command)
        cell = np.array(structure.lattice.matrix)
        with run.lock(), PwForces(run, text, command=command, stop=stop) as forces:
            driver = ServedDriver(
                masses=AseAtomsAdaptor.get_atoms(structure, msonable=False).get_masses(),
                positions=np.array(structure.cart_coords),
                cell=cell,
                settings=settings,
                forces=forces,
                run=run,
            )
            return advance_dynamics(driver, settings, run, until=until, stop=stop)

    def neb(
        self,
        images: Sequence[Structure],
        settings: NebSettings,
        directory: Path,
        *,
        stop: StopCheck = never_stop,
    ) -> NebPath:
        """Relax a band with neb.x; see `Engine.neb`.

        The spring constants are those that QE recommends, whatever `settings.spring` says.
        """
        check_images(images)
        pseudos, kpoints, command = self._band_parts(images[0], n_images=len(images))
        run = NebRun(
            folder=directory,
            images=list(images),
            pseudos=pseudos,
            options=self._recipe.namelists("static", images[0], pseudos, {}),
            kpoints=kpoints,
            command=command,
            settings=settings,
            magmoms=self.magmoms,
            key=settings_hash(self, settings, family_hash(pseudos.values()), *images),
        )
        band = run.execute(stop)
        return band.model_copy(
            update={
                "provenance": self._provenance(run.program_version, pseudos, settings.model_dump())
            }
        )

    def check_band(self, structure: Structure, *, n_images: int) -> None:
        """Refuse what neb.x could not compute: pseudopotentials, electrons, ranks, the program."""
        self._band_parts(structure, n_images=n_images)

    def _band_parts(
        self, structure: Structure, *, n_images: int
    ) -> tuple[dict[str, Pseudopotential], tuple[int, int, int], list[str]]:
        """Return pseudopotentials, k-points and command of a band."""
        site = load_settings().settings
        pseudos = self._recipe.pseudopotentials(structure, site)
        kpoints = self._recipe.grid("static", structure)
        words = command_words(site.neb_cmd, setting="neb_cmd")
        layout = ParallelLayout(**self.layout)
        layout.check(rank_count(words), n_images=n_images - 2, n_kpoints=kpoint_count(kpoints))
        return pseudos, kpoints, [*words, *layout.options()]

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
        """Return the input of pw.x, with this site's pseudopotentials; see `Engine.input_files`.

        Raises
        ------
        ConfigurationError, EngineError
            If a pseudopotential is missing: cutoffs may be theirs, and so are the names of files.
        """
        del settings, steps
        pseudos = self._recipe.pseudopotentials(structure, load_settings().settings)
        tags: Namelists = {}
        calculation: Calculation = "md" if task == "md" else "scf"
        if task == "relax":
            calculation = "vc-relax" if relax_cell else "relax"
            tags = relaxation_namelists(fmax=fmax, max_steps=max_steps, relax_cell=relax_cell)
        return {PW_INPUT: self._recipe.input(task, calculation, structure, pseudos, tags)}

    def _single(
        self,
        task: Task,
        calculation: Calculation,
        structure: Structure,
        tags: Namelists,
        parts: Mapping[str, Any],
    ) -> tuple[Finished, dict[str, Pseudopotential]]:
        """Run pw.x in the folder of this calculation, unless it has run there."""
        site = load_settings().settings
        pseudos = self._recipe.pseudopotentials(structure, site)
        key = settings_hash(
            self, calculation, structure, dict(parts), family_hash(pseudos.values())
        )
        done = run_single(
            site.scratch_folder() / "espresso" / key,
            self._recipe.input(task, calculation, structure, pseudos, tags),
            structure,
            key=key,
            command=self._pw_command(task, structure, site),
            stop=stop_check(),
        )
        return done, pseudos

    def _pw_command(self, task: Task, structure: Structure, site: Settings) -> list[str]:
        """Return the words of the command that runs pw.x, its layout checked."""
        words = command_words(site.pw_cmd, setting="pw_cmd")
        layout = ParallelLayout(pools=self.layout.get("pools", 1))
        layout.check(rank_count(words), n_kpoints=kpoint_count(self._recipe.grid(task, structure)))
        return [*words, *layout.options()]

    @property
    def _recipe(self) -> Recipe:
        names = [entry.name for entry in fields(Recipe)]
        own = {name: getattr(self, name) for name in names}
        return Recipe(**own | {"preset": load_preset(self.preset or DEFAULT)})

    def _provenance(
        self, program: str, pseudos: Mapping[str, Pseudopotential], settings: Any
    ) -> Provenance:
        found = family_hash(pseudos.values())
        return Provenance(
            engine=self.name,
            settings_hash=settings_hash(self, json.loads(json.dumps(settings)), found),
            versions=self.versions() | {"quantum-espresso": program, "pseudopotentials": found},
        )
