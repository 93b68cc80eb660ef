"""Frames of a trajectory, and the unwrapped, drift-free paths of its atoms.

A path is the running sum of the shortest steps from frame to frame, taken in fractional coordinates
and turned into angstrom with the mean cell of the two frames. In a cell that breathes (NPT) an atom
at rest in its cell therefore stays at rest, and a step is never multiplied by a later change of the
cell, the error of unwrapping by whole lattice vectors (doi:10.1063/5.0151142).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import gcd
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from ssefw.errors import AnalysisError

__all__ = [
    "Frames",
    "Reference",
    "fractional_paths",
    "join_frames",
    "slice_frames",
    "unwrapped_paths",
]

FloatArray = npt.NDArray[np.float64]

Reference = Literal["framework", "all", "none"]
"""What is held still: the mean of the framework atoms, of all atoms, or nothing."""

_AMBIGUOUS_STEP = 0.45


@dataclass(frozen=True)
class Frames:
    """Frames of one run at one temperature, in order of time and evenly spaced within a piece.

    Attributes
    ----------
    positions
        Cartesian positions in angstrom, (n_frames, n_atoms, 3), wrapped into the cell or not.
    lattice
        Cell vectors as rows in angstrom, (3, 3), or (n_frames, 3, 3) for a cell that changes.
    species
        Element symbol of each atom.
    timestep
        Time between two frames in fs (not the step of the integrator).
    temperatures
        Instantaneous temperature of each frame in K, (n_frames,), where known.
    breaks
        Frames before which time is missing. No displacement is taken across a break.
    start
        Time of the first frame in ps, where the run is a continuation.
    is_unwrapped
        Whether the positions are already continuous, so that a step longer than half a cell is
        real.
    set_temperature
        What the thermostat aimed at, K, where known.
    """

    positions: FloatArray
    lattice: FloatArray
    species: tuple[str, ...]
    timestep: float
    temperatures: FloatArray | None = None
    breaks: tuple[int, ...] = ()
    start: float = 0.0
    is_unwrapped: bool = False
    set_temperature: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", np.asarray(self.positions, dtype=np.float64))
        object.__setattr__(self, "lattice", np.asarray(self.lattice, dtype=np.float64))
        object.__setattr__(self, "species", tuple(str(symbol) for symbol in self.species))
        object.__setattr__(self, "breaks", tuple(sorted(int(index) for index in self.breaks)))
        if self.temperatures is not None:
            object.__setattr__(self, "temperatures", np.asarray(self.temperatures, np.float64))
        self._check_shapes()
        self._check_numbers()

    def _check_shapes(self) -> None:
        if self.positions.ndim != 3 or self.positions.shape[2] != 3:
            raise AnalysisError(
                f"positions have shape {self.positions.shape}; give (n_frames, n_atoms, 3) in "
                "angstrom."
            )
        if self.n_frames == 0 or self.n_atoms == 0:
            raise AnalysisError(
                f"the trajectory is empty: {self.n_frames} frames of {self.n_atoms} atoms. Check "
                "that the file was written and that the equilibration is shorter than the run."
            )
        if self.lattice.shape not in {(3, 3), (self.n_frames, 3, 3)}:
            raise AnalysisError(
                f"the lattice has shape {self.lattice.shape}; give (3, 3), or "
                f"({self.n_frames}, 3, 3) for a cell that changes."
            )
        if len(self.species) != self.n_atoms:
            raise AnalysisError(
                f"{len(self.species)} species for {self.n_atoms} atoms; give one element symbol an "
                "atom, in the order of the positions."
            )
        if self.temperatures is not None and self.temperatures.shape != (self.n_frames,):
            raise AnalysisError(
                f"temperatures have shape {self.temperatures.shape}; give ({self.n_frames},)."
            )
        if self.breaks and (self.breaks[0] <= 0 or self.breaks[-1] >= self.n_frames):
            raise AnalysisError(f"breaks {self.breaks} must lie between 1 and {self.n_frames - 1}.")

    def _check_numbers(self) -> None:
        if not np.isfinite(self.timestep) or self.timestep <= 0:
            raise AnalysisError(
                f"the time between frames must be positive, got {self.timestep} fs. Give the step "
                "of the integrator times the number of steps between frames."
            )
        if not np.isfinite(self.positions).all():
            frame, atom, _ = np.argwhere(~np.isfinite(self.positions))[0]
            raise AnalysisError(
                f"positions hold a number that is not finite, first for atom {atom} in frame "
                f"{frame}. The run has blown up or the file is damaged; cut it before that frame."
            )
        volumes = np.abs(np.linalg.det(self.lattice))
        if not np.isfinite(self.lattice).all() or (volumes < 1e-6).any():
            raise AnalysisError(
                "the lattice is singular or not finite; an analysis of diffusion needs three "
                "independent cell vectors in angstrom."
            )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.positions.shape[1])

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Frame ranges (first, last + 1) within which time is continuous."""
        edges = (0, *self.breaks, self.n_frames)
        return list(pairwise(edges))

    @property
    def duration(self) -> float:
        """Time that displacements span, in ps; time missing at breaks does not count."""
        return (self.n_frames - len(self.pieces)) * self.timestep / 1000.0

    @cached_property
    def volume(self) -> float:
        """Mean volume of the cell in angstrom^3."""
        return float(np.abs(np.linalg.det(self.lattice)).mean())

    @cached_property
    def mean_lattice(self) -> FloatArray:
        """Mean cell vectors in angstrom, (3, 3)."""
        return self.lattice if self.lattice.ndim == 2 else self.lattice.mean(axis=0)

    def is_specie(self, specie: str) -> npt.NDArray[np.bool_]:
        """Return which atoms are of an element, (n_atoms,); refuse an element that is absent."""
        mask = np.array([symbol == specie for symbol in self.species])
        if not mask.any():
            raise AnalysisError(
                f"no atom of specie {specie!r} in the trajectory; it holds "
                f"{', '.join(sorted(set(self.species)))}."
            )
        return mask


