"""Any calculator of ASE as an engine: dynamics, relaxation and bands in this process."""

from ssefw.engines.ase.engine import AseEngine

__all__ = ["AseEngine"]

# Stored records, and what is hashed of them, name this path.
AseEngine.__module__ = __name__
