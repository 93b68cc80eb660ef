"""The folder of trained potentials: each file is named by the content hash of what it holds."""

import contextlib
from functools import cache
from pathlib import Path

from ssefw.engines.potentials.names import POTENTIALS, no_potential
from ssefw.engines.students.lessons import read_student, write_student
from ssefw.errors import ConfigurationError
from ssefw.files import expand_user
from ssefw.mistakes import shown
from ssefw.nep import NEP
from ssefw.settings import load_settings

__all__ = [
    "add_potential",
    "find_potential",
    "has_potential",
    "load_potential",
    "potential_card",
    "potential_files",
    "take_in",
    "weights_key",
]

SUFFIX = ".nep"
SHORTEST = 6
"""Characters of a hash below which it is too easily that of another."""

_taken_in: dict[str, NEP] = {}


def _shelf() -> Path:
    return load_settings().settings.potentials_folder()


def potential_files() -> list[Path]:
    """Return the files of the potentials that are there, the newest first."""
    return sorted(_shelf().glob(f"*{SUFFIX}"), key=lambda path: (-path.stat().st_mtime, path.name))


def potential_card(digest: str) -> Path:
    """Return the file of a potential's card, whether it exists or not."""
    return _shelf() / f"{digest}.json"


def weights_key(digest: str) -> str:
    """Return the key under which a store holds the weights of a potential."""
    return f"potentials/{digest}{SUFFIX}"


def has_potential(digest: str) -> bool:
    """Return whether this process has the potential of a hash, or finds it on the shelf."""
    return digest in _taken_in or (_shelf() / f"{digest}{SUFFIX}").exists()


def take_in(model: NEP) -> None:
    """Put a potential on the shelf; where that cannot be written, this process alone has it."""
    _taken_in[model.digest] = model
    with contextlib.suppress(ConfigurationError):
        add_potential(model)


def add_potential(model: NEP) -> Path:
    """Put a potential on the shelf, where workers find it by its hash, and return its file."""
    folder = _shelf()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{model.digest}{SUFFIX}"
        if not path.exists():
            write_student(path, model)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write into the folder of potentials {folder}: {error.strerror}. Set "
            "SSEFW_POTENTIALS to a folder that can be written."
        ) from error
    return path


def find_potential(name: str, *, add: bool = False) -> NEP:
    """Return a potential by the beginning of its hash, or by its file.

    Parameters
    ----------
    name
        Six characters of the hash or more, or the path of a ``.nep`` file.
    add
        Whether a file goes to the shelf, where workers find it.

    Raises
    ------
    ConfigurationError
        If there is none, or several.
    """
    path = expand_user(name, error=ConfigurationError)
    if path.suffix == SUFFIX and path.is_file():
        model = read_student(path)
        if add:
            add_potential(model)
        return model
    known = [file for file in potential_files() if file.name.startswith(name)]
    if len(name) >= SHORTEST and len(known) == 1:
        return load_potential(known[0].name.removesuffix(SUFFIX))
    if len(known) > 1:
        names = ", ".join(file.name[:12] for file in known[:5])
        raise ConfigurationError(
            f"{shown(name)} is the beginning of {names}. Write more of the hash."
        )
    if name in POTENTIALS:
        raise ConfigurationError(
            f"{name} is no potential that was trained: it comes with ssefw's dependencies, and "
            f"`engine: {{potential: {name}}}` uses it. `ssefw potential list` has trained ones."
        )
    raise ConfigurationError(
        f"{no_potential(name)} Trained ones are in {_shelf()}: `ssefw potential list` shows them, "
        "`ssefw potential add FILE` puts one there."
    )


@cache
def load_potential(digest: str) -> NEP:
    """Return the potential of a hash, read once in a process.

    Raises
    ------
    ConfigurationError
        If it is not there, or its file holds another one.
    """
    if digest in _taken_in:
        return _taken_in[digest]
    path = _shelf() / f"{digest}{SUFFIX}"
    if not path.exists():
        raise ConfigurationError(
            f"The potential {digest[:12]} is neither in {path.parent} nor in the store. Put its "
            "file there with `ssefw potential add FILE`, or set SSEFW_POTENTIALS to the folder "
            "that has it."
        )
    model = read_student(path)
    if model.digest != digest:
        raise ConfigurationError(
            f"{path} holds the potential {model.digest[:12]}, not the one of its name. The file "
            "is damaged or was renamed; put the right one there."
        )
    return model
