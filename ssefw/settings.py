"""Facts about this site: where the store is, which commands run, where files may go.

A value comes from the environment (``SSEFW_STORE``), else from the settings file, else from its
default. Physics never lives here: cut-offs, time steps and temperatures belong to campaigns, since
they are part of a result.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ssefw.errors import ConfigurationError
from ssefw.files import expand_user, read_text
from ssefw.files.yaml_text import load_yaml
from ssefw.masking import masked
from ssefw.units import AskedSeconds, AskedWorkers, Limits

__all__ = [
    "PREFIX",
    "LoadedSettings",
    "Settings",
    "has_password",
    "load_settings",
    "settings_file",
    "with_password",
]

PREFIX = "SSEFW_"
LONGEST_SHOWN = 200
"""Characters of a wrong value that a message shows."""
LARGEST_SETTINGS = 2**16
"""Bytes of a file with a dozen lines."""


_USER_ONLY = re.compile(r"(mongodb(?:\+srv)?://[^:@/?\s]+):?@")
"""The beginning of an address with a user and no password."""
_USER = re.compile(r"mongodb(?:\+srv)?://[^@]*:[^@]*@")


class Settings(BaseModel):
    """What ssefw must know of this site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str = Field(
        "ssefw-store", description="results store: a folder, or a mongodb:// address with database"
    )
    store_password_file: Path | None = Field(
        None,
        description="file whose first line is the password of the user in store; the variable "
        "SSEFW_STORE_PASSWORD outranks it",
    )
    scratch: Path | None = Field(
        None,
        description="where calculations run; default: inside the store's folder, else $SCRATCH",
    )
    workers: Annotated[int, Limits("", least=0, most=4096, whole=True)] = Field(
        0, description="worker processes of `ssefw run`; 0 is one for each core"
    )
    threads: AskedWorkers = Field(1, description="threads of each worker")
    category: str = Field("", description="stages this worker takes; empty takes all")
    patience: AskedSeconds = Field(
        600.0, description="seconds for which workers and launchers wait for a MongoDB server"
    )
    lease: float = Field(
        75.0,
        ge=1,
        description="seconds without a sign of life until a worker elsewhere counts as dead",
    )
    vasp_cmd: str = Field("vasp_std", description="command that runs VASP")
    vasp_gamma_cmd: str = Field("vasp_gam", description="command that runs Gamma-only VASP")
    pw_cmd: str = Field("pw.x", description="command that runs Quantum ESPRESSO's pw.x")
    neb_cmd: str = Field("neb.x", description="command that runs Quantum ESPRESSO's neb.x")
    socket_cmd: str = Field(
        "", description="command that runs the program of engine: {code: socket}, such as cp2k.psmp"
    )
    potcar_dir: Path | None = Field(None, description="folder of VASP's POTCARs, as pymatgen wants")
    pseudo_dir: Path | None = Field(None, description="folder of UPF pseudopotentials")
    calculator_packages: str = Field(
        "",
        pattern=r"^[\w\s,]*$",
        description="packages of your own whose ASE calculators campaigns may import, with commas",
    )
    document_modules: str = Field(
        "",
        description="packages, with commas between, whose objects stored records may hold "
        "beside those of ssefw and pymatgen",
    )
    potentials: Path | None = Field(
        None,
        description="folder of trained potentials, which every worker must see; default: "
        "ssefw/potentials in $XDG_DATA_HOME or ~/.local/share",
    )
    notify_url: str = Field(
        "",
        description="webhook that is told when a campaign is done, fails of a new cause, or has "
        "spent its budget: JSON with a text, as Slack takes it",
    )
    notify_command: str = Field(
        "", description="command that is run for the same, with the text as its last argument"
    )
    log_level: str = Field("WARNING", description="level of log messages on stderr")

    def scratch_folder(self) -> Path:
        """Return the folder below which calculations run."""
        if self.scratch is not None:
            return expand_user(self.scratch, error=ConfigurationError).resolve()
        if not self.store.startswith("mongodb"):
            folder = expand_user(self.store, error=ConfigurationError)
            return folder.resolve() / "scratch"
        return Path(os.environ.get("SCRATCH", ".")).resolve() / "ssefw-scratch"

    def potentials_folder(self) -> Path:
        """Return the folder of trained potentials, whether it exists or not."""
        if self.potentials is not None:
            return expand_user(self.potentials, error=ConfigurationError).resolve()
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return expand_user(base, error=ConfigurationError) / "ssefw" / "potentials"


@dataclass(frozen=True)
class LoadedSettings:
    """Settings, and for each value where it came from."""

    settings: Settings
    sources: dict[str, str]


def settings_file() -> Path:
    """Return the path of the settings file, whether it exists or not."""
    if path := os.environ.get(f"{PREFIX}SETTINGS"):
        return expand_user(path, error=ConfigurationError)
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return expand_user(base, error=ConfigurationError) / "ssefw" / "settings.yaml"


def _read_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    text = read_text(path, largest=LARGEST_SETTINGS, error=ConfigurationError)
    name = f"The settings file {path}"
    try:
        content, _ = load_yaml(text, name=name)
    except ConfigurationError as error:
        # YAML's own words may quote what stands in the file.
        reason = re.sub(r"'[^']*'", "...", str(error).removeprefix(name))
        raise ConfigurationError(name + reason) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"The settings file {path} must hold lines of the form key: value")
    return content


def load_settings() -> LoadedSettings:
    """Merge environment, settings file and defaults.

    Raises
    ------
    ConfigurationError
        If a key is unknown or a value does not fit; the message names its source.
    """
    path = settings_file()
    fields = Settings.model_fields
    values: dict[str, Any] = {}
    sources = dict.fromkeys(fields, "default")
    for key, value in _read_file(path).items():
        values[key], sources[key] = value, str(path)
    for key in fields:
        name = PREFIX + key.upper()
        if name in os.environ:
            values[key], sources[key] = os.environ[name], name
    try:
        return LoadedSettings(_completed(Settings.model_validate(values)), sources)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        key = str(first["loc"][0]) if first["loc"] else "?"
        known = f" Known keys: {', '.join(sorted(fields))}." if key not in fields else ""
        # What is in a line that is none of ours may be a password.
        given = masked(repr(values.get(key)))
        given = given if len(given) <= LONGEST_SHOWN else f"{given[:LONGEST_SHOWN]}..."
        value = f" = {given}" if key in fields else ""
        raise ConfigurationError(
            f"Setting {key[:60]!r}{value} from {sources.get(key, path)} is not valid: "
            f"{masked(message)}.{known}"
        ) from error


def has_password(address: str) -> bool:
    """Whether a server's address holds a password."""
    return _USER.match(address) is not None and _USER_ONLY.match(address) is None


def with_password(address: str, password: str) -> str:
    """Return an address with the password of the user that it names without one."""
    found = _USER_ONLY.match(address)
    if found is None:
        return address
    return f"{found[1]}:{quote(password, safe='')}@{address[found.end() :]}"


def _completed(settings: Settings) -> Settings:
    """Return settings whose store has its password, where that is kept apart."""
    if _USER_ONLY.match(settings.store) is None:
        return settings
    password = os.environ.get(f"{PREFIX}STORE_PASSWORD")
    if password is None and settings.store_password_file is not None:
        path = expand_user(settings.store_password_file, error=ConfigurationError)
        lines = read_text(path, largest=LARGEST_SETTINGS, error=ConfigurationError).splitlines()
        password = lines[0].strip() if lines else ""
    if not password:
        return settings
    return settings.model_copy(update={"store": with_password(settings.store, password)})
