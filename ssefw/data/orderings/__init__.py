"""Ordered cells that stand for a disordered crystal."""

from ssefw.data.orderings.files import write_orderings
from ssefw.data.orderings.ordering import order_crystal

__all__ = ["order_crystal", "write_orderings"]
