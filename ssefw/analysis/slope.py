"""The slope of a mean squared displacement, its error, and the window in which to take it.

*Slope.* Within a window of lags, D is the generalized-least-squares slope of MSD = c + 2 d D t,
with the covariance that Brownian motion plus uncorrelated vibration would have
(doi:10.1063/5.0008312). The intercept takes the vibration, the weights make the slope nearly as
good as counting hops. Weights only decide how efficient the slope is, not whether it is right.

*Error.* A slope is linear in squared displacements, so it can be computed for every atom and for
every block of time. The scatter over blocks holds whatever correlates the atoms (concerted hops,
exclusion), with few degrees of freedom; the scatter over atoms has more of them and holds no
correlation. The two are pooled, the atoms counting as `ATOM_WEIGHT` blocks.

*Window.* A window is accepted when its slope agrees with those of all later windows (Lepski's
rule); among the accepted ones the most precise is taken. Memory of the hops, which bends the MSD,
thus pushes the window out, and a straight MSD is used from where it starts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.stats

from ssefw.analysis.msd import LagSums

__all__ = ["FINEST_BLOCKS", "SlopeFit", "candidate_windows", "fit_slopes", "lag_grid", "quantile", "slope_weights"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ATOM_WEIGHT = 6.0
WINDOW_RATIO = 4.0
LAGS_PER_WINDOW = 10
AGREEMENT = 2.0
BLOCK_LAGS = 1.5
FINEST_BLOCKS = 48
BLOCK_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24, 48)


def lag_grid(longest: int, *, n_lags: int = 60) -> IntArray:
    """Return about `n_lags` lags between one frame and `longest`, evenly spaced in logarithm."""
    return np.unique(np.rint(np.geomspace(1, max(longest, 1), n_lags)).astype(np.int64))


def candidate_windows(lags: IntArray, *, shortest: int) -> list[IntArray]:
    """Return windows as indices into `lags`, from short to long.

    Each starts at another lag, spans a factor of four or what is left of it, at least two.
    """
    windows = []
    for start in range(len(lags)):
        if lags[start] < shortest or 2 * lags[start] > lags[-1]:
            continue
        inside = np.flatnonzero((lags >= lags[start]) & (lags <= WINDOW_RATIO * lags[start]))
        if len(inside) < 3:
            continue
        picks = np.linspace(0, len(inside) - 1, min(len(inside), LAGS_PER_WINDOW))
        windows.append(inside[np.unique(np.rint(picks).astype(int))])
    return windows


def slope_weights(lags: FloatArray, *, step: float, noise: float) -> FloatArray:
    """Return the weights w of the least-squares slope, so that slope = w @ msd.

    Parameters
    ----------
    lags
        In frames, (n,).
    step
        Growth of the MSD in a frame that the covariance is made for, angstrom^2.
    noise
        Its intercept, angstrom^2.
    """
    i = np.minimum(lags[:, None], lags[None, :])
    j = np.maximum(lags[:, None], lags[None, :])
    same = np.eye(len(lags))
    covariance = (
        step**2 * (i**2 * j - (i**3 - i) / 3.0)
        + 2.0 * step * noise * i
        + noise**2 * (1.0 + 0.5 * same)
    )
    covariance += 1e-9 * np.diag(np.diag(covariance))
    design = np.column_stack([np.ones(len(lags)), lags])
    solved = np.linalg.solve(covariance, design)
    return np.asarray(np.linalg.solve(design.T @ solved, solved.T)[1])


@dataclass(frozen=True)
class SlopeFit:
    """Slopes of the tracer and the charge MSD in one window, with their joint error.

    Slopes are in angstrom^2 a frame.

    Attributes
    ----------
    window
        First and last lag in frames.
    tracer, charge
        Slopes.
    covariance
        Of (tracer, charge), (2, 2).
    dof, charge_dof
        Degrees of freedom of the tracer variance and of what involves the charge.
    intercept
        Of the tracer MSD, angstrom^2.
    is_settled
        Whether a later window, starting at twice the lag or more, agrees.
    weights, indices
        The slope is ``weights @ msd[indices]``.
    """

    window: tuple[int, int]
    tracer: float
    charge: float
    covariance: FloatArray
    dof: float
    charge_dof: float
    intercept: float
    is_settled: bool
    weights: FloatArray
    indices: IntArray


def fit_slopes(sums: LagSums, *, shortest: int) -> SlopeFit | None:
    """Return the most precise slope among the windows that agree with all later ones.

    Parameters
    ----------
    sums
        Squared displacements by atom and block, at the lags of `lag_grid`.
    shortest
        No window starts before this lag in frames.

    Returns
    -------
    fit
        None if the lags hold no window at all.
    """
    windows = candidate_windows(sums.lags, shortest=shortest)
    if not windows:
        return None
    weights = np.zeros((len(windows), len(sums.lags)))
    for row, inside in enumerate(windows):
        weights[row, inside] = _weights_from_data(sums, inside)
    n_blocks = [_blocks_for(sums, int(sums.lags[inside[-1]])) for inside in windows]
    covariances = {n: _pooled_covariance(weights, sums, n)[0] for n in set(n_blocks)}
    slopes = weights @ sums.msd
    accepted = _accepted(slopes, [covariances[n] for n in n_blocks])
    best = min(accepted, key=lambda k: covariances[n_blocks[k]][k, k])
    inside = windows[best]
    starts = np.array([sums.lags[w[0]] for w in windows])
    joint, dof, charge_dof = _joint_covariance(weights[best], sums, n_blocks[best])
    return SlopeFit(
        window=(int(sums.lags[inside[0]]), int(sums.lags[inside[-1]])),
        tracer=float(slopes[best]),
        charge=float(weights[best] @ sums.charge_msd),
        covariance=joint,
        dof=dof,
        charge_dof=charge_dof,
        intercept=float((sums.msd[inside] - slopes[best] * sums.lags[inside]).mean()),
        is_settled=bool((starts >= 2 * starts[best]).any()),
        weights=weights[best, inside],
        indices=inside,
    )


def _weights_from_data(sums: LagSums, inside: IntArray) -> FloatArray:
    lags = sums.lags[inside].astype(float)
    msd = sums.msd[inside]
    step, noise = np.polyfit(lags, msd, 1, w=1.0 / lags)
    # A negative slope or intercept says only that the other dominates: the weights need a scale.
    scale = float(msd.mean())
    step = max(float(step), 1e-3 * scale / lags[-1])
    noise = max(float(noise), 1e-3 * scale)
    return slope_weights(lags, step=step, noise=noise)


def _blocks_for(sums: LagSums, longest_lag: int) -> int:
    """Return into how many blocks the run falls if each is BLOCK_LAGS times the longest lag."""
    n_frames = sums.block_pairs[0].sum() + sums.lags[0]
    fitting = n_frames / (BLOCK_LAGS * longest_lag)
    return max(n for n in BLOCK_COUNTS if n <= max(fitting, 2))


def _merged(values: FloatArray, n_blocks: int) -> FloatArray:
    return values.reshape(len(values), n_blocks, -1).sum(axis=2)


def _block_slopes(
    weights: FloatArray, sums: LagSums, n_blocks: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return tracer slopes, charge slopes and the weight of each block that has all the lags."""
    needed = np.flatnonzero(np.atleast_2d(weights).any(axis=0))
    pairs = _merged(sums.block_pairs[needed], n_blocks)
    full = (pairs > 0).all(axis=0)
    pairs = pairs[:, full]
    tracer = _merged(sums.block_tracer[needed], n_blocks)[:, full] / pairs
    charge = _merged(sums.block_charge[needed], n_blocks)[:, full] / pairs
    return weights[..., needed] @ tracer, weights[..., needed] @ charge, pairs[-1]


