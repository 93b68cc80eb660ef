"""Velocity Verlet with a thermostat whose whole state can be written down and taken up again.

ASE's `NoseHooverChainNVT` keeps its chain in private attributes, so that a run cannot continue
where it stopped, and counts 3N degrees of freedom although the center of mass is at rest, which
heats 50 atoms by 2 %. Here the chain is part of the state and 3N - 3 are counted.

The Nose-Hoover chain follows Martyna, Tuckerman, Tobias & Klein, Mol. Phys. 87, 1117 (1996);
Langevin dynamics the BAOAB splitting of Leimkuhler & Matthews, J. Chem. Phys. 138, 174102 (2013).

Units are ASE's: eV, A, amu, and time in A sqrt(amu/eV).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from ase import units

__all__ = ["Dynamics", "draw_momenta"]

FloatArray = npt.NDArray[np.float64]
Forces = Callable[[FloatArray], tuple[float, FloatArray]]

CHAIN_LENGTH = 3


def draw_momenta(masses: FloatArray, *, temperature: float, rng: np.random.Generator) -> FloatArray:
    """Draw Maxwell-Boltzmann momenta, at rest as a whole and at exactly `temperature` (K).

    Returns
    -------
    Momenta in amu A / ASE time, shape (n_atoms, 3).
    """
    kT = units.kB * temperature
    momenta = rng.standard_normal((len(masses), 3)) * np.sqrt(masses * kT)[:, None]
    momenta -= masses[:, None] * momenta.sum(axis=0) / masses.sum()
    dof = max(1, 3 * len(masses) - 3)
    twice_kinetic = float((momenta**2 / masses[:, None]).sum())
    if twice_kinetic > 0.0:
        momenta *= np.sqrt(dof * kT / twice_kinetic)
    return momenta


@dataclass
class Dynamics:
    """Positions, momenta and thermostat of a system at constant volume and temperature.

    Attributes
    ----------
    masses
        amu, shape (n_atoms,).
    positions, momenta
        Shape (n_atoms, 3); positions are never wrapped.
    temperature
        Set point in K.
    timestep, damping
        In fs.
    rng
        Source of the Langevin noise.
    """

    masses: FloatArray
    positions: FloatArray
    momenta: FloatArray
    temperature: float
    timestep: float
    damping: float
    thermostat: Literal["nose-hoover", "langevin"]
    rng: np.random.Generator
    chain: FloatArray = field(default_factory=lambda: np.zeros(CHAIN_LENGTH))
    chain_momenta: FloatArray = field(default_factory=lambda: np.zeros(CHAIN_LENGTH))
    energy: float = 0.0
    forces: FloatArray | None = None

    @property
    def degrees_of_freedom(self) -> int:
        """Degrees of freedom with the center of mass at rest."""
        return max(1, 3 * len(self.masses) - 3)

    @property
    def kinetic_energy(self) -> float:
        """Kinetic energy in eV."""
        return 0.5 * float((self.momenta**2 / self.masses[:, None]).sum())

    @property
    def kinetic_temperature(self) -> float:
        """Instantaneous temperature in K."""
        return float(2.0 * self.kinetic_energy / (self.degrees_of_freedom * units.kB))

    @property
    def conserved_energy(self) -> float:
        """Energy of system and chain in eV, constant under Nose-Hoover dynamics."""
        kT = units.kB * self.temperature
        mass = self._chain_masses()
        chain = float((self.chain_momenta**2 / (2.0 * mass)).sum())
        chain += kT * float(self.degrees_of_freedom * self.chain[0] + self.chain[1:].sum())
        return self.energy + self.kinetic_energy + chain

    def compute_forces(self, evaluate: Forces) -> None:
        """Evaluate energy and forces at the present positions."""
        self.energy, self.forces = evaluate(self.positions)

    def step(self, evaluate: Forces) -> None:
        """Advance by one time step; `forces` must be those of the present positions."""
        dt = self.timestep * units.fs
        inverse_mass = 1.0 / self.masses[:, None]
        if self.thermostat == "nose-hoover":
            self._scale_by_chain(dt / 2)
            self.momenta = self.momenta + 0.5 * dt * self.forces  # type: ignore[operator]
            self.positions = self.positions + dt * self.momenta * inverse_mass
            self.compute_forces(evaluate)
            self.momenta = self.momenta + 0.5 * dt * self.forces  # type: ignore[operator]
            self._scale_by_chain(dt / 2)
        else:
            self.momenta = self.momenta + 0.5 * dt * self.forces  # type: ignore[operator]
            self.positions = self.positions + 0.5 * dt * self.momenta * inverse_mass
            self._kick(dt)
            self.positions = self.positions + 0.5 * dt * self.momenta * inverse_mass
            self.compute_forces(evaluate)
            self.momenta = self.momenta + 0.5 * dt * self.forces  # type: ignore[operator]

    def state(self) -> tuple[dict[str, FloatArray], dict[str, Any]]:
        """Return arrays and notes from which `restore` continues bit by bit."""
        arrays = {
            "positions": self.positions,
            "momenta": self.momenta,
            "chain": self.chain,
            "chain_momenta": self.chain_momenta,
        }
        return arrays, {"rng": self.rng.bit_generator.state}

    def restore(self, arrays: dict[str, FloatArray], notes: dict[str, Any]) -> None:
        """Take up a state that `state` returned."""
        self.positions = np.array(arrays["positions"])
        self.momenta = np.array(arrays["momenta"])
        self.chain = np.array(arrays["chain"])
        self.chain_momenta = np.array(arrays["chain_momenta"])
        self.rng.bit_generator.state = notes["rng"]

    def _chain_masses(self) -> FloatArray:
        kT = units.kB * self.temperature
        tau = self.damping * units.fs
        masses = np.full(CHAIN_LENGTH, kT * tau**2)
        masses[0] *= self.degrees_of_freedom
        return masses

    def _scale_by_chain(self, dt: float) -> None:
        """Move the chain by `dt` (half a time step) and scale the momenta by it."""
        kT = units.kB * self.temperature
        mass = self._chain_masses()
        v = self.chain_momenta / mass
        twice_kinetic = 2.0 * self.kinetic_energy
        last = CHAIN_LENGTH - 1

        def push(k: int) -> float:
            if k == 0:
                return float((twice_kinetic - self.degrees_of_freedom * kT) / mass[0])
            return float((mass[k - 1] * v[k - 1] ** 2 - kT) / mass[k])

        def advance(k: int) -> None:
            drag = np.exp(-0.25 * dt * v[k + 1]) if k < last else 1.0
            v[k] = (v[k] * drag + 0.5 * dt * push(k)) * drag

        for k in reversed(range(CHAIN_LENGTH)):
            advance(k)
        scale = float(np.exp(-dt * v[0]))
        self.momenta = self.momenta * scale
        twice_kinetic *= scale**2
        self.chain = self.chain + dt * v
        for k in range(CHAIN_LENGTH):
            advance(k)
        self.chain_momenta = v * mass

    def _kick(self, dt: float) -> None:
        keep = float(np.exp(-dt / (self.damping * units.fs)))
        kT = units.kB * self.temperature
        noise = self.rng.standard_normal(self.momenta.shape)
        noise *= np.sqrt(self.masses * kT * (1.0 - keep**2))[:, None]
        momenta = keep * self.momenta + noise
        # Noise moves the whole cell; a crystal's drift is no diffusion.
        drift = momenta.sum(axis=0) / self.masses.sum()
        self.momenta = momenta - self.masses[:, None] * drift
