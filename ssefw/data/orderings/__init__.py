"""Ordered cells that stand for a disordered crystal."""

from ssefw.data.orderings.files import write_orderings
from ssefw.data.orderings.ordering import cell_size, order_crystal

__all__ = ["cell_size", "order_crystal", "write_orderings"]
