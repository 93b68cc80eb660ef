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
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.special

from ssefw.analysis.msd import LagSums

__all__ = ["FINEST_BLOCKS", "SlopeFit", "fit_slopes", "lag_grid", "quantile", "slope_weights"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LAG_RATIO = 1.35
WINDOW_RATIO = 4.0
TESTED_RATIO = 4.0
MEMORY_RATIO = 3.0
"""A memory ends within the lags if they are so many times as long."""

LONG_MEMORY = 0.25
"""Share of the longest lag beyond which a memory is long: behind it no line is left to check."""

CERTAIN_BEND = 10.0
"""Gain in chi2 from which a memory is certain."""

BLOCK_LAGS = 1.5
FINEST_BLOCKS = 48
BLOCK_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24, 48)
COST = 1.0
"""What a lag given up costs, in units of the logarithm of the weight."""

MANY_ATOMS = 10
PRIOR_DOF = 3.0
"""How many blocks' worth of belief that ions hop independently."""


def lag_grid(shortest: int, longest: int) -> IntArray:
    """Return lags in frames, evenly spaced in logarithm: each adds about as much information."""
    n_lags = int(np.log(longest / shortest) / np.log(LAG_RATIO)) + 1
    return np.unique(np.rint(np.geomspace(shortest, longest, max(n_lags, 3))).astype(np.int64))


@dataclass(frozen=True)
class BrownianCovariance:
    """The covariance of the time-averaged MSD of one path that hops and vibrates without memory.

    Were the displacements Gaussian, with a covariance given by the overlap of two intervals and by
    shared ends, the squares would covary as twice its square (Wick's theorem). Hops of length a add
    a^2 step times the overlap: they come as whole events. Both are summed over all pairs of origins
    that the run holds.

    Attributes
    ----------
    both_move, mixed, both_vibrate, events
        What multiplies step^2, step * noise, noise^2 and a^2 * step, (n_lags, n_lags).
    """

    both_move: FloatArray
    mixed: FloatArray
    both_vibrate: FloatArray
    events: FloatArray

    @classmethod
    def of(cls, lags: IntArray, n_frames: int) -> Self:
        """Sum over the origins of a run of `n_frames` at lags in frames."""
        parts = np.zeros((4, len(lags), len(lags)))
        for row, i in enumerate(lags):
            for column, j in enumerate(lags[row:], start=row):
                shift = np.arange(-i, j + 1)
                overlap = np.maximum(np.minimum(shift + i, j) - np.maximum(shift, 0), 0)
                ends = np.zeros(len(shift))
                np.add.at(ends, [i, j], 1.0)
                ends[[0, -1]] -= 1.0
                last = np.minimum(n_frames - i - 1, n_frames - j - 1 + shift)
                pairs = np.maximum(last - np.maximum(shift, 0) + 1, 0)
                pairs = pairs / ((n_frames - i) * (n_frames - j))
                parts[:, row, column] = parts[:, column, row] = (
                    pairs @ (overlap**2),
                    pairs @ (overlap * ends),
                    pairs @ ends**2,
                    pairs @ overlap,
                )
        # Three directions: step = 3 sigma^2, noise = 6 eta^2, covariance 3 * 2 * (sum of squares).
        return cls(parts[0] * 6.0 / 9.0, parts[1] * 12.0 / 18.0, parts[2] * 6.0 / 36.0, parts[3])

    def at(self, inside: IntArray, *, step: float, noise: float, event: float) -> FloatArray:
        """Return the covariance in angstrom^4 at some of the lags for one path.

        Parameters
        ----------
        step, noise
            Slope of the MSD in angstrom^2 a frame, and its intercept in angstrom^2.
        event
            Squared length of a hop in angstrom^2; zero for Gaussian displacements.
        """
        at = np.ix_(inside, inside)
        moves = step**2 * self.both_move[at] + step * noise * self.mixed[at]
        moves += noise**2 * self.both_vibrate[at] + event * step * self.events[at]
        return np.asarray(moves)


