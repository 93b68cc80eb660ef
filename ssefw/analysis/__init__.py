"""From the frames of a trajectory to diffusivity and conductivity: arrays in, numbers out."""

from ssefw.analysis.arrhenius import conductivity_per_diffusivity, fit_conductivity
from ssefw.analysis.diffusivity import estimate_diffusivity, hop_count_rsd
from ssefw.analysis.msd import mean_squared_displacement, msd_tensor
from ssefw.analysis.trajectory import Frames, join_frames, slice_frames, unwrapped_paths

__all__ = [
    "Frames",
    "conductivity_per_diffusivity",
    "estimate_diffusivity",
    "fit_conductivity",
    "hop_count_rsd",
    "join_frames",
    "mean_squared_displacement",
    "msd_tensor",
    "slice_frames",
    "unwrapped_paths",
]
