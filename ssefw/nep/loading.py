"""One machine code for each compiled loop, whatever a process calls first.

A compiled function holds a copy of those it calls, optimized in its place, and these sums may be
reordered (fastmath). Of several copies of a function the first that a process loads serves all, so
that the last bits of dynamics would depend on whether forces were asked for before, or on whether
the loops were compiled just now or came from numba's cache. A lesson that was killed would then go
on to another potential. So the loops that others call are loaded by themselves, in one order,
before any is used.
"""

from functools import cache

import numpy as np

from ssefw.nep.angular import N_INVARIANTS
from ssefw.nep.basis import KNOTS
from ssefw.nep.energy import energy_and_forces
from ssefw.nep.gradient import weight_gradient
from ssefw.nep.model import NEP

__all__ = ["load_loops"]


@cache
def load_loops() -> None:
    """Call the loops that others call, once in a process, on a crystal without atoms."""
    size = 2 + N_INVARIANTS
    model = NEP(
        species=("H",),
        radial_cutoff=2.0,
        angular_cutoff=2.0,
        first=np.zeros((1, 1, size)),
        bias=np.zeros((1, 1)),
        last=np.zeros((1, 1)),
        offset=0.0,
        radial=np.zeros((1, 2, 1)),
        angular=np.zeros((1, 1, 1)),
        scale=np.ones(size),
        low=np.zeros((1, size)),
        high=np.zeros((1, size)),
    )
    types, start = np.zeros(0, np.int64), np.zeros(1, np.int64)
    index, vectors = np.zeros(0, np.int32), np.zeros((0, 3))
    forces, virial = np.zeros((0, 3)), np.zeros((3, 3))
    energy_and_forces(vectors, types, start, index, vectors, model.tables, forces, virial)
    table, knots = np.zeros((KNOTS, 4, 1)), 1.0
    weights = (model.first, model.bias, model.last, model.radial, model.angular)
    weight_gradient(
        types, start, index, vectors, model.radial_cutoff, model.angular_cutoff,
        table, knots, table, knots, *weights, 0.0, forces, virial, *weights, np.zeros((0, size)),
    )  # fmt: skip
