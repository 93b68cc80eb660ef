"""Where a run of pw.x or neb.x that broke off is taken up again.

neb.x restarts from its path file. A relaxation begins anew at the geometry it came to: positions in
the input outlive whatever became of the program's own files, and its optimizer then starts with
forces that it can believe; each attempt has all its steps again. Other runs of pw.x (a single
point, dynamics, whose velocities no output holds) have nothing of the kind: their input stays.
"""

from collections.abc import Sequence
from pathlib import Path

from ssefw.engines.espresso.bands.neb_output import parse_path
from ssefw.engines.espresso.inputs import (
    change_geometry,
    change_option,
    copy_namelist,
    read_option,
)
from ssefw.engines.espresso.job import attempts
from ssefw.engines.espresso.pw_output import Geometry, PwRun, parse_pw
from ssefw.engines.espresso.symptoms import read_text

__all__ = ["came_to", "continued", "corrected", "is_path", "is_relaxation", "pw_attempts"]


def corrected(text: str, folder: Path, input_file: str) -> str:
    """Return an input with what corrections of an earlier job in a folder came to.

    Else that job's failures would be gone through again.
    """
    earlier = read_text(folder / input_file)
    text = copy_namelist(text, "electrons", source=earlier)
    if (read_option(earlier, "system", "nosym") or "").lower() == ".true.":
        text = change_option(text, "system", "nosym", value=True)
    return text


def is_path(text: str) -> bool:
    """Whether an input is one of neb.x."""
    return read_option(text, "path", "string_method") is not None


def is_relaxation(text: str) -> bool:
    """Whether an input of pw.x moves atoms towards a minimum."""
    return read_option(text, "control", "calculation") in ("relax", "vc-relax")


def pw_attempts(folder: Path, output_file: str) -> list[PwRun]:
    """Return what each attempt of a run of pw.x printed, the latest last."""
    return [parse_pw(read_text(file)) for file in attempts(folder / output_file)]


def came_to(runs: Sequence[PwRun]) -> Geometry | None:
    """Return the geometry from which a relaxation goes on; None if it is still the first one."""
    return next((run.onward for run in reversed(runs) if run.onward is not None), None)


def continued(text: str, folder: Path, output_file: str) -> tuple[str, str]:
    """Return an input that goes on from where the attempts in a folder came to.

    Returns
    -------
    The input, and where it goes on from in words; these are empty where it begins as before.
    """
    if is_path(text):
        prefix = read_option(text, "control", "prefix") or "pwscf"
        sound = parse_path(read_text(folder / f"{prefix}.path")) is not None
        mode = "restart" if sound else "from_scratch"
        words = "continue from the path file" if sound else ""
        return change_option(text, "path", "restart_mode", mode), words
    if not is_relaxation(text):
        return text, ""
    runs = pw_attempts(folder, output_file)
    found = came_to(runs)
    if found is None:
        return text, ""
    # Else pw.x would read the geometry of its own files.
    text = change_option(text, "control", "restart_mode", "from_scratch")
    text = change_geometry(text, found.positions, cell=found.cell)
    done = sum(run.n_geometries for run in runs)
    return text, f"continue from the geometry after {done} with sound forces"
