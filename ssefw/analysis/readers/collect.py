"""Frames of one run gathered from streams of raw frames, in memory of bounded size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols

from ssefw.analysis.readers.base import RawFrame
from ssefw.analysis.trajectory import Frames
from ssefw.errors import DataError
from ssefw.files import printable

__all__ = ["DEFAULT_MEMORY", "collect_frames"]

FloatArray = npt.NDArray[np.float64]

DEFAULT_MEMORY = 256 * 2**20
BLOCK = 64
ELEMENTS = frozenset(chemical_symbols[1:]) | {"D", "T"}
"""Symbols of elements, and of the isotopes of hydrogen."""
SMALLEST_ATOM = 0.5
"""A^3; atoms in the densest crystals take ten times as much."""
LARGEST_CELL = 1e15
"""A^3: ten microns along each side."""
SEAM_JUMP = 1.0
"""Root-mean-square step in angstrom across the seam of two files that means missing time."""
ROUNDING = 0.05
"""How far times that are printed with few digits may be off, of the time between two frames."""
SHORTEST_STEP = 0.05
"""Time step in fs below which its unit was mistaken."""
LONGEST_STEP = 20.0
"""fs; dynamics of ions take 1 to 5, and what is longer is the time between two frames."""
SECONDS_BELOW = 1e-9
"""A step below this was written in seconds."""


@dataclass
class _Kept:
    """Positions kept so far, thinned to every second frame whenever they fill the memory.

    The buffer grows by doubling up to its limit, so that a short run takes little.
    """

    limit: int
    n_atoms: int
    positions: FloatArray = field(init=False)
    lattices: list[FloatArray] = field(default_factory=list)
    temperatures: list[float] = field(default_factory=list)
    in_piece: list[int] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)
    stride: int = 1

    def __post_init__(self) -> None:
        self.positions = np.empty((min(self.limit, 256), self.n_atoms, 3))

    def add(
        self,
        positions: FloatArray,
        lattices: Sequence[FloatArray],
        temperatures: Sequence[float],
        *,
        in_piece: Sequence[int],
        pieces: Sequence[int],
    ) -> None:
        wanted = [k for k, number in enumerate(in_piece) if number % self.stride == 0]
        while len(self.in_piece) + len(wanted) > self.limit:
            self._thin()
            wanted = [k for k in wanted if in_piece[k] % self.stride == 0]
        begin, end = len(self.in_piece), len(self.in_piece) + len(wanted)
        if end > len(self.positions):
            larger = np.empty((min(self.limit, max(end, 2 * begin)), self.n_atoms, 3))
            larger[:begin] = self.positions[:begin]
            self.positions = larger
        self.positions[begin:end] = positions[wanted]
        self.lattices.extend(lattices[k] for k in wanted)
        self.temperatures.extend(temperatures[k] for k in wanted)
        self.in_piece.extend(in_piece[k] for k in wanted)
        self.pieces.extend(pieces[k] for k in wanted)

    def _thin(self) -> None:
        self.stride *= 2
        keep = [k for k, number in enumerate(self.in_piece) if number % self.stride == 0]
        self.positions[: len(keep)] = self.positions[keep]
        for name in ("lattices", "temperatures", "in_piece", "pieces"):
            values = getattr(self, name)
            setattr(self, name, [values[k] for k in keep])


@dataclass
class _Clock:
    """Tells repeated, missing and continued frames apart, from the times that files give.

    What was given and what a file tells must agree.
    """

    given: float | None
    stride: int | None
    spacing: float | None = None
    last: float | None = None
    elapsed: float = 0.0
    n_elapsed: int = 0

    def time_of(self, raw: RawFrame) -> float | None:
        """Return the time of a frame in fs, if it can be known from the frame."""
        if raw.time is not None:
            return raw.time * 1000.0
        step = self.given or raw.timestep
        return raw.step * step if raw.step is not None and step else None

    def accept(self, raw: RawFrame, name: str) -> tuple[bool, bool]:
        """Return whether to take a frame, and whether time is missing before it."""
        if self.given and raw.timestep and not _are_alike(self.given, raw.timestep):
            raise DataError(
                f"{name} says that its time step is {raw.timestep:g} fs, and {self.given:g} fs was "
                "given. Leave the time step out, or correct it."
            )
        time = self.time_of(raw)
        if time is None:
            spacing = self._told(raw, name)
            self.spacing = self.spacing or spacing
            if abs(spacing - self.spacing) > 1e-6 * self.spacing:
                raise DataError(
                    f"{name} has a frame every {spacing:g} fs, the file before every "
                    f"{self.spacing:g} fs; analyse them apart or join them as Frames."
                )
            return True, raw.follows_gap
        if self.last is None:
            self.last = time
            return True, False
        gap = time - self.last
        if gap <= 1e-6 * max(self.spacing or 0.0, 1e-3):
            return False, False
        if self.spacing is None:
            self._check_spacing(gap, raw, name)
            self.spacing = gap
        self.last = time
        # Printed times are rounded; half a spacing is not rounding.
        if gap < 0.5 * self.spacing:
            raise DataError(
                f"{name}: the time between frames changes from {self.spacing:g} to {gap:g} fs; "
                "analyse the parts apart or join them as Frames."
            )
        if gap > 1.5 * self.spacing:
            return True, True
        self.elapsed += gap
        self.n_elapsed += 1
        return True, False

    def _told(self, raw: RawFrame, name: str) -> float:
        """Return the time between frames where no frame tells its own."""
        step, stride = self.given or raw.timestep, self.stride or raw.stride
        if raw.stride and self.stride and raw.stride != self.stride:
            raise DataError(
                f"{name} has a frame every {raw.stride} steps of the run, and a stride of "
                f"{self.stride} was given. Leave the stride out."
            )
        if step is None or raw.step is not None:
            raise DataError(
                f"{name} does not tell the time between its frames; give the time step of the "
                "integrator in fs, and the steps between frames (--timestep and --stride)."
            )
        if stride is None:
            raise DataError(
                f"{name} does not tell how many steps lie between its frames; give them beside the "
                "time step (--stride: NBLOCK of VASP, 1 if every step was written)."
            )
        return step * stride

    def _check_spacing(self, gap: float, raw: RawFrame, name: str) -> None:
        """Refuse a step and stride that contradict the times of the frames."""
        step = self.given or raw.timestep
        if step and self.stride and abs(step * self.stride - gap) > ROUNDING * gap:
            raise DataError(
                f"The frames of {name} are {gap:g} fs apart by what it tells, and {step:g} fs with "
                f"a stride of {self.stride} would be {step * self.stride:g} fs. Leave the stride "
                "out, or correct it."
            )

    @property
    def mean_spacing(self) -> float | None:
        """Time between frames in fs, the rounding of printed times averaged out."""
        return self.elapsed / self.n_elapsed if self.n_elapsed else self.spacing


def collect_frames(
    streams: Sequence[Iterator[RawFrame]],
    *,
    names: Sequence[str],
    timestep: float | None,
    stride: int | None,
    memory: int,
) -> Frames:
    """Follow atoms across the cell and keep frames as densely as memory permits.

    Parameters are those of `ssefw.analysis.readers.read_frames`, with one stream a file.
    """
    if timestep is not None and not timestep > 0:
        raise DataError(f"the time step must be positive, got {timestep} fs.")
    if timestep is not None and timestep < SHORTEST_STEP:
        is_si = timestep < SECONDS_BELOW
        unit, factor = ("s", 1e15) if is_si else ("ps (metal units of LAMMPS)", 1e3)
        raise DataError(
            f"the time step is in fs, and {timestep} fs is shorter than dynamics of ions need; "
            f"if it was in {unit}, give {factor * timestep:g}."
        )
    if timestep is not None and timestep > LONGEST_STEP:
        raise DataError(
            f"the time step is that of the integrator in fs, and {timestep:g} fs is longer than "
            "dynamics of ions bear; if it is the time between two frames, give the step "
            "(--timestep, POTIM of VASP) and how many of them lie between frames (--stride)."
        )
    if stride is not None and stride < 1:
        raise DataError(f"frames are at least one step apart, got a stride of {stride}.")
    run = _Run(_Clock(timestep, stride), memory)
    for stream, name in zip(streams, names, strict=True):
        run.add_file(stream, name)
    return run.frames(names)


def _check_species(species: Sequence[str], name: str) -> None:
    unknown = sorted(set(species) - ELEMENTS)
    if unknown:
        raise DataError(
            f"{name}: {printable(unknown[0])!r} is no element. Give element symbols"
            " (--types, in the order of the types) or correct the file."
        )
    if not species:
        raise DataError(f"{name} holds no atoms.")


def _check_lattice(raw: RawFrame, name: str, frame: int) -> None:
    """Refuse cells that are flat, no numbers, or far too small for their atoms."""
    a, b, c = raw.lattice.tolist()
    volume = abs(
        a[0] * (b[1] * c[2] - b[2] * c[1])
        - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
    if not SMALLEST_ATOM * len(raw.species) <= volume < LARGEST_CELL:
        raise DataError(
            f"{name}, frame {frame}: its cell has a volume of {volume:.3g} A^3 for "
            f"{len(raw.species)} atoms. The file is damaged there, or is not in angstrom."
        )


def _are_alike(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-3 * max(one, other)


class _Run:
    def __init__(self, clock: _Clock, memory: int) -> None:
        self.clock = clock
        self.memory = memory
        self.kept: _Kept | None = None
        self.species: tuple[str, ...] = ()
        self.last_frac: FloatArray | None = None
        self.piece = 0
        self.number = -1
        self.waiting: list[tuple[RawFrame, bool]] = []
        self.inverse: tuple[FloatArray, FloatArray] | None = None
        self.set_temperature: float | None = None
        self.last_lattice: FloatArray | None = None

    def add_file(self, stream: Iterator[RawFrame], name: str) -> None:
        n_frames = 0
        self.is_seam = self.last_frac is not None
        for raw in stream:
            self._check(raw, name)
            n_frames += 1
            is_taken, is_after_gap = self.clock.accept(raw, name)
            if is_taken:
                self.waiting.append((raw, is_after_gap))
                if len(self.waiting) == BLOCK:
                    self._flush()
        self._flush()
        if n_frames == 0:
            raise DataError(f"{name} holds no complete frame.")

    def _check(self, raw: RawFrame, name: str) -> None:
        if not self.species:
            _check_species(raw.species, name)
            self.species = raw.species
        elif raw.species is not self.species and raw.species != self.species:
            raise DataError(
                f"{name}: atoms change between frames, from {len(self.species)} to "
                f"{len(raw.species)} atoms or to another order; read runs of one cell only."
            )
        told = raw.set_temperature
        if told is not None and self.set_temperature is None:
            self.set_temperature = told
        elif told is not None and told != self.set_temperature:
            raise DataError(
                f"{name} has frames of {self.set_temperature:g} K and of {told:g} K; an analysis "
                "is of one run. Give a file for each temperature."
            )
        if raw.lattice is not self.last_lattice:
            _check_lattice(raw, name, self.number + 2 + len(self.waiting))
            self.last_lattice = raw.lattice
        if not np.isfinite(raw.coords.sum()):
            raise DataError(
                f"{name} holds a position that is not a number, in the frame after "
                f"{self.number + 1 + len(self.waiting)} good ones. The run has blown up or the "
                "file is damaged; cut it before that frame."
            )

    def _flush(self) -> None:
        if not self.waiting:
            return
        frames, self.waiting = self.waiting, []
        lattices = [raw.lattice for raw, _ in frames]
        frac = np.stack([raw.coords for raw, _ in frames])
        if not frames[0][0].is_fractional:
            for k, lattice in enumerate(lattices):
                frac[k] = frac[k] @ self._inverse(lattice)
        followed = self._followed(frac, frames[0][0], lattices)
        in_piece, pieces = [], []
        for _, is_after_gap in frames:
            if is_after_gap:
                self.piece += 1
                self.number = -1
            self.number += 1
            in_piece.append(self.number)
            pieces.append(self.piece)
        positions = followed
        for k, lattice in enumerate(lattices):
            positions[k] = followed[k] @ lattice
        if self.kept is None:
            limit = max(int(self.memory // (24 * len(self.species))), 2 * BLOCK)
            self.kept = _Kept(limit, len(self.species))
        nan = float("nan")
        self.kept.add(
            positions,
            lattices,
            [nan if raw.temperature is None else raw.temperature for raw, _ in frames],
            in_piece=in_piece,
            pieces=pieces,
        )

    def _inverse(self, lattice: FloatArray) -> FloatArray:
        if self.inverse is None or self.inverse[0] is not lattice:
            self.inverse = (lattice, np.asarray(np.linalg.inv(lattice)))
        return self.inverse[1]

    def _followed(
        self, frac: FloatArray, first: RawFrame, lattices: Sequence[FloatArray]
    ) -> FloatArray:
        """Return fractional coordinates that continue those of the frames before."""
        if self.last_frac is not None:
            shift = frac[0] - self.last_frac
            if self.is_seam or not first.is_unwrapped:
                shift -= np.rint(shift)
            if self.is_seam:
                self.is_seam = False
                jump = float(np.sqrt(((shift @ lattices[0]) ** 2).sum(axis=1).mean()))
                if jump > SEAM_JUMP:
                    self.piece += 1
                    self.number = -1
            begin = self.last_frac + shift
        else:
            begin = frac[0].copy()
        steps = np.diff(frac, axis=0)
        if not first.is_unwrapped:
            steps -= np.rint(steps)
        frac[0] = begin
        frac[1:] = begin + np.cumsum(steps, axis=0)
        self.last_frac = frac[-1].copy()
        return frac

    def frames(self, names: Sequence[str]) -> Frames:
        assert self.kept is not None
        kept = self.kept
        n_frames = len(kept.in_piece)
        spacing = self.clock.mean_spacing
        if spacing is None:
            raise DataError(
                f"{', '.join(names)}: a single frame has no displacement; an analysis of diffusion "
                "needs at least two."
            )
        first = kept.lattices[0]
        is_fixed = all(
            lattice is first or np.array_equal(lattice, first) for lattice in kept.lattices
        )
        temperatures = np.array(kept.temperatures)
        breaks = [k for k in range(1, n_frames) if kept.pieces[k] != kept.pieces[k - 1]]
        return Frames(
            positions=kept.positions[:n_frames],
            lattice=first if is_fixed else np.array(kept.lattices),
            species=self.species,
            timestep=spacing * kept.stride,
            temperatures=temperatures if np.isfinite(temperatures).all() else None,
            breaks=tuple(breaks),
            is_unwrapped=True,
            set_temperature=self.set_temperature,
        )
