"""Drift of the total energy of dynamics with pw.x that self-consistency leaves open.

    SSEFW_PSEUDO_DIR=... python benchmarks/espresso_drift.py --thresholds 1e-9 1e-10 --steps 40

Constant NVE, four atoms of Li3N at Gamma, 1 fs. Each threshold (Ry for each atom) is compared step
by step with the same run at a tight one: what Verlet's integration itself does to the energy is the
same in both, and leaves in a run of femtoseconds no drift to be seen. Electronic iterations
of a step say what a threshold costs; `--density` and `--waves` begin them otherwise than the
presets.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from espresso_step import TIMESTEP, iterations, li3n

from ssefw.data import decode_chunk
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.espresso import EspressoEngine

TIGHT = 1e-13  # Ry for each atom
FOREVER = 1e9  # fs: a thermostat that never acts


def energies(threshold, steps, ions):
    """Return the conserved energy of each step (meV/atom) and electronic iterations a step."""
    electrons = {"mixing_beta": 0.5, "mixing_ndim": 4, "conv_thr": 4 * threshold}
    options = {"electrons": electrons, "ions": ions}
    engine = EspressoEngine(ecutwfc=30, ecutrho=300, kspacing=3.0, options=options)
    settings = MDSettings(
        temperature=900, timestep=TIMESTEP, steps_per_frame=1, frames_per_chunk=1,
        damping=FOREVER, seed=1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder) / "run", key="benchmark")
        engine.md(li3n(1, moved=0.0), settings, run, until=steps)
        chunks = [decode_chunk(file.read_bytes()) for file in run.chunk_files()]
        rounds = iterations(run.path / "espresso" / "pw.out") / steps
    return 1000.0 * np.array([chunk.notes["conserved_energy"] for chunk in chunks]) / 4, rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--thresholds", type=float, nargs="+", default=[1e-9, 1e-10])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--density", default="second_order", help="pot_extrapolation")
    parser.add_argument("--waves", default="second_order", help="wfc_extrapolation")
    arguments = parser.parse_args()
    ions = {"pot_extrapolation": arguments.density, "wfc_extrapolation": arguments.waves}
    time = np.arange(1, arguments.steps + 1) * TIMESTEP / 1000.0
    reference, rounds = energies(TIGHT, arguments.steps, ions)
    print("Ry for each atom | drift against the first (meV/atom/ps) | electronic iterations a step")
    print(f"{TIGHT:g} | | {rounds:.1f}", flush=True)
    for threshold in arguments.thresholds:
        energy, rounds = energies(threshold, arguments.steps, ions)
        (slope, _), spread = np.polyfit(time, energy - reference, 1, cov=True)
        drift = f"{slope:.2f} +- {np.sqrt(spread[0, 0]):.2f}"
        print(f"{threshold:g} | {drift} | {rounds:.1f}", flush=True)


if __name__ == "__main__":
    main()
