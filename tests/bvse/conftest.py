"""What the tests of site energies share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def dimension_by_walking():
    """A slow, plain answer to: in how many dimensions does a region of a periodic grid extend?"""
    return walk


def walk(region):
    """Rank of the periodic clusters of a region by a walk over the infinite crystal."""
    shape = np.array(region.shape)
    best, seen = 0, {}
    for start in map(tuple, np.argwhere(region)):
        if start in seen:
            continue
        seen[start], stack, loops = (0, 0, 0), [start], []
        while stack:
            node = stack.pop()
            for step in np.ndindex(3, 3, 3):
                raw = np.array(node) + step - 1
                other = tuple(int(x) for x in raw % shape)
                if not region[other]:
                    continue
                cell = np.array(seen[node]) + raw // shape
                if other not in seen:
                    seen[other] = tuple(cell)
                    stack.append(other)
                elif tuple(cell) != seen[other]:
                    loops.append(cell - seen[other])
        best = max(best, np.linalg.matrix_rank(loops) if loops else 0)
    return best
