"""The cell at a temperature: looked for before dynamics, by dynamics."""

from ssefw.makers.volume.maker import VolumeMaker
from ssefw.makers.volume.policy import STRESSES, VolumePolicy, at_temperature, volume_gate

__all__ = ["STRESSES", "VolumeMaker", "VolumePolicy", "at_temperature", "volume_gate"]

# Stored jobs and what is hashed of them name this path.
for _part in (VolumeMaker, VolumePolicy):
    _part.__module__ = __name__
