"""Which frames of a run a potential would learn most from."""

import numpy as np
import numpy.typing as npt

__all__ = ["correlation_stride", "farthest_points", "force_deviation"]

Floats = npt.NDArray[np.float64]


def correlation_stride(energies: npt.ArrayLike) -> int:
    """Return after how many frames a series has forgotten itself: twice its correlation time.

    The integrated autocorrelation time, summed until the correlation first reaches zero.
    """
    series = np.asarray(energies, dtype=float)
    series = series - series.mean()
    n = len(series)
    if n < 4 or not series.any():
        return 1
    transformed = np.fft.rfft(series, 2 * n)
    correlation = np.fft.irfft(transformed * transformed.conj())[:n]
    correlation = correlation / (correlation[0] * (n - np.arange(n)) / n)
    end = int(np.argmax(correlation <= 0)) if (correlation <= 0).any() else n
    return max(1, int(np.ceil(2 * (0.5 + correlation[1:end].sum()))))


def force_deviation(forces: npt.ArrayLike) -> float:
    """Return how far a committee of potentials disagrees about a frame.

    The largest over all atoms of the standard deviation of the force between members,
    max_i sqrt(<|F_i - <F_i>|^2>), as Zhang et al. choose the frames that they compute with DFT.

    Zhang et al., Comput. Phys. Commun. 253, 107206 (2020),
    https://doi.org/10.1016/j.cpc.2020.107206

    Parameters
    ----------
    forces
        Shape (n_members, n_atoms, 3), eV/angstrom.

    Returns
    -------
    In the unit of the forces.
    """
    each = np.asarray(forces, dtype=float)
    if each.ndim != 3 or each.shape[2] != 3 or len(each) < 2:
        raise ValueError(f"forces of two members or more are needed, got shape {each.shape}")
    spread = ((each - each.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)
    return float(np.sqrt(spread.max()))


def farthest_points(points: npt.ArrayLike, n: int) -> tuple[list[int], list[float]]:
    """Return n points, each the one farthest from all before it, and these distances.

    The first is the one nearest to the mean, at distance 0. So a few points cover all of them: none
    is farther from a chosen one than twice what the best choice of n could reach.

    Gonzalez, Theor. Comput. Sci. 38, 293 (1985), https://doi.org/10.1016/0304-3975(85)90224-5

    Parameters
    ----------
    points
        Shape (n_points, n_dimensions).
    n
        At least 1; all points where there are fewer.
    """
    rows = np.asarray(points, dtype=float)
    if n < 1 or not len(rows):
        raise ValueError(f"{n} of {len(rows)} points cannot be chosen")
    first = int(np.argmin(((rows - rows.mean(axis=0)) ** 2).sum(axis=1)))
    chosen, reached = [first], [0.0]
    nearest = np.linalg.norm(rows - rows[first], axis=1)
    nearest[first] = -1.0  # of equal points each is chosen once
    while len(chosen) < min(n, len(rows)):
        following = int(np.argmax(nearest))
        chosen.append(following)
        reached.append(float(nearest[following]))
        nearest = np.minimum(nearest, np.linalg.norm(rows - rows[following], axis=1))
        nearest[following] = -1.0
    return chosen, reached
