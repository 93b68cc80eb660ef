"""Trajectories whose diffusivity is known exactly: what estimators are judged by.

Ions hop between the sites of a simple cubic lattice at random (Poisson) times and vibrate around
the site; a framework of the same spacing sits on the body centers. The mean squared displacement
per hop, the hop rate and the memory are set, so that D* and D_sigma follow without simulation:

- independent hops: D* = D_sigma = rate a^2 / 6;
- hops with memory, <cos theta> = c between successive hops of an ion: D* = rate a^2 / 6 times
  (1 + c) / (1 - c);
- strings of m ions that hop as one: D_sigma = m D*, a Haven ratio of 1 / m.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.analysis.trajectory import Frames
from ssefw.errors import AnalysisError
from ssefw.units import ANGSTROM2_PER_PS_TO_CM2_PER_S

__all__ = ["LatticeWalk"]

FloatArray = npt.NDArray[np.float64]

_DIRECTIONS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.int64
)


@dataclass(frozen=True, kw_only=True)
class LatticeWalk:
    """Ions that hop on a simple cubic lattice, and the numbers that follow exactly.

    Attributes
    ----------
    n_cells
        Sites along each axis; n_cells^3 framework atoms sit between them.
    n_ions
        Mobile ions. They do not see each other, except within a string.
    n_frames, timestep
        Length, and the time between frames in fs.
    rate
        Hops of an ion per ps.
    spacing
        Distance between sites in angstrom.
    cosine
        Mean cosine between successive hops of an ion; negative where ions like to return. An ion
        reverses, or for a positive value repeats, its hop with probability |cosine|, and forgets
        otherwise.
    string
        Ions that hop together; n_ions must be a multiple.
    amplitude
        Standard deviation of the vibration along each axis in angstrom, new in every frame.
    drift
        Standard deviation of a common random step of all atoms between frames in angstrom.
    framework_rate
        Hops of a framework atom per ps: above zero the framework melts.
    """

    n_cells: int = 4
    n_ions: int = 64
    n_frames: int = 2000
    timestep: float = 20.0
    rate: float = 0.06
    spacing: float = 3.2
    cosine: float = 0.0
    string: int = 1
    amplitude: float = 0.15
    drift: float = 0.01
    framework_rate: float = 0.0

    def __post_init__(self) -> None:
        if self.n_ions % self.string:
            raise AnalysisError(
                f"{self.n_ions} ions do not fall into strings of {self.string}; take a multiple."
            )
        if not -1 < self.cosine < 1:
            raise AnalysisError(f"the mean cosine lies between -1 and 1, got {self.cosine}.")

    @property
    def tracer(self) -> float:
        """The exact tracer diffusivity in cm^2/s."""
        memory = (1.0 + self.cosine) / (1.0 - self.cosine)
        return self.rate * self.spacing**2 / 6.0 * memory * ANGSTROM2_PER_PS_TO_CM2_PER_S

    @property
    def charge(self) -> float:
        """The exact charge diffusivity in cm^2/s."""
        return self.tracer * self.string

    @property
    def n_hops(self) -> float:
        """The expected number of hops that carry: those of a walk without memory of equal D*."""
        duration = (self.n_frames - 1) * self.timestep / 1000.0
        return self.n_ions * duration * self.rate * (1.0 + self.cosine) / (1.0 - self.cosine)

    def frames(self, seed: int, *, is_wrapped: bool = True) -> Frames:
        """Return one trajectory."""
        rng = np.random.default_rng(seed)
        ions = np.repeat(self._walk(rng, self.n_ions // self.string, self.rate), self.string, 1)
        cells = np.indices((self.n_cells,) * 3).reshape(3, -1).T.astype(float)
        start = rng.choice(cells, size=self.n_ions, replace=self.n_ions > len(cells))
        solid = np.broadcast_to(cells + 0.5, (self.n_frames, *cells.shape))
        if self.framework_rate:
            solid = solid + self._walk(rng, len(cells), self.framework_rate)
        positions = np.concatenate([ions + start, solid], axis=1) * self.spacing
        positions += rng.normal(scale=self.amplitude, size=positions.shape)
        common = rng.normal(scale=self.drift, size=(self.n_frames, 1, 3))
        positions += np.cumsum(common, axis=0)
        box = self.n_cells * self.spacing
        if is_wrapped:
            positions %= box
        return Frames(
            positions=positions,
            lattice=np.eye(3) * box,
            species=("Li",) * self.n_ions + ("S",) * len(cells),
            timestep=self.timestep,
            is_unwrapped=not is_wrapped,
        )

    def _walk(self, rng: np.random.Generator, n_walkers: int, rate: float) -> FloatArray:
        """Return sites in units of the spacing, (n_frames, n_walkers, 3), beginning at zero."""
        counts = rng.poisson(rate * self.timestep / 1000.0, size=(n_walkers, self.n_frames - 1))
        per_walker = counts.sum(axis=1)
        walks = np.zeros((self.n_frames, n_walkers, 3))
        for walker, n_hops in enumerate(per_walker):
            hops = _DIRECTIONS[self._directions(rng, int(n_hops))]
            sites = np.concatenate([np.zeros((1, 3), dtype=np.int64), np.cumsum(hops, axis=0)])
            walks[1:, walker] = sites[np.cumsum(counts[walker])]
        return walks

    def _directions(self, rng: np.random.Generator, n_hops: int) -> npt.NDArray[np.int64]:
        fresh = rng.integers(6, size=n_hops)
        if not self.cosine or n_hops == 0:
            return fresh
        # A hop that remembers repeats the last one, or reverses it (index ^ 1), so the direction
        # is that of the last fresh hop, turned as many times as hops were remembered since.
        remembers = rng.random(n_hops) < abs(self.cosine)
        remembers[0] = False
        index = np.arange(n_hops)
        last_fresh = np.maximum.accumulate(np.where(remembers, 0, index))
        turned = (index - last_fresh) % 2 if self.cosine < 0 else np.zeros(n_hops, dtype=int)
        return fresh[last_fresh] ^ turned
