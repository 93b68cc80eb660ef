"""Whether what the settings name is there and works, and what to do where it is not."""

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ssefw.errors import DataError, SsefwError, StoreError
from ssefw.files import expand_user
from ssefw.settings import LoadedSettings, Settings
from ssefw.store import Address, connect

__all__ = ["SiteCheck", "check_site"]


@dataclass(frozen=True)
class SiteCheck:
    """What was found of one thing.

    Attributes
    ----------
    state
        ``ok``; ``missing`` is something that was never set up, needed by some campaigns only;
        ``error`` was set and does not work.
    """

    name: str
    state: Literal["ok", "missing", "error"]
    message: str


def check_site(loaded: LoadedSettings) -> Iterator[SiteCheck]:
    """Try the store, the scratch folder, the programs and the potential folders."""
    settings = loaded.settings
    yield _store(settings)
    yield _scratch(settings)
    yield _potential()
    for name, purpose in (
        ("vasp_cmd", "the VASP engine"),
        ("vasp_gamma_cmd", "Gamma-only VASP"),
        ("pw_cmd", "the Quantum ESPRESSO engine"),
        ("neb_cmd", "CI-NEB"),
    ):
        is_default = loaded.sources[name] == "default"
        yield _program(name, getattr(settings, name), purpose, is_default=is_default)
    if settings.socket_cmd:
        yield _program("socket_cmd", settings.socket_cmd, "engine socket", is_default=False)
    yield _folder("potcar_dir", settings.potcar_dir, "VASP", pattern="*")
    yield _folder("pseudo_dir", settings.pseudo_dir, "Quantum ESPRESSO", pattern="*.[uU][pP][fF]")


def _store(settings: Settings) -> SiteCheck:
    address = Address(settings.store)
    if address.is_offline and address.blob_folder is not None:
        if os.access(address.blob_folder, os.W_OK):
            return SiteCheck("store", "ok", f"no database here; frames go to {address.blob_folder}")
        return SiteCheck("store", "error", f"{address.blob_folder} cannot be written from here")
    try:
        with connect(settings.store, create=False) as connection:
            jobs = connection.launchpad.fireworks.count_documents({})
            return SiteCheck("store", "ok", f"{connection.address} answers, {jobs} jobs on it")
    except StoreError as error:
        if not settings.store.startswith("mongodb") and not Path(settings.store).exists():
            parent = expand_user(settings.store).absolute().parent
            if os.access(parent, os.W_OK):
                return SiteCheck("store", "ok", f"{settings.store} will be made on first use")
        return SiteCheck("store", "error", str(error))


def _scratch(settings: Settings) -> SiteCheck:
    folder = settings.scratch_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free / 2**30
            return SiteCheck("scratch", "ok", f"{folder} can be written, {free:.0f} GiB free")
    except OSError as error:
        return SiteCheck(
            "scratch", "error", f"{existing}: {error.strerror}. Set SSEFW_SCRATCH to another folder"
        )


def _potential() -> SiteCheck:
    from ssefw.engines.ase import AseEngine  # noqa: PLC0415 - slow to import

    engine = AseEngine()
    try:
        versions = engine.versions()
        engine.calculator_instance()
    except (SsefwError, ImportError, OSError) as error:
        return SiteCheck("engine ase", "error", str(error))
    return SiteCheck("engine ase", "ok", f"{engine.name} loads (sevenn {versions['sevenn']})")


def _program(name: str, command: str, purpose: str, *, is_default: bool) -> SiteCheck:
    words = shlex.split(command)
    missing = [word for word in words[:1] if shutil.which(word) is None]
    # In "mpirun -n 4 vasp_std" the program itself is the last word that is no option.
    if words and not missing and len(words) > 1 and shutil.which(words[-1]) is None:
        missing = [words[-1]]
    if not missing:
        return SiteCheck(name, "ok", f"{command} is there")
    todo = f"install it or set SSEFW_{name.upper()}; {purpose} needs it"
    state: Literal["missing", "error"] = "missing" if is_default else "error"
    return SiteCheck(name, state, f"{missing[0]} is not on the PATH: {todo}")


def _folder(name: str, folder: Path | None, purpose: str, *, pattern: str) -> SiteCheck:
    if folder is None:
        return SiteCheck(name, "missing", f"not set: set SSEFW_{name.upper()}; {purpose} needs it")
    try:
        is_there = (folder := expand_user(folder)).is_dir()
    except DataError as error:
        return SiteCheck(name, "error", f"{error} Correct SSEFW_{name.upper()}")
    if not is_there:
        return SiteCheck(name, "error", f"{folder} is not a folder: correct SSEFW_{name.upper()}")
    files = sum(1 for _ in folder.glob(pattern))
    if not files:
        return SiteCheck(name, "error", f"{folder} holds no {pattern} files")
    return SiteCheck(name, "ok", f"{folder}, {files} entries")
