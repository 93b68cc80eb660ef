"""From the frames of a trajectory to diffusivity and conductivity: arrays in, numbers out."""

from typing import TYPE_CHECKING

from ssefw.lazy import on_demand

if TYPE_CHECKING:
    from ssefw.analysis.arrangements import DEFAULT_SPREAD, pool_conductivities
    from ssefw.analysis.density import DensityMap, density_map, write_chgcar, write_cube
    from ssefw.analysis.diffusivity import estimate_diffusivity, hop_count_rsd
    from ssefw.analysis.jumps import Jumps, correlation_factor, find_jumps, find_sites
    from ssefw.analysis.line.arrhenius import (
        conductivity_per_diffusivity,
        fit_conductivity,
        predict_conductivity,
    )
    from ssefw.analysis.line.censored_line import log_spread
    from ssefw.analysis.msd import collective_msd, mean_squared_displacement, msd_tensor
    from ssefw.analysis.pair_functions import (
        RadialDistribution,
        VanHove,
        radial_distribution,
        van_hove,
    )
    from ssefw.analysis.trajectory import Frames, join_frames, slice_frames, unwrapped_paths

ANALYSIS_VERSION = "3"
"""Goes up whenever the analysis of trajectories gives other numbers."""

__all__ = [
    "ANALYSIS_VERSION",
    "DEFAULT_SPREAD",
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
    "log_spread",
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

__getattr__ = on_demand(
    __name__,
    {
        "DEFAULT_SPREAD": "arrangements",
        "DensityMap": "density",
        "Frames": "trajectory",
        "Jumps": "jumps",
        "RadialDistribution": "pair_functions",
        "VanHove": "pair_functions",
        "collective_msd": "msd",
        "conductivity_per_diffusivity": "line.arrhenius",
        "correlation_factor": "jumps",
        "density_map": "density",
        "estimate_diffusivity": "diffusivity",
        "find_jumps": "jumps",
        "find_sites": "jumps",
        "fit_conductivity": "line.arrhenius",
        "hop_count_rsd": "diffusivity",
        "join_frames": "trajectory",
        "log_spread": "line.censored_line",
        "mean_squared_displacement": "msd",
        "msd_tensor": "msd",
        "pool_conductivities": "arrangements",
        "predict_conductivity": "line.arrhenius",
        "radial_distribution": "pair_functions",
        "slice_frames": "trajectory",
        "unwrapped_paths": "trajectory",
        "van_hove": "pair_functions",
        "write_chgcar": "density",
        "write_cube": "density",
    },
)
