"""Speed of the analysis beside pymatgen-analysis-diffusion, in one run.

200 atoms (64 mobile), 15,000 frames of 20 fs. What pymatgen does in minutes is measured on fewer
frames or lags and scaled, as the column says. Times are seconds of processor, so that other work on
the machine falls out, and wall; ratios are of processor time.

    python benchmarks/analysis.py
"""

import resource
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from ssefw.analysis import (
    Frames,
    collective_msd,
    density_map,
    estimate_diffusivity,
    mean_squared_displacement,
    unwrapped_paths,
    van_hove,
)
from ssefw.analysis.synthetic import LatticeWalk

N_FRAMES, N_ATOMS, N_IONS = 15_000, 200, 64


def system():
    """Return the trajectory: 64 ions and 136 framework atoms."""
    walk = LatticeWalk(n_cells=6, n_ions=N_IONS, n_frames=N_FRAMES)
    frames = walk.frames(0)
    return replace(
        frames, positions=frames.positions[:, :N_ATOMS].copy(), species=frames.species[:N_ATOMS]
    )


def timed(function, *, repeat=1):
    """Return the least processor and wall seconds and the result."""
    best = (np.inf, np.inf)
    result = None
    for _ in range(repeat):
        cpu, wall = time.process_time(), time.perf_counter()
        result = function()
        best = min(best, (time.process_time() - cpu, time.perf_counter() - wall))
    return best, result


def first(frames, n_frames):
    """Return the first frames."""
    return replace(frames, positions=frames.positions[:n_frames])


def structure_of(frames):
    from pymatgen.core import Structure

    return Structure(frames.lattice, frames.species, frames.positions[0], coords_are_cartesian=True)


def analyzer(frames, smoothed, **settings):
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer

    paths, _ = unwrapped_paths(frames, specie="Li", reference="none")
    displacements = np.ascontiguousarray(paths.transpose(1, 0, 2))
    structure = structure_of(frames)
    return timed(
        lambda: DiffusionAnalyzer(
            structure, displacements, "Li", 900, 20, 1, smoothed=smoothed, **settings
        )
    )


def drift_and_both_msd(frames):
    """Drift, tracer MSD and collective MSD at every lag."""
    mobile, _ = unwrapped_paths(frames, specie="Li", only="Li")
    return mean_squared_displacement(mobile), collective_msd(mobile)


def write_xdatcar(frames, path):
    """Write a fixed-cell XDATCAR."""
    box = np.diag(frames.lattice)
    with path.open("w") as file:
        file.write(f"walk\n1.0\n{box[0]} 0 0\n0 {box[1]} 0\n0 0 {box[2]}\n")
        file.write(f"Li S\n{N_IONS} {N_ATOMS - N_IONS}\n")
        for k, positions in enumerate(frames.positions):
            file.write(f"Direct configuration={k + 1:6d}\n")
            file.write(("%12.8f%12.8f%12.8f\n" * N_ATOMS) % tuple((positions / box).ravel()))


def pymatgen_from_file(path):
    """Go the way of pymatgen: Structures, then DiffusionAnalyzer."""
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.io.vasp import Xdatcar

    structures = Xdatcar(path).structures
    return DiffusionAnalyzer.from_structures(structures, "Li", 900, 20, 1, smoothed="max")


FROM_FILE = """
import pathlib, sys, time
from ssefw.analysis import estimate_diffusivity
from ssefw.analysis.readers import read_frames
cpu, wall = time.process_time(), time.perf_counter()
found = estimate_diffusivity(read_frames(sys.argv[1], timestep=20.0, stride=1), temperature=900.0)
status = pathlib.Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(time.process_time() - cpu, time.perf_counter() - wall, peak)
"""


def ssefw_from_file(path):
    """Return processor and wall seconds and peak MB of a process that goes from file to D."""
    for _ in range(2):  # the first compiles
        out = subprocess.run(
            [sys.executable, "-c", FROM_FILE, str(path)], capture_output=True, text=True, check=True
        ).stdout.split()
    return float(out[0]), float(out[1]), float(out[2])


def row(name, ours, theirs, scale=1.0, note=""):
    """Print one line of the table."""
    (cpu, wall), (their_cpu, their_wall) = ours, theirs
    print(
        f"{name:34s} {cpu:9.3f} {wall:9.3f} {their_cpu * scale:10.2f} {their_wall * scale:10.2f} "
        f"{their_cpu * scale / cpu:9.0f}x  {note}",
        flush=True,
    )


