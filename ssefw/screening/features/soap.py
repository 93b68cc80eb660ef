"""Smooth overlap of atomic positions: the averaged power spectrum of a crystal, in numba.

The density of each kind of atom around a center is a sum of Gaussians of width `sigma`, expanded in
orthonormal Gaussian-type radial functions and real spherical harmonics; the power spectrum is
invariant to rotation. Basis, normalization and average agree with DScribe's (``rbf="gto"``,
``average="outer"``; Himanen et al. 2020, https://doi.org/10.1016/j.cpc.2019.106949), which takes
neither occupancies nor many structures a second. Here an atom counts by its occupancy, as a
neighbor and as a center.

Kept are the blocks of the paper, sulfur (the anions) with each kind of a simplified structure. An
unperturbed structure has no such kinds: there each element is paired with the density of all atoms,
equal radial functions only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numba
import numpy as np
import numpy.typing as npt
from pymatgen.core import Structure
from scipy.linalg import inv, sqrtm
from scipy.special import gamma

from ssefw.errors import ConfigurationError, DataError

__all__ = ["SOAP", "kinds_of"]

FloatArray = npt.NDArray[np.float64]

HEAVIEST: Final = 103
PARTNERS: Final = ("Li", "Mg", "Al", "S")
"""Kinds of a simplified structure, in the order of their blocks: atomic number, as in DScribe."""

ANION: Final = "S"
THRESHOLD: Final = 1e-3
"""Radial functions and Gaussians are taken to end where they fall to this share."""

HIGHEST_L: Final = 4


@dataclass(frozen=True)
class SOAP:
    """Settings of the descriptor; the defaults are the paper's.

    Attributes
    ----------
    r_cut
        Where the radial functions end, angstrom.
    n_max
        Number of radial functions.
    l_max
        Highest degree of the spherical harmonics, at most 4.
    sigma
        Width of the Gaussian of an atom, angstrom.
    """

    r_cut: float = 3.0
    n_max: int = 5
    l_max: int = 3
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not (self.r_cut > 1 and self.n_max > 0 and 0 <= self.l_max <= HIGHEST_L):
            raise ConfigurationError(
                f"SOAP takes r_cut above 1 A, n_max from 1 and l_max from 0 to {HIGHEST_L}; got "
                f"{self.r_cut:g}, {self.n_max} and {self.l_max}."
            )

    def simplified(self, structure: Structure) -> FloatArray:
        """Return the blocks (S, X) of a simplified structure, X being Li, Mg, Al and S.

        Blocks of different kinds have ``n_max**2 * (l_max + 1)`` numbers, that of S with itself
        ``n_max * (n_max + 1) / 2 * (l_max + 1)``; the degree runs slowest.

        Raises
        ------
        DataError
            If the structure has no atoms or others than those four.
        """
        unknown = set(structure.composition.get_el_amt_dict()) - set(PARTNERS)
        if unknown:
            raise DataError(
                f"{structure.composition.reduced_formula} is no simplified structure: it holds "
                f"{', '.join(sorted(unknown))}."
            )
        density, weight = self.densities(structure, PARTNERS)
        anion = PARTNERS.index(ANION)
        upper = np.triu_indices(self.n_max)
        blocks = []
        for partner in range(len(PARTNERS)):
            # The first radial index belongs to the lighter kind, which S never is.
            power = self._power(density[:, partner], density[:, anion], weight)
            blocks.append(power[:, *upper].ravel() if partner == anion else power.ravel())
        return np.concatenate(blocks)

    def by_element(self, structure: Structure) -> FloatArray:
        """Return each element against the density of all atoms, shape (103 * n_max * (l_max + 1),).

        Elements that are absent have zeros.
        """
        present = sorted(
            structure.composition.element_composition, key=lambda element: int(element.Z)
        )
        density, weight = self.densities(structure, [element.symbol for element in present])
        total = density.sum(axis=1)
        result = np.zeros((HEAVIEST, self.n_max, self.l_max + 1))
        for row, element in enumerate(present):
            power = self._power(density[:, row], total, weight)
            result[element.Z - 1] = np.einsum("lnn->nl", power)
        return result.ravel()

    def densities(
        self, structure: Structure, symbols: Sequence[str]
    ) -> tuple[FloatArray, FloatArray]:
        """Return expansion coefficients (centers, kinds, n, lm) and occupancies (centers,)."""
        coords, kind, occupancy, center = kinds_of(structure, symbols)
        if not len(coords):
            raise DataError("A structure without atoms has no environment. Leave it out.")
        alphas, betas = _basis(self.r_cut, self.n_max, self.l_max)
        matrix = np.ascontiguousarray(structure.lattice.matrix)
        reach = self.r_cut + self.sigma * math.sqrt(-2 * math.log(THRESHOLD))
        images = np.ceil(reach / _heights(matrix)).astype(np.int64)
        centers = np.unique(center, return_index=True)[1]
        density = np.zeros((len(centers), len(symbols), self.n_max, (self.l_max + 1) ** 2))
        _expand(
            density,
            coords % 1.0,
            (coords % 1.0)[centers],
            matrix,
            kind,
            occupancy,
            images,
            reach,
            1 / (2 * self.sigma**2),
            alphas,
            self.l_max,
        )
        for degree in range(self.l_max + 1):
            part = slice(degree**2, (degree + 1) ** 2)
            density[..., part] = np.einsum("nk,cskm->csnm", betas[degree], density[..., part])
        return density, np.bincount(center, weights=occupancy).astype(np.float64)

    def _power(self, one: FloatArray, other: FloatArray, weight: FloatArray) -> FloatArray:
        """Return the power spectrum averaged over centers, shape (l, n, n')."""
        result = np.empty((self.l_max + 1, self.n_max, self.n_max))
        share = weight / weight.sum()
        for degree in range(self.l_max + 1):
            part = slice(degree**2, (degree + 1) ** 2)
            scale = math.pi * math.sqrt(8 / (2 * degree + 1))
            left = one[:, :, part] * share[:, None, None]
            result[degree] = scale * np.tensordot(left, other[:, :, part], ((0, 2), (0, 2)))
        return result


def kinds_of(
    structure: Structure, symbols: Sequence[str]
) -> tuple[FloatArray, npt.NDArray[np.int64], FloatArray, npt.NDArray[np.int64]]:
    """Return fractional place, kind, occupancy and site of each species of each site."""
    index = {symbol: number for number, symbol in enumerate(symbols)}
    rows = [
        (site.frac_coords, index[specie.symbol], amount, number)
        for number, site in enumerate(structure)
        for specie, amount in site.species.items()
    ]
    coords = np.array([row[0] for row in rows], dtype=float).reshape(-1, 3)
    return (
        coords,
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=float),
        np.array([row[3] for row in rows], dtype=np.int64),
    )


