"""Whether the framework stayed a framework: vibrating, rotating, collapsed or molten.

A framework atom is judged by its net displacement: its mean position over the last tenth of the run
against that over the first tenth, drift removed, so that vibration cancels. A melt moves every
species of the framework off its sites; a rotating polyanion moves its corners but not its center,
and is reported without blocking. The distance that counts is a fraction of the species' own
nearest-neighbor distance, Lindemann's idea applied to net displacements instead of amplitudes.

A run that is short for its melt leaves most atoms within that distance. So a framework whose
amplitudes are above Lindemann's is asked for the slope of its own mean squared displacement, too: a
line that grows, and goes on at the longest lags, is diffusion, which no solid framework knows;
where atoms rotate or rattle it levels off.

Layers that glide past each other carry all their atoms off their sites and melt nothing. So what
looks molten is judged again by how each atom moves against its neighbors in the framework.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.analysis.msd import split_squared_displacements
from ssefw.analysis.slope import FINEST_BLOCKS, fit_slopes
from ssefw.analysis.trajectory import Frames

__all__ = ["FrameworkState", "judge_framework", "nearest_neighbor_distances"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LOST_SITE = 0.35
"""Net displacement over nearest-neighbor distance beyond which an atom has lost its site."""

MELT_FRACTION = 0.5
"""Share of the atoms of a species that must have lost their sites for the species to be mobile."""


SOLID = 0.1
"""Amplitude over nearest-neighbor distance up to which a species is not suspected."""

GROWTH = 0.25
"""Root of the growth of a species' MSD over the run, by its slope, over the nearest-neighbor
distance, from which the species diffuses."""

SIGNIFICANT = 3.0
"""Standard errors that such a slope is above zero."""

GOES_ON = 0.5
"""Least slope at the longest lags, from a quarter of the last on, over that of the whole. Atoms
that shift a little, as tetrahedra do in a sulfide, have a slope at short lags that ends there: a
sixteenth of it was left in 1 ns of LGPS at 300 K."""

STRAIGHT = 0.2
"""Weight of models that end in a visible line, from which an MSD has a slope at all."""

NEIGHBORS = 12
"""Atoms of the framework whose median motion an atom is compared with: more than twice those of a
tetrahedral anion, whose melt would else move against nothing; and at the face of a layer of
close-packed anions, most of the nearest twelve are of the same layer."""

KEPT = 0.1
"""Share of the atoms of a species that may leave their neighbors in layers that glide. In 1 ns of
Li3ErBr6 at 900 K, in which a layer glided once, none had; where it was molten 40 % and more."""


@dataclass(frozen=True)
class FrameworkState:
    """What the framework did.

    Attributes
    ----------
    rmsd
        Net root-mean-square displacement over the run in angstrom; None without framework.
    lindemann
        RMS amplitude around the mean position over the nearest-neighbor distance, for the most
        rigid species; None without framework.
    is_lost
        Whether every species of the framework has left its sites.
    reason
        What was found, with the numbers, if anything is wrong.
    warnings
        What should be known but does not block: a single mobile species, too few atoms to judge.
    """

    rmsd: float | None
    lindemann: float | None
    is_lost: bool
    reason: str = ""
    warnings: tuple[str, ...] = ()


def nearest_neighbor_distances(
    cart_coords: FloatArray, lattice: FloatArray, *, among: npt.NDArray[np.bool_] | None = None
) -> FloatArray:
    """Return each atom's distance to the nearest other atom or image in angstrom, (n_atoms,).

    With `among`, only those atoms are asked and count as neighbors.
    """
    coords = cart_coords if among is None else cart_coords[among]
    frac = coords @ np.linalg.inv(lattice)
    shifts = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.empty(len(coords))
    for index in range(len(coords)):
        delta = frac - frac[index]
        delta -= np.rint(delta)
        distances = np.linalg.norm((delta[:, None] + shifts) @ lattice, axis=-1)
        nearest[index] = distances[distances > 1e-8].min()
    return nearest


def _variances(path: FloatArray) -> FloatArray:
    """Return the variance of each atom's position over time, without a copy of the path."""
    squares = np.einsum("tna,tna->n", path, path) / len(path)
    mean = path.mean(axis=0)
    return np.asarray(np.maximum(squares - (mean**2).sum(axis=1), 0.0))


def _diffuses(
    paths: FloatArray, lags: IntArray, *, pieces: list[tuple[int, int]], spacing: float
) -> bool:
    """Whether the MSD of the atoms of a species is a line that grows.

    Parameters
    ----------
    lags
        In frames.
    spacing
        Nearest-neighbor distance in angstrom.
    """
    if paths.shape[1] < 2:
        return False
    sums = split_squared_displacements(paths, lags, n_blocks=FINEST_BLOCKS, pieces=pieces)
    fit = fit_slopes(sums)
    if fit is None or fit.settled < STRAIGHT:
        return False
    n_steps = sum(last - first - 1 for first, last in pieces)
    is_sure = fit.tracer > SIGNIFICANT * float(np.sqrt(fit.covariance[0, 0]))
    if not is_sure or fit.tracer * n_steps <= (GROWTH * spacing) ** 2:
        return False
    longest = lags >= lags[-1] / 4
    slope, _ = np.polyfit(lags[longest], sums.msd[longest], 1)
    return float(slope) > GOES_ON * fit.tracer


