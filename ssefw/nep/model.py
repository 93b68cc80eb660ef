"""A NEP: the numbers that are a potential, and the files that hold them.

`nep.txt` is the format of GPUMD, which calorine, LAMMPS and others read too. It knows nothing of
the range of surroundings that a potential was trained on; `to_bytes` keeps that as well.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols

from ssefw.errors import DataError
from ssefw.files import read_text
from ssefw.files.arrays import pack_npz, unpack_npz
from ssefw.mistakes import shown
from ssefw.nep.angular import N_INVARIANTS
from ssefw.nep.basis import KNOTS, chebyshev_basis, spline_table
from ssefw.nep.lanes import WIDTH

__all__ = ["NEP", "Tables", "read_nep"]

FloatArray = npt.NDArray[np.float64]

UNBOUNDED = 1e300
"""A descriptor's limit where training set none."""


class Tables(NamedTuple):
    """What the compiled kernel reads; rows are padded with zeros to whole lanes.

    `radial` holds cubic polynomials of the distance, shape (types^2, knots, 4, channels): first the
    radial channels, then the angular ones. `inputs` is `first` with descriptors before neurons, and
    `bias` what is added.
    """

    radial_cutoff: float
    angular_cutoff: float
    n_radial: int
    n_angular: int
    radial: FloatArray
    knots_per_angstrom: float
    inputs: FloatArray
    first: FloatArray
    bias: FloatArray
    last: FloatArray
    offset: float
    low: FloatArray
    high: FloatArray
    widths: FloatArray