def _heights(matrix: FloatArray) -> FloatArray:
    """Return the distance between opposite faces of a cell, angstrom."""
    return np.asarray(1 / np.linalg.norm(np.linalg.inv(matrix), axis=0))


@cache
def _basis(r_cut: float, n_max: int, l_max: int) -> tuple[FloatArray, FloatArray]:
    """Return exponents (l, n) and the matrices that make the functions orthonormal (l, n, n')."""
    ends = np.linspace(1, r_cut, n_max)
    alphas = np.empty((l_max + 1, n_max))
    betas = np.empty((l_max + 1, n_max, n_max))
    for degree in range(l_max + 1):
        alphas[degree] = -np.log(THRESHOLD / ends**degree) / ends**2
        sums = alphas[degree][:, None] + alphas[degree][None, :]
        overlap = 0.5 * gamma(degree + 1.5) * sums ** (-degree - 1.5)
        betas[degree] = np.real(sqrtm(inv(overlap)))
    return alphas, betas


@numba.njit(cache=True)
def _harmonics(x: float, y: float, z: float, l_max: int, out: FloatArray) -> None:
    """Write the real solid harmonics r^l Y_lm up to degree 4, orthonormal on the sphere."""
    r2 = x * x + y * y + z * z
    out[0] = 0.28209479177387814
    if l_max >= 1:
        k = 0.4886025119029199
        out[1], out[2], out[3] = k * y, k * z, k * x
    if l_max >= 2:
        k = 1.0925484305920792
        out[4], out[5], out[7] = k * x * y, k * y * z, k * x * z
        out[6] = 0.31539156525252005 * (3 * z * z - r2)
        out[8] = 0.5462742152960396 * (x * x - y * y)
    if l_max >= 3:
        out[9] = 0.5900435899266435 * y * (3 * x * x - y * y)
        out[10] = 2.890611442640554 * x * y * z
        out[11] = 0.4570457994644658 * y * (5 * z * z - r2)
        out[12] = 0.3731763325901154 * z * (5 * z * z - 3 * r2)
        out[13] = 0.4570457994644658 * x * (5 * z * z - r2)
        out[14] = 1.445305721320277 * z * (x * x - y * y)
        out[15] = 0.5900435899266435 * x * (x * x - 3 * y * y)
    if l_max >= 4:
        out[16] = 2.5033429417967046 * x * y * (x * x - y * y)
        out[17] = 1.7701307697799304 * y * z * (3 * x * x - y * y)
        out[18] = 0.9461746957575601 * x * y * (7 * z * z - r2)
        out[19] = 0.6690465435572892 * y * z * (7 * z * z - 3 * r2)
        out[20] = 0.10578554691520431 * (35 * z**4 - 30 * z * z * r2 + 3 * r2 * r2)
        out[21] = 0.6690465435572892 * x * z * (7 * z * z - 3 * r2)
        out[22] = 0.47308734787878004 * (x * x - y * y) * (7 * z * z - r2)
        out[23] = 1.7701307697799304 * x * z * (x * x - 3 * y * y)
        out[24] = 0.6258357354491761 * (x * x * (x * x - 3 * y * y) - y * y * (3 * x * x - y * y))


