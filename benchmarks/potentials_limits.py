"""How near SevenNet's kernels come to what the processor can do, in one run.

    OMP_NUM_THREADS=1 python benchmarks/potentials_limits.py

Counts the floating-point operations of a step (an addition and a multiplication for each fused one)
and the bytes that arrays too large for a cache must move at least, divides by the processor time of
a step, and sets both beside numpy's product of large matrices and its copy of a large array.
"""

import argparse
import functools
import time

import numpy as np
from ase.neighborlist import neighbor_list
from potentials_speed import lithium_sulfide

from ssefw.engines.potentials.path_kernels import KINDS, TAPS, coupled_terms
from ssefw.engines.potentials.sevennet import FastSevenNet

COMPONENTS = (0, -1, 1)
"""Of the harmonics in the frame of an edge: for the message, and for both tilts."""


def processor_time(function, repeats=9):
    """Return the least time of some calls, in s."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return min(taken)


def fused_of_path(kind):
    """Return fused multiply-adds of a path for each channel of an edge, forward and backward."""
    third = 2 * KINDS[kind][2] + 1
    terms = {component: coupled_terms(kind, component) for component in COMPONENTS}
    sent = len({k for _, k, _ in terms[0]})
    forward = TAPS + 2 * len(terms[0]) + (third * sent if third > 1 else 0) + third
    pulled = len({k for part in terms.values() for _, k, _ in part})
    features = [len({a for a, _, _ in part}) for part in terms.values()]
    backward = 2 * TAPS + (third * pulled if third > 1 else 0) + len(COMPONENTS)
    backward += sum(map(len, terms.values())) + sum(features) + features[0]
    return forward + backward


def work(network, edges_per_atom):
    """Return operations and bytes of an atom in a step."""
    fused, numbers = 0.0, 0
    for layer in network.layers:
        paths = sum(channels * fused_of_path(kind) for kind, channels, *_ in layer.layout.paths)
        turns = sum(3 * n * (2 * degree + 1) ** 2 for degree, n, _ in layer.layout.degrees)
        matrices = sum(
            2 * (2 * degree + 1) * matrix.size
            for part in (layer.connection, layer.before, layer.after)
            for degree, matrix in part.items()
        )
        fused += edges_per_atom * (paths + turns) + matrices
        # Written and read again, forward and backward.
        numbers += 4 * (layer.layout.n_features + layer.layout.n_outputs)
    return 2 * fused, numbers * np.dtype(network.dtype).itemsize


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--atoms", type=int, default=200, choices=(50, 100, 200, 400))
    parser.add_argument("--models", nargs="+", default=["l3i5", "0"])
    arguments = parser.parse_args()

    matrix = np.random.default_rng(0).random((1024, 1024), dtype=np.float32)
    product = 2 * 1024**3 / processor_time(lambda: matrix @ matrix)
    source = np.zeros(50_000_000, np.float32)
    target = source.copy()
    copy = 2 * source.nbytes / processor_time(lambda: np.copyto(target, source))
    print(f"product of matrices {product / 1e9:.0f} GFLOP/s, copy {copy / 1e9:.0f} GB/s")

    print("model | atom-steps/CPU-s | MFLOP/atom | GFLOP/s | of product | MB/atom | of copy")
    for name in arguments.models:
        atoms = lithium_sulfide(arguments.atoms)
        atoms.positions += 0.1 * np.random.default_rng(0).normal(size=atoms.positions.shape)
        calculator = FastSevenNet(model=name)
        how = atoms.positions, atoms.numbers, atoms.cell.array
        evaluate = functools.partial(calculator.evaluate, *how)
        evaluate()
        speed = len(atoms) / processor_time(evaluate)
        edges = len(neighbor_list("i", atoms, calculator.network.cutoff)) / len(atoms)
        operations, moved = work(calculator.network, edges)
        rate, traffic = operations * speed, moved * speed
        print(
            f"{name} | {speed:.0f} | {operations / 1e6:.1f} | {rate / 1e9:.0f} | "
            f"{rate / product:.0%} | {moved / 1e6:.2f} | {traffic / copy:.0%}"
        )


if __name__ == "__main__":
    main()
