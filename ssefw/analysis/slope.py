"""The slope of a mean squared displacement with its error, averaged over models of its bend.

*Models.* From some lag on the MSD is a line, c + 2 d D t; where is not known. For every start k the
slope is the generalized-least-squares slope between that lag and four times it, with the covariance
of hopping that vibrates (doi:10.1063/5.0008312). It gets the weight exp(-chi2_k / 2 - n_k): chi2_k
measures how far the MSD is from a line from there to the longest lag, n_k counts the lags given up
(doi:10.1103/PhysRevD.103.114502). Where hops remember the one before, the MSD is the line plus
exp(-t / tau) to begin with: the slopes beside such a term join the average, for each tau of the lag
grid, at the price of two parameters. A straight MSD is thus used from its beginning, a bent one
from where the bend ends or with the bend taken out, and where it is doubtful the spread between the
models is part of the error. A bend that is certain while its memory may last as long as the lags
leaves no line to see: its weight is reported, for the caller to refuse.

*Error.* A slope is linear in squared displacements, so it can be taken for every atom and for every
block of time. The scatter over atoms is well known but blind to hops that atoms make together; the
scatter over blocks sees them but has few degrees of freedom. Their ratio, the inflation, hardly
depends on the lag, so it is measured over all starts, most of all the short ones with many blocks,
and multiplies the scatter over atoms.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.special

from ssefw.analysis.brownian import BrownianCovariance
from ssefw.analysis.msd import LagSums
from ssefw.analysis.slope_models import (
    MEMORY_RATIO,
    PRIOR_DOF,
    Scatter,
    SlopeModels,
    Slopes,
    variance_of_mean,
    windows_of,
)

__all__ = ["FINEST_BLOCKS", "SlopeFit", "fit_slopes", "lag_grid", "quantile"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LAG_RATIO = 1.35
TESTED_RATIO = 4.0
FINEST_BLOCKS = 48


def lag_grid(shortest: int, longest: int) -> IntArray:
    """Return lags in frames, evenly spaced in logarithm: each adds about as much information."""
    n_lags = int(np.log(longest / shortest) / np.log(LAG_RATIO)) + 1
    return np.unique(np.rint(np.geomspace(shortest, longest, max(n_lags, 3))).astype(np.int64))


@dataclass(frozen=True)
class SlopeFit:
    """Slopes of the tracer and the charge MSD, with their joint error.

    Slopes are in angstrom^2 a frame.

    Attributes
    ----------
    window
        First and last lag in frames of the start with the largest weight.
    tracer, charge
        Slopes.
    covariance
        Of (tracer, charge), (2, 2).
    dof, charge_dof
        Degrees of freedom of the variances.
    intercept
        Of the tracer MSD, angstrom^2.
    settled
        Weight, between 0 and 1, of the models that end in a line one can see: straight over
        TESTED_RATIO in lag, or bent with a memory that ends within the lags.
    is_testable
        Whether there is any such start.
    inflation
        Variance of the tracer slope over what it would be if ions hopped independently.
    bent
        Weight of all models but the line from the shortest lag on.
    unresolved
        Where the MSD certainly bends, the share of its likelihood that long memories hold, else 0.
    steepens
        Whether it bends upward: ions go on in the direction of their last hops.
    apparent
        Slope of the tracer MSD without the models that take a bend out of it.
    """

    window: tuple[int, int]
    tracer: float
    charge: float
    covariance: FloatArray
    dof: float
    charge_dof: float
    intercept: float
    settled: float
    is_testable: bool
    inflation: float
    bent: float
    unresolved: float = 0.0
    steepens: bool = False
    apparent: float = 0.0


def fit_slopes(sums: LagSums) -> SlopeFit | None:
    """Return the slopes, averaged over models; None if the lags hold no window."""
    windows = windows_of(sums.lags)
    if not windows:
        return None
    n_frames = int(sums.block_pairs[0].sum() + sums.lags[0])
    memories = sums.lags.astype(float)
    brownian = BrownianCovariance.of(sums.lags, n_frames)
    models = SlopeModels(sums, windows, memories, n_frames, brownian)
    n_paths = sums.by_atom.shape[1]
    if not sums.msd.any():
        return _at_rest(sums)
    gaussian = models.slopes_of(sums.msd, n_paths=n_paths, event=0.0)
    event = models.squared_hop(gaussian)
    tracer = models.slopes_of(sums.msd, n_paths=n_paths, event=event)
    scatter = models.scatter(tracer)
    score = models.score(tracer, inflation=scatter.inflation)
    charge = models.slopes_of(sums.charge_msd, n_paths=1, event=event / n_paths)
    # What bends the MSD of the ions bends that of their sum, where a single path cannot show it.
    charge_score = np.minimum(score, models.score(charge, inflation=1.0))
    share, charge_share = _normalized(score), _normalized(charge_score)
    slope = float(share @ tracer.weights @ sums.msd)
    charge_slope = float(charge_share @ charge.weights @ sums.charge_msd)
    covariance, charge_dof = _joint_covariance(
        models, scatter, (tracer, charge), (share, charge_share)
    )
    best = int(np.argmax(share[: len(windows)]))
    inside = windows[best]
    is_tested = np.array(
        [TESTED_RATIO * sums.lags[w[0]] <= sums.lags[-1] for w in windows]
        + (MEMORY_RATIO * memories <= sums.lags[-1]).tolist()
    )
    unresolved, steepens = models.long_memory(tracer, inflation=scatter.inflation)
    return SlopeFit(
        window=(int(sums.lags[inside[0]]), int(sums.lags[inside[-1]])),
        tracer=slope,
        charge=charge_slope,
        covariance=covariance,
        dof=scatter.dof,
        charge_dof=charge_dof,
        intercept=float((sums.msd[inside] - slope * sums.lags[inside]).mean()),
        settled=float(share[is_tested].sum()),
        is_testable=bool(is_tested[: len(windows)].any()),
        inflation=scatter.inflation,
        bent=1.0 - float(share[0]),
        unresolved=unresolved,
        steepens=steepens,
        apparent=float(
            _normalized(score[: len(windows)]) @ tracer.weights[: len(windows)] @ sums.msd
        ),
    )


def _at_rest(sums: LagSums) -> SlopeFit:
    return SlopeFit(
        window=(int(sums.lags[0]), int(sums.lags[-1])),
        tracer=0.0,
        charge=0.0,
        covariance=np.zeros((2, 2)),
        dof=np.inf,
        charge_dof=np.inf,
        intercept=0.0,
        settled=1.0,
        is_testable=True,
        inflation=1.0,
        bent=0.0,
    )


def _normalized(score: FloatArray) -> FloatArray:
    share = np.exp(score - score.max())
    return np.asarray(share / share.sum())


def _joint_covariance(
    models: SlopeModels,
    scatter: Scatter,
    slopes: tuple[Slopes, Slopes],
    shares: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, float]:
    """Return the covariance of the averaged slopes, the spread between models included."""
    sums = models.sums
    tracer, charge = slopes
    share, charge_share = shares
    tracer_values = tracer.weights @ sums.msd
    charge_values = charge.weights @ sums.charge_msd
    between = share @ (tracer_values - share @ tracer_values) ** 2
    charge_between = charge_share @ (charge_values - charge_share @ charge_values) ** 2
    covariance = np.zeros((2, 2))
    covariance[0, 0] = share @ scatter.independent * scatter.inflation + between
    row = int(np.argmax(charge_share[: len(models.windows)]))
    n_blocks = models.n_blocks(models.windows[row])
    in_blocks, counts = models.blocks_of(charge.weights[row], sums.block_charge, n_blocks)
    beside, _ = models.blocks_of(charge.weights[row], sums.block_tracer, n_blocks)
    dof = max(len(in_blocks) - 1.0, 0.0)
    of_blocks = variance_of_mean(in_blocks, in_blocks, counts)
    # A single path is Brownian to the extent that many ions add up to it.
    expected = float(charge_share @ charge.variance)
    prior = 2.0 * PRIOR_DOF
    covariance[1, 1] = (prior * expected + dof * of_blocks) / (prior + dof) + charge_between
    tracer_blocks = variance_of_mean(beside, beside, counts)
    if dof > 1 and tracer_blocks > 0 and of_blocks > 0:
        correlation = variance_of_mean(in_blocks, beside, counts)
        correlation /= np.sqrt(tracer_blocks * of_blocks)
        shrunk = correlation * dof / (prior + dof)
        covariance[0, 1] = shrunk * np.sqrt(covariance[0, 0] * covariance[1, 1])
        covariance[1, 0] = covariance[0, 1]
    return covariance, prior + dof


def quantile(level: float, dof: float, *, sides: int = 2) -> float:
    """Return how many standard errors hold the truth with probability `level`."""
    tail = (1.0 - level) / sides
    return float(scipy.special.stdtrit(dof, 1.0 - tail))
