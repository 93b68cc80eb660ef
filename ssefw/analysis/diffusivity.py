"""Self-diffusion of one specie from one trajectory, with an interval or a bound.

The slope and its error come from `ssefw.analysis.slope`, the verdict on the framework from
`ssefw.analysis.framework`. What is decided here is what the numbers permit to say: a value, an
upper bound, or nothing.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.special

from ssefw.analysis.framework import FrameworkState, judge_framework, nearest_neighbor_distances
from ssefw.analysis.msd import mean_squared_displacement, split_squared_displacements
from ssefw.analysis.slope import FINEST_BLOCKS, SlopeFit, fit_slopes, lag_grid, quantile
from ssefw.analysis.trajectory import (
    Frames,
    Reference,
    has_ambiguous_steps,
    slice_frames,
    unwrapped_paths,
)
from ssefw.documents import Diffusivity, Estimate
from ssefw.errors import AnalysisError
from ssefw.units import ANGSTROM2_PER_PS_TO_CM2_PER_S

__all__ = ["estimate_diffusivity", "hop_count_rsd"]

FloatArray = npt.NDArray[np.float64]
Regime = Literal["diffusive", "subdiffusive", "vibrating", "melted", "undetermined"]

UNIT = "cm^2/s"
METHOD = "GLS slope of the MSD; scatter over time blocks pooled with scatter over atoms"
LONGEST_LAG = 0.4
"""Share of a run up to which lags are fitted: of longer ones few stretches are independent."""
SHORTEST_LAG = 0.1
"""Share of a run that `min_lag` may take at most, so that a short one keeps lags to fit."""
MIN_FRAMES = 20
"""Frames in a row that a run must have: eight lags are then within `LONGEST_LAG`."""
SETTLED = 0.2
"""Weight that models must hold whose MSD ends in a line one can see; with less, D is only bounded.
How often intervals hold the truth with this and the next is in docs/analysis.md."""
BENT = 0.95
"""Weight of models with a bend from which on a warning says that D is the slope behind it."""
UNRESOLVED = 0.2
"""Weight that models with a memory as long as the run may hold; with more there is a bound, or no
number. Before it was asked, ions that remember their hops for a quarter of the run had intervals
that held the truth in 45 % of runs."""
FEW_HOPS = 20.0
"""Hops up to which their count alone sets the least error of D; see `_count_rsd`."""
DRAWN_LAGS = 60
"""Lags at which the MSD is kept for figures, evenly on a logarithmic axis."""
TEMPERATURE_TOLERANCE = 0.05
"""Relative distance of the mean temperature from the set point from which on a warning says so: it
shifts ln D by this share of E/kT, at 0.3 eV and 600 K by 0.3."""


def hop_count_rsd(n_hops: float) -> float:
    """Return the relative standard deviation of D by the rule of He, Zhu & Mo.

    3.43 / sqrt(n_hops) + 0.04, fitted to subsampled AIMD (doi:10.1038/s41524-018-0074-y).
    """
    if n_hops <= 0:
        raise ValueError(f"the rule needs a positive number of hops, got {n_hops}")
    return 3.43 / float(np.sqrt(n_hops)) + 0.04


def estimate_diffusivity(
    frames: Frames,
    *,
    specie: str = "Li",
    temperature: float,
    equilibration: float = 0.0,
    level: float = 0.95,
    hop_distance: float | None = None,
    min_lag: float = 0.5,
    min_hops: float = 5.0,
    reference: Reference = "framework",
    trajectory_key: str = "",
) -> Diffusivity:
    """Return tracer and charge diffusivity of a specie, as values or as bounds.

    Parameters
    ----------
    frames
        The trajectory of one run.
    specie
        Element that diffuses; all others are the framework.
    temperature
        Set point of the thermostat in K.
    equilibration
        Time at the start to leave out, ps.
    level
        Confidence level of intervals and bounds.
    hop_distance
        Distance between neighboring sites in angstrom, by which hops are counted. Without it, the
        mean distance between neighboring mobile ions.
    min_lag
        No fit window starts before this lag in ps, so that vibrations are forgotten. In runs
        shorter than ten times as long, a tenth of the run.
    min_hops
        With fewer hops the slope is not trusted and an upper bound is given.
    reference
        What is held still. With no framework atom, "framework" holds nothing still and says so.
    trajectory_key
        Key of the trajectory in the store, kept with the result.

    Raises
    ------
    AnalysisError
        The trajectory is unusable: too few frames, no atom of the specie.
    """
    _check_settings(temperature=temperature, level=level, equilibration=equilibration)
    mobile = frames.is_specie(specie)
    used = _without_equilibration(frames, equilibration)
    paths, longest_step = unwrapped_paths(used, specie=specie, reference=reference)
    distance = _hop_distance(used, mobile) if hop_distance is None else hop_distance
    longest_piece = max(last - first for first, last in used.pieces)
    shortest = max(1, round(min(min_lag * 1000.0 / used.timestep, SHORTEST_LAG * longest_piece)))
    lags = lag_grid(shortest, int(longest_piece * LONGEST_LAG))
    ions = paths.take(np.flatnonzero(mobile), axis=1)
    sums = split_squared_displacements(ions, lags, n_blocks=FINEST_BLOCKS, pieces=used.pieces)
    fit = fit_slopes(sums)
    state = judge_framework(used, paths, specie=specie, lags=lags)
    drawn = np.unique(np.rint(np.geomspace(1, longest_piece // 2, DRAWN_LAGS)).astype(np.int64))
    msd = mean_squared_displacement(ions, pieces=used.pieces)[drawn]
    del ions
    msd_framework = (
        mean_squared_displacement(paths.take(np.flatnonzero(~mobile), axis=1), pieces=used.pieces)[
            drawn
        ]
        if not mobile.all()
        else np.empty(0)
    )
    run = _Run(used, int(mobile.sum()), distance, level, min_hops)
    verdict = _judge(fit, state, run)
    held: Reference = reference if mobile.size > mobile.sum() or reference == "all" else "none"
    mean_temperature = None if used.temperatures is None else float(used.temperatures.mean())
    warnings = [*verdict.warnings, *state.warnings]
    if has_ambiguous_steps(longest_step):
        warnings.append(
            f"an atom moves {longest_step:.2f} of a cell vector between two frames: unwrapping is "
            "a guess; keep frames more often"
        )
    if mean_temperature and abs(mean_temperature / temperature - 1) > TEMPERATURE_TOLERANCE:
        warnings.append(
            f"the mean temperature {mean_temperature:.0f} K is off the set point {temperature:g} K"
        )
    per_frame = used.timestep / 1000.0
    return Diffusivity(
        specie=specie,
        temperature=temperature,
        tracer=verdict.tracer,
        charge=verdict.charge,
        haven=verdict.haven,
        regime=verdict.regime,
        reason=verdict.reason,
        n_mobile=run.n_mobile,
        n_atoms=used.n_atoms,
        volume=used.volume,
        n_frames=used.n_frames,
        duration=used.duration,
        equilibration=equilibration,
        mean_temperature=mean_temperature,
        n_hops=verdict.n_hops,
        hop_rsd=hop_count_rsd(verdict.n_hops) if verdict.n_hops > 0 else None,
        hop_distance=distance,
        framework_rmsd=state.rmsd,
        framework_lindemann=state.lindemann,
        fit_window=None if fit is None else (fit.window[0] * per_frame, fit.window[1] * per_frame),
        lag_times=tuple((drawn * per_frame).tolist()),
        msd=tuple(msd.tolist()),
        msd_framework=tuple(msd_framework.tolist()),
        drift_reference=held,
        warnings=tuple(warnings),
        trajectory_key=trajectory_key,
    )


def _check_settings(*, temperature: float, level: float, equilibration: float) -> None:
    if not temperature > 0:
        raise AnalysisError(f"the temperature must be positive, got {temperature} K.")
    if not 0 < level < 1:
        raise AnalysisError(f"a confidence level lies between 0 and 1, got {level}.")
    if not equilibration >= 0:
        raise AnalysisError(f"the equilibration cannot be negative, got {equilibration} ps.")


def _without_equilibration(frames: Frames, equilibration: float) -> Frames:
    first = int(np.ceil(equilibration * 1000.0 / frames.timestep - 1e-9))
    used = slice_frames(frames, first=first) if first else frames
    longest = max(last - start for start, last in used.pieces)
    if longest < MIN_FRAMES:
        raise AnalysisError(
            f"{longest} frames in a row are too few for a mean squared displacement, which needs "
            f"{MIN_FRAMES}. Keep frames more often, run longer, or shorten the equilibration of "
            f"{equilibration:g} ps."
        )
    return used


def _hop_distance(frames: Frames, mobile: npt.NDArray[np.bool_]) -> float:
    """Return the mean distance between neighboring mobile ions over some frames."""
    picks = np.unique(np.linspace(0, frames.n_frames - 1, 10).astype(int))
    lattices = np.broadcast_to(frames.lattice, (frames.n_frames, 3, 3))
    return float(
        np.mean(
            [
                nearest_neighbor_distances(frames.positions[k], lattices[k], among=mobile).mean()
                for k in picks
            ]
        )
    )


@dataclass(frozen=True)
class _Run:
    frames: Frames
    n_mobile: int
    hop_distance: float
    level: float
    min_hops: float

    @property
    def to_cm2_per_s(self) -> float:
        """Turn an MSD slope in angstrom^2 a frame into a diffusivity."""
        return ANGSTROM2_PER_PS_TO_CM2_PER_S / (6.0 * self.frames.timestep / 1000.0)

    def hops(self, slope: float) -> float:
        """Count the hops that a slope means over the whole run."""
        frames = self.frames.duration * 1000.0 / self.frames.timestep
        return self.n_mobile * max(slope, 0.0) * frames / self.hop_distance**2

    def floor(self, n_hops: float) -> float:
        """Return the largest slope at which so few hops are seen with probability 1 - level.

        The number itself, known from a slope, is wrong by about its root.
        """
        counted = n_hops + float(np.sqrt(n_hops))
        expected = float(scipy.special.gammaincinv(counted + 1.0, self.level))
        return expected / self.hops(1.0)


@dataclass(frozen=True)
class _Verdict:
    regime: Regime
    tracer: Estimate
    n_hops: float
    charge: Estimate | None = None
    haven: Estimate | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()


def _judge(fit: SlopeFit | None, state: FrameworkState, run: _Run) -> _Verdict:
    n_hops = run.hops(fit.tracer) if fit else 0.0
    if state.is_lost:
        return _Verdict(
            "melted", Estimate.undetermined(state.reason, unit=UNIT), n_hops, reason=state.reason
        )
    if fit is None:
        reason = (
            f"{run.frames.n_frames} frames hold no fit window after {run.frames.duration:g} ps; "
            "run longer"
        )
        return _Verdict(
            "undetermined", Estimate.undetermined(reason, unit=UNIT), 0.0, reason=reason
        )
    spread = max(float(np.sqrt(fit.covariance[0, 0])), fit.tracer * _count_rsd(n_hops))
    is_unresolved = fit.unresolved > UNRESOLVED
    # A slope from which a bend was taken out bounds nothing while the bend may go on.
    steepest = max(fit.tracer, fit.apparent) if is_unresolved else fit.tracer
    upper = steepest + quantile(run.level, fit.dof, sides=1) * spread
    if fit.tracer <= quantile(run.level, fit.dof) * spread or n_hops < run.min_hops:
        bound = max(upper, run.floor(n_hops)) * run.to_cm2_per_s
        reason = (
            f"{n_hops:.1f} hops in {run.frames.duration:g} ps do not make a slope; bound at "
            f"{run.level:.0%} confidence, not below the one that the count of hops permits"
        )
        tracer = Estimate.below(bound, unit=UNIT, reason=reason, level=run.level)
        return _Verdict("vibrating", tracer, n_hops, reason=reason)
    if is_unresolved and fit.steepens:
        reason = (
            f"the MSD steepens up to the longest lags, {run.frames.duration * LONGEST_LAG:.2g} ps: "
            "ions remember their hops for about as long, and D is beyond what this run shows; "
            "run longer"
        )
        return _Verdict(
            "undetermined", Estimate.undetermined(reason, unit=UNIT), n_hops, reason=reason
        )
    if fit.settled < SETTLED or not fit.is_testable or is_unresolved:
        reason = (
            "the MSD still bends at the longest lags: the apparent diffusivity is an upper bound; "
            "run longer"
            if fit.is_testable
            else f"{run.frames.duration:g} ps are too short to see whether the MSD is straight; "
            "run longer"
        )
        bound = max(upper, run.floor(n_hops)) * run.to_cm2_per_s
        tracer = Estimate.below(bound, unit=UNIT, reason=reason, level=run.level)
        return _Verdict("subdiffusive", tracer, n_hops, reason=reason)
    tracer = _log_estimate(
        fit.tracer * run.to_cm2_per_s, spread / fit.tracer, fit.dof, level=run.level, method=METHOD
    )
    charge, haven = _collective(fit, run)
    return _Verdict(
        "diffusive", tracer, n_hops, charge=charge, haven=haven, warnings=_bend_warnings(fit, run)
    )


def _count_rsd(n_hops: float) -> float:
    """Return the relative error that counting so few hops has.

    With more than FEW_HOPS the scatter over ions, which needs no hop distance, takes over.
    """
    return float(np.sqrt(min(1.0, FEW_HOPS / n_hops) / n_hops)) if n_hops > 0 else 0.0


def _bend_warnings(fit: SlopeFit, run: _Run) -> tuple[str, ...]:
    if fit.bent < BENT:
        return ()
    first = fit.window[0] * run.frames.timestep / 1000.0
    warning = (
        f"the MSD bends before it is straight (from about {first:.2g} ps on): D is the slope "
        "behind the bend, and no run can exclude another one; a longer run shows it"
    )
    return (warning,)


def _log_estimate(
    value: float, relative: float, dof: float, *, level: float, method: str, unit: str = UNIT
) -> Estimate:
    """Return an interval that is symmetric in the logarithm, as a positive number has it."""
    factor = float(np.exp(quantile(level, dof) * relative))
    return Estimate(
        value=value,
        lower=value / factor,
        upper=value * factor,
        level=level,
        unit=unit,
        method=method,
    )


def _collective(fit: SlopeFit, run: _Run) -> tuple[Estimate, Estimate]:
    dof = max(fit.charge_dof, 1.0)
    relative = np.sqrt(max(fit.covariance[1, 1], 0.0)) / abs(fit.charge)
    if fit.charge <= 0 or relative * quantile(run.level, dof) > np.log(1e3):
        reason = "the collective displacement is one path, too short here to have a slope"
        return (
            Estimate.undetermined(reason, unit=UNIT),
            Estimate.undetermined(reason, unit=""),
        )
    a, b = 1.0 / fit.tracer, -1.0 / fit.charge
    variance = float(np.array([a, b]) @ fit.covariance @ np.array([a, b]))
    method = "collective MSD in the window of the tracer MSD; scatter over time blocks"
    return (
        _log_estimate(
            fit.charge * run.to_cm2_per_s, float(relative), dof, level=run.level, method=method
        ),
        _log_estimate(
            fit.tracer / fit.charge,
            float(np.sqrt(max(variance, 0.0))),
            dof,
            level=run.level,
            method="ratio with the joint scatter over time blocks",
            unit="",
        ),
    )