def slice_frames(frames: Frames, *, first: int = 0, stride: int = 1) -> Frames:
    """Return every `stride`-th frame of each piece, from frame `first` on."""
    keep = np.concatenate(
        [np.arange(max(low, first), high, stride) for low, high in frames.pieces if high > first]
        or [np.empty(0, dtype=int)]
    ).astype(int)
    if keep.size == 0:
        raise AnalysisError(
            f"nothing is left of {frames.n_frames} frames after leaving out the first {first}; "
            "shorten the equilibration or run longer."
        )
    starts = [int(np.searchsorted(keep, low)) for low, _ in frames.pieces if low > keep[0]]
    return replace(
        frames,
        positions=frames.positions[keep],
        lattice=frames.lattice if frames.lattice.ndim == 2 else frames.lattice[keep],
        timestep=frames.timestep * stride,
        temperatures=None if frames.temperatures is None else frames.temperatures[keep],
        breaks=tuple(starts),
        start=frames.start + int(keep[0]) * frames.timestep / 1000.0,
    )


def join_frames(segments: Sequence[Frames]) -> Frames:
    """Join segments of one run into one trajectory.

    Each segment knows when it starts. A segment that starts where the one before ended (or one
    frame later) continues it, and a frame that both hold is kept once; one that starts later begins
    after a break. Segments of different stride are brought to the smallest common one.

    Parameters
    ----------
    segments
        In order of time, of the same atoms.

    Raises
    ------
    AnalysisError
        The atoms differ, a segment starts before the one before it ended, or the strides have no
        common multiple within ten times the coarsest.
    """
    if not segments:
        raise AnalysisError("there is no segment to join; give at least one.")
    if len({segment.species for segment in segments}) > 1:
        raise AnalysisError(
            "the segments hold different atoms or another order of them; only runs of one cell "
            "can be joined."
        )
    common = _common_timestep([segment.timestep for segment in segments])
    thin = [slice_frames(s, stride=round(common / s.timestep)) for s in segments]
    pieces: list[Frames] = []
    breaks: list[int] = []
    n_frames = 0
    end = -np.inf
    for index, segment in enumerate(thin):
        lead = (segment.start - end) * 1000.0 / common
        if lead < -0.01:
            raise AnalysisError(
                f"segment {index} starts at {segment.start:g} ps, before the one before it ended "
                f"({end:g} ps). Order the segments by time or leave the repeated one out."
            )
        piece = slice_frames(segment, first=1) if lead < 0.01 and segment.n_frames > 1 else segment
        if n_frames and lead > 1.01:
            breaks.append(n_frames)
        breaks.extend(n_frames + place for place in piece.breaks)
        pieces.append(piece)
        n_frames += piece.n_frames
        end = segment.start + (segment.n_frames - 1) * common / 1000.0
    return Frames(
        positions=np.concatenate([piece.positions for piece in pieces]),
        lattice=_joined_lattice(pieces),
        species=pieces[0].species,
        timestep=common,
        temperatures=_joined_temperatures(pieces),
        breaks=tuple(breaks),
        start=segments[0].start,
        is_unwrapped=all(piece.is_unwrapped for piece in pieces),
    )


