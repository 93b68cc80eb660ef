"""From the frames of a trajectory to diffusivity and conductivity: arrays in, numbers out."""

from ssefw.analysis.arrangements import pool_conductivities
from ssefw.analysis.arrhenius import (
    conductivity_per_diffusivity,
    fit_conductivity,
    predict_conductivity,
)
from ssefw.analysis.density import DensityMap, density_map, write_chgcar, write_cube
from ssefw.analysis.diffusivity import estimate_diffusivity, hop_count_rsd
from ssefw.analysis.jumps import Jumps, correlation_factor, find_jumps, find_sites
from ssefw.analysis.msd import collective_msd, mean_squared_displacement, msd_tensor
from ssefw.analysis.trajectory import Frames, join_frames, slice_frames, unwrapped_paths
from ssefw.analysis.van_hove import RadialDistribution, VanHove, radial_distribution, van_hove

ANALYSIS_VERSION = "1"
"""Goes up whenever the analysis of trajectories gives other numbers."""

__all__ = [
    "ANALYSIS_VERSION",
    "DensityMap",
    "Frames",
    "Jumps",
    "RadialDistribution",
    "VanHove",
    "collective_msd",
    "conductivity_per_diffusivity",
    "correlation_factor",
    "density_map",
    "estimate_diffusivity",
    "find_jumps",
    "find_sites",
    "fit_conductivity",
    "hop_count_rsd",
    "join_frames",
    "mean_squared_displacement",
    "msd_tensor",
    "pool_conductivities",
    "predict_conductivity",
    "radial_distribution",
    "slice_frames",
    "unwrapped_paths",
    "van_hove",
    "write_chgcar",
    "write_cube",
]
