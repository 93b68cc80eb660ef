"""How often intervals of D hold the truth: ours, pymatgen's and, with --kinisi, kinisi's.

Walks with exactly known diffusivity, analyzed by each method; a table of bias, scatter, the scatter
that counting hops alone would have, and the coverage of 68 % and 95 % intervals. Bounds count as
covering if they lie above the truth; runs of which a method says that they do not tell are not
counted, and their number is what is missing of the values and bounds. With --full the size of the
published test: 15,000 frames.

    python benchmarks/intervals.py --seeds 500
    python benchmarks/intervals.py --seeds 100 --full --kinisi --case independent
"""

import argparse
import time
import warnings
from types import SimpleNamespace

import numpy as np
from scipy.stats import norm

from ssefw.analysis import (
    conductivity_per_diffusivity,
    estimate_diffusivity,
    fit_conductivity,
    unwrapped_paths,
)
from ssefw.analysis.line.prefactor import hopping_prefactor
from ssefw.analysis.synthetic import LatticeWalk
from ssefw.documents import Diffusivity, Estimate
from ssefw.errors import AnalysisError

LENGTH = {"n_frames": 1500, "timestep": 40.0, "n_ions": 32}
FULL = {"n_frames": 15000, "timestep": 20.0, "n_ions": 64, "n_cells": 5}
CASES = {
    "independent": {"rate": 0.06},
    "small cell": {"rate": 0.2, "n_ions": 8, "n_cells": 2},
    "strings of 4": {"rate": 0.1, "string": 4},
    "back hops -0.3": {"rate": 0.6, "cosine": -0.3},
    "back hops -0.6": {"rate": 1.0, "cosine": -0.6},
    "forward hops 0.3": {"rate": 0.6, "cosine": 0.3},
    "memory of T/4": {"rate": 0.1, "cosine": 0.3},
    "returning, T/4": {"rate": 0.1, "cosine": -0.3},
    "rare hops": {"rate": 0.005},
    "four hops": {"rate": 0.0021},
}


def ours(frames, walk):
    """Return value and the two intervals as (value, (l68, u68), (l95, u95), haven)."""
    settings = {"temperature": 900.0, "hop_distance": walk.spacing}
    wide = estimate_diffusivity(frames, level=0.95, **settings)
    narrow = estimate_diffusivity(frames, level=0.68, **settings)
    return (
        wide.tracer.value,
        (narrow.tracer.lower or 0.0, narrow.tracer.upper),
        (wide.tracer.lower or 0.0, wide.tracer.upper),
        wide.haven,
    )


def pymatgen(frames, _walk):
    """DiffusionAnalyzer(smoothed="max") and its standard deviation, taken as normal."""
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Structure

    paths, _ = unwrapped_paths(frames, specie="Li", reference="none")
    structure = Structure(
        frames.lattice, frames.species, frames.positions[0], coords_are_cartesian=True
    )
    found = DiffusionAnalyzer(
        structure, paths.transpose(1, 0, 2), "Li", 900, frames.timestep, 1, smoothed="max"
    )
    value, spread = found.diffusivity, found.diffusivity_std_dev
    intervals = [
        (value - norm.ppf(0.5 + level / 2) * spread, value + norm.ppf(0.5 + level / 2) * spread)
        for level in (0.68, 0.95)
    ]
    return value, *intervals, None


