"""Frames of AIMD that somebody has, with which a lesson begins, and whether they are its engine's.

What a file says of its level of theory and what an engine would write into its input cannot be
compared word by word. So the engine is asked about a few of the frames: energies and forces of the
same level are the same.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pymatgen.core import Composition, Structure

from ssefw.documents import StaticResult
from ssefw.engines.students.frame_files import LabelledRun, read_runs, write_runs
from ssefw.errors import DataError
from ssefw.makers.learn.labels import labels_of
from ssefw.makers.site import fetch_blob
from ssefw.nep import LabelledFrame

__all__ = ["as_blob", "check_level", "difference", "given_runs", "to_check"]

CHECKED = 3
"""Frames that the engine is asked about: the first, the middle and the last of all."""

FORCE_SHARE, FORCE_FLOOR = 0.05, 0.01
"""Differences of forces (share of their size; eV/A) that electrons converged to 1e-4 eV, another
number of ranks and other grids of real space make; another functional makes several times as much.
"""

ENERGY = 2e-3
"""Of energies, their mean taken off, eV/atom."""


def as_blob(runs: Sequence[LabelledRun]) -> tuple[str, bytes]:
    """Return runs as bytes, and the key under which a store keeps them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frames.extxyz"
        write_runs(path, runs)
        payload = path.read_bytes()
    return f"potentials/{hashlib.sha256(payload).hexdigest()[:32]}.extxyz", payload


def given_runs(key: str, cell: Structure) -> list[LabelledRun]:
    """Return the runs under a key that are of the compound of a cell."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frames.extxyz"
        path.write_bytes(fetch_blob(key))
        runs = read_runs(path)
    formula = cell.composition.reduced_formula
    return [
        run
        for run in runs
        if Composition("".join(run.frames[0].symbols)).reduced_formula == formula
    ]


def to_check(runs: Sequence[LabelledRun]) -> list[LabelledFrame]:
    """Return the frames that the engine is asked about."""
    frames = [frame for run in runs for frame in run.frames]
    which = np.linspace(0, len(frames) - 1, min(CHECKED, len(frames))).astype(int)
    return [frames[k] for k in which]


def difference(frames: Sequence[LabelledFrame], labels: Sequence[StaticResult]) -> str:
    """Return how labels of an engine differ from those that frames came with; empty if they agree.

    Parameters
    ----------
    frames, labels
        The same frames, in the same order.
    """
    pairs = list(zip(frames, labels, strict=True))
    if any(label.forces is None for label in labels):
        return "it tells no forces"
    apart = [np.array(label.forces) - frame.forces for frame, label in pairs]
    size = _rms([frame.forces for frame in frames])
    energies = np.array([(b.energy - a.energy) / len(a.symbols) for a, b in pairs])
    spread = float(np.abs(energies - energies.mean()).max())
    if (error := _rms(apart)) > FORCE_SHARE * size + FORCE_FLOOR:
        return f"forces differ by {1e3 * error:.0f} meV/A (of {1e3 * size:.0f})"
    if spread > ENERGY:
        return f"energies differ by up to {1e3 * spread:.1f} meV/atom, their mean taken off"
    return ""


def check_level(runs: Sequence[LabelledRun], keys: Sequence[str], engine: str) -> None:
    """Check that runs are of an engine's level of theory.

    Parameters
    ----------
    runs
        That were given; without any there is nothing to check.
    keys
        Of labels of the engine, those of `to_check` first; empty where one failed.
    engine
        Its name.

    Raises
    ------
    DataError
        If they are not, or the engine failed for all that it was asked about.
    """
    if not runs:
        return
    asked = [(frame, key) for frame, key in zip(to_check(runs), keys, strict=False) if key]
    why = "none could be computed" if not asked else ""
    if why or (why := difference([f for f, _ in asked], labels_of([key for _, key in asked]))):
        raise DataError(
            f"learn.frames_from: {engine} was asked about some of the frames, and {why}. They must "
            "be of its level of theory: functional, cutoffs, k-points and pseudopotentials. Leave "
            "out those that are not."
        )


def _rms(arrays: Sequence[np.typing.NDArray[np.float64]]) -> float:
    return float(np.sqrt(np.mean(np.concatenate([a.ravel() for a in arrays]) ** 2)))
