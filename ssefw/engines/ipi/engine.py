"""The engine for any program that serves forces over i-PI's protocol: CP2K, FHI-aims, SIESTA ..."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from ase import Atoms
from pydantic import Field
from pymatgen.core import Composition, Structure

from ssefw.documents import EndReason
from ssefw.engines.ase.dynamics import advance_dynamics
from ssefw.engines.ase.tasks import CalculatorEngine, plain_atoms
from ssefw.engines.base import MDSettings, settings_hash
from ssefw.engines.ipi.calculator import ServedCalculator
from ssefw.engines.ipi.dynamics import ServedDriver
from ssefw.engines.ipi.program import ProgramForces, check_templates
from ssefw.engines.needs import missing_program, words_of
from ssefw.engines.ranks import rank_count
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.scf_cost import rough_step_seconds
from ssefw.engines.stopping import InterruptionError, StepStoppedError, StopCheck, never_stop
from ssefw.errors import ConfigurationError
from ssefw.mistakes import check_settings
from ssefw.settings import load_settings
from ssefw.units import AskedCharge

__all__ = ["SocketEngine"]

USUAL_CUTOFF, USUAL_DENSITY_CUTOFF = 50.0, 400.0
"""Ry, of a plane-wave code: what the program really does is not known before it has run."""


@dataclass(frozen=True, kw_only=True)
class SocketEngine(CalculatorEngine):
    """Run a program that is sent positions and answers with energy, forces and virial.

    The program is started once for each run by the command of the setting ``socket_cmd``, in a
    folder with its input files. It moves no atoms: integrator, thermostat, optimizer and bands are
    ssefw's own.

    Attributes
    ----------
    program
        Its name, which results are known by: ``cp2k``, ``aims``, ``siesta`` ...
    files
        Name of each input file to its text, with placeholders: ``%socket%`` for the name of the
        Unix socket, ``%a%``, ``%b%`` and ``%c%`` for the cell's vectors in A, ``%charge%``.
    geometry, geometry_format
        File that the atoms of the beginning are written to, and ASE's name of its format.
    charge
        Charge of the cell in e, for ``%charge%``.
    """

    program: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")] = ""
    files: dict[str, str] = field(default_factory=dict)
    geometry: str = "start.xyz"
    geometry_format: str = "xyz"
    charge: AskedCharge = 0.0

    @property
    def name(self) -> str:
        """The name of the program."""
        return self.program

    def check(self) -> None:
        """Refuse templates that could not serve."""
        if not self.program:
            raise ConfigurationError(
                "The engine socket needs the name of its program: "
                "engine: {options: {program: cp2k}}."
            )
        given = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        check_settings(type(self), given, of="The engine socket")
        check_templates(self.files, geometry=self.geometry, format_=self.geometry_format)

    def missing(self, elements: Collection[str], *, has_bands: bool = False) -> Iterator[str]:  # noqa: ARG002
        """Yield that the program is not here."""
        # Behind the first word may be anything: a launcher's program and its options.
        words = words_of(load_settings().settings.socket_cmd)
        if not words:
            yield (
                f"No command says how {self.program} is started. Set SSEFW_SOCKET_CMD to it, "
                "for example to 'mpirun -np 16 cp2k.psmp -i cp2k.inp'."
            )
        else:
            yield from missing_program(words[0], setting="socket_cmd", code=self.program)

    def versions(self) -> dict[str, str]:
        """Return the version of what talks to the program, which does not say its own."""
        return {"ase": version("ase")}

    @property
    def doubt(self) -> float:
        """Which program it is, and what its input asks of it, is not known."""
        return 10.0

    def step_core_seconds(
        self, composition: Composition, *, volume: float, is_dynamics: bool
    ) -> float | None:
        """Return what a plane-wave code of usual cutoffs would need."""
        return rough_step_seconds(
            composition,
            volume=volume,
            ecutwfc=USUAL_CUTOFF,
            ecutrho=USUAL_DENSITY_CUTOFF,
            is_gamma=is_dynamics,
        )

    def charged(self, charge: float) -> Self:
        """Return this engine for cells of another charge (e)."""
        return replace(self, charge=charge)

    def md(
        self,
        structure: Structure,
        settings: MDSettings,
        run: RunDirectory,
        *,
        until: int,
        stop: StopCheck = never_stop,
    ) -> EndReason:
        """Advance the dynamics with forces of the program; see `Engine.md`."""
        if until % settings.steps_per_frame:
            raise ValueError(f"{until} steps are no whole number of frames")
        atoms = plain_atoms(structure)
        run.ranks = rank_count(words_of(load_settings().settings.socket_cmd))
        with run.lock(), self._forces(atoms, run.path / self.program, stop, run=run) as forces:
            driver = ServedDriver(
                masses=atoms.get_masses(),
                positions=np.array(structure.cart_coords),
                cell=np.array(structure.lattice.matrix),
                settings=settings,
                forces=forces,
                run=run,
            )
            return advance_dynamics(driver, settings, run, until=until, stop=stop)

    @contextmanager
    def calculating(
        self, structure: Structure, *, task: str, directory: Path | None, stop: StopCheck
    ) -> Iterator[Atoms]:
        """Give the atoms the program, which ends with the context; see `CalculatorEngine`."""
        atoms = plain_atoms(structure)
        key = settings_hash(self, task, structure)
        folder = directory or load_settings().settings.scratch_folder() / "socket" / key
        with self._forces(atoms, folder / self.program, stop) as forces:
            atoms.calc = ServedCalculator(forces)
            try:
                yield atoms
            except StepStoppedError as stopped:
                raise InterruptionError(
                    f"The calculation in {folder} was interrupted ({stopped.reason}); run it again "
                    "to continue.",
                    directory=folder,
                ) from stopped

    def _forces(
        self, atoms: Atoms, folder: Path, stop: StopCheck, *, run: RunDirectory | None = None
    ) -> ProgramForces:
        command = load_settings().settings.socket_cmd
        for complaint in self.missing(()):
            raise ConfigurationError(complaint)
        return ProgramForces(
            self.program,
            folder=folder.resolve(),
            command=words_of(command),
            files=self.files,
            geometry=self.geometry,
            format_=self.geometry_format,
            atoms=atoms,
            charge=self.charge,
            stop=stop,
            remark=run.remark if run else None,
        )
