"""The engine for Quantum ESPRESSO: relaxation, single points, and paths by neb.x."""

import json
import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from ssefw.documents import EndReason, NebPath, Provenance, RelaxResult, StaticResult
from ssefw.engines.band import check_images
from ssefw.engines.base import Engine, MDSettings, NebSettings, check_elements, settings_hash
from ssefw.engines.espresso.continuation import continued, corrected, pw_attempts
from ssefw.engines.espresso.inputs import (
    PW_INPUT,
    Calculation,
    check_namelists,
    kpoint_grid,
    pw_input,
    read_geometry,
)
from ssefw.engines.espresso.job import PW_OUTPUT
from ssefw.engines.espresso.launch import ParallelLayout, command_words
from ssefw.engines.espresso.neb_run import NebRun
from ssefw.engines.espresso.needs import missing_here
from ssefw.engines.espresso.process import run_program
from ssefw.engines.espresso.pseudopotentials import (
    Pseudopotential,
    electron_count,
    family_hash,
    find_pseudopotentials,
    recommended_cutoffs,
)
from ssefw.engines.espresso.pw_output import Geometry, PwRun
from ssefw.engines.espresso.symptoms import read_text
from ssefw.engines.ranks import rank_count
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.scf_cost import rough_step_seconds, scf_core_seconds
from ssefw.engines.stopping import InterruptionError, StopCheck, never_stop, stop_check
from ssefw.errors import ConfigurationError, DataError, EngineError
from ssefw.mistakes import check_settings
from ssefw.settings import Settings, load_settings
from ssefw.units import AskedCharge, AskedCount, AskedCutoff, AskedSpacing, Energy, Limits, Unit

__all__ = ["EspressoEngine"]

USUAL_CUTOFF, USUAL_DUAL = 50.0, 8.0
"""Ry, and the cutoff of the density over it, as ultrasoft pseudopotentials mostly suggest."""
RY_PER_BOHR = 25.711043
"""One Ry/bohr in eV/A."""