def _common_timestep(timesteps: Sequence[float]) -> float:
    units = [round(timestep * 1e6) for timestep in timesteps]
    common = units[0]
    for unit in units[1:]:
        common = common * unit // gcd(common, unit)
    if common > 10 * max(units):
        raise AnalysisError(
            f"the segments have frames every {', '.join(f'{t:g}' for t in sorted(set(timesteps)))} "
            "fs, which meet only rarely. Analyse them apart and combine the diffusivities."
        )
    return common / 1e6


def _joined_temperatures(pieces: Sequence[Frames]) -> FloatArray | None:
    known = [piece.temperatures for piece in pieces if piece.temperatures is not None]
    return np.concatenate(known) if len(known) == len(pieces) else None


def _joined_lattice(pieces: Sequence[Frames]) -> FloatArray:
    first = pieces[0].lattice
    if all(piece.lattice.ndim == 2 and np.allclose(piece.lattice, first) for piece in pieces):
        return first
    return np.concatenate(
        [np.broadcast_to(piece.lattice, (piece.n_frames, 3, 3)) for piece in pieces]
    )


def unwrapped_paths(
    frames: Frames,
    *,
    specie: str | None = None,
    reference: Reference = "framework",
    only: str | None = None,
) -> tuple[FloatArray, float]:
    """Return continuous paths of all atoms, free of drift, and how far they can be trusted.

    Parameters
    ----------
    frames
        The trajectory; displacements are not followed across its breaks.
    specie
        The mobile element, needed where the framework is the reference.
    reference
        What is held still. A framework without atoms holds nothing still.
    only
        Return the paths of this element alone.

    Returns
    -------
    paths
        Displacement from the first frame of the piece in angstrom, (n_frames, n_atoms, 3), the
        mean over the unweighted reference atoms taken out of each frame.
    longest_step
        The longest fractional component of any step. Near 0.5 the shortest image is a guess: the
        frames are too far apart.
    """
    cells = frames.lattice[None] if frames.lattice.ndim == 2 else frames.lattice
    middle = cells if len(cells) == 1 else np.concatenate([cells[:1], _means(cells)])
    held = _held_still(frames, specie=specie, reference=reference)
    kept = np.arange(frames.n_atoms) if only is None else np.flatnonzero(frames.is_specie(only))
    paths = np.empty((frames.n_frames, len(kept), 3))
    longest = _follow(
        np.ascontiguousarray(frames.positions),
        np.linalg.inv(cells),
        np.ascontiguousarray(middle),
        np.array([first for first, _ in frames.pieces]),
        frames.is_unwrapped,
        False,  # noqa: FBT003 - compiled functions take no keywords here
        np.flatnonzero(held),
        kept,
        paths,
    )
    return paths, 0.0 if frames.is_unwrapped else float(longest)


