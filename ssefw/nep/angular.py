"""Angular part of a NEP: real solid harmonics up to l = 4 and the invariants made of them.

Every function here works on one atom's neighbors and is compiled. Components are numbered l by l:
3 of l = 1, 5 of l = 2, 7 of l = 3, 9 of l = 4. Invariants are the squares summed over each l, with
the constants of GPUMD's `nep.txt`, and one cubic invariant of l = 2.

Sums may be reordered here (fastmath): neighbors are added in the width of the processor. The same
neighbors in the same order still give the same bits.
"""

import numba
import numpy as np
import numpy.typing as npt

__all__ = [
    "N_COMPONENTS",
    "N_INVARIANTS",
    "harmonics",
    "harmonics_slope",
    "invariants",
    "invariants_slope",
    "one_harmonics",
    "one_harmonics_slope",
]

FloatArray = npt.NDArray[np.float64]

N_COMPONENTS = 24
N_INVARIANTS = 5
"""Four sums of squares, l = 1 to 4, and the cubic one of l = 2."""

# Constants of Fan et al. (2022), eq. 11: those of the spherical harmonics over 4 pi, squared; what
# has m > 0 stands for +m and -m and counts twice.
_SQUARES = np.array(
    [
        *(0.238732414637843, 0.119366207318922, 0.119366207318922),
        *(0.099471839432435, 0.596831036594608, 0.596831036594608),
        *(0.149207759148652, 0.149207759148652),
        *(0.139260575205408, 0.104445431404056, 0.104445431404056, 1.044454314040563),
        *(1.044454314040563, 0.174075719006761, 0.174075719006761),
        *(0.011190581936149, 0.223811638722978, 0.223811638722978, 0.111905819361489),
        *(0.111905819361489, 1.566681471060845, 1.566681471060845),
        *(0.195835183882606, 0.195835183882606),
    ]
) * np.array([1, 2, 2, 1, *[2] * 4, 1, *[2] * 6, 1, *[2] * 8])