def judge_framework(
    frames: Frames, paths: FloatArray, *, specie: str, lags: IntArray | None = None
) -> FrameworkState:
    """Judge the framework from drift-free paths.

    Parameters
    ----------
    frames, paths
        The trajectory and what `unwrapped_paths` made of it.
    specie
        The mobile element; everything else is framework.
    lags
        At which the MSD of the framework is taken, in frames; without them it is not.
    """
    framework = ~frames.is_specie(specie)
    if not framework.any():
        return FrameworkState(
            None, None, is_lost=False, warnings=("no framework atom: drift was not removed",)
        )
    if framework.sum() == 1:
        return FrameworkState(
            0.0,
            None,
            is_lost=False,
            warnings=("a single framework atom holds the frame: melting cannot be seen",),
        )
    found = _motion(frames, paths, framework, lags)
    if not found.is_lost:
        return FrameworkState(found.rmsd, found.lindemann, is_lost=False, warnings=found.warnings())
    against = _motion(frames, _against_neighbors(frames, paths, framework), framework, lags)
    if not against.diffusing and max(against.left.values()) <= KEPT:
        glide = (
            f"parts of the framework, such as layers, glide past each other ({found.rmsd:.2f} "
            "angstrom): this is in the diffusivity of the ions that they carry"
        )
        return FrameworkState(found.rmsd, against.lindemann, is_lost=False, warnings=(glide,))
    return FrameworkState(found.rmsd, found.lindemann, is_lost=True, reason=found.reason())


@dataclass(frozen=True)
class _Motion:
    """How the species of a framework moved.

    Attributes
    ----------
    rmsd, lindemann
        As in `FrameworkState`.
    left
        Of each species, the share of its atoms that lost their sites.
    diffusing
        Species whose mean squared displacement grows as a line.
    """

    rmsd: float
    lindemann: float
    left: dict[str, float]
    diffusing: tuple[str, ...]

    @property
    def mobile(self) -> list[str]:
        gone = (symbol for symbol, share in self.left.items() if share > MELT_FRACTION)
        return sorted({*gone, *self.diffusing})

    @property
    def is_lost(self) -> bool:
        return len(self.mobile) == len(self.left)

    def reason(self) -> str:
        shares = ", ".join(f"{symbol} {share:.0%}" for symbol, share in self.left.items())
        grows = f"; the MSD of {', '.join(self.diffusing)} grows" if self.diffusing else ""
        return (
            f"the framework left its sites (share of atoms: {shares}; net rms displacement "
            f"{self.rmsd:.2f} angstrom, Lindemann ratio {self.lindemann:.2f}{grows})"
        )

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"the {symbol} atoms diffuse while others stayed: exchange, or partial melting"
            if symbol in self.diffusing
            else f"{self.left[symbol]:.0%} of the {symbol} atoms left their sites while others "
            "stayed: rotation, exchange, or partial melting"
            for symbol in self.mobile
        )


def _motion(
    frames: Frames, paths: FloatArray, framework: npt.NDArray[np.bool_], lags: IntArray | None
) -> _Motion:
    first, last = max(frames.pieces, key=lambda piece: piece[1] - piece[0])
    path = paths[first:last]
    tenth = max(1, len(path) // 10)
    net = np.linalg.norm(path[-tenth:].mean(axis=0) - path[:tenth].mean(axis=0), axis=1)
    lattice = frames.lattice if frames.lattice.ndim == 2 else frames.lattice[first]
    spacing = np.ones(frames.n_atoms)
    spacing[framework] = nearest_neighbor_distances(
        frames.positions[first], lattice, among=framework
    )
    lost = net > LOST_SITE * spacing
    relative = np.sqrt(_variances(path)) / spacing
    symbols = np.array(frames.species)
    species = [str(symbol) for symbol in sorted(set(symbols[framework]))]
    left = {symbol: float(lost[symbols == symbol].mean()) for symbol in species}
    lindemann = min(float(relative[symbols == symbol].mean()) for symbol in species)
    diffusing: list[str] = []
    stayed = any(share <= MELT_FRACTION for share in left.values())
    if lags is not None and stayed and lindemann > SOLID:
        for symbol in species:
            own = symbols == symbol
            near = float(np.mean(spacing[own]))
            if _diffuses(paths[:, own], lags, pieces=frames.pieces, spacing=near):
                diffusing.append(symbol)
    rmsd = float(np.sqrt((net[framework] ** 2).mean()))
    return _Motion(rmsd, lindemann, left, tuple(diffusing))


def _against_neighbors(
    frames: Frames, paths: FloatArray, framework: npt.NDArray[np.bool_]
) -> FloatArray:
    """Return the paths of framework atoms less the median of those of their neighbors."""
    first, _ = max(frames.pieces, key=lambda piece: piece[1] - piece[0])
    lattice = frames.lattice if frames.lattice.ndim == 2 else frames.lattice[first]
    atoms = np.flatnonzero(framework)
    at = frames.positions[first][atoms] @ np.linalg.inv(lattice)
    moved = paths - paths[first]
    found = paths.copy()
    for place, atom in enumerate(atoms):
        apart = at - at[place]
        apart -= np.rint(apart)
        nearest = np.argsort(np.linalg.norm(apart @ lattice, axis=1))[1 : NEIGHBORS + 1]
        found[:, atom] -= np.median(moved[:, atoms[nearest]], axis=1)
    return found
