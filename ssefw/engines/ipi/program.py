"""Any program that speaks i-PI's protocol, by templates of its input."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.io import write
from ase.io.formats import ioformats

from ssefw.engines.ipi.forces import ServedForces
from ssefw.engines.run_directory import write_atomically
from ssefw.engines.stopping import StopCheck
from ssefw.errors import ConfigurationError

__all__ = ["PLACEHOLDERS", "ProgramForces", "check_templates"]

FloatArray = npt.NDArray[np.float64]

PLACEHOLDERS = ("socket", "a", "b", "c", "charge")
"""What stands between per cent signs in a template."""
_PLACE = re.compile(r"%(\w+)%")
_FILE = re.compile(r"[A-Za-z0-9_][\w.+-]*")


def check_templates(files: Mapping[str, str], *, geometry: str, format_: str) -> None:
    """Refuse templates that could not serve.

    Raises
    ------
    ConfigurationError
        If a name is none of a file, a placeholder is not known, none takes the socket, or the
        format of the geometry cannot be written.
    """
    for name in (*files, geometry):
        if not _FILE.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} is no plain name of a file; files of a program lie in its folder."
            )
    words = {word for text in files.values() for word in _PLACE.findall(text)}
    if unknown := sorted(words - set(PLACEHOLDERS)):
        raise ConfigurationError(
            f"%{unknown[0]}% is no placeholder. There are "
            f"{', '.join(f'%{word}%' for word in PLACEHOLDERS)}."
        )
    if "socket" not in words:
        raise ConfigurationError(
            "No file of the program says %socket%, so that it would not know where to connect: "
            "write it where the program wants the name of a Unix socket."
        )
    if format_ not in ioformats or not ioformats[format_].can_write:
        raise ConfigurationError(
            f"ASE writes no geometry in the format {format_!r}. "
            "Common ones: xyz, cif, vasp, aims, gen."
        )


class ProgramForces(ServedForces):
    """Energy, forces and stress by a program whose input was made from templates.

    Parameters
    ----------
    program
        Its name, for messages.
    command
        Words that start it in its folder.
    files
        Name of each input file to its template.
    geometry, format_
        File for the geometry it starts with, and ASE's name of the format.
    atoms
        Which atoms, in their order.
    charge
        Of the cell, in e.
    """

    def __init__(
        self,
        program: str,
        *,
        folder: Path,
        command: Sequence[str],
        files: Mapping[str, str],
        geometry: str,
        format_: str,
        atoms: Atoms,
        charge: float,
        stop: StopCheck,
        remark: Callable[[str], None] | None = None,
    ) -> None:
        output = f"{program}.out"
        more = {} if remark is None else {"remark": remark}
        super().__init__(program, folder=folder, output=output, stop=stop, **more)
        self._command = list(command)
        self._files = dict(files)
        self._geometry, self._format = geometry, format_
        self._start = atoms.copy()
        self._charge = charge

    def _write_input(self, positions: FloatArray, cell: FloatArray) -> None:
        start = self._start
        start.set_cell(cell)
        start.positions[:] = positions
        draft = self.folder / f".{self._geometry}"
        write(draft, start, format=self._format)
        draft.replace(self.folder / self._geometry)

    def _words(self, socket: str) -> list[str]:
        """Fill in the templates, now that the name of the socket is known."""
        vectors = zip("abc", self._start.cell.array, strict=True)
        values = {name: " ".join(f"{x:.10f}" for x in vector) for name, vector in vectors}
        values |= {"socket": socket, "charge": f"{self._charge:g}"}
        for name, template in self._files.items():
            text = _PLACE.sub(lambda found: values[found[1]], template)
            write_atomically(self.folder / name, text.encode())
        return self._command
