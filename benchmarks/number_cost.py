"""What a conductivity costs: a fixed protocol, an adaptive ladder, and long runs at 300 K.

    OMP_NUM_THREADS=1 python benchmarks/number_cost.py --seeds 20

Walks whose diffusivity is known stand for dynamics: 32 ions in one cell, hops of 1e13 attempts a
second over one barrier. The fixed protocol runs 30 ps at 600, 800, 1000 and 1200 K, with 2 ps
before each. Its median interval of log10 sigma(300 K), of the statistics, is what the adaptive
ladder is asked for: that one chooses among temperatures from 400 to 1200 K and lets each run go on
by its length policy. A direct run is as long as the same interval needs at 300 K, by the hops that
it takes. All have the same cell and engine, so that core-hours go as picoseconds.

Printed: median ps, the median interval, how often it holds the truth, ps for each decade that an
interval is narrower than ten decades, which is to know nothing, and the ratio to the fixed
protocol.
"""

import argparse
import itertools
import math
import time
import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from ssefw.analysis import (
    Frames,
    conductivity_per_diffusivity,
    estimate_diffusivity,
    fit_conductivity,
    log_spread,
)
from ssefw.analysis.synthetic import LatticeWalk
from ssefw.documents import Conductivity, Diffusivity
from ssefw.errors import AnalysisError
from ssefw.makers import AdaptivePolicy, LengthPolicy
from ssefw.units import BOLTZMANN_EV_PER_K

BARRIERS = (0.2, 0.3, 0.4)
ATTEMPTS = 10.0
"""Per ps."""
IONS, FRAME = 32, 0.05
FIXED = (600.0, 800.0, 1000.0, 1200.0)
CHOICES = tuple(float(t) for t in range(400, 1201, 100))
SKIPPED = 2.0
ROOM = 300.0
NOTHING_KNOWN = 10.0
"""Decades."""


@dataclass
class Material:
    """Runs of one material, which go on where they ended."""

    barrier: float
    seed: int
    most: float
    done: dict[float, float] = field(default_factory=dict)
    frames: dict[float, Frames] = field(default_factory=dict)

    def rate(self, temperature: float) -> float:
        """Return hops of an ion per ps."""
        return ATTEMPTS * math.exp(-self.barrier / (BOLTZMANN_EV_PER_K * temperature))

    def walk(self, temperature: float, length: float) -> LatticeWalk:
        """Return the walk that stands for a run of so many ps."""
        return LatticeWalk(
            n_cells=3,
            n_ions=IONS,
            n_frames=round((length - SKIPPED) / FRAME) + 1,
            timestep=1000.0 * FRAME,
            rate=self.rate(temperature),
        )

    def run(self, temperature: float, length: float) -> Diffusivity:
        """Return what a run of so many ps says, its start left out."""
        self.done[temperature] = max(length, self.done.get(temperature, 0.0))
        if temperature not in self.frames:
            longest = self.walk(temperature, self.most)
            self.frames[temperature] = longest.frames(hash((self.seed, temperature)) % 2**32)
        whole = self.frames[temperature]
        n_frames = self.walk(temperature, length).n_frames
        found = estimate_diffusivity(
            replace(whole, positions=whole.positions[:n_frames]),
            temperature=temperature,
            trajectory_key=f"{temperature:g}",
            # Not measured: these ions do not see each other, and two may share a site.
            hop_distance=self.walk(temperature, length).spacing,
        )
        return found.model_copy(update={"equilibration": SKIPPED})

    @property
    def spent(self) -> float:
        """Return the ps so far."""
        return sum(self.done.values())

    @property
    def truth(self) -> float:
        """Return its conductivity at 300 K in S/cm."""
        walk = self.walk(ROOM, 10.0)
        volume = (walk.n_cells * walk.spacing) ** 3
        return walk.tracer * conductivity_per_diffusivity(
            temperature=ROOM, n_mobile=IONS, volume=volume, charge=1.0
        )


def width(fit: Conductivity | None) -> float | None:
    estimate = (fit.statistics or fit.conductivity) if fit else None
    if estimate is None or not estimate.lower or not estimate.upper:
        return None
    return math.log10(estimate.upper / estimate.lower)


def fixed(material: Material) -> Conductivity | None:
    found = [material.run(t, 30.0 + SKIPPED) for t in FIXED]
    return fitted(found)


def fitted(found: list[Diffusivity]) -> Conductivity | None:
    try:
        return fit_conductivity(found, temperature=ROOM)
    except AnalysisError:
        return None


def adaptive(material: Material, target: float, *, length: float, most: float) -> Conductivity:
    """Climb as `LadderMaker` does."""
    policy = AdaptivePolicy(interval_decades=target, max_runs=len(CHOICES))
    lengths = LengthPolicy(relative_error=0.3, max_length=most, step=length)
    found: dict[float, Diffusivity] = {}
    tried: dict[float, float] = {}
    while True:
        choice = policy.choose(
            list(found.values()),
            temperatures=CHOICES,
            tried=tried,
            temperature=ROOM,
            length=length,
            skipped=SKIPPED,
            length_policy=lengths,
            done=material.done,
            hours_per_ps=1.0,
            hours=material.spent,
        )
        if not choice.temperatures:
            return fitted(list(found.values()))
        for temperature in choice.temperatures:
            found[temperature] = material.run(temperature, choice.length)
            tried[temperature] = choice.length


