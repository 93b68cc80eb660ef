"""NEP, a fast local potential: energies, dynamics and training in compiled loops."""

from ssefw.nep.dynamics import Leash, MDFrames, MDState, Thermostat, advance
from ssefw.nep.energy import Evaluation, evaluate
from ssefw.nep.frames import LabelledFrame, TrainingSet
from ssefw.nep.model import NEP, read_nep
from ssefw.nep.training import FitErrors, TrainingSettings, errors_on, fit, new_model

__all__ = [
    "NEP",
    "Evaluation",
    "FitErrors",
    "LabelledFrame",
    "Leash",
    "MDFrames",
    "MDState",
    "Thermostat",
    "TrainingSet",
    "TrainingSettings",
    "advance",
    "errors_on",
    "evaluate",
    "fit",
    "new_model",
    "read_nep",
]

# Stored records, and what is hashed of them, name this path.
TrainingSettings.__module__ = __name__