def kinisi(frames, _walk):
    """TracerAnalysis of 100 lags to half of the run, diffusion fitted from 1 ps on."""
    import scipp as sc
    from kinisi.analyze import DiffusionAnalyzer
    from pymatgen.core import Structure

    structures = [
        Structure(frames.lattice, frames.species, places, coords_are_cartesian=True)
        for places in frames.positions
    ]
    step = frames.timestep / 1000.0
    lags = np.unique(np.linspace(1, frames.n_frames // 2, 100).astype(int)) * step
    found = DiffusionAnalyzer.from_xdatcar(
        SimpleNamespace(structures=structures),
        specie="Li",
        time_step=step * sc.Unit("ps"),
        step_skip=1 * sc.Unit("dimensionless"),
        dt=sc.array(dims=["time interval"], values=lags, unit="ps"),
        progress=False,
    )
    found.diffusion(1.0 * sc.Unit("ps"), progress=False)
    samples = found.D.values
    quantiles = np.quantile(samples, [0.16, 0.84, 0.025, 0.975])
    return samples.mean(), tuple(quantiles[:2]), tuple(quantiles[2:]), None


def judge(method, walk, seeds):
    """Run one method on many walks and return its numbers."""
    values, in_68, in_95, haven_in, havens = [], [], [], [], []
    n_bounds = 0
    seconds = 0.0
    for seed in range(seeds):
        frames = walk.frames(seed)
        begin = time.perf_counter()
        value, narrow, wide, haven = method(frames, walk)
        seconds += time.perf_counter() - begin
        if value is not None:
            values.append(value / walk.tracer)
        elif wide[1] is not None:
            n_bounds += 1
        if narrow[1] is not None:
            in_68.append(narrow[0] <= walk.tracer <= narrow[1])
        if wide[1] is not None:
            in_95.append(wide[0] <= walk.tracer <= wide[1])
        if haven is not None and haven.value is not None:
            havens.append(haven.value * walk.string)
            haven_in.append(haven.lower <= 1.0 / walk.string <= haven.upper)
    return {
        "values": len(values),
        "bounds": n_bounds,
        "mean": np.mean(values) if values else np.nan,
        "scatter": np.std(values) if values else np.nan,
        "c68": np.mean(in_68) if in_68 else np.nan,
        "c95": np.mean(in_95) if in_95 else np.nan,
        "haven": np.std(havens) if havens else np.nan,
        "haven95": np.mean(haven_in) if haven_in else np.nan,
        "seconds": seconds / seeds,
    }


ENERGY, KT_PER_K = 0.28, 8.617333262e-5
WINDOWS = (
    (600, 900, 1200),
    (600, 800, 1000, 1200),
    (500, 600, 700, 900),
    (500, 600, 750, 900, 1050, 1200),
)


def log_diffusivity(temperature, *, change, bent_at):
    """Return ln D whose barrier is `change` (eV) higher below a temperature than above it."""
    x = 1.0 / (KT_PER_K * temperature)
    return -ENERGY * x - change * max(x - 1.0 / (KT_PER_K * bent_at), 0.0)


def measured(temperature, value, *, spread, volume=1.0):
    """Return a diffusivity whose logarithm has a known standard deviation."""
    ends = value * np.exp(np.array([-1.0, 1.0]) * norm.ppf(0.975) * spread)
    tracer = Estimate(value=value, lower=ends[0], upper=ends[1], unit="cm^2/s")
    return Diffusivity(
        specie="Li", temperature=temperature, tracer=tracer, regime="diffusive", n_mobile=1,
        n_atoms=2, volume=volume, n_frames=2, duration=1.0, n_hops=1.0, hop_distance=1.0,
    )  # fmt: skip


def with_differences(points, fit):
    """Widen the statistics by what leaving out the hottest or the coldest temperature changes."""
    others = [fit_conductivity(part).statistics.value for part in (points[1:], points[:-1])]
    alone = fit.statistics
    if None in others:
        return alone.lower, alone.upper
    change = max(abs(np.log(other / alone.value)) for other in others)
    below = np.hypot(np.log(alone.value / alone.lower), change)
    above = np.hypot(np.log(alone.upper / alone.value), change)
    return alone.value * np.exp(-below), alone.value * np.exp(above)


def of_the_line(n_draws):
    """Print how often 95 % intervals of sigma(300 K) hold the truth, the barrier bent or not."""
    per = conductivity_per_diffusivity(temperature=300, n_mobile=1, volume=1, charge=1)
    print("errors of 5-30 %; a barrier that is so much higher below the middle of the window")
    print("temperatures | change (eV) | statistics | and differences | and bend | decades | curved")
    for temperatures in WINDOWS:
        bent_at = float(np.median(temperatures))
        for change in (0.0, 0.1, -0.1, 0.15):
            rng = np.random.default_rng(0)
            truth = per * np.exp(log_diffusivity(300.0, change=change, bent_at=bent_at))
            covered, widths = [], []
            for _ in range(n_draws):
                points = []
                for temperature in temperatures:
                    spread = rng.uniform(0.05, 0.3)
                    log = log_diffusivity(temperature, change=change, bent_at=bent_at)
                    value = np.exp(log + spread * rng.normal())
                    points.append(measured(temperature, value, spread=spread))
                fit = fit_conductivity(points)
                if fit.conductivity.kind != "value":
                    continue
                intervals = (
                    (fit.statistics.lower, fit.statistics.upper),
                    with_differences(points, fit),
                    (fit.conductivity.lower, fit.conductivity.upper),
                )
                covered.append([low <= truth <= high for low, high in intervals])
                widths.append([np.log10(high / low) for low, high in intervals])
            shares, decades = np.mean(covered, axis=0), np.median(widths, axis=0)
            print(
                f"{'/'.join(map(str, temperatures))} | {change:+.2f} | "
                + " | ".join(f"{share:.3f}" for share in shares)
                + f" | {decades[0]:.2f} to {decades[2]:.2f} | {n_draws - len(covered)}",
                flush=True,
            )


PRIOR_CASES = (
    ((600, 800, 1000, 1200), 0.1, 0.6),
    ((600, 900), 0.3, 1.0),
    ((750, 900, 1050), 0.3, 1.0),
)
"""Temperatures, and between which standard deviations of ln D their values lie."""


def of_the_prior(n_draws):
    """Print what a prior of one decade gives, where D0 lies so many decades from its middle."""
    per = conductivity_per_diffusivity(temperature=300, n_mobile=1, volume=50.0, charge=1)
    middle = hopping_prefactor(n_mobile=1, volume=50.0)
    print("shares of 95 % intervals of sigma(300 K) that hold the truth, and their median width")
    print("temperatures | errors of ln D | D0 off (decades) | without | with | decades")
    for temperatures, least, most in PRIOR_CASES:
        for off in (0.0, 1.0, -1.0, 2.0, -2.0):
            rng = np.random.default_rng(0)
            covered, widths = [], []
            for _ in range(n_draws):
                energy, lead, points = rng.uniform(0.15, 0.4), middle * 10**off, []
                for temperature in temperatures:
                    spread = rng.uniform(least, most)
                    log = np.log(lead) - energy / (KT_PER_K * temperature)
                    value = np.exp(log + spread * rng.normal())
                    points.append(measured(temperature, value, spread=spread, volume=50.0))
                truth = per * lead * np.exp(-energy / (KT_PER_K * 300.0))
                try:
                    fits = [fit_conductivity(points, prefactor_spread=s) for s in (None, 1.0)]
                except AnalysisError:  # too uncertain for a line
                    continue
                found = [fit.conductivity for fit in fits]
                if any(estimate.kind != "value" for estimate in found):
                    continue
                covered.append([e.lower <= truth <= e.upper for e in found])
                widths.append([np.log10(e.upper / e.lower) for e in found])
            shares, decades = np.mean(covered, axis=0), np.median(widths, axis=0)
            print(
                f"{'/'.join(map(str, temperatures))} | {least:g} to {most:g} | {off:+g} | "
                f"{shares[0]:.3f} | {shares[1]:.3f} | {decades[0]:.1f} to {decades[1]:.1f}",
                flush=True,
            )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument("--kinisi", action="store_true", help="Also run kinisi (slow).")
    parser.add_argument("--no-peers", action="store_true", help="Only ours.")
    parser.add_argument("--full", action="store_true", help="15,000 frames of 20 fs, 64 ions.")
    parser.add_argument("--line", type=int, metavar="DRAWS", help="Test the Arrhenius line only.")
    parser.add_argument("--prior", type=int, metavar="DRAWS", help="Test a prior on D0 only.")
    arguments = parser.parse_args()
    if arguments.prior:
        of_the_prior(arguments.prior)
        return
    if arguments.line:
        of_the_line(arguments.line)
        return
    methods = {"ssefw": ours}
    if not arguments.no_peers:
        methods["pymatgen max"] = pymatgen
    if arguments.kinisi:
        methods["kinisi"] = kinisi
    warnings.simplefilter("ignore")
    print(
        f"{'case':18s} {'method':13s} {'values':>7s} {'bounds':>7s} "
        f"{'mean/true':>9s} {'scatter':>8s} "
        f"{'floor':>6s} {'c68':>6s} {'c95':>6s} {'sd(H)/H':>8s} {'H c95':>6s} {'s/run':>7s}"
    )
    for name in arguments.case or CASES:
        walk = LatticeWalk(**((FULL if arguments.full else LENGTH) | CASES[name]))
        floor = (walk.string / walk.n_hops) ** 0.5
        for label, method in methods.items():
            r = judge(method, walk, arguments.seeds)
            print(
                f"{name:18s} {label:13s} {r['values']:7d} {r['bounds']:7d} "
                f"{r['mean']:9.3f} {r['scatter']:8.3f} "
                f"{floor:6.3f} {r['c68']:6.3f} {r['c95']:6.3f} {r['haven']:8.3f} "
                f"{r['haven95']:6.3f} {r['seconds']:7.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
