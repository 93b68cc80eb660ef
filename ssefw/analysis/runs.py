"""Trajectory files grouped into runs, and the results as plain records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssefw.analysis.diffusivity import estimate_diffusivity
from ssefw.analysis.line.arrhenius import conductivity_per_diffusivity
from ssefw.analysis.readers import read_frames
from ssefw.analysis.trajectory import Frames
from ssefw.documents import Conductivity, Diffusivity, Estimate
from ssefw.errors import DataError

__all__ = [
    "Run",
    "analysis_record",
    "analyze_run",
    "check_temperature",
    "conductivity_record",
    "diffusivity_record",
    "group_runs",
]

SAME_TEMPERATURE = 1.0
"""K by which a temperature that was typed may differ from that of the run."""


@dataclass(frozen=True)
class Run:
    """The files of one run, in order of time, and its temperature in K."""

    paths: tuple[Path, ...]
    temperature: float

    @property
    def name(self) -> str:
        """A short name for messages and file names."""
        return f"{self.temperature:g} K"


def group_runs(paths: Sequence[Path], temperatures: Sequence[float]) -> list[Run]:
    """Return the runs that files belong to, coldest first.

    One temperature makes all files the segments of one run; otherwise there is one for each file,
    and files of equal temperature are segments of one run.

    Raises
    ------
    DataError
        If the numbers do not fit, or a file is there twice.
    """
    resolved = [path.resolve() for path in paths]
    if twice := [path for path in paths if resolved.count(path.resolve()) > 1]:
        raise DataError(f"{twice[0]} is given twice, and would count as twice the statistics.")
    if len(temperatures) == 1:
        return [Run(tuple(paths), temperatures[0])]
    if len(temperatures) != len(paths):
        raise DataError(
            f"{len(temperatures)} temperatures for {len(paths)} files; give one for all, or one "
            "for each in the same order."
        )
    by_temperature: dict[float, list[Path]] = {}
    for path, temperature in zip(paths, temperatures, strict=True):
        by_temperature.setdefault(temperature, []).append(path)
    return [Run(tuple(files), t) for t, files in sorted(by_temperature.items())]


def check_temperature(run: Run, frames: Frames) -> None:
    """Refuse a temperature that the files of a run contradict.

    Raises
    ------
    DataError
        If they tell another.
    """
    told = frames.set_temperature
    if told is not None and abs(told - run.temperature) > SAME_TEMPERATURE:
        raise DataError(
            f"{', '.join(map(str, run.paths))} is of a run at {told:g} K, and {run.temperature:g} "
            "K was given. Leave --temperature out, or correct it."
        )


def analyze_run(
    run: Run,
    *,
    specie: str,
    timestep: float | None,
    stride: int | None,
    equilibration: float,
    level: float,
    hop_distance: float | None,
    file_format: str | None = None,
    types: Sequence[str] = (),
) -> tuple[Frames, Diffusivity]:
    """Return the frames in the files of a run, and what they say of diffusion.

    Parameters
    ----------
    timestep, stride, file_format, types
        As for `ssefw.analysis.readers.read_frames`.
    specie, equilibration, level, hop_distance
        As for `ssefw.analysis.estimate_diffusivity`.

    Raises
    ------
    DataError
        If the files cannot be read, or contradict what is given.
    """
    frames = read_frames(
        run.paths, timestep=timestep, stride=stride, file_format=file_format, types=types
    )
    check_temperature(run, frames)
    found = estimate_diffusivity(
        frames,
        specie=specie,
        temperature=run.temperature,
        equilibration=equilibration,
        level=level,
        hop_distance=hop_distance,
    )
    return frames, found


def analysis_record(found: Sequence[Diffusivity], fit: Conductivity) -> dict[str, Any]:
    """Return everything that was found as plain JSON types; keys carry the unit.

    The results of a single run stand at the top as well, beside `runs`.
    """
    runs = [diffusivity_record(result, charge=fit.carrier_charge) for result in found]
    record = {"specie": fit.specie, "runs": runs, "arrhenius": conductivity_record(fit)}
    return runs[0] | record if len(runs) == 1 else record


def diffusivity_record(found: Diffusivity, *, charge: float) -> dict[str, Any]:
    """Return what one run gave as plain JSON types; keys carry the unit.

    Parameters
    ----------
    charge
        Of an ion in elementary charges, for the Nernst-Einstein conductivity.
    """
    per_diffusivity = conductivity_per_diffusivity(
        temperature=found.temperature,
        n_mobile=found.n_mobile,
        volume=found.volume,
        charge=charge,
    )
    return {
        "specie": found.specie,
        "temperature_K": found.temperature,
        "mean_temperature_K": found.mean_temperature,
        "regime": found.regime,
        "reason": found.reason,
        "diffusivity_cm2_per_s": _record(found.tracer),
        "charge_diffusivity_cm2_per_s": _record(found.charge),
        "haven_ratio": _record(found.haven),
        "conductivity_S_per_cm": _record(found.tracer, factor=per_diffusivity),
        "charge_conductivity_S_per_cm": _record(found.charge, factor=per_diffusivity),
        "n_hops": found.n_hops,
        "hop_rsd": found.hop_rsd,
        "hop_distance_angstrom": found.hop_distance,
        "framework_rmsd_angstrom": found.framework_rmsd,
        "framework_lindemann": found.framework_lindemann,
        "n_mobile": found.n_mobile,
        "n_atoms": found.n_atoms,
        "volume_angstrom3": found.volume,
        "n_frames": found.n_frames,
        "duration_ps": found.duration,
        "equilibration_ps": found.equilibration,
        "fit_window_ps": found.fit_window,
        "lag_times_ps": found.lag_times,
        "msd_angstrom2": found.msd,
        "msd_framework_angstrom2": found.msd_framework,
        "drift_reference": found.drift_reference,
        "warnings": found.warnings,
    }


def conductivity_record(fit: Conductivity) -> dict[str, Any]:
    """Return an Arrhenius fit as plain JSON types; keys carry the unit."""
    return {
        "temperature_K": fit.temperature,
        "conductivity_S_per_cm": _record(fit.conductivity),
        "log10_conductivity": _record(fit.log10_conductivity),
        "activation_energy_eV": _record(fit.activation_energy),
        "prefactor": _record(fit.prefactor) | {"unit": fit.prefactor.unit},
        "form": fit.form,
        "carrier_charge": fit.carrier_charge,
        "curvature_p": fit.curvature_p,
        "points": [
            {
                "temperature_K": point.temperature,
                "diffusivity_cm2_per_s": _record(point.diffusivity),
                "conductivity_S_per_cm": _record(point.conductivity),
                "is_used": point.is_used,
                "reason": point.reason,
            }
            for point in fit.points
        ],
        "warnings": fit.warnings,
    }


def _record(estimate: Estimate | None, *, factor: float = 1.0) -> dict[str, Any]:
    found = (estimate or Estimate.undetermined("", unit="")).plain()
    numbers = {key: found[key] for key in ("value", "lower", "upper")}
    return found | {key: x and x * factor for key, x in numbers.items()}
