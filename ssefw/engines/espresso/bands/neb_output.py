"""What neb.x left behind: its log, the path file and the profile, whole or cut off anywhere."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from ase.units import Bohr, Hartree

from ssefw.engines.espresso.symptoms import Symptom, diagnose

__all__ = ["NebIteration", "NebLog", "PathFile", "parse_log", "parse_path", "parse_profile"]

FloatArray = npt.NDArray[np.float64]
NebEnd = Literal["converged", "nstep", "failed", "stopped", "interrupted"]

NUMBER = r"[-+]?\d+\.\d+"


@dataclass(frozen=True)
class NebIteration:
    """One iteration of the path: energies in eV and forces orthogonal to the path in eV/A.

    Attributes
    ----------
    errors
        Largest component of the force of each image that its convergence looks at.
    climbing
        Images that climb, counted from 1.
    """

    number: int
    energies: tuple[float, ...]
    errors: tuple[float, ...]
    climbing: tuple[int, ...]


@dataclass(frozen=True)
class NebLog:
    """The standard output of neb.x.

    Attributes
    ----------
    threshold
        Convergence threshold of the path, in eV/A.
    iterations
        Those that are whole.
    end
        ``converged``; ``nstep``: out of iterations; ``failed``: see `symptoms`; ``stopped``: came
        to a regular end without any of those; ``interrupted``: the log breaks off.
    """

    version: str
    n_images: int
    climbs: bool
    threshold: float | None
    iterations: tuple[NebIteration, ...]
    end: NebEnd
    symptoms: tuple[Symptom, ...]


@dataclass(frozen=True)
class PathFile:
    """The path file, from which neb.x restarts.

    Attributes
    ----------
    iteration
        Iterations that were done when it was written.
    energies
        In eV, shape (n_images,).
    positions
        In A, shape (n_images, n_atoms, 3); not wrapped into the cell.
    gradients
        Derivatives of the energy by positions, in eV/A, of the same shape; of what neb.x holds
        fixed they are zero.
    """

    iteration: int
    energies: FloatArray
    positions: FloatArray
    gradients: FloatArray


def parse_log(text: str, *, symptoms: tuple[Symptom, ...] = ()) -> NebLog:
    """Parse the standard output of neb.x.

    Parameters
    ----------
    symptoms
        What other files of the run complain of, above all the PW.out of the images.
    """
    symptoms = tuple({s.code: s for s in (*diagnose(text), *symptoms)}.values())
    text = text[: text.rfind("\n") + 1]  # a line that is not whole holds a wrong number
    version = re.search(r"Program NEB v\.(\S+)", text)
    n_images = re.search(r"num_of_images\s+=\s+(\d+)", text)
    scheme = re.search(r"CI_scheme\s+=\s+(\S+)", text)
    threshold = re.search(rf"path_thr\s+=\s+({NUMBER})", text)
    count = int(n_images.group(1)) if n_images else 0
    return NebLog(
        version=version.group(1) if version else "",
        n_images=count,
        climbs=scheme is not None and scheme.group(1).lower() != "no-ci",
        threshold=float(threshold.group(1)) if threshold else None,
        iterations=_iterations(text, count),
        end=_end(text, symptoms),
        symptoms=symptoms,
    )


def _iterations(text: str, n_images: int) -> tuple[NebIteration, ...]:
    pieces = re.split(r"-{5,} iteration\s+(\d+|\*+) -{5,}", text)
    found = []
    for number, body in zip(pieces[1::2], pieces[2::2], strict=False):
        if not number.isdigit():
            continue
        # The flag at the end of a row says that nothing of it is missing.
        rows = re.findall(rf"^\s+(\d+)\s+({NUMBER})\s+({NUMBER})\s+[TF]\s*$", body, re.MULTILINE)
        if [int(row[0]) for row in rows] != list(range(1, n_images + 1)):
            continue
        climbing = re.findall(r"climbing image\s*=\s*(\d+)", body)
        climbing += re.findall(r"list of climbing images :\s*([\d ,]+)", body)
        found.append(
            NebIteration(
                number=int(number),
                energies=tuple(float(row[1]) for row in rows),
                errors=tuple(float(row[2]) for row in rows),
                climbing=tuple(int(x) for words in climbing for x in re.findall(r"\d+", words)),
            )
        )
    return tuple(found)


def _end(text: str, symptoms: tuple[Symptom, ...]) -> NebEnd:
    codes = {symptom.code for symptom in symptoms}
    if codes & {"asked_to_stop", "walltime"}:
        # neb.x then also says that an image did not converge.
        return "failed" if codes - {"asked_to_stop", "walltime", "scf_not_converged"} else "stopped"
    if codes - {"nstep_exceeded"}:
        return "failed"
    if "neb: convergence achieved in" in text:
        return "converged"
    if "neb: reached the maximum number of steps" in text:
        return "nstep"
    return "stopped" if "JOB DONE" in text else "interrupted"


def parse_path(text: str) -> PathFile | None:
    """Parse a path file; None if it is cut off, since neb.x could not restart from it either."""
    text = text[: text.rfind("\n") + 1]
    head, _, body = text.partition("ENERGIES, POSITIONS AND GRADIENTS")
    count = re.search(r"NUMBER OF IMAGES\s+(\d+)", head)
    start = re.search(r"RESTART INFORMATION\s+(\d+)", head)
    if count is None or start is None:
        return None
    energies: list[float] = []
    positions: list[FloatArray] = []
    gradients: list[FloatArray] = []
    for k, block in enumerate(re.split(r"Image:\s*\d+\s*\n", body)[1:], start=1):
        lines = block.splitlines()
        rows = []
        for line in lines[1:]:
            words = line.split()
            # After the last image there may be fields of the optimizer.
            if len(words) < 6 or not all(re.fullmatch(NUMBER, word) for word in words[:6]):
                break
            rows.append([float(word) for word in words[:6]])
        energy = lines[0].strip() if lines else ""
        if not rows or not re.fullmatch(NUMBER, energy):
            return None
        if k > 1 and len(rows) != len(positions[0]):
            return None
        values = np.array(rows)
        energies.append(float(energy) * Hartree)
        positions.append(values[:, :3] * Bohr)
        gradients.append(values[:, 3:] * Hartree / Bohr)
    if len(energies) != int(count.group(1)):
        return None
    return PathFile(
        int(start.group(1)), np.array(energies), np.array(positions), np.array(gradients)
    )


def parse_profile(text: str) -> FloatArray | None:
    """Parse the profile (.dat): reduced coordinate, energy from the first image (eV), error.

    Returns
    -------
    Shape (n_images, 3); None if it is cut off.
    """
    rows = []
    for line in text[: text.rfind("\n") + 1].splitlines():
        words = line.split()
        if len(words) < 3:
            break
        if not all(re.fullmatch(NUMBER, word) for word in words[:3]):
            return None
        rows.append([float(word) for word in words[:3]])
    if len(rows) < 2 or rows[0][0] != 0.0 or rows[-1][0] != 1.0:
        return None
    return np.array(rows)
