"""The command that starts a program of Quantum ESPRESSO, and whether its parallel layout fits."""

import os
import shlex
import shutil
from dataclasses import dataclass

from ssefw.errors import EngineError

__all__ = ["ParallelLayout", "command_words"]


@dataclass(frozen=True)
class ParallelLayout:
    """How MPI ranks are divided.

    Attributes
    ----------
    image_groups
        Groups of ranks that work at different images of a path at the same time (``-ni``).
    pools
        Groups within those that work at different k-points (``-nk``).
    """

    image_groups: int = 1
    pools: int = 1

    def check(self, ranks: int, *, n_images: int = 1, n_kpoints: int = 1) -> None:
        """Refuse a layout that QE would refuse, or that would leave ranks idle.

        Raises
        ------
        EngineError
            If it does not fit; the message says what would.
        """
        if self.image_groups < 1 or self.pools < 1:
            msg = f"-ni {self.image_groups} and -nk {self.pools} must be at least 1."
            raise EngineError(msg)
        if ranks % self.image_groups:
            fits = [n for n in range(1, ranks + 1) if ranks % n == 0 and n <= n_images]
            msg = f"{ranks} MPI ranks cannot be divided into {self.image_groups} groups of images."
            raise EngineError(f"{msg} Possible: {', '.join(map(str, fits))}.")
        if self.image_groups > n_images:
            msg = f"{self.image_groups} groups for {n_images} free images would leave ranks idle."
            raise EngineError(f"{msg} Use at most {n_images} image groups.")
        per_group = ranks // self.image_groups
        if per_group % self.pools:
            msg = f"{per_group} MPI ranks for each image cannot be divided into {self.pools} pools."
            fits = [n for n in range(1, per_group + 1) if per_group % n == 0 and n <= n_kpoints]
            raise EngineError(f"{msg} Possible: {', '.join(map(str, fits))}.")
        if self.pools > n_kpoints:
            msg = f"{self.pools} pools for {n_kpoints} k-points would leave ranks idle. Use at most"
            raise EngineError(f"{msg} {n_kpoints}.")

    def options(self) -> list[str]:
        """Return the layout as command-line options."""
        words = [] if self.image_groups == 1 else ["-ni", str(self.image_groups)]
        return words + ([] if self.pools == 1 else ["-nk", str(self.pools)])


def command_words(command: str, *, setting: str) -> list[str]:
    """Split a command and check that its first program exists.

    Raises
    ------
    EngineError
        If it does not.
    """
    words = shlex.split(os.path.expandvars(command))
    if not words or shutil.which(words[0]) is None:
        msg = f"Cannot find the program {words[0] if words else command!r} of the command "
        raise EngineError(
            f"{msg}{command!r}. Install or load Quantum ESPRESSO, or set SSEFW_{setting.upper()}."
        )
    return words