def compare_msd(frames):
    floor, _ = timed(lambda: float(frames.positions.sum()), repeat=3)
    ours, _ = timed(lambda: drift_and_both_msd(frames), repeat=3)
    most, _ = analyzer(frames, "max")
    row("drift + MSD + collective / max", ours, most)
    constant, _ = analyzer(first(frames, 1200), "constant")
    scale = (N_FRAMES - 1000) / 200
    row("  / constant", ours, constant, scale, f"200 of {N_FRAMES - 1000} lags, scaled")
    whole, _ = timed(lambda: estimate_diffusivity(frames, temperature=900.0), repeat=2)
    row("everything to D with interval / max", whole, most)
    print(f"  one pass over the data: {floor[0]:.3f} s; ours takes {ours[0] / floor[0]:.1f} passes")


def compare_files(frames, n_theirs=500):
    with tempfile.TemporaryDirectory() as folder:
        long, short = Path(folder) / "XDATCAR", Path(folder) / "XDATCAR_short"
        write_xdatcar(frames, long)
        write_xdatcar(first(frames, n_theirs), short)
        cpu, wall, memory = ssefw_from_file(long)
        theirs, _ = timed(lambda: pymatgen_from_file(short))
    row(
        "XDATCAR to D",
        (cpu, wall),
        theirs,
        N_FRAMES / n_theirs,
        f"{n_theirs} frames, scaled; ours peaks at {memory:.0f} MB",
    )


def compare_van_hove(frames, n_theirs=200):
    from pymatgen.analysis.diffusion.aimd.van_hove import VanHoveAnalysis

    times = np.arange(300) * 49 * 0.02
    van_hove(first(frames, 200), times=[0.0, 1.0])
    ours, found = timed(lambda: van_hove(frames, times=times, n_self_origins=50), repeat=2)
    _, analyzed = analyzer(first(frames, n_theirs), smoothed=False)
    theirs, _ = timed(lambda: VanHoveAnalysis(analyzed, species=["Li"]))
    n_lags = (n_theirs - 50) // 50 + 1
    row("van Hove, 300 lags x 50 origins", ours, theirs, 300 / n_lags, f"{n_lags} lags, scaled")
    tails = found.distinct_part[:, 50:90].mean(axis=1)
    start, middle, end = tails[[0, 150, -1]]
    print(f"  mean of G_d from 5 to 9 A: first {start:.3f}, middle {middle:.3f}, last {end:.3f}")


def compare_density(frames, n_theirs=1000):
    from pymatgen.analysis.diffusion.aimd.pathway import ProbabilityDensityAnalysis

    density_map(first(frames, 100))
    ours, _ = timed(lambda: density_map(frames, spacing=0.5), repeat=3)
    part = first(frames, n_theirs)
    structure = structure_of(frames)
    coords = part.positions @ np.linalg.inv(part.lattice)
    theirs, _ = timed(
        lambda: ProbabilityDensityAnalysis(structure, coords, interval=0.5, species=("Li",))
    )
    row("density on a 0.5 A grid", ours, theirs, N_FRAMES / n_theirs, f"{n_theirs} frames, scaled")


def scaling(frames):
    print("cost of drift + MSD + collective MSD:")
    for n_frames in (3_750, 7_500, 15_000):
        seconds, _ = timed(lambda n=n_frames: drift_and_both_msd(first(frames, n)), repeat=3)
        print(f"  {n_frames:6d} frames  {seconds[0]:.3f} s")
    for copies in (1, 2):
        wide = Frames(
            np.concatenate([frames.positions[:7_500]] * copies, axis=1),
            frames.lattice,
            frames.species * copies,
            frames.timestep,
        )
        seconds, _ = timed(lambda w=wide: drift_and_both_msd(w), repeat=3)
        print(f"  {wide.n_atoms:6d} atoms   {seconds[0]:.3f} s (7,500 frames)")


def main():
    """Print the table."""
    warnings.simplefilter("ignore")
    frames = system()
    estimate_diffusivity(first(frames, 200), temperature=900.0)
    print(f"{'':34s} {'ours cpu':>9s} {'wall':>9s} {'peer cpu':>10s} {'wall':>10s} {'ratio':>10s}")
    compare_msd(frames)
    compare_files(frames)
    compare_van_hove(frames)
    compare_density(frames)
    scaling(frames)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, peers included: {peak:.0f} MB")


if __name__ == "__main__":
    main()
