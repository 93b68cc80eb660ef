"""The engine for ML potentials, and for any calculator that ASE can drive."""

import importlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.calculator import Calculator
from pymatgen.core import PeriodicSite, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.data import Chunk
from ssefw.documents import EndReason, NebPath, RelaxResult, StaticResult
from ssefw.engines.ase_neb import AseBand
from ssefw.engines.ase_relax import relax_atoms
from ssefw.engines.band import check_images
from ssefw.engines.base import Engine, MDSettings, NebSettings, settings_hash
from ssefw.engines.dynamics import Dynamics, draw_momenta
from ssefw.engines.run_directory import RunDirectory
from ssefw.engines.stopping import StopCheck, never_stop
from ssefw.errors import ConfigurationError, DataError, EngineError

__all__ = ["DEFAULT_CALCULATOR", "AseEngine"]

logger = logging.getLogger(__name__)

DEFAULT_CALCULATOR = "ssefw.engines.chgnet.FastCHGNet"
CHGNET_SPEED = 700.0
RUNAWAY = 10.0
"""A run hotter than this many times its set point has exploded."""

FARTHEST = 1000.0
"""So has one in which an atom moves farther than this (angstrom) within a chunk."""


@cache
def _calculator(path: str, options: tuple[tuple[str, Any], ...]) -> Calculator:
    module_name, _, class_name = path.rpartition(".")
    try:
        make = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"Cannot import the calculator {path!r}: {error}. Give the import path of an ASE "
            "calculator, for example ase.calculators.emt.EMT."
        ) from error
    try:
        calculator = make(**dict(options))
    except TypeError as error:
        raise ConfigurationError(f"{path} does not accept {dict(options)}: {error}") from error
    if not isinstance(calculator, Calculator):
        raise ConfigurationError(f"{path} is not an ASE calculator.")
    return calculator


@cache
def _distributions_with(package: str) -> tuple[str, ...]:
    """Return what was installed to have a package; looking takes most of a second."""
    if package in {"ase", "ssefw"}:
        return (package,)
    return tuple(packages_distributions().get(package, []))