def slope_weights(
    lags: FloatArray, covariance: FloatArray, *, memory: float | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return w of the generalized-least-squares slope w @ msd, and the matrix of its chi2.

    chi2 = msd @ matrix @ msd is the squared distance of an MSD from its best line, or, with a
    `memory` in frames, from its best line plus exp(-lag / memory).
    """
    precision = np.linalg.inv(covariance + 1e-9 * np.diag(np.diag(covariance)))
    basis = [np.ones(len(lags)), lags]
    if memory is not None:
        basis.append(np.exp(-lags / memory))
    design = np.column_stack(basis)
    solution = np.linalg.solve(design.T @ precision @ design, design.T @ precision)
    return np.asarray(solution[1]), np.asarray(precision - precision @ design @ solution)


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
    windows = _windows(sums.lags)
    if not windows:
        return None
    n_frames = int(sums.block_pairs[0].sum() + sums.lags[0])
    memories = sums.lags.astype(float)
    brownian = BrownianCovariance.of(sums.lags, n_frames)
    models = _Models(sums, windows, memories, n_frames, brownian)
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


def _windows(lags: IntArray) -> list[IntArray]:
    """Return windows as indices into `lags`: from each start to four times it, at least twice."""
    return [
        np.flatnonzero((lags >= start) & (lags <= WINDOW_RATIO * start))
        for start in lags
        if 2 * start <= lags[-1] and ((lags >= start) & (lags <= WINDOW_RATIO * start)).sum() >= 3
    ]


@dataclass(frozen=True)
class _Slopes:
    """Slopes of one MSD by every model: first the starts, then the memories.

    Attributes
    ----------
    weights
        The slopes are ``weights @ msd``, (n_models, n_lags).
    chi2
        Squared distance from the model, from its start to the longest lag, (n_models,).
    variance
        What independent hopping paths would give, (n_models,).
    """

    weights: FloatArray
    chi2: FloatArray
    variance: FloatArray


@dataclass(frozen=True)
class _Scatter:
    """Variances of the tracer slope by every model, if ions hopped independently.

    From the scatter over atoms, or, for a few atoms, what Brownian paths would give.
    """

    independent: FloatArray
    inflation: float
    dof: float


@dataclass(frozen=True)
class _Models:
    sums: LagSums
    windows: list[IntArray]
    memories: FloatArray
    n_frames: int
    brownian: BrownianCovariance

    def slopes_of(self, msd: FloatArray, *, n_paths: int, event: float) -> _Slopes:
        lags = self.sums.lags.astype(float)
        n_models = len(self.windows) + len(self.memories)
        weights = np.zeros((n_models, len(lags)))
        chi2, variance = np.zeros(n_models), np.zeros(n_models)
        for row, inside in enumerate(self.windows):
            step, noise = _scale(lags[inside], msd[inside])
            to_end = np.arange(inside[0], len(lags))
            covariance = self.brownian.at(to_end, step=step, noise=noise, event=event)
            covariance /= n_paths
            part = covariance[: len(inside), : len(inside)]
            weights[row, inside], _ = slope_weights(lags[inside], part)
            variance[row] = weights[row, inside] @ part @ weights[row, inside]
            _, distance = slope_weights(lags[to_end], covariance)
            chi2[row] = msd[to_end] @ distance @ msd[to_end]
        if len(self.memories):
            step, noise = _scale(lags, msd)
            everything = np.arange(len(lags))
            covariance = self.brownian.at(everything, step=step, noise=noise, event=event)
            covariance /= n_paths
            for row, memory in enumerate(self.memories, start=len(self.windows)):
                weights[row], distance = slope_weights(lags, covariance, memory=memory)
                variance[row] = weights[row] @ covariance @ weights[row]
                chi2[row] = msd @ distance @ msd
        return _Slopes(weights, chi2, variance)

    def score(self, slopes: _Slopes, *, inflation: float) -> FloatArray:
        """Return the logarithm of the weight of each start and each memory."""
        given_up = [COST * inside[0] for inside in self.windows]
        # Two more parameters, and one belief shared among all memories.
        for_memory = 2.0 * COST + np.log(max(len(self.memories), 1))
        is_seen_to_end = MEMORY_RATIO * self.memories <= self.sums.lags[-1]
        cost = np.array(given_up + np.where(is_seen_to_end, 0.0, COST).tolist())
        cost[len(given_up) :] += for_memory
        return np.asarray(-0.5 * slopes.chi2 / inflation - cost)

    def long_memory(self, slopes: _Slopes, *, inflation: float) -> tuple[float, bool]:
        """Return the share of long memories where a bend is certain, and whether it is upward."""
        of_line, chi2 = slopes.chi2[0] / inflation, slopes.chi2[len(self.windows) :] / inflation
        if not len(chi2) or of_line - chi2.min() < CERTAIN_BEND:
            return 0.0, False
        likelihood = np.exp(-0.5 * (chi2 - chi2.min()))
        is_long = self.memories > LONG_MEMORY * self.sums.lags[-1]
        best = len(self.windows) + int(np.argmin(chi2))
        values = slopes.weights[[0, best]] @ self.sums.msd
        share = float(likelihood[is_long].sum() / likelihood.sum())
        return share, bool(values[1] > values[0])

    def squared_hop(self, slopes: _Slopes) -> float:
        """Return the hop length squared that makes the scatter over atoms what it is, angstrom^2.

        It also takes up ions that differ in their mobility for the length of the run.
        """
        n_atoms = self.sums.by_atom.shape[1]
        if n_atoms < 2:
            return 0.0
        of_atoms = (slopes.weights @ self.sums.by_atom).var(axis=1, ddof=1)
        events = np.einsum(
            "kl,lm,km->k", slopes.weights, self.brownian.events, slopes.weights
        ) * np.maximum(slopes.weights @ self.sums.msd, 0.0)
        excess = of_atoms - n_atoms * slopes.variance
        use = events > 0
        return float(max(np.median(excess[use] / events[use]), 0.0)) if use.any() else 0.0

    def n_blocks(self, inside: IntArray) -> int:
        """Return into how many blocks the run falls if each is BLOCK_LAGS times the longest lag."""
        fitting = self.n_frames / (BLOCK_LAGS * self.sums.lags[inside[-1]])
        return max(n for n in BLOCK_COUNTS if n <= max(fitting, 2))

    def blocks_of(
        self, weights: FloatArray, values: FloatArray, n_blocks: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return the slope in each block of time that has all the lags, and the block's weight."""
        needed = np.flatnonzero(weights)
        pairs = self.sums.block_pairs[needed].reshape(len(needed), n_blocks, -1).sum(axis=2)
        full = (pairs > 0).all(axis=0)
        merged = values[needed].reshape(len(needed), n_blocks, -1).sum(axis=2)
        return weights[needed] @ (merged[:, full] / pairs[:, full]), pairs[-1, full]

    def scatter(self, tracer: _Slopes) -> _Scatter:
        of_atoms = tracer.weights @ self.sums.by_atom
        n_atoms = of_atoms.shape[1]
        is_crowd = n_atoms >= MANY_ATOMS
        base = of_atoms.var(axis=1, ddof=1) / n_atoms if is_crowd else tracer.variance
        # Only windows: the slope beside a memory takes lags as long as the run.
        ratio, dof = np.ones(len(self.windows)), np.zeros(len(self.windows))
        for row, inside in enumerate(self.windows):
            slopes, counts = self.blocks_of(
                tracer.weights[row], self.sums.block_tracer, self.n_blocks(inside)
            )
            if len(slopes) > 1 and base[row] > 0:
                dof[row] = len(slopes) - 1
                ratio[row] = _variance_of_mean(slopes, slopes, counts) / base[row]
        inflation = (PRIOR_DOF + dof @ ratio) / (PRIOR_DOF + dof.sum())
        unknown = 1.0 / (PRIOR_DOF + dof.max()) + (1.0 / (n_atoms - 1) if is_crowd else 0.0)
        return _Scatter(base, float(inflation), 1.0 / unknown)


def _normalized(score: FloatArray) -> FloatArray:
    share = np.exp(score - score.max())
    return np.asarray(share / share.sum())


def _scale(lags: FloatArray, msd: FloatArray) -> tuple[float, float]:
    """Return slope and intercept of a weighted line, kept positive: they only scale weights."""
    step, noise = np.polyfit(lags, msd, 1, w=1.0 / lags)
    scale = float(np.abs(msd).mean())
    return max(float(step), 1e-3 * scale / lags[-1]), max(float(noise), 1e-3 * scale)


def _variance_of_mean(first: FloatArray, second: FloatArray, counts: FloatArray) -> float:
    """Return the (co)variance of count-weighted means over blocks."""
    share = counts / counts.sum()
    deviations = (first - first @ share) * (second - second @ share)
    return float(share @ deviations / max(len(counts) - 1, 1))


def _joint_covariance(
    models: _Models,
    scatter: _Scatter,
    slopes: tuple[_Slopes, _Slopes],
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
    of_blocks = _variance_of_mean(in_blocks, in_blocks, counts)
    # A single path is Brownian to the extent that many ions add up to it.
    expected = float(charge_share @ charge.variance)
    prior = 2.0 * PRIOR_DOF
    covariance[1, 1] = (prior * expected + dof * of_blocks) / (prior + dof) + charge_between
    tracer_blocks = _variance_of_mean(beside, beside, counts)
    if dof > 1 and tracer_blocks > 0 and of_blocks > 0:
        correlation = _variance_of_mean(in_blocks, beside, counts)
        correlation /= np.sqrt(tracer_blocks * of_blocks)
        shrunk = correlation * dof / (prior + dof)
        covariance[0, 1] = shrunk * np.sqrt(covariance[0, 0] * covariance[1, 1])
        covariance[1, 0] = covariance[0, 1]
    return covariance, prior + dof


def quantile(level: float, dof: float, *, sides: int = 2) -> float:
    """Return how many standard errors hold the truth with probability `level`."""
    tail = (1.0 - level) / sides
    return float(scipy.special.stdtrit(dof, 1.0 - tail))
