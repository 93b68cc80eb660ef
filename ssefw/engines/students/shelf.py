"""The folder of trained potentials: each file is named by the content hash of what it holds."""

import contextlib
from functools import cache
from pathlib import Path

from ssefw.engines.potentials.names import POTENTIALS, no_potential
from ssefw.engines.potentials.tuned import TunedPotential
from ssefw.engines.students.lessons import read_weights, write_weights
from ssefw.errors import ConfigurationError
from ssefw.files import expand_user
from ssefw.mistakes import shown
from ssefw.nep import NEP
from ssefw.settings import load_settings

__all__ = [
    "add_potential",
    "find_potential",
    "forget_loaded",
    "has_potential",
    "load_potential",
    "load_tuned",
    "potential_card",
    "potential_files",
    "take_in",
    "weights_key",
]

SUFFIXES = {NEP: ".nep", TunedPotential: ".tuned"}
"""Of the files of students, and of tuned universal potentials."""

Trained = NEP | TunedPotential

SHORTEST = 6
"""Characters of a hash below which it is too easily that of another."""

_taken_in: dict[str, Trained] = {}


def _shelf() -> Path:
    return load_settings().settings.potentials_folder()


def potential_files() -> list[Path]:
    """Return the files of the potentials that are there, the newest first."""
    found = [path for suffix in SUFFIXES.values() for path in _shelf().glob(f"*{suffix}")]
    return sorted(found, key=lambda path: (-path.stat().st_mtime, path.name))


def potential_card(digest: str) -> Path:
    """Return the file of a potential's card, whether it exists or not."""
    return _shelf() / f"{digest}.json"


def weights_key(digest: str, kind: type[Trained] = NEP) -> str:
    """Return the key under which a store holds the weights of a potential."""
    return f"potentials/{digest}{SUFFIXES[kind]}"


def _file_of(digest: str) -> Path | None:
    files = (_shelf() / f"{digest}{suffix}" for suffix in SUFFIXES.values())
    return next((path for path in files if path.exists()), None)


def has_potential(digest: str) -> bool:
    """Return whether this process has the potential of a hash, or finds it on the shelf."""
    return digest in _taken_in or _file_of(digest) is not None


def take_in(model: Trained) -> None:
    """Put a potential on the shelf; where that cannot be written, this process alone has it."""
    _taken_in[model.digest] = model
    with contextlib.suppress(ConfigurationError):
        add_potential(model)


def add_potential(model: Trained) -> Path:
    """Put a potential on the shelf, where workers find it by its hash, and return its file."""
    folder = _shelf()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{model.digest}{SUFFIXES[type(model)]}"
        if not path.exists():
            write_weights(path, model)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot write into the folder of potentials {folder}: {error.strerror}. Set "
            "SSEFW_POTENTIALS to a folder that can be written."
        ) from error
    return path


def find_potential(name: str, *, add: bool = False) -> Trained:
    """Return a potential by the beginning of its hash, or by its file.

    Parameters
    ----------
    name
        Six characters of the hash or more, or the path of a ``.nep`` or ``.tuned`` file.
    add
        Whether a file goes to the shelf, where workers find it.

    Raises
    ------
    ConfigurationError
        If there is none, or several.
    """
    path = expand_user(name, error=ConfigurationError)
    if path.suffix in SUFFIXES.values() and path.is_file():
        model = read_weights(path)
        if add:
            add_potential(model)
        return model
    known = [file for file in potential_files() if file.name.startswith(name)]
    if len(name) >= SHORTEST and len(known) == 1:
        return _load(known[0].stem)
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


def load_potential(digest: str) -> NEP:
    """Return the student of a hash, read once in a process.

    Raises
    ------
    ConfigurationError
        If it is not there, its file holds another one, or it is no student.
    """
    model = _load(digest)
    if not isinstance(model, NEP):
        raise ConfigurationError(f"The potential {digest[:12]} is {model.form}, no student.")
    return model


def load_tuned(digest: str) -> TunedPotential:
    """Return the tuned universal potential of a hash, read once in a process.

    Raises
    ------
    ConfigurationError
        If it is not there, its file holds another one, or it is a student.
    """
    model = _load(digest)
    if not isinstance(model, TunedPotential):
        raise ConfigurationError(
            f"The potential {digest[:12]} is a student, no universal potential that was tuned."
        )
    return model


@cache
def _load(digest: str) -> Trained:
    if digest in _taken_in:
        return _taken_in[digest]
    path = _file_of(digest)
    if path is None:
        raise ConfigurationError(
            f"The potential {digest[:12]} is neither in {_shelf()} nor in the store. Put its "
            "file there with `ssefw potential add FILE`, or set SSEFW_POTENTIALS to the folder "
            "that has it."
        )
    model = read_weights(path)
    if model.digest != digest:
        raise ConfigurationError(
            f"{path} holds the potential {model.digest[:12]}, not the one of its name. The file "
            "is damaged or was renamed; put the right one there."
        )
    return model


forget_loaded = _load.cache_clear
"""Read files anew, for tests that change them."""
