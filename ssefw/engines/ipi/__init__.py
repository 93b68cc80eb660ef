"""Forces of another program, over the socket protocol of i-PI, and dynamics that use them."""

from ssefw.engines.ipi.dynamics import ServedDriver
from ssefw.engines.ipi.engine import SocketEngine
from ssefw.engines.ipi.forces import OUTPUTS_KEPT, ServedForces
from ssefw.engines.ipi.server import Answer, ForceServer, ProgramEndedError

__all__ = [
    "OUTPUTS_KEPT",
    "Answer",
    "ForceServer",
    "ProgramEndedError",
    "ServedDriver",
    "ServedForces",
    "SocketEngine",
]