@numba.njit(cache=True)
def _expand(  # noqa: C901, PLR0917 - a loop over pairs on the flat arrays of numba
    density: FloatArray,
    frac: FloatArray,
    frac_centers: FloatArray,
    matrix: FloatArray,
    kind: npt.NDArray[np.int64],
    occupancy: FloatArray,
    images: npt.NDArray[np.int64],
    reach: float,
    eta: float,
    alphas: FloatArray,
    l_max: int,
) -> None:
    """Add the expansion of each neighbor's Gaussian in primitive radial functions.

    The integral of a Gaussian at R with r^l exp(-a r^2) Y_lm is closed:
    (pi / (a + eta))^(3/2) (eta / (a + eta))^l R^l Y_lm(R) exp(-a eta R^2 / (a + eta)).
    """
    n_max = alphas.shape[1]
    solid = np.empty((l_max + 1) ** 2)
    front = np.empty((l_max + 1, n_max))
    decay = np.empty((l_max + 1, n_max))
    for degree in range(l_max + 1):
        for n in range(n_max):
            both = alphas[degree, n] + eta
            front[degree, n] = (np.pi / both) ** 1.5 * (eta / both) ** degree
            decay[degree, n] = alphas[degree, n] * eta / both
    for center in range(len(frac_centers)):
        for atom in range(len(frac)):
            for i in range(-images[0] - 1, images[0] + 1):
                for j in range(-images[1] - 1, images[1] + 1):
                    for k in range(-images[2] - 1, images[2] + 1):
                        a = frac[atom, 0] - frac_centers[center, 0] + i
                        b = frac[atom, 1] - frac_centers[center, 1] + j
                        c = frac[atom, 2] - frac_centers[center, 2] + k
                        x = a * matrix[0, 0] + b * matrix[1, 0] + c * matrix[2, 0]
                        y = a * matrix[0, 1] + b * matrix[1, 1] + c * matrix[2, 1]
                        z = a * matrix[0, 2] + b * matrix[1, 2] + c * matrix[2, 2]
                        r2 = x * x + y * y + z * z
                        if r2 > reach * reach:
                            continue
                        _harmonics(x, y, z, l_max, solid)
                        for degree in range(l_max + 1):
                            for n in range(n_max):
                                radial = front[degree, n] * np.exp(-decay[degree, n] * r2)
                                radial *= occupancy[atom]
                                for m in range(degree * degree, (degree + 1) * (degree + 1)):
                                    density[center, kind[atom], n, m] += radial * solid[m]