def direct_length(material: Material, variance_per_hop: float, target: float) -> float:
    """Return the ps at 300 K until the interval of log10 sigma is as wide as `target`."""
    spread = target * math.log(10.0) / (2.0 * 1.96)
    hops = max(20.0, variance_per_hop / spread**2)
    return SKIPPED + hops / (IONS * material.rate(ROOM))


def least_share(barrier: float) -> float:
    """Return the share of the fixed protocol's ps that could do, were E_a known beforehand.

    The variance of ln D is as the number of hops, and the line is drawn through the best two of the
    temperatures, in the best proportion.
    """

    def variance(temperatures: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        x = 1.0 / (BOLTZMANN_EV_PER_K * temperatures)
        hops = lengths * np.exp(-barrier * x)
        total = hops.sum(axis=-1, keepdims=True)
        mean = (hops * x).sum(axis=-1, keepdims=True) / total
        lever = 1.0 / (BOLTZMANN_EV_PER_K * ROOM) - mean
        return (1.0 / total + lever**2 / (hops * (x - mean) ** 2).sum(-1, keepdims=True))[..., 0]

    wanted = float(variance(np.array(FIXED), np.full(len(FIXED), 30.0)))
    shares = np.linspace(0.01, 0.99, 99)[:, None] * [1.0, -1.0] + [0.0, 1.0]
    least = min(
        float(variance(np.array(pair), shares).min()) / wanted
        for pair in itertools.combinations(CHOICES, 2)
    )
    return (least + 2.0 * SKIPPED) / (len(FIXED) * (30.0 + SKIPPED))


def holds(fit: Conductivity | None, truth: float, *, of: str) -> bool:
    estimate = fit and (fit.statistics or fit.conductivity if of == "line" else fit.conductivity)
    if estimate is None:
        return False
    return (estimate.lower or 0.0) <= truth <= (estimate.upper or math.inf)


def miss(fits: list[Conductivity | None], truth: float) -> float:
    """Return the decades by which values are off the truth, root mean square."""
    values = [fit.conductivity.value for fit in fits if fit and fit.conductivity.value]
    return float(np.sqrt(np.mean(np.log10(np.array(values) / truth) ** 2)))


def line(name: str, ps: list[float], widths: list[float], covered: float, base: float) -> str:
    decades = np.median(widths) if widths else math.nan
    cost = np.median(ps)
    each = cost / (NOTHING_KNOWN - decades)
    return (
        f"  {name:22s} {cost:10.3g} ps  {decades:5.2f} decades  holds {covered:4.0%}  "
        f"{each:9.3g} ps a decade  {cost / base:8.3g} x"
    )


def measure(barrier: float, seeds: int, *, length: float, most: float) -> None:
    began = time.process_time()
    materials = [Material(barrier, seed, most) for seed in range(seeds)]
    fits = [fixed(material) for material in materials]
    widths = [w for fit in fits if (w := width(fit)) is not None]
    base = float(np.median([material.spent for material in materials]))
    print(f"E_a {barrier:g} eV: {len(widths)} of {seeds} fixed protocols give an interval")
    if not widths:
        return
    target = float(np.median(widths))
    truth = materials[0].truth
    cover = np.mean([holds(fit, truth, of="line") for fit in fits])
    print(line("fixed, 4 x 30 ps", [m.spent for m in materials], widths, cover, base))
    climbers = [Material(barrier, 1000 + seed, most) for seed in range(seeds)]
    ends = [adaptive(m, target, length=length, most=most) for m in climbers]
    reached = [w for fit in ends if (w := width(fit)) is not None]
    cover = np.mean([holds(fit, truth, of="line") for fit in ends])
    print(line("adaptive ladder", [m.spent for m in climbers], reached, cover, base))
    wide = sum(w > target * 1.001 for w in reached) + seeds - len(reached)
    mean = np.mean([material.spent for material in climbers])
    print(f"    {wide} of {seeds} ended wider than asked, mean {mean:.3g} ps")
    off = miss(fits, truth), miss(ends, truth)
    print(f"    off the truth by {off[0]:.2f} (fixed) and {off[1]:.2f} decades (adaptive), r.m.s.")
    print(f"    least possible, were E_a known beforehand: {least_share(barrier):.2f} x")
    hot = [material.run(1200.0, 30.0 + SKIPPED) for material in materials]
    resolved = [found for found in hot if found.tracer.kind == "value"]
    per_hop = float(np.median([log_spread(d.tracer) ** 2 * d.n_hops for d in resolved]))
    long = direct_length(materials[0], per_hop, target)
    print(line("direct at 300 K", [long], [target], math.nan, base))
    print(f"    {time.process_time() - began:.0f} CPU-seconds", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--length", type=float, default=10.0, help="ps of a rung of the adaptive")
    parser.add_argument("--most", type=float, default=100.0, help="ps to which a rung may grow")
    parser.add_argument("--barrier", type=float, action="append")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for barrier in arguments.barrier or BARRIERS:
        measure(barrier, arguments.seeds, length=arguments.length, most=arguments.most)


if __name__ == "__main__":
    main()
