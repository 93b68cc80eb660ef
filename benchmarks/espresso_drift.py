"""Drift of the total energy of dynamics with pw.x that self-consistency leaves open.

    SSEFW_PSEUDO_DIR=... python benchmarks/espresso_drift.py --thresholds 1e-7 1e-8 --steps 40

Constant NVE, four atoms of Li3N at Gamma, 1 fs. Each threshold (Ry) is compared step by step with
the same run at a tight one: what Verlet's integration itself does to the energy is the same in
both, and leaves in a run of femtoseconds no drift to be seen.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from espresso_step import TIMESTEP, li3n

from ssefw.data import decode_chunk
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.espresso import EspressoEngine

TIGHT = 1e-10  # Ry
FOREVER = 1e9  # fs: a thermostat that never acts


def energies(threshold, steps):
    electrons = {"mixing_beta": 0.5, "mixing_ndim": 4, "conv_thr": threshold}
    engine = EspressoEngine(ecutwfc=30, ecutrho=300, kspacing=3.0, options={"electrons": electrons})
    settings = MDSettings(
        temperature=900, timestep=TIMESTEP, steps_per_frame=1, frames_per_chunk=1,
        damping=FOREVER, seed=1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run", key="benchmark")
        engine.md(li3n(1, moved=0.0), settings, run, until=steps)
        chunks = [decode_chunk(file.read_bytes()) for file in run.chunk_files()]
    return 1000.0 * np.array([chunk.notes["conserved_energy"] for chunk in chunks]) / 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--thresholds", type=float, nargs="+", default=[1e-7, 1e-8])
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    time = np.arange(1, arguments.steps + 1) * TIMESTEP / 1000.0
    reference = energies(TIGHT, arguments.steps)
    print(f"conv_thr (Ry) | drift against {TIGHT:g} (meV/atom/ps)")
    for threshold in arguments.thresholds:
        off = energies(threshold, arguments.steps) - reference
        (slope, _), spread = np.polyfit(time, off, 1, cov=True)
        print(f"{threshold:g} | {slope:.1f} +- {np.sqrt(spread[0, 0]):.1f}", flush=True)


if __name__ == "__main__":
    main()
