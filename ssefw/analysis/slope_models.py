"""The slopes of an MSD by every model of its bend, how well each fits, and how far they scatter.

A model is a start, from which on the MSD is a line, or a memory, which is taken out of all of it.
What is done with the models, and why, stands in `ssefw.analysis.slope`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ssefw.analysis.brownian import BrownianCovariance, slope_weights
from ssefw.analysis.msd import LagSums

__all__ = [
    "MEMORY_RATIO",
    "PRIOR_DOF",
    "Scatter",
    "SlopeModels",
    "Slopes",
    "variance_of_mean",
    "windows_of",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WINDOW_RATIO = 4.0
MEMORY_RATIO = 3.0
"""A memory ends within the lags if they are so many times as long."""

LONG_MEMORY = 0.25
"""Share of the longest lag beyond which a memory is long: behind it no line is left to check."""

CERTAIN_BEND = 10.0
"""Gain in chi2 from which a memory is certain."""

BLOCK_LAGS = 1.5
BLOCK_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24, 48)
COST = 1.0
"""What a lag given up costs, in units of the logarithm of the weight."""

MANY_ATOMS = 10
PRIOR_DOF = 3.0
"""How many blocks' worth of belief that ions hop independently."""


def windows_of(lags: IntArray) -> list[IntArray]:
    """Return windows as indices into `lags`: from each start to four times it, at least twice."""
    return [
        np.flatnonzero((lags >= start) & (lags <= WINDOW_RATIO * start))
        for start in lags
        if 2 * start <= lags[-1] and ((lags >= start) & (lags <= WINDOW_RATIO * start)).sum() >= 3
    ]


@dataclass(frozen=True)
class Slopes:
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
class Scatter:
    """Variances of the tracer slope by every model, if ions hopped independently.

    From the scatter over atoms, or, for a few atoms, what Brownian paths would give.
    """

    independent: FloatArray
    inflation: float
    dof: float


@dataclass(frozen=True)
class SlopeModels:
    """All models of the MSD of one run.

    Attributes
    ----------
    windows
        Of each start, the lags between which its slope is taken, as indices.
    memories
        In frames.
    """

    sums: LagSums
    windows: list[IntArray]
    memories: FloatArray
    n_frames: int
    brownian: BrownianCovariance

    def slopes_of(self, msd: FloatArray, *, n_paths: int, event: float) -> Slopes:
        """Return the slopes of the mean of `n_paths` MSDs, with hops of squared length `event`."""
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
        return Slopes(weights, chi2, variance)

    def score(self, slopes: Slopes, *, inflation: float) -> FloatArray:
        """Return the logarithm of the weight of each start and each memory."""
        given_up = [COST * inside[0] for inside in self.windows]
        # Two more parameters, and one belief shared among all memories.
        for_memory = 2.0 * COST + np.log(max(len(self.memories), 1))
        is_seen_to_end = MEMORY_RATIO * self.memories <= self.sums.lags[-1]
        cost = np.array(given_up + np.where(is_seen_to_end, 0.0, COST).tolist())
        cost[len(given_up) :] += for_memory
        return np.asarray(-0.5 * slopes.chi2 / inflation - cost)

    def long_memory(self, slopes: Slopes, *, inflation: float) -> tuple[float, bool]:
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

    def squared_hop(self, slopes: Slopes) -> float:
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

    def scatter(self, tracer: Slopes) -> Scatter:
        """Return the variances over atoms, and how much larger those over blocks of time are."""
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
                ratio[row] = variance_of_mean(slopes, slopes, counts) / base[row]
        inflation = (PRIOR_DOF + dof @ ratio) / (PRIOR_DOF + dof.sum())
        unknown = 1.0 / (PRIOR_DOF + dof.max()) + (1.0 / (n_atoms - 1) if is_crowd else 0.0)
        return Scatter(base, float(inflation), 1.0 / unknown)


def _scale(lags: FloatArray, msd: FloatArray) -> tuple[float, float]:
    """Return slope and intercept of a weighted line, kept positive: they only scale weights."""
    step, noise = np.polyfit(lags, msd, 1, w=1.0 / lags)
    scale = float(np.abs(msd).mean())
    return max(float(step), 1e-3 * scale / lags[-1]), max(float(noise), 1e-3 * scale)


def variance_of_mean(first: FloatArray, second: FloatArray, counts: FloatArray) -> float:
    """Return the (co)variance of count-weighted means over blocks."""
    share = counts / counts.sum()
    deviations = (first - first @ share) * (second - second @ share)
    return float(share @ deviations / max(len(counts) - 1, 1))
