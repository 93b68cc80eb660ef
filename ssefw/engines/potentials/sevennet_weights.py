"""Checkpoints of SevenNet as arrays: converted once, then read from a cache.

Reading a checkpoint with its own package takes ten seconds and 900 MB, of which evaluation needs
nothing. A converted one is read in a tenth of a second, without torch. Its name in the cache holds
a hash of the checkpoint, so that another checkpoint is never taken for it.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ssefw.engines.potentials.sevennet_convert import convert
from ssefw.errors import DataError, EngineError
from ssefw.files import expand_user, replacing
from ssefw.files.arrays import unpack_npz

__all__ = ["MODELS", "SPACING", "checkpoint_hash", "checkpoint_path", "load_arrays"]

logger = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]

MODELS = {
    "0": "SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
    "l3i5": "SevenNet_l3i5/checkpoint_l3i5.pth",
    "mf-0": "SevenNet_MF_0/checkpoint_sevennet_mf_0.pth",
}
"""Checkpoints in the wheel of `sevenn`."""

SPACING = 0.02
"""Distance of the splines' knots, in A: splines are then as exact as single precision.

The radial networks of l3i5 bend sharply at short lengths: at 0.05 A forces in strongly compressed
cells were wrong by 2e-3 eV/A, at 0.02 A by less than single precision is."""

FORMAT = 1
"""Number of the arrays' meaning; another one is another file in the cache."""


def checkpoint_path(model: str) -> Path:
    """Return the file of a model by its name, or by its path.

    Raises
    ------
    EngineError
        If there is no such model or file.
    """
    if model not in MODELS:
        path = expand_user(model, error=EngineError)
        if path.is_file():
            return path.resolve()
        raise EngineError(
            f"There is no SevenNet {model!r}. Known models: {', '.join(sorted(MODELS))}; or give "
            "the path of a checkpoint."
        )
    package = importlib.util.find_spec("sevenn")  # does not import it
    if package is None or package.origin is None:
        raise EngineError("SevenNet's weights are not installed. Install them: pip install sevenn.")
    path = Path(package.origin).parent / "pretrained_potentials" / MODELS[model]
    if not path.is_file():
        raise EngineError(f"This version of sevenn has no {path}. Install sevenn 0.13.")
    return path


@functools.cache
def checkpoint_hash(path: Path) -> str:
    """Return what a checkpoint is known by: a hash of its bytes, 16 digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def load_arrays(path: Path, *, modality: str | None = None, spacing: float = SPACING) -> Arrays:
    """Return a checkpoint's arrays, from the cache where they are there.

    Several processes that want the same at once wait for one that converts it.
    """
    name = f"sevennet-{checkpoint_hash(path)}-{modality or 'any'}-{spacing:g}-v{FORMAT}.npz"
    folder = _cache_folder()
    target = folder / name
    with _alone(folder / f"{name}.lock"):
        arrays = _read(target)
        if arrays is None:
            logger.info("Converting %s once, for %s", path.name, target)
            with replacing(target) as draft:
                _convert_elsewhere(path, modality, spacing, draft)
            arrays = _read(target)
    if arrays is None:
        raise EngineError(f"{target} cannot be read back. Is its disk full?")
    return arrays


def _read(path: Path) -> Arrays | None:
    try:
        return unpack_npz(path.read_bytes())
    except FileNotFoundError:
        return None
    except (DataError, OSError) as error:
        logger.warning("Converting again, since %s is broken: %s", path, error)
        return None


def _convert_elsewhere(path: Path, modality: str | None, spacing: float, target: Path) -> None:
    """Convert in a process of its own, which takes its memory with it when it ends."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(path), modality or "", repr(spacing), str(target)],
        capture_output=True,
        text=True,
        check=False,
        # Neither a GPU nor all cores are worth their start for this.
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise EngineError(lines[-1].removeprefix("Error: "))


def _cache_folder() -> Path:
    """Return a folder that can be written: the user's cache, or one of theirs for a while."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    spare = Path(tempfile.gettempdir()) / f"ssefw-cache-{os.getuid()}"
    for folder in (expand_user(base, error=EngineError) / "ssefw", spare):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            mine = folder.stat().st_uid == os.getuid()
            if mine and os.access(folder, os.W_OK | os.X_OK):
                return folder
    raise EngineError(
        f"Neither {base}/ssefw nor {spare} can be written. Set XDG_CACHE_HOME to a folder that can."
    )


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process does the same."""
    with path.open("w") as lock:
        # Some network file systems know no locks: then a model may be converted twice.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _main() -> None:
    path, modality, spacing, target = sys.argv[1:]
    try:
        arrays = convert(Path(path), modality=modality or None, spacing=float(spacing))
    except EngineError as error:
        sys.exit(f"Error: {error}")
    with Path(target).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    _main()