@dataclass(frozen=True, eq=False)
class NEP:
    """A potential of NEP4 form: one hidden layer for each element.

    Attributes
    ----------
    species
        Symbols of its elements.
    radial_cutoff, angular_cutoff
        A.
    first, bias, last
        Weights of the hidden layer (types, neurons, descriptors), its bias (types, neurons), and of
        its outputs (types, neurons), eV.
    offset
        Subtracted from the energy of each atom, eV.
    radial, angular
        Weights of the radial functions of a pair of elements, (types^2, channels, functions).
    scale
        Factor of each descriptor.
    low, high
        Range of the scaled descriptors in the training set, (types, descriptors); infinite where
        it is not known.
    """

    species: tuple[str, ...]
    radial_cutoff: float
    angular_cutoff: float
    first: FloatArray
    bias: FloatArray
    last: FloatArray
    offset: float
    radial: FloatArray
    angular: FloatArray
    scale: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def n_neurons(self) -> int:
        """Neurons of the hidden layer."""
        return int(self.first.shape[1])

    @property
    def n_descriptors(self) -> int:
        """Numbers that describe the surroundings of an atom."""
        return int(self.first.shape[2])

    @property
    def knows_its_range(self) -> bool:
        """Whether it can tell surroundings that were not in its training set."""
        return bool(np.isfinite(self.low).all())

    @cached_property
    def digest(self) -> str:
        """Content hash: the same for the same numbers, whatever file held them."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def types_of(self, symbols: list[str]) -> npt.NDArray[np.int64]:
        """Return the number of each atom's element.

        Raises
        ------
        DataError
            If the potential was not made for one of them.
        """
        index = {symbol: k for k, symbol in enumerate(self.species)}
        unknown = sorted(set(symbols) - set(index))
        if unknown:
            raise DataError(
                f"The potential {self.digest[:8]} knows {', '.join(self.species)}, not "
                f"{', '.join(unknown)}. Train one on frames that hold them."
            )
        return np.array([index[symbol] for symbol in symbols], dtype=np.int64)

    @cached_property
    def tables(self) -> Tables:
        """What the kernel reads, computed once."""
        pairs, n_radial, size = self.radial.shape
        n_angular = self.angular.shape[1]
        channels = n_radial + n_angular
        # The last knot lies beyond the cut-off, so that rounding cannot step past the table.
        step = self.radial_cutoff / (KNOTS - 2)
        distances = np.arange(KNOTS, dtype=np.float64) * step
        table = np.zeros((pairs, KNOTS, 4, channels))
        near = chebyshev_basis(distances, self.radial_cutoff, size)
        bent = chebyshev_basis(distances, self.angular_cutoff, self.angular.shape[2])
        for pair in range(pairs):
            for first, weights, (values, slopes) in (
                (0, self.radial[pair], near),
                (n_radial, self.angular[pair], bent),
            ):
                channels_of = slice(first, first + len(weights))
                table[pair, ..., channels_of] = spline_table(
                    weights @ values, weights @ slopes, step
                )
        # A descriptor that never changed in training is measured in its own size.
        widths = self.high - self.low
        widths = np.where(widths > 0.0, widths, np.maximum(1e-3, np.abs(self.high)))
        first = self.first * self.scale
        return Tables(
            radial_cutoff=self.radial_cutoff,
            angular_cutoff=self.angular_cutoff,
            n_radial=n_radial,
            n_angular=n_angular,
            radial=_padded(table, 3),
            knots_per_angstrom=1.0 / step,
            inputs=_padded(first.transpose(0, 2, 1), 2),
            first=_padded(first, 1, 2),
            bias=_padded(-self.bias, 1),
            last=_padded(self.last, 1),
            offset=self.offset,
            # Finite, since the compiled kernel may take no number to be infinite.
            low=np.clip(self.low / self.scale, -UNBOUNDED, UNBOUNDED),
            high=np.clip(self.high / self.scale, -UNBOUNDED, UNBOUNDED),
            widths=np.ascontiguousarray(np.where(np.isfinite(widths), widths, 1.0) / self.scale),
        )

    def nep_txt(self) -> str:
        """Return the text of GPUMD's `nep.txt`."""
        n_radial, n_angular = self.radial.shape[1], self.angular.shape[1]
        head = [
            f"nep4 {len(self.species)} {' '.join(self.species)}",
            # GPUMD wants the most neighbors within each cut-off, to reserve memory.
            f"cutoff {self.radial_cutoff:.17g} {self.angular_cutoff:.17g} 400 200",
            f"n_max {n_radial - 1} {n_angular - 1}",
            f"basis_size {self.radial.shape[2] - 1} {self.angular.shape[2] - 1}",
            "l_max 4 2 0",
            f"ANN {self.n_neurons} 0",
        ]
        layers = [
            part.ravel()
            for t in range(len(self.species))
            for part in (self.first[t], self.bias[t], self.last[t])
        ]
        radial, angular = (c.transpose(1, 2, 0).ravel() for c in (self.radial, self.angular))
        numbers = np.concatenate([*layers, [self.offset], radial, angular, self.scale])
        return "\n".join([*head, *(f"{number:.16e}" for number in numbers)]) + "\n"

    def to_bytes(self) -> bytes:
        """Return all of it as bytes; the same potential always gives the same bytes."""
        arrays: dict[str, Any] = {
            name: getattr(self, name)
            for name in (*_ARRAYS, "radial_cutoff", "angular_cutoff", "offset")
        }
        arrays["species"] = np.array(self.species)
        return pack_npz(arrays)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises
        ------
        DataError
            If the bytes are something else, or no potential.
        """
        try:
            arrays = unpack_npz(payload)
            model = cls(
                species=tuple(str(symbol) for symbol in arrays["species"]),
                radial_cutoff=float(arrays["radial_cutoff"]),
                angular_cutoff=float(arrays["angular_cutoff"]),
                offset=float(arrays["offset"]),
                **{name: np.array(arrays[name], dtype=np.float64) for name in _ARRAYS},
            )
        except (DataError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"These are not the bytes of a potential: {error}") from error
        model.check()
        return model

    def check(self) -> None:
        """Raise a DataError where shapes or numbers make no potential."""
        n, d = len(self.species), self.n_descriptors
        if unknown := [one for one in self.species if one not in chemical_symbols[1:]]:
            raise DataError(f"The potential is of {shown(unknown[0])}, which is no element.")
        if self.radial.ndim != 3 or self.angular.ndim != 3:
            raise DataError("The potential's weights of pairs are no arrays of three dimensions.")
        shapes = {
            "first": (n, self.n_neurons, d),
            "bias": (n, self.n_neurons),
            "last": (n, self.n_neurons),
            "radial": (n * n, *self.radial.shape[1:]),
            "angular": (n * n, *self.angular.shape[1:]),
            "scale": (d,),
            "low": (n, d),
            "high": (n, d),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise DataError(f"The potential's {name} has the shape {array.shape}, not {shape}.")
            if name not in {"low", "high"} and not np.isfinite(array).all():
                raise DataError(f"The potential's {name} holds numbers that are not finite.")
        if d != self.radial.shape[1] + N_INVARIANTS * self.angular.shape[1]:
            raise DataError(f"The potential's {d} descriptors do not fit its channels.")
        if not 0.0 < self.angular_cutoff <= self.radial_cutoff < np.inf:
            raise DataError(
                f"The potential's cut-offs are {self.radial_cutoff:g} and {self.angular_cutoff:g} "
                "A; the angular one must be positive and not the larger."
            )


def _padded(array: FloatArray, *axes: int) -> FloatArray:
    """Return an array with zeros at the ends of some axes, up to whole lanes."""
    more = [(0, -size % WIDTH if axis in axes else 0) for axis, size in enumerate(array.shape)]
    return np.ascontiguousarray(np.pad(array, more))


_ARRAYS = ("first", "bias", "last", "radial", "angular", "scale", "low", "high")


def read_nep(path: Path) -> NEP:
    """Read a `nep.txt` of GPUMD.

    Read are NEP4 with l_max 4 2 0, one pair of cut-offs and no charges; anything else is refused.

    Raises
    ------
    DataError
        If the file is something else.
    """
    lines = read_text(path).splitlines()
    head: dict[str, list[str]] = {}
    while lines and "ANN" not in head:
        word, *rest = lines.pop(0).split() or [""]
        head[word] = rest
    try:
        n_species, species = int(head["nep4"][0]), tuple(head["nep4"][1:])
        cutoffs = [float(value) for value in head["cutoff"]]
        n_radial, n_angular = (int(value) + 1 for value in head["n_max"])
        radial_size, angular_size = (int(value) + 1 for value in head["basis_size"])
        l_max = [int(value) for value in head["l_max"]]
        neurons = int(head["ANN"][0])
        numbers = np.array([float(line) for line in lines if line.strip()])
    except (KeyError, IndexError, ValueError) as error:
        said = f"its head has no {error}" if isinstance(error, KeyError) else error
        raise DataError(f"{path} is no nep.txt of a NEP4: {said}.") from error
    if l_max != [4, 2, 0] or len(cutoffs) not in {2, 4} or len(species) != n_species:
        raise DataError(f"{path} is a NEP of another kind: ssefw reads l_max 4 2 0, two cut-offs.")
    if min(n_species, n_radial, n_angular, radial_size, angular_size, neurons) < 1:
        raise DataError(f"{path} has numbers below one in its head.")
    n, d = len(species), n_radial + N_INVARIANTS * n_angular
    layer = neurons * d + 2 * neurons
    sizes = [n * layer, 1, n * n * n_radial * radial_size, n * n * n_angular * angular_size, d]
    if sum(sizes) != len(numbers):
        raise DataError(f"{path} holds {len(numbers)} numbers, its head asks for {sum(sizes)}.")
    layers, offset, radial, angular, scale = np.split(numbers, np.cumsum(sizes)[:-1])
    layers = layers.reshape(n, layer)
    model = NEP(
        species=species,
        radial_cutoff=cutoffs[0],
        angular_cutoff=cutoffs[1],
        first=layers[:, : neurons * d].reshape(n, neurons, d).copy(),
        bias=layers[:, neurons * d : neurons * (d + 1)].copy(),
        last=layers[:, neurons * (d + 1) :].copy(),
        offset=float(offset[0]),
        radial=_by_pair(radial, n_radial, radial_size),
        angular=_by_pair(angular, n_angular, angular_size),
        scale=scale,
        low=np.full((n, d), -np.inf),
        high=np.full((n, d), np.inf),
    )
    try:
        model.check()
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return model


def _by_pair(numbers: FloatArray, channels: int, size: int) -> FloatArray:
    """Bring weights from the order of `nep.txt`, pairs fastest, to pairs first."""
    return np.ascontiguousarray(numbers.reshape(channels, size, -1).transpose(2, 0, 1))