@dataclass(frozen=True, kw_only=True)
class AseEngine(Engine):
    """Run an ASE calculator, by default the ML potential CHGNet.

    Attributes
    ----------
    calculator
        Import path of the calculator class.
    options
        Keyword arguments for it.

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.7), ["Cu"], [[0, 0, 0]])
    >>> engine = AseEngine(calculator="ase.calculators.emt.EMT")
    >>> result = engine.relax(copper, fmax=0.01, max_steps=100, relax_cell=True)
    >>> round(result.structure.lattice.a, 2)
    3.59
    """

    calculator: str = DEFAULT_CALCULATOR
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Short name with the model."""
        model = self.options.get("model", "0.3.0" if self.calculator == DEFAULT_CALCULATOR else "")
        short = (
            "chgnet" if self.calculator == DEFAULT_CALCULATOR else self.calculator.split(".")[-1]
        )
        return f"{short}-{model}" if model else short

    @property
    def nominal_speed(self) -> float | None:
        """CHGNet on one core of a 2020s server, by benchmarks/fast_chgnet.py."""
        return CHGNET_SPEED if self.calculator == DEFAULT_CALCULATOR else None

    def check(self) -> None:
        """Import the calculator, unless it is the default, which takes seconds and is there."""
        if self.calculator != DEFAULT_CALCULATOR:
            self.calculator_instance()

    def versions(self) -> dict[str, str]:
        """Return the versions of ASE, ssefw and the calculator's package."""
        names = {"ase", "ssefw", *_distributions_with(self.calculator.partition(".")[0])}
        if self.calculator == DEFAULT_CALCULATOR:
            names |= {"chgnet", "torch"}
        found = {}
        for name in sorted(names):
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # run from a source tree that is not installed
                continue
        return found

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
        parts = {"fmax": fmax, "cell": relax_cell, "steps": max_steps}
        atoms = self._atoms(structure)
        before = atoms.get_volume()
        try:
            done = relax_atoms(
                atoms,
                fmax=fmax,
                max_steps=max_steps,
                relax_cell=relax_cell,
                directory=directory,
                key=settings_hash(self, parts, structure) if directory else "",
                stop=stop,
            )
            energy = self._finite(atoms.get_potential_energy(), "relaxation")
            forces = atoms.get_forces()
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            raise EngineError(f"Relaxation with {self.name} broke down: {error}") from error
        final: Structure = AseAtomsAdaptor.get_structure(atoms)
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
        atoms = self._atoms(structure)
        energy = self._finite(atoms.get_potential_energy(), "evaluation")
        return StaticResult(
            structure=structure,
            energy=energy,
            energy_per_atom=energy / len(atoms),
            max_force=float(np.linalg.norm(atoms.get_forces(), axis=1).max()),
            wall_time=time.monotonic() - start,
            provenance=self.provenance(),
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
        """Advance the dynamics; see `Engine.md`.

        The calculator forgets its history at the end of each chunk, so that a run which continues
        from a chunk is bit by bit the run that was never interrupted.
        """
        if until % settings.steps_per_frame:
            raise ValueError(f"{until} steps are no whole number of frames")
        with run.lock():
            atoms = self._atoms(structure)
            dynamics = _dynamics(atoms, settings)
            last = run.last_chunk()
            step, frame, index = 0, 0, 0
            if last is not None:
                dynamics.restore(last.state, last.notes)
                step, frame = last.last_step, last.first_frame + last.n_frames
                index = last.notes["segment"] + 1
            if step >= until:
                return "complete"
            run.begin_segment(index, velocities="drawn" if last is None else "continued")
            evaluate = _Evaluation(atoms)
            evaluate.forget()
            dynamics.compute_forces(evaluate)
            began, first = time.monotonic(), step
            reason: EndReason = "complete"
            while step < until:
                if (asked := stop()) is not None:
                    reason = asked
                    break
                try:
                    with np.errstate(over="ignore", invalid="ignore"):
                        chunk = _advance(
                            dynamics,
                            evaluate,
                            settings,
                            step=step,
                            frame=frame,
                            segment=index,
                            until=until,
                        )
                except (ValueError, ArithmeticError) as error:
                    raise _explosion(settings, run, step=step, why=str(error)) from error
                if (why := _runaway(chunk, settings)) is not None:
                    raise _explosion(settings, run, step=step, why=why)
                run.append(chunk)
                step, frame = chunk.last_step, frame + chunk.n_frames
                rate = (step - first) / max(1e-9, time.monotonic() - began)
                run.note_progress(step=step, until=until, steps_per_second=rate)
            run.end_segment(index, reason=reason)
            return reason

    def neb(
        self,
        images: Sequence[Structure],
        settings: NebSettings,
        directory: Path,
        *,
        stop: StopCheck = never_stop,
    ) -> NebPath:
        """Relax a band with ASE's NEB; see `Engine.neb`."""
        check_images(images)
        return AseBand(
            folder=directory,
            images=images,
            calculator=self._atoms(images[0]).calc,
            settings=settings,
            key=settings_hash(self, settings.model_dump(), *images),
            provenance=self.provenance(settings.model_dump()),
        ).execute(stop)

    def _atoms(self, structure: Structure) -> Atoms:
        if not structure.is_ordered:
            raise DataError(
                f"{structure.composition.reduced_formula} has partly occupied sites; "
                "molecular dynamics and relaxation need an ordered structure."
            )
        atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
        atoms.calc = self.calculator_instance()
        atoms.calc.reset()
        return atoms

    def calculator_instance(self) -> Calculator:
        """Return the calculator, loaded once in a process.

        Raises
        ------
        ConfigurationError
            If there is none at the import path or it does not take the options.
        """
        return _calculator(self.calculator, tuple(sorted(self.options.items())))

    def _finite(self, energy: float, what: str) -> float:
        if not np.isfinite(energy):
            raise EngineError(f"The energy of this {what} with {self.name} is not finite.")
        return float(energy)


def _runaway(chunk: Chunk, settings: MDSettings) -> str | None:
    hottest = float(np.max(chunk.temperatures))
    if not np.isfinite(hottest) or not np.all(np.isfinite(chunk.positions)):
        return "positions are not finite"
    if hottest > RUNAWAY * settings.temperature:
        return f"it reached {hottest:.3g} K"
    if np.abs(chunk.positions - chunk.positions[0]).max() > FARTHEST:
        return f"an atom moved more than {FARTHEST:g} A within {chunk.n_frames} frames"
    return None


def _explosion(settings: MDSettings, run: RunDirectory, *, step: int, why: str) -> EngineError:
    return EngineError(
        f"Dynamics at {settings.temperature:g} K exploded after step {step}: {why}. Relax the "
        f"structure first, or lower the time step of {settings.timestep:g} fs.",
        directory=run.path,
    )


class _Evaluation:
    """Energy and forces at given positions, without ASE's checks for what changed."""

    def __init__(self, atoms: Atoms) -> None:
        self._atoms = atoms

    @property
    def cell(self) -> npt.NDArray[np.float64]:
        """Cell vectors in rows."""
        return np.array(self._atoms.cell, dtype=np.float64)

    def forget(self) -> None:
        """Make the next evaluation independent of those before it."""
        self._atoms.calc.reset()

    def __call__(self, positions: npt.NDArray[np.float64]) -> tuple[float, Any]:
        self._atoms.positions[:] = positions
        forces = self._atoms.get_forces()
        return float(self._atoms.calc.results["energy"]), np.asarray(forces, dtype=np.float64)


def _plain(structure: Structure) -> Structure:
    """Drop what the calculator attached to the sites."""
    return Structure.from_sites(
        [PeriodicSite(site.species, site.frac_coords, site.lattice) for site in structure]
    )


def _dynamics(atoms: Atoms, settings: MDSettings) -> Dynamics:
    rng = np.random.default_rng(settings.seed)
    masses = atoms.get_masses()
    return Dynamics(
        masses=masses,
        positions=atoms.get_positions(),
        momenta=draw_momenta(masses, temperature=settings.set_point(0), rng=rng),
        temperature=settings.set_point(0),
        timestep=settings.timestep,
        damping=settings.damping,
        thermostat=settings.thermostat,
        rng=rng,
    )


def _advance(
    dynamics: Dynamics,
    evaluate: _Evaluation,
    settings: MDSettings,
    *,
    step: int,
    frame: int,
    segment: int,
    until: int,
) -> Chunk:
    """Run one chunk: `frames_per_chunk` frames, or what is left."""
    length = min(settings.steps_per_frame * settings.frames_per_chunk, until - step)
    rows: list[tuple[npt.NDArray[np.float64], float, float]] = []

    def keep() -> None:
        rows.append((dynamics.positions.copy(), dynamics.energy, dynamics.kinetic_temperature))

    if step == 0:
        keep()
    for offset in range(1, length + 1):
        if offset == length:
            evaluate.forget()
        dynamics.temperature = settings.set_point(step + offset)
        dynamics.step(evaluate)
        if (step + offset) % settings.steps_per_frame == 0:
            keep()
    arrays, notes = dynamics.state()
    positions, energies, temperatures = zip(*rows, strict=True)
    return Chunk(
        first_step=step,
        last_step=step + length,
        first_frame=frame,
        positions=np.stack(positions),
        energies=np.array(energies),
        temperatures=np.array(temperatures),
        cell=evaluate.cell,
        state=arrays,
        notes=notes | {"segment": segment, "conserved_energy": dynamics.conserved_energy},
    )