def _covariance_of_mean(values: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the covariance of count-weighted means, (k, k), from values (k, n_blocks)."""
    share = counts / counts.sum()
    deviation = values - (values @ share)[:, None]
    return np.asarray((deviation * share) @ deviation.T / max(len(counts) - 1, 1))


def _pooled_covariance(
    weights: FloatArray, sums: LagSums, n_blocks: int
) -> tuple[FloatArray, float]:
    tracer, _, counts = _block_slopes(weights, sums, n_blocks)
    of_atoms = weights @ sums.by_atom
    n_atoms = of_atoms.shape[1]
    block_dof = float(max(len(counts) - 1, 0))
    atom_dof = float(min(ATOM_WEIGHT, n_atoms - 1))
    total = block_dof * _covariance_of_mean(tracer, counts)
    total += atom_dof * _covariance_of_mean(of_atoms, np.ones(n_atoms))
    return total / max(block_dof + atom_dof, 1.0), block_dof + atom_dof


def _joint_covariance(
    weights: FloatArray, sums: LagSums, n_blocks: int
) -> tuple[FloatArray, float, float]:
    tracer, charge, counts = _block_slopes(weights, sums, n_blocks)
    joint = _covariance_of_mean(np.vstack([tracer, charge]), counts)
    pooled, dof = _pooled_covariance(weights[None], sums, n_blocks)
    # The charge MSD is one series: only blocks of time say how it scatters.
    scale = np.sqrt(pooled[0, 0] / joint[0, 0]) if joint[0, 0] > 0 else 1.0
    joint[0, 1] = joint[1, 0] = joint[0, 1] * scale
    joint[0, 0] = pooled[0, 0]
    return joint, dof, float(max(len(counts) - 1, 0))


def _accepted(slopes: FloatArray, covariances: list[FloatArray]) -> list[int]:
    accepted = []
    for k in range(len(slopes)):
        agrees = True
        for later in range(k + 1, len(slopes)):
            joint = covariances[later]
            variance = joint[k, k] + joint[later, later] - 2.0 * joint[k, later]
            agrees &= abs(slopes[later] - slopes[k]) <= AGREEMENT * np.sqrt(max(variance, 0.0))
        if agrees:
            accepted.append(k)
    return accepted


def quantile(level: float, dof: float, *, sides: int = 2) -> float:
    """Return how many standard errors hold the truth with probability `level`."""
    tail = (1.0 - level) / sides
    return float(scipy.stats.t.ppf(1.0 - tail, dof))