def fractional_paths(
    frames: Frames, *, specie: str | None = None, reference: Reference = "framework"
) -> FloatArray:
    """Return continuous, drift-free fractional coordinates, (n_frames, n_atoms, 3).

    Where an atom is in its cell, rather than how far it went: a break is passed by the shortest
    image.

    Parameters
    ----------
    specie, reference
        As for `unwrapped_paths`.
    """
    cells = frames.lattice[None] if frames.lattice.ndim == 2 else frames.lattice
    held = _held_still(frames, specie=specie, reference=reference)
    frac = np.empty_like(frames.positions)
    _follow(
        np.ascontiguousarray(frames.positions),
        np.linalg.inv(cells),
        np.eye(3)[None],
        np.array([first for first, _ in frames.pieces]),
        frames.is_unwrapped,
        True,  # noqa: FBT003 - compiled functions take no keywords here
        np.flatnonzero(held),
        np.arange(frames.n_atoms),
        frac,
    )
    return frac


def _means(cells: FloatArray) -> FloatArray:
    return 0.5 * (cells[1:] + cells[:-1])


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _follow(positions, inverses, metrics, starts, is_unwrapped, is_placed, held, kept, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0917
    """Follow atoms in one pass over the frames; return the longest fractional step.

    `metrics` turns the fractional step into frame t into what is summed up: angstrom, or itself.
    Placed paths begin at the fractional position and pass breaks by the shortest image; the others
    begin at zero in each piece. The mean of the held atoms stays where it is in the first frame.
    """
    n_frames, n_atoms, _ = positions.shape
    last = np.empty((n_atoms, 3))
    here = np.zeros((n_atoms, 3))
    place = np.zeros(3)
    longest = 0.0
    piece = 0
    for t in range(n_frames):
        inverse = inverses[t if len(inverses) > 1 else 0]
        metric = metrics[t if len(metrics) > 1 else 0]
        is_start = piece < len(starts) and starts[piece] == t
        if is_start:
            piece += 1
        for i in range(n_atoms):
            x, y, z = positions[t, i, 0], positions[t, i, 1], positions[t, i, 2]
            u = x * inverse[0, 0] + y * inverse[1, 0] + z * inverse[2, 0]
            v = x * inverse[0, 1] + y * inverse[1, 1] + z * inverse[2, 1]
            w = x * inverse[0, 2] + y * inverse[1, 2] + z * inverse[2, 2]
            if t > 0 and (is_placed or not is_start):
                a, b, c = u - last[i, 0], v - last[i, 1], w - last[i, 2]
                if is_start or not is_unwrapped:
                    a, b, c = a - np.rint(a), b - np.rint(b), c - np.rint(c)
                    if not is_start:
                        longest = max(longest, abs(a), abs(b), abs(c))
                here[i, 0] += a * metric[0, 0] + b * metric[1, 0] + c * metric[2, 0]
                here[i, 1] += a * metric[0, 1] + b * metric[1, 1] + c * metric[2, 1]
                here[i, 2] += a * metric[0, 2] + b * metric[1, 2] + c * metric[2, 2]
            elif is_placed:
                here[i, 0], here[i, 1], here[i, 2] = u, v, w
            else:
                here[i, 0], here[i, 1], here[i, 2] = 0.0, 0.0, 0.0
            last[i, 0], last[i, 1], last[i, 2] = u, v, w
        dx = dy = dz = 0.0
        if len(held) > 0:
            for i in held:
                dx += here[i, 0]
                dy += here[i, 1]
                dz += here[i, 2]
            dx, dy, dz = dx / len(held), dy / len(held), dz / len(held)
            if t == 0:
                place[0], place[1], place[2] = dx, dy, dz
            dx, dy, dz = dx - place[0], dy - place[1], dz - place[2]
        for k, i in enumerate(kept):
            out[t, k, 0] = here[i, 0] - dx
            out[t, k, 1] = here[i, 1] - dy
            out[t, k, 2] = here[i, 2] - dz
    return longest


def _held_still(
    frames: Frames, *, specie: str | None, reference: Reference
) -> npt.NDArray[np.bool_]:
    if reference == "none":
        return np.zeros(frames.n_atoms, dtype=bool)
    if reference == "all":
        return np.ones(frames.n_atoms, dtype=bool)
    if specie is None:
        raise ValueError("give the mobile specie, or reference='all' or 'none'")
    return ~frames.is_specie(specie)


def has_ambiguous_steps(longest_step: float) -> bool:
    """Return whether the longest fractional step is too near half a cell to be unwrapped."""
    return longest_step > _AMBIGUOUS_STEP