# The cubic invariant of l = 2, eq. 15 there.
_CUBIC = (
    -0.007499480826664,
    -0.134990654879954,
    0.067495327439977,
    0.404971964639861,
    -0.809943929279723,
)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def one_harmonics(x: float, y: float, z: float, out: FloatArray) -> None:
    """Write the components of a unit vector."""
    z2 = z * z
    # Real and imaginary part of (x + iy)^m, m = 2, 3, 4.
    c2, s2 = x * x - y * y, 2.0 * x * y
    c3, s3 = c2 * x - s2 * y, c2 * y + s2 * x
    c4, s4 = c3 * x - s3 * y, c3 * y + s3 * x
    out[0], out[1], out[2] = z, x, y
    out[3] = 3.0 * z2 - 1.0
    out[4], out[5], out[6], out[7] = z * x, z * y, c2, s2
    p = 5.0 * z2 - 1.0
    out[8] = z * (5.0 * z2 - 3.0)
    out[9], out[10], out[11], out[12] = p * x, p * y, z * c2, z * s2
    out[13], out[14] = c3, s3
    p, q = z * (7.0 * z2 - 3.0), 7.0 * z2 - 1.0
    out[15] = 3.0 + z2 * (35.0 * z2 - 30.0)
    out[16], out[17], out[18], out[19] = p * x, p * y, q * c2, q * s2
    out[20], out[21], out[22], out[23] = z * c3, z * s3, c4, s4


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def one_harmonics_slope(x: float, y: float, z: float, W: FloatArray) -> tuple[float, float, float]:
    """Return the gradient in x, y, z of the components of a unit vector weighed by `W`."""
    z2 = z * z
    c2, s2 = x * x - y * y, 2.0 * x * y
    c3, s3 = c2 * x - s2 * y, c2 * y + s2 * x
    d3, d4, q4 = 5.0 * z2 - 1.0, z * (7.0 * z2 - 3.0), 7.0 * z2 - 1.0
    # What multiplies real and imaginary part of (x + iy)^m.
    p1 = W[1] + z * W[4] + d3 * W[9] + d4 * W[16]
    r1 = W[2] + z * W[5] + d3 * W[10] + d4 * W[17]
    p2 = W[6] + z * W[11] + q4 * W[18]
    r2 = W[7] + z * W[12] + q4 * W[19]
    p3, r3 = W[13] + z * W[20], W[14] + z * W[21]
    p4, r4 = W[22], W[23]
    e4 = 21.0 * z2 - 3.0
    return (
        p1 + 2.0 * (p2 * x + r2 * y) + 3.0 * (p3 * c2 + r3 * s2) + 4.0 * (p4 * c3 + r4 * s3),
        r1 + 2.0 * (r2 * x - p2 * y) + 3.0 * (r3 * c2 - p3 * s2) + 4.0 * (r4 * c3 - p4 * s3),
        W[0]
        + 6.0 * z * W[3]
        + (15.0 * z2 - 3.0) * W[8]
        + z * (140.0 * z2 - 60.0) * W[15]
        + x * (W[4] + 10.0 * z * W[9] + e4 * W[16])
        + y * (W[5] + 10.0 * z * W[10] + e4 * W[17])
        + c2 * (W[11] + 14.0 * z * W[18])
        + s2 * (W[12] + 14.0 * z * W[19])
        + c3 * W[20]
        + s3 * W[21],
    )


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def harmonics(n: int, X: FloatArray, Y: FloatArray, Z: FloatArray, out: FloatArray) -> None:
    """Write the components of `n` unit vectors, shape (N_COMPONENTS, n)."""
    for k in range(n):
        one_harmonics(X[k], Y[k], Z[k], out[:, k])


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def harmonics_slope(  # noqa: PLR0917 - flat arrays of numba
    n: int,
    X: FloatArray,
    Y: FloatArray,
    Z: FloatArray,
    weights: FloatArray,
    out: FloatArray,
) -> None:
    """Write the gradient in x, y, z of the components weighed by `weights`, shape (3, n)."""
    for k in range(n):
        out[0, k], out[1, k], out[2, k] = one_harmonics_slope(X[k], Y[k], Z[k], weights[:, k])


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def invariants(A: FloatArray, q: FloatArray, first: int) -> None:
    """Write the invariants of the components `A` (n, 24) into `q` from `first` on, kind by kind."""
    n = A.shape[0]
    for a in range(n):
        s1 = s2 = s3 = s4 = 0.0
        for c in range(3):
            s1 += _SQUARES[c] * A[a, c] ** 2
        for c in range(3, 8):
            s2 += _SQUARES[c] * A[a, c] ** 2
        for c in range(8, 15):
            s3 += _SQUARES[c] * A[a, c] ** 2
        for c in range(15, 24):
            s4 += _SQUARES[c] * A[a, c] ** 2
        q[first + a], q[first + n + a] = s1, s2
        q[first + 2 * n + a], q[first + 3 * n + a] = s3, s4
        t3, t4, t5, t6, t7 = A[a, 3], A[a, 4], A[a, 5], A[a, 6], A[a, 7]
        q[first + 4 * n + a] = (
            _CUBIC[0] * t3 * t3 * t3
            + _CUBIC[1] * t3 * (t4 * t4 + t5 * t5)
            + _CUBIC[2] * t3 * (t6 * t6 + t7 * t7)
            + _CUBIC[3] * t6 * (t5 * t5 - t4 * t4)
            + _CUBIC[4] * t4 * t5 * t7
        )


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def invariants_slope(A: FloatArray, dq: FloatArray, first: int, dA: FloatArray) -> None:
    """Write the derivative by `A` of what has the derivatives `dq` by the invariants."""
    n = A.shape[0]
    for a in range(n):
        for c in range(3):
            dA[a, c] = 2.0 * dq[first + a] * _SQUARES[c] * A[a, c]
        for c in range(3, 8):
            dA[a, c] = 2.0 * dq[first + n + a] * _SQUARES[c] * A[a, c]
        for c in range(8, 15):
            dA[a, c] = 2.0 * dq[first + 2 * n + a] * _SQUARES[c] * A[a, c]
        for c in range(15, 24):
            dA[a, c] = 2.0 * dq[first + 3 * n + a] * _SQUARES[c] * A[a, c]
        g = dq[first + 4 * n + a]
        t3, t4, t5, t6, t7 = A[a, 3], A[a, 4], A[a, 5], A[a, 6], A[a, 7]
        dA[a, 3] += g * (
            3.0 * _CUBIC[0] * t3 * t3
            + _CUBIC[1] * (t4 * t4 + t5 * t5)
            + _CUBIC[2] * (t6 * t6 + t7 * t7)
        )
        dA[a, 4] += g * (2.0 * (_CUBIC[1] * t3 - _CUBIC[3] * t6) * t4 + _CUBIC[4] * t5 * t7)
        dA[a, 5] += g * (2.0 * (_CUBIC[1] * t3 + _CUBIC[3] * t6) * t5 + _CUBIC[4] * t4 * t7)
        dA[a, 6] += g * (2.0 * _CUBIC[2] * t3 * t6 + _CUBIC[3] * (t5 * t5 - t4 * t4))
        dA[a, 7] += g * (2.0 * _CUBIC[2] * t3 * t7 + _CUBIC[4] * t4 * t5)
