"""The engine for VASP, on the building blocks of atomate2 and custodian."""

from ssefw.engines.vasp.engine import VaspEngine
from ssefw.engines.vasp.presets import Preset, Protocol, known_presets, load_preset

__all__ = ["Preset", "Protocol", "VaspEngine", "known_presets", "load_preset"]
