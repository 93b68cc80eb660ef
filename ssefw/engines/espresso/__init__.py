"""The engine for Quantum ESPRESSO, pw.x and neb.x under custodian."""

from ssefw.engines.espresso.bands.neb_result import neb_result, read_band
from ssefw.engines.espresso.engine import EspressoEngine
from ssefw.engines.espresso.presets import known_presets

__all__ = ["EspressoEngine", "known_presets", "neb_result", "read_band"]