@dataclass(frozen=True, kw_only=True)
class EspressoEngine(Engine):
    """Run pw.x and neb.x under custodian.

    Attributes
    ----------
    ecutwfc, ecutrho
        Cutoffs in Ry; by default the largest that the pseudopotentials suggest.
    kspacing
        Largest distance of k-points, in 1/A with 2 pi.
    charge
        Charge of the cell in e: -1 for a cell that lacks a Li+.
    smearing
        Width of cold smearing in eV; None for fixed occupations of an insulator.
    magmoms
        Element to initial magnetic moment in Bohr magnetons; makes the run spin-polarized.
    options
        Namelist to keyword to value, which override everything else.
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

    ecutwfc: AskedCutoff | None = None
    ecutrho: Annotated[float, Unit("Ry"), Limits("Ry", least=1, most=1e4)] | None = None
    kspacing: AskedSpacing = 0.3
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

    @property
    def name(self) -> str:
        """The name of the code."""
        return "espresso"

    def check(self) -> None:
        """Refuse settings of the wrong kind, and namelists and keywords that pw.x does not know."""
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        check_settings(type(self), given, of="The engine espresso")
        check_settings(ParallelLayout, self.layout, of="The layout of the engine espresso")
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
        elements = [element.symbol for element in structure.composition.elements]
        try:
            pseudos = find_pseudopotentials(
                load_settings().settings.pseudo_dir,
                elements,
                family=self.family,
                files=self.pseudo_files,
            )
            system = self._options(structure, pseudos, {})["system"]
        except (ConfigurationError, EngineError):
            return None
        return scf_core_seconds(
            volume=structure.volume,
            electrons=electron_count(structure, pseudos, charge=self.charge),
            ecutwfc=system["ecutwfc"],
            ecutrho=system["ecutrho"],
            n_kpoints=_n_kpoints(kpoint_grid(structure, spacing=self.kspacing)),
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
        """Relax with the BFGS of pw.x; see `Engine.relax`.

        pw.x looks at components of forces, so that it is asked for fmax / sqrt(3).
        """
        calculation: Calculation = "vc-relax" if relax_cell else "relax"
        options: dict[str, dict[str, Any]] = {
            "control": {
                "forc_conv_thr": fmax / RY_PER_BOHR / math.sqrt(3.0),
                "etot_conv_thr": 1e-4,
                "nstep": max_steps,
            },
            "ions": {"ion_dynamics": "bfgs"},
            "cell": {"cell_dynamics": "bfgs", "press_conv_thr": 0.5} if relax_cell else {},
        }
        parts = {"fmax": fmax, "steps": max_steps, "cell": relax_cell}
        done = self._single(calculation, structure, options, parts)
        run = done.attempts[-1]
        final = _at(run.latest, structure) if run.latest else done.began_at
        return RelaxResult(
            structure=final,
            energy=run.energies[-1],
            energy_per_atom=run.energies[-1] / len(structure),
            converged=run.relaxed and run.finished,
            n_steps=sum(len(attempt.energies) for attempt in done.attempts),
            max_force=_largest_force(run),
            volume_change=final.volume / structure.volume - 1.0,
            wall_time=done.wall_time,
            provenance=self._provenance(run.version, done.pseudos, parts),
        )

    def static(self, structure: Structure) -> StaticResult:
        """Return energy and forces of a structure as it is."""
        done = self._single("scf", structure, {}, {})
        run = done.attempts[-1]
        return StaticResult(
            structure=structure,
            energy=run.energies[-1],
            energy_per_atom=run.energies[-1] / len(structure),
            max_force=_largest_force(run),
            wall_time=done.wall_time,
            provenance=self._provenance(run.version, done.pseudos, {}),
        )

    def md(
        self,
        structure: Structure,  # noqa: ARG002
        settings: MDSettings,  # noqa: ARG002
        run: RunDirectory,  # noqa: ARG002
        *,
        until: int,  # noqa: ARG002
        stop: StopCheck = never_stop,  # noqa: ARG002
    ) -> EndReason:
        """Refuse: pw.x cannot continue Nose-Hoover dynamics bit by bit."""
        msg = f"{self.name} does no molecular dynamics. Use the VASP engine or an ML potential."
        raise EngineError(msg)

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
            options=self._options(images[0], pseudos, {}),
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
        pseudos = self._pseudopotentials(structure, site)
        kpoints = kpoint_grid(structure, spacing=self.kspacing)
        words = command_words(site.neb_cmd, setting="neb_cmd")
        layout = ParallelLayout(**self.layout)
        layout.check(rank_count(words), n_images=n_images - 2, n_kpoints=_n_kpoints(kpoints))
        return pseudos, kpoints, [*words, *layout.options()]

    def _single(
        self,
        calculation: Calculation,
        structure: Structure,
        options: Mapping[str, Mapping[str, Any]],
        parts: Mapping[str, Any],
    ) -> "_Finished":
        """Run pw.x in the folder of this calculation, unless it has run there."""
        if not structure.is_ordered:
            msg = f"{structure.composition.reduced_formula} has partly occupied sites. Order it."
            raise DataError(msg)
        site = load_settings().settings
        pseudos = self._pseudopotentials(structure, site)
        kpoints = kpoint_grid(structure, spacing=self.kspacing)
        words = command_words(site.pw_cmd, setting="pw_cmd")
        layout = ParallelLayout(pools=self.layout.get("pools", 1))
        layout.check(rank_count(words), n_kpoints=_n_kpoints(kpoints))
        key = settings_hash(
            self, calculation, structure, dict(parts), family_hash(pseudos.values())
        )
        record = RunDirectory(site.scratch_folder() / "espresso" / key, key=key)
        began = time.monotonic()
        with record.lock():
            runs = pw_attempts(record.path, PW_OUTPUT)
            if not _is_whole(runs[-1]):
                text = pw_input(
                    structure,
                    pseudos,
                    calculation=calculation,
                    options=self._options(structure, pseudos, options),
                    kpoints=kpoints,
                    magmoms=self.magmoms,
                )
                text = corrected(text, record.path, PW_INPUT)
                text, _ = continued(text, record.path, PW_OUTPUT)
                write_atomically(record.path / PW_INPUT, text.encode())
                reason = run_program(
                    [*words, *layout.options()],
                    record.path,
                    PW_INPUT,
                    PW_OUTPUT,
                    stop=stop_check(),
                )
                runs = pw_attempts(record.path, PW_OUTPUT)
                if reason != "complete" and not _is_whole(runs[-1]):
                    msg = (
                        f"pw.x in {record.path} was interrupted ({reason}); run it again to "
                        "continue from its last geometry."
                    )
                    raise InterruptionError(msg, directory=record.path)
            if not _is_whole(runs[-1]):
                why = "; ".join(s.message for s in runs[-1].symptoms) or "its output breaks off"
                msg = f"pw.x failed in {record.path}: {why}"
                raise EngineError(msg, directory=record.path)
            began_at = Geometry(*read_geometry(read_text(record.path / PW_INPUT)))
        return _Finished(runs, _at(began_at, structure), pseudos, time.monotonic() - began)

    def _pseudopotentials(self, structure: Structure, site: Settings) -> dict[str, Pseudopotential]:
        """Find what the structure needs, and refuse what cannot be run with it."""
        elements = [element.symbol for element in structure.composition.elements]
        pseudos = find_pseudopotentials(
            site.pseudo_dir, elements, family=self.family, files=self.pseudo_files
        )
        found = family_hash(pseudos.values())
        if self.pseudo_hash is not None and self.pseudo_hash != found:
            msg = (
                f"The pseudopotentials in {site.pseudo_dir} have the hash {found}, not "
                f"{self.pseudo_hash}: energies would not be comparable. Restore the files, or "
                "change pseudo_hash if this is a new series."
            )
            raise EngineError(msg)
        electrons = electron_count(structure, pseudos, charge=self.charge)
        if self.smearing is None and not self.magmoms and round(electrons) % 2:
            msg = (
                f"{structure.composition.reduced_formula} with charge {self.charge:+g} has "
                f"{electrons:g} electrons: an odd number cannot fill bands. Set charge (-1 for a "
                "missing Li+), smearing, or magmoms."
            )
            raise EngineError(msg)
        return pseudos

    def _options(
        self,
        structure: Structure,
        pseudos: Mapping[str, Pseudopotential],
        options: Mapping[str, Mapping[str, Any]],
    ) -> dict[str, dict[str, Any]]:
        """Merge defaults, those of the task and the user's."""
        if self.ecutwfc is None:
            waves, density = recommended_cutoffs(pseudos.values())
        else:
            waves, density = self.ecutwfc, self.ecutrho or 8 * self.ecutwfc
        system: dict[str, Any] = {
            "ecutwfc": waves,
            "ecutrho": self.ecutrho or density,
            "occupations": "fixed",
        }
        if self.charge:
            system |= {"tot_charge": self.charge, "nosym": True}
        if self.smearing is not None:
            system |= {
                "occupations": "smearing",
                "smearing": "cold",
                "degauss": self.smearing / 13.605693,
            }
        if self.magmoms:
            system["nspin"] = 2
        defaults: dict[str, dict[str, Any]] = {
            "control": {"disk_io": "low"},
            "system": system,
            "electrons": {
                "conv_thr": 1e-9 * len(structure),
                "mixing_beta": 0.3,
                "electron_maxstep": 100,
            },
        }
        for part in (options, self.options):
            for name, values in part.items():
                defaults.setdefault(name, {}).update(values)
        return defaults

    def _provenance(
        self, program: str, pseudos: Mapping[str, Pseudopotential], settings: Any
    ) -> Provenance:
        found = family_hash(pseudos.values())
        return Provenance(
            engine=self.name,
            settings_hash=settings_hash(self, json.loads(json.dumps(settings)), found),
            versions=self.versions() | {"quantum-espresso": program, "pseudopotentials": found},
        )


@dataclass(frozen=True)
class _Finished:
    """What all attempts of a run of pw.x printed, and where the last of them began."""

    attempts: list[PwRun]
    began_at: Structure
    pseudos: dict[str, Pseudopotential]
    wall_time: float


def _at(geometry: Geometry, structure: Structure) -> Structure:
    """Return a structure moved to a geometry of the same atoms."""
    lattice = structure.lattice if geometry.cell is None else Lattice(geometry.cell)
    return Structure(lattice, structure.species, geometry.positions, coords_are_cartesian=True)


def _is_whole(run: PwRun) -> bool:
    return (
        run.finished
        and bool(run.energies)
        and run.forces is not None
        and not run.codes - {"nstep_exceeded"}
    )


def _largest_force(run: PwRun) -> float:
    if run.forces is None:
        msg = "pw.x printed no forces"
        raise EngineError(msg)
    return float(np.linalg.norm(run.forces, axis=1).max())


def _n_kpoints(grid: tuple[int, int, int]) -> int:
    """Count k-points up to time reversal."""
    return (math.prod(grid) + 1) // 2
