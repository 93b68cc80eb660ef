"""A ladder of four temperatures beside plain ASE, what storing frames costs, and memory.

    OMP_NUM_THREADS=1 python benchmarks/ladder.py speed
    OMP_NUM_THREADS=1 python benchmarks/ladder.py batch
    OMP_NUM_THREADS=1 python benchmarks/ladder.py store
    OMP_NUM_THREADS=1 python benchmarks/ladder.py memory

`speed` runs lithium sulfide at four temperatures with this engine, in two processes of one thread
that share the temperatures as two workers of `ssefw run` do, with frames stored; and with ASE's
Nose-Hoover chain and CHGNetCalculator, nothing stored: in one process of two threads, as a script
does that loops over temperatures, and in two processes of one thread, the best that one could do by
hand. They take turns, so that other load of the machine meets all. Start-up and the first
evaluation are not timed; threads that wait do not spin (OMP_WAIT_POLICY).
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from ase import units
from ase.spacegroup import crystal

TEMPERATURES = (600.0, 800.0, 1000.0, 1200.0)
REPEATS = {48: (2, 2, 1), 96: (2, 2, 2)}


def lithium_sulfide(n_atoms):
    cell = crystal(
        ["S", "Li"],
        [(0, 0, 0), (0.25, 0.25, 0.25)],
        spacegroup=225,
        cellpar=[5.708, 5.708, 5.708, 90, 90, 90],
    )
    return cell * REPEATS[n_atoms]


def structure_of(n_atoms):
    from pymatgen.io.ase import AseAtomsAdaptor

    return AseAtomsAdaptor.get_structure(lithium_sulfide(n_atoms))


def ours(n_atoms, temperatures, n_steps):
    """Run the temperatures of one worker, with frames stored."""
    import torch

    from ssefw.engines import MDSettings, RunDirectory
    from ssefw.engines.ase import AseEngine

    torch.set_num_threads(1)
    structure = structure_of(n_atoms)
    engine = AseEngine()
    with tempfile.TemporaryDirectory() as folder:
        engine.md(
            structure,
            MDSettings(temperature=300.0),
            RunDirectory(Path(folder, "w"), key="w"),
            until=10,
        )
        for _ in rounds():
            for temperature in temperatures:
                run = RunDirectory(Path(folder, f"{time.monotonic_ns()}"), key="b")
                engine.md(structure, MDSettings(temperature=temperature), run, until=n_steps)


def plain(n_atoms, temperatures, n_steps):
    """Run one temperature after the other with plain ASE and the threads of this process."""
    import torch
    from ase.md.nose_hoover_chain import NoseHooverChainNVT
    from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    calculator = CHGNetCalculator(CHGNet.load(use_device="cpu", verbose=False), use_device="cpu")
    atoms = lithium_sulfide(n_atoms)
    atoms.calc = calculator
    atoms.get_forces()
    for _ in rounds():
        for temperature in temperatures:
            atoms = lithium_sulfide(n_atoms)
            atoms.calc = calculator
            MaxwellBoltzmannDistribution(
                atoms, temperature_K=temperature, rng=np.random.default_rng(0)
            )
            dynamics = NoseHooverChainNVT(
                atoms, timestep=2 * units.fs, temperature_K=temperature, tdamp=100 * units.fs
            )
            dynamics.run(n_steps)


def rounds():
    """Wait for a word of the parent, work, and tell it how long the work took on the CPU."""
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.process_time()
        yield
        print(time.process_time() - begin, flush=True)


class Worker:
    """One of the processes that take turns."""

    def __init__(self, role, n_atoms, temperatures, n_steps, threads):
        command = [sys.executable, __file__, "worker", role, str(n_atoms), str(n_steps)]
        command += [f"{t:g}" for t in temperatures]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"},
        )

    def hear(self):
        """Return what it says next."""
        return self.process.stdout.readline().strip()

    def go(self):
        """Let it work."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        """Let it end."""
        self.process.stdin.close()
        self.process.wait()


def turn(workers):
    """Let workers work at the same time; return seconds of wall and of CPU."""
    begin = time.perf_counter()
    for worker in workers:
        worker.go()
    cpu = sum(float(worker.hear()) for worker in workers)
    return time.perf_counter() - begin, cpu


def speed(n_atoms, n_rounds):
    halves = TEMPERATURES[::2], TEMPERATURES[1::2]
    teams = {
        "ssefw, 2 processes of 1 thread": (
            20,
            [Worker("ours", n_atoms, half, 20, 1) for half in halves],
        ),
        "ASE + CHGNet, 1 process of 2 threads": (
            4,
            [Worker("plain", n_atoms, TEMPERATURES, 4, 2)],
        ),
        "ASE + CHGNet, 2 processes of 1 thread": (
            4,
            [Worker("plain", n_atoms, half, 4, 1) for half in halves],
        ),
    }
    for _, team in teams.values():
        for worker in team:
            while worker.hear() != "ready":  # CHGNetCalculator says something first
                if worker.process.poll() is not None:
                    raise SystemExit("a worker died")
    rates = []
    for _ in range(n_rounds):
        spent = {name: turn(team) for name, (_, team) in teams.items()}
        done = {name: n_atoms * len(TEMPERATURES) * n for name, (n, _) in teams.items()}
        rates.append([[done[name] / seconds for seconds in spent[name]] for name in teams])
        print("  round:", " ".join(f"{wall:.0f}" for wall, _ in rates[-1]), flush=True)
    for _, team in teams.values():
        for worker in team:
            worker.end()
    rates = np.array(rates)  # round, team, (wall, CPU)
    ratios = np.median(rates[:, :1] / rates, axis=0)
    print(f"{n_atoms} atoms, {len(TEMPERATURES)} temperatures; atom-steps of the whole ladder")
    print(f"  {'':38s} {'a second':>10s} {'a CPU second':>14s} {'ssefw is faster':>24s}")
    for name, (wall, cpu), (by_clock, by_cpu) in zip(
        teams, np.median(rates, axis=0), ratios, strict=True
    ):
        print(f"  {name:38s} {wall:10.0f} {cpu:14.0f} {by_clock:12.2f} {by_cpu:11.2f} (CPU)")


def batch(n_replicas=4, n_rounds=6):
    """Replicas in one pass beside one after the other, in CPU time of one thread."""
    import torch

    from ssefw.engines.potentials.chgnet import FastCHGNet

    torch.set_num_threads(1)
    fast = FastCHGNet(threads=1)
    rng = np.random.default_rng(0)
    for n_atoms in (12, *REPEATS):
        atoms = (
            lithium_sulfide(48)
            if n_atoms != 12
            else crystal(
                ["S", "Li"],
                [(0, 0, 0), (0.25,) * 3],
                spacegroup=225,
                cellpar=[5.708] * 3 + [90] * 3,
            )
        )
        if n_atoms in REPEATS:
            atoms = lithium_sulfide(n_atoms)
        times = []
        positions = atoms.positions + 0.1 * rng.normal(size=(n_replicas, len(atoms), 3))
        singles = [FastCHGNet(threads=1) for _ in range(n_replicas)]
        for k in range(n_rounds):
            now = positions + 0.01 * k
            begin = time.process_time()
            fast.evaluate(now, atoms.numbers, atoms.cell.array)
            middle = time.process_time()
            for single, one in zip(singles, now, strict=True):
                single.evaluate(one[None], atoms.numbers, atoms.cell.array)
            times.append((time.process_time() - middle, middle - begin))
        ratio = np.median([single / together for single, together in times[1:]])
        print(
            f"{len(atoms)} atoms: {n_replicas} replicas in one pass {ratio:.2f} x as fast as singly"
        )


def store(n_atoms=48, n_steps=200):
    """Share of CPU time that goes into stored frames: chunks on disk, then blobs."""
    import torch

    from ssefw.engines import MDSettings, RunDirectory, run_directory
    from ssefw.engines.ase import AseEngine
    from ssefw.store.frames.blobs import FileBlobs
    from ssefw.store.frames.trajectories import TrajectoryStore

    torch.set_num_threads(1)
    spent = {"cpu": 0.0, "wall": 0.0}
    append = run_directory.RunDirectory.append

    def timed(self, chunk):
        cpu, wall = time.process_time(), time.perf_counter()
        append(self, chunk)
        spent["cpu"] += time.process_time() - cpu
        spent["wall"] += time.perf_counter() - wall

    run_directory.RunDirectory.append = timed
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder, "run"), key="k")
        cpu, wall = time.process_time(), time.perf_counter()
        AseEngine().md(structure_of(n_atoms), MDSettings(temperature=900.0), run, until=n_steps)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        after = time.process_time(), time.perf_counter()
        keeper = TrajectoryStore(FileBlobs(Path(folder, "blobs")))
        for segment in run.segments():
            keeper.put_frames("k", segment, run.chunks_of(segment))
        blobs = time.process_time() - after[0], time.perf_counter() - after[1]
    print(f"{n_atoms} atoms, {n_steps} steps, a frame every 10")
    print(
        f"  chunks: {spent['cpu'] / cpu:.2%} of CPU time, {spent['wall'] / wall:.2%} by the clock"
    )
    print(f"  blobs:  {blobs[0] / cpu:.2%} of CPU time, {blobs[1] / wall:.2%} by the clock")


def memory():
    """Peak memory of a run, and of reading one with and without analysis, 1 x and 10 x as long."""
    for role in ("run", "read", "analyze"):
        peaks = []
        for n_steps in (4000, 40000):
            command = [sys.executable, __file__, "peak", role, str(n_steps)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks.append(float(done.stdout.split()[-1]))
        print(f"{role:8s} {peaks[0]:6.1f} MB at 1 x, {peaks[1]:6.1f} MB at 10 x the length")


def peak(role, n_steps):
    """Print by how much the peak memory rises in one role, MB."""
    from pymatgen.core import Lattice, Structure

    from ssefw.analysis import estimate_diffusivity
    from ssefw.data import Chunk
    from ssefw.documents import Segment, Trajectory
    from ssefw.engines import MDSettings, RunDirectory
    from ssefw.engines.ase import AseEngine
    from ssefw.makers.diffusivity import read_frames
    from ssefw.store.frames.blobs import FileBlobs
    from ssefw.store.frames.trajectories import TrajectoryStore

    def top():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0

    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    with tempfile.TemporaryDirectory() as folder:
        if role == "run":
            engine = AseEngine(calculator="ase.calculators.emt.EMT")
            settings = MDSettings(temperature=300.0, steps_per_frame=2)
            engine.md(copper, settings, RunDirectory(Path(folder, "w"), key="w"), until=100)
            before = top()
            run = RunDirectory(Path(folder, "r"), key="r")
            engine.md(copper, settings, run, until=n_steps // 4)
        else:
            cell = copper * (3, 3, 3)
            keeper = TrajectoryStore(FileBlobs(Path(folder, "b")))
            rng = np.random.default_rng(0)
            segments, position = [], cell.cart_coords
            for index, first in enumerate(range(0, n_steps, 1000)):
                walk = position + 0.05 * rng.normal(size=(1000, 1, 1)).cumsum(axis=0) / 30
                walk = walk + 0.1 * rng.normal(size=(1000, len(cell), 3))
                chunk = Chunk(
                    first, first + 1000, first, walk, *np.ones((2, 1000)), cell.lattice.matrix
                )
                segment = Segment(
                    index=index, first_step=first, last_step=first + 1000, first_frame=first,
                    n_frames=1000, velocities="continued", end_reason="complete",
                    settings_hash="s", wall_time=1.0,
                )  # fmt: skip
                segments.append(keeper.put_frames("k", segment, [chunk]))
            ledger = Trajectory(
                key="k", candidate_id="c", temperature=300.0, timestep=2.0, steps_per_frame=1,
                equilibration_steps=0, target_steps=n_steps, seed=0, thermostat="nose-hoover",
                structure=cell, segments=tuple(segments),
            )  # fmt: skip
            before = top()
            if role == "read":
                for chunk in keeper.chunks(ledger):
                    del chunk
            else:
                estimate_diffusivity(read_frames(ledger, keeper), specie="Cu", temperature=300.0)
    print(top() - before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("speed", "batch", "store", "memory", "worker", "peak"))
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--atoms", type=int, choices=tuple(REPEATS), default=48)
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.what == "worker":
        role, n_atoms, n_steps, *temperatures = arguments.rest
        work = {"ours": ours, "plain": plain}[role]
        work(int(n_atoms), [float(t) for t in temperatures], int(n_steps))
    elif arguments.what == "peak":
        peak(arguments.rest[0], int(arguments.rest[1]))
    elif arguments.what == "speed":
        speed(arguments.atoms, arguments.rounds)
    else:
        {"batch": batch, "store": store, "memory": memory}[arguments.what]()


if __name__ == "__main__":
    main()
