"""The processes of VASP on this machine: whether they can start, and that none is left behind."""

import os
import shlex
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pymatgen.core
from pymatgen.io.vasp.inputs import PmgVaspPspDirError, Potcar
from pymatgen.io.vasp.sets import VaspInputSet

from ssefw.engines.needs import complaint_of, missing_program, words_of
from ssefw.engines.ranks import rank_count
from ssefw.errors import ConfigurationError, EngineError
from ssefw.files import expand_user
from ssefw.settings import Settings, load_settings

__all__ = [
    "electron_count",
    "end_processes",
    "missing_here",
    "processes_in",
    "require_command",
    "site_settings",
]

SOFT = 120.0
"""Seconds an orphan has to end its ionic step."""

HARD = 10.0
"""Seconds between SIGTERM and SIGKILL."""


def site_settings() -> Settings:
    """Return this site's settings, with a Gamma-only command that fits the other one.

    Where only the command of VASP is set (``srun -n 64 vasp_std``), its twin is started in the same
    way; the bare default would run on one core.
    """
    loaded = load_settings()
    if loaded.sources["vasp_gamma_cmd"] != "default":
        return loaded.settings
    command = loaded.settings.vasp_cmd
    head, slash, program = command.rpartition("vasp_std")
    twin = f"{head}vasp_gam{program}" if slash else command
    return loaded.settings.model_copy(update={"vasp_gamma_cmd": twin})


def require_command(command: str, *, setting: str) -> None:
    """Check that the program a command starts with exists.

    Raises
    ------
    EngineError
        If it does not.
    """
    words = shlex.split(os.path.expandvars(command))
    if not words or shutil.which(words[0]) is None:
        program = words[0] if words else command
        raise EngineError(
            f"Cannot find the program {program!r} of the command {command!r}. Load VASP's module "
            f"or set SSEFW_{setting.upper()} to the command that runs VASP here."
        )


def missing_here(vasp_set: VaspInputSet, *, needs_potcars: bool) -> Iterator[str]:
    """Yield what this machine lacks to run VASP on an input set, each with its remedy."""
    site = site_settings()
    yield from missing_program(site.vasp_cmd, setting="vasp_cmd", code="VASP")
    yield from _misfits(vasp_set, rank_count(words_of(site.vasp_cmd)))
    for symbol in vasp_set.potcar_symbols if needs_potcars else ():
        functional = str(vasp_set.user_potcar_functional)
        yield from complaint_of(
            partial(electron_count, [symbol], [1], functional=functional, settings=site)
        )


def _misfits(vasp_set: VaspInputSet, ranks: int) -> Iterator[str]:
    """Yield which parallel settings of an INCAR cannot divide the MPI ranks of the command."""
    pools = int(vasp_set.incar.get("KPAR", 1))
    if pools < 1 or ranks % pools:
        yield (
            f"{ranks} MPI ranks cannot be divided into KPAR = {pools} groups. Choose a divisor in "
            "engine.incar, or another number of ranks in SSEFW_VASP_CMD."
        )
        return
    for tag in ("NCORE", "NPAR"):
        share = int(vasp_set.incar.get(tag, 1))
        if ranks > 1 and (share < 1 or (ranks // pools) % share):
            yield (
                f"{ranks // pools} MPI ranks for each of the {pools} groups of k-points cannot be "
                f"divided by {tag} = {share}, which VASP would then ignore. Choose a divisor in "
                "engine.incar, or another number of ranks in SSEFW_VASP_CMD."
            )


def electron_count(
    symbols: Sequence[str], counts: Sequence[int], *, functional: str, settings: Settings
) -> float:
    """Return the number of valence electrons, from the POTCARs.

    Parameters
    ----------
    symbols
        Elements in the order of the POSCAR.
    counts
        Atoms of each.
    functional
        Which POTCARs.
    settings
        Of this site: where they lie.

    Raises
    ------
    EngineError
        If a POTCAR is missing.
    """
    if settings.potcar_dir is not None:
        # Where pymatgen looks is its own global setting.
        pymatgen.core.SETTINGS["PMG_VASP_PSP_DIR"] = str(
            expand_user(settings.potcar_dir, error=ConfigurationError)
        )
    total = 0.0
    for symbol, count in zip(symbols, counts, strict=True):
        try:
            (single,) = Potcar([symbol], functional=functional)
        except (PmgVaspPspDirError, FileNotFoundError, KeyError) as error:
            raise EngineError(
                f"No POTCAR of {symbol} in the family {functional}. Set SSEFW_POTCAR_DIR to the "
                "folder that `pmg config -p` made, or choose another symbol with potcar."
            ) from error
        total += single.nelectrons * count
    return total


def processes_in(folder: Path) -> list[int]:
    """Return the processes of this machine that calculate in `folder`.

    They have it as working directory and have no terminal: custodian gives VASP a session of its
    own, while the shell of somebody who looks at the files has one. Where there is no /proc none is
    found.
    """
    target = str(folder.resolve())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "cwd") == target:  # noqa: PTH115 - a Path would be resolved
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid() and _calculates(pid)]


def end_processes(folder: Path, *, soft: float = SOFT) -> bool:
    """End every process that works in `folder`: by STOPCAR, then SIGTERM, then SIGKILL.

    Returns
    -------
    Whether there was one.
    """
    if not processes_in(folder):
        return False
    if soft > 0.0:
        (folder / "STOPCAR").write_text("LSTOP = .TRUE.\n")
        _wait(folder, soft)
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for pid in processes_in(folder):
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                continue
        _wait(folder, HARD)
    return True


def _wait(folder: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while processes_in(folder) and time.monotonic() < end:
        time.sleep(0.05)


def _calculates(pid: int) -> bool:
    """Whether a process is alive and has no controlling terminal."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    state, terminal = fields[0], fields[4]
    return state != "Z" and terminal == "0"
