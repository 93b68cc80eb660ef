"""The engine for Quantum ESPRESSO, pw.x and neb.x under custodian."""

from ssefw.engines.espresso.engine import EspressoEngine
from ssefw.engines.espresso.presets import known_presets
from ssefw.engines.espresso.results import neb_result, read_band

__all__ = ["EspressoEngine", "known_presets", "neb_result", "read_band"]
