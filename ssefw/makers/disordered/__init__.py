"""Disordered crystals as candidates: their ordered cells are replicas, and their spread counts."""

from ssefw.makers.disordered.maker import DisorderedMaker

# Records name it so, and keys hash that.
DisorderedMaker.__module__ = __name__

__all__ = ["DisorderedMaker"]
