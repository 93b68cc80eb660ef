"""Forces of another program, over the socket protocol of i-PI, and dynamics that use them."""

from ssefw.engines.ipi.dynamics import ServedDriver
from ssefw.engines.ipi.server import Answer, ForceServer, ProgramEndedError

__all__ = ["Answer", "ForceServer", "ProgramEndedError", "ServedDriver"]
