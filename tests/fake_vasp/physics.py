"""Lennard-Jones ions: energies, forces, thermostats and a relaxation, in eV, angstrom and fs."""

import numpy as np

KB = 8.617333262e-5
ACCELERATION = 9.648533e-3  # (eV/A)/amu in A/fs^2

# Ionic (for metals: metallic) radii in A; two ions rest where they touch.
RADII = {
    "Li": 0.76, "Na": 1.02, "O": 1.40, "F": 1.33, "S": 1.84, "Cl": 1.81, "Cu": 1.28, "Fe": 1.26,
}  # fmt: skip
MASSES = {
    "Li": 6.941, "Na": 22.99, "O": 15.999, "F": 18.998, "S": 32.065, "Cl": 35.453, "Cu": 63.546,
    "Fe": 55.845,
}  # fmt: skip
VALENCE = {"Li": 1, "Na": 1, "O": 6, "F": 7, "S": 6, "Cl": 7, "Cu": 11, "Fe": 8}
DEPTH = 0.3
CUTOFF = 5.0


class LennardJones:
    """Pairs within a cutoff, with energy and force shifted to end smoothly there."""

    def __init__(self, symbols, cell):
        radius = np.array([RADII[s] for s in symbols])
        self.rest = radius[:, None] + radius[None, :]
        self.cell = cell
        heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        reach = np.ceil(CUTOFF / heights).astype(int)
        grid = [np.arange(-n, n + 1) for n in reach]
        self.images = np.stack(np.meshgrid(*grid, indexing="ij"), -1).reshape(-1, 3) @ cell

    def __call__(self, positions):
        """Return energy, forces and virial (sum of f x r over pairs)."""
        pair = positions[None, :, :] - positions[:, None, :]
        pair -= np.rint(pair @ np.linalg.inv(self.cell)) @ self.cell
        vectors = pair[:, :, None, :] + self.images[None, None, :, :]
        square = (vectors**2).sum(-1)
        i, j, k = np.nonzero((square < CUTOFF**2) & (square > 1e-8))
        vectors, r, rest = vectors[i, j, k], np.sqrt(square[i, j, k]), self.rest[i, j]
        edge_energy, edge_slope = _pair(CUTOFF, rest)
        energy, slope = _pair(r, rest)
        energy = energy - edge_energy - (r - CUTOFF) * edge_slope
        push = (slope - edge_slope)[:, None] * vectors / r[:, None]
        forces = np.zeros_like(positions)
        np.add.at(forces, i, push)
        virial = -0.5 * np.einsum("pa,pb->ab", push, vectors)
        return 0.5 * float(energy.sum()), forces, virial


def _pair(r, rest):
    x = (rest / r) ** 6
    return DEPTH * (x**2 - 2.0 * x), DEPTH * 12.0 * (x - x**2) / r


class Dynamics:
    """Velocity Verlet with VASP's choice of Nose-Hoover (MDALGO 2) or Langevin (MDALGO 3)."""

    def __init__(self, masses, *, incar, steps, velocities, nose, seed):
        self.masses = masses[:, None]
        self.dt = float(incar.get("POTIM", 1.0))
        self.begin = float(incar.get("TEBEG", 1e-4))
        self.end = float(incar.get("TEEND", self.begin))
        self.steps = max(1, steps)
        self.langevin = int(float(incar.get("MDALGO", 0))) == 3
        self.friction = float(incar.get("LANGEVIN_GAMMA", "10").split()[0]) * 1e-3
        self.rng = np.random.default_rng(seed)
        self.dof = max(1, 3 * len(masses) - 3)
        period = 40.0 * self.dt / (2.0 * np.pi)
        self.inertia = 2.0 * self.dof * KB * max(self.begin, self.end) * period**2
        self.xi, self.eta = nose
        self.v = self._draw() if velocities is None else velocities

    def _draw(self):
        v = self.rng.standard_normal((len(self.masses), 3))
        v *= np.sqrt(KB * self.begin * ACCELERATION / self.masses)
        v -= (self.masses * v).sum(0) / self.masses.sum()
        return v

    def target(self, step):
        """Set point (K) of ionic step `step`, counted from 1."""
        return self.begin + (self.end - self.begin) * step / self.steps

    @property
    def kinetic(self):
        """Kinetic energy in eV."""
        return 0.5 * float((self.masses * self.v**2).sum()) / ACCELERATION

    @property
    def temperature(self):
        """Kinetic temperature in K."""
        return 2.0 * self.kinetic / (self.dof * KB)

    def nose_energies(self, step):
        """Return potential and kinetic energy of the thermostat in eV."""
        kT = KB * self.target(step)
        return self.dof * kT * self.eta, 0.5 * self.inertia * self.xi**2

    def move(self, x, forces, step):
        """Return positions one step on; the velocities wait for the new forces."""
        kT = KB * self.target(step)
        self.v = self.v + 0.5 * self.dt * forces * ACCELERATION / self.masses
        if self.langevin:
            half = x + 0.5 * self.dt * self.v
            keep = np.exp(-self.friction * self.dt)
            noise = self.rng.standard_normal(self.v.shape)
            self.v = keep * self.v + noise * np.sqrt(
                (1.0 - keep**2) * kT * ACCELERATION / self.masses
            )
            self.v -= (self.masses * self.v).sum(0) / self.masses.sum()
            return half + 0.5 * self.dt * self.v
        self.v = self.v * np.exp(-0.5 * self.dt * self.xi)
        self.xi += self.dt * (2.0 * self.kinetic - self.dof * kT) / self.inertia
        self.eta += self.dt * self.xi
        return x + self.dt * self.v

    def finish(self, forces):
        """Bring the velocities to the time of the new positions."""
        if not self.langevin:
            self.v = self.v * np.exp(-0.5 * self.dt * self.xi)
        self.v = self.v + 0.5 * self.dt * forces * ACCELERATION / self.masses
