"""Inputs of pw.x and neb.x, written with ASE, and changed where a correction asks for it."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from ase.io.espresso import write_espresso_in
from ase.io.espresso_namelist.keys import neb_keys, pw_keys
from ase.io.espresso_namelist.namelist import Namelist
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from ssefw.engines.espresso.pseudopotentials import Pseudopotential
from ssefw.errors import ConfigurationError, EngineError
from ssefw.mistakes import close_to, unknown_word

__all__ = [
    "NEB_INPUT",
    "PREFIX",
    "PW_INPUT",
    "PathSettings",
    "change_geometry",
    "change_option",
    "check_namelists",
    "copy_namelist",
    "kpoint_count",
    "kpoint_grid",
    "neb_input",
    "pw_input",
    "read_geometry",
    "read_option",
]

PW_INPUT, NEB_INPUT = "pw.in", "neb.in"
PREFIX = "ssefw"
"""QE's name for the files of a run."""

CELL_CARDS = ("control", "system", "electrons", "ions", "cell")
OWN_KEYWORDS = frozenset({"calculation", "outdir", "prefix", "pseudo_dir", "tprnfor"})
"""What the engine decides, of the namelist control."""
OLD_KEYWORDS = frozenset(
    {
        "hubbard_alpha", "hubbard_beta", "hubbard_j", "hubbard_j0", "hubbard_parameters",
        "hubbard_u", "hubbard_u_back", "hubbard_v", "lda_plus_u", "lda_plus_u_kind",
        "u_projection_type",
    }
)  # fmt: skip
"""What pw.x took before 7.1 and ASE lists no longer."""

FloatArray = npt.NDArray[np.float64]
Calculation = Literal["scf", "relax", "vc-relax", "md"]
Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class PathSettings:
    """The namelist &PATH of neb.x.

    Attributes
    ----------
    fmax
        Convergence: largest norm of the force orthogonal to the path, in eV/A.
    max_steps
        Most iterations of this run.
    climb
        Whether the highest image climbs.
    restart
        Whether to continue from the path file.
    springs
        Smallest and largest elastic constant of the path, in Hartree atomic units.
    """

    fmax: float
    max_steps: int
    climb: bool
    restart: bool
    springs: tuple[float, float] = (0.2, 0.3)


def check_namelists(options: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse namelists and keywords that pw.x and neb.x do not know, and values that are none.

    Raises
    ------
    ConfigurationError
        With what was probably meant.
    """
    known = {**pw_keys, **neb_keys}
    for name, block in options.items():
        if name not in known:
            raise ConfigurationError(
                f"The engine espresso: pw.x has no namelist {name!r}"
                f"{unknown_word(name, list(known), name='it has')}"
            )
        for keyword, value in block.items():
            plain = keyword.partition("(")[0].lower()
            if plain not in known[name] and plain not in OLD_KEYWORDS:
                close = close_to(plain, known[name])
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise ConfigurationError(
                    f"The engine espresso: the namelist {name} has no keyword {keyword!r}.{hint}"
                )
            if name == "control" and plain in OWN_KEYWORDS:
                raise ConfigurationError(
                    f"The engine espresso: control.{plain} follows from the task and from the "
                    "settings of the site. Remove it."
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigurationError(
                    f"The engine espresso: {name}.{keyword} must be a number, got {value}."
                )


def kpoint_grid(structure: Structure, *, spacing: float) -> tuple[int, int, int]:
    """Return the smallest grid of points within `spacing` (1/A, with 2 pi) of each other."""
    lengths = np.array(structure.lattice.reciprocal_lattice.abc)
    a, b, c = np.maximum(1, np.ceil(lengths / spacing - 1e-9)).astype(int)
    return int(a), int(b), int(c)


def kpoint_count(grid: tuple[int, int, int]) -> int:
    """Count the k-points of a grid up to time reversal."""
    return (math.prod(grid) + 1) // 2


def pw_input(
    structure: Structure,
    pseudos: Mapping[str, Pseudopotential],
    *,
    calculation: Calculation,
    options: Options,
    kpoints: tuple[int, int, int],
    magmoms: Mapping[str, float] | None = None,
) -> str:
    """Return the input of pw.x.

    Parameters
    ----------
    options
        Namelist to keyword to value, in the units of QE.
    kpoints
        Grid with the Gamma point; (1, 1, 1) uses the faster real wavefunctions.
    magmoms
        Initial magnetic moment (Bohr magnetons) by element, where the run is spin-polarized.
    """
    data = Namelist({name: _plain(options.get(name, {})) for name in CELL_CARDS})
    data["control"] |= {
        "calculation": calculation,
        "prefix": PREFIX,
        "outdir": "./",
        "pseudo_dir": str(_folder(pseudos)),
        "tprnfor": True,
    }
    buffer = io.StringIO()
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    if magmoms:
        atoms.set_initial_magnetic_moments([magmoms.get(s, 0.0) for s in atoms.symbols])
    write_espresso_in(
        buffer,
        atoms,
        input_data=data,
        pseudopotentials={element: pseudo.path.name for element, pseudo in pseudos.items()},
        kpts=None if kpoints == (1, 1, 1) else kpoints,
    )
    # Namelists that ASE knows and older versions of QE do not.
    return re.sub(r"&(?!CONTROL|SYSTEM|ELECTRONS)\w+\n/\n", "", buffer.getvalue())


def neb_input(
    images: Sequence[Structure],
    pseudos: Mapping[str, Pseudopotential],
    *,
    path: PathSettings,
    options: Options,
    kpoints: tuple[int, int, int],
    magmoms: Mapping[str, float] | None = None,
) -> str:
    """Return the input of neb.x: a path through all images, of which the ends stay.

    Parameters
    ----------
    images
        From one end to the other.
    pseudos
        By element.
    path
        The namelist of neb.x.
    options
        The namelists of pw.x.
    kpoints
        The grid.
    magmoms
        Starting magnetization by element, of spin-polarized runs.
    """
    settings = Namelist(
        {
            "path": {
                "string_method": "neb",
                "restart_mode": "restart" if path.restart else "from_scratch",
                "nstep_path": path.max_steps,
                "num_of_images": len(images),
                "opt_scheme": "broyden",
                "CI_scheme": "auto" if path.climb else "no-CI",
                "path_thr": path.fmax,
                "k_min": path.springs[0],
                "k_max": path.springs[1],
            }
        }
    )
    engine = {name: dict(options.get(name, {})) for name in ("control", "system", "electrons")}
    texts = [
        pw_input(
            image, pseudos, calculation="scf", options=engine, kpoints=kpoints, magmoms=magmoms
        )
        for image in images
    ]
    positions = [text[text.index("ATOMIC_POSITIONS") :].rstrip() for text in texts]
    titles = ["INTERMEDIATE_IMAGE"] * len(images)
    titles[0], titles[-1] = "FIRST_IMAGE", "LAST_IMAGE"
    lines = ["BEGIN", "BEGIN_PATH_INPUT", settings.to_string().rstrip(), "END_PATH_INPUT"]
    lines += ["BEGIN_ENGINE_INPUT", texts[0][: texts[0].index("ATOMIC_POSITIONS")].rstrip()]
    lines += ["BEGIN_POSITIONS"]
    for title, block in zip(titles, positions, strict=True):
        lines += [title, block]
    return "\n".join([*lines, "END_POSITIONS", "END_ENGINE_INPUT", "END", ""])


def read_option(text: str, namelist: str, key: str) -> str | None:
    """Return an option of an input as it is written there."""
    block = _namelist(text, namelist)
    if block is None:
        return None
    match = re.search(rf"^\s*{re.escape(key)}\s*=\s*(.*?)\s*,?\s*$", block.group(2), _FLAGS)
    return match.group(1).strip("'\"") if match else None


def change_option(text: str, namelist: str, key: str, value: str | float | bool) -> str:  # noqa: FBT001
    """Return an input with an option set to another value.

    Parameters
    ----------
    text
        The input.
    namelist
        Where the option stands, or will.
    key, value
        The option.
    """
    block = _namelist(text, namelist)
    if block is None:
        msg = f"The input has no namelist &{namelist.upper()}, so {key} cannot be set."
        raise EngineError(msg)
    line = Namelist({key: value}).to_string(indent=3)
    kept = re.sub(rf"^\s*{re.escape(key)}\s*=.*\n", "", block.group(2), flags=_FLAGS)
    changed: str = text[: block.start(2)] + line + kept + text[block.end(2) :]
    return changed


def copy_namelist(text: str, name: str, *, source: str) -> str:
    """Return an input with a namelist as another input has it, if both do."""
    block, other = _namelist(text, name), _namelist(source, name)
    if block is None or other is None:
        return text
    return text[: block.start(2)] + other.group(2) + text[block.end(2) :]


def change_geometry(text: str, positions: FloatArray, *, cell: FloatArray | None = None) -> str:
    """Return an input of pw.x with other positions, and another cell, in A.

    Names of species, and what holds an atom fixed, stay.
    """
    rows = [words.split() for words in _card(text, "ATOMIC_POSITIONS").group(2).splitlines()]
    if len(rows) != len(positions):
        msg = f"The input has {len(rows)} atoms, not {len(positions)}."
        raise EngineError(msg)
    lines = [
        " ".join([row[0], *(f"{x:.10f}" for x in xyz), *row[4:]])
        for row, xyz in zip(rows, positions, strict=True)
    ]
    text = _with_card(text, "ATOMIC_POSITIONS", lines)
    if cell is None:
        return text
    vectors = [" ".join(f"{x:.10f}" for x in vector) for vector in cell]
    return _with_card(text, "CELL_PARAMETERS", vectors)


def read_geometry(text: str) -> tuple[FloatArray, FloatArray]:
    """Return positions and cell (A) of an input of pw.x that we wrote."""
    rows = [line.split()[1:4] for line in _card(text, "ATOMIC_POSITIONS").group(2).splitlines()]
    vectors = [line.split() for line in _card(text, "CELL_PARAMETERS").group(2).splitlines()]
    return np.array(rows, dtype=np.float64), np.array(vectors, dtype=np.float64)


def _card(text: str, name: str) -> re.Match[str]:
    """Return a card with its rows, which are the lines with numbers that follow it."""
    row = r"[^\S\n]*(?:[A-Z]\w*[^\S\n]+)?[-+.\d][^\n]*\n"
    match = re.search(rf"(^[^\S\n]*{name}\b[^\n]*\n)((?:{row})+)", text, _FLAGS)
    if match is None:
        msg = f"The input has no card {name}, so that its geometry cannot be changed."
        raise EngineError(msg)
    return match


def _with_card(text: str, name: str, lines: Sequence[str]) -> str:
    card = _card(text, name)
    rows = "".join(f"{line}\n" for line in lines)
    return f"{text[: card.start()]}{name} angstrom\n{rows}{text[card.end() :]}"


_FLAGS = re.IGNORECASE | re.MULTILINE


def _namelist(text: str, name: str) -> re.Match[str] | None:
    return re.search(rf"(^\s*&{name}\s*\n)(.*?)(^\s*/\s*$)", text, _FLAGS | re.DOTALL)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn numpy's numbers, whose names would end in the input, into Python's."""
    return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}


def _folder(pseudos: Mapping[str, Pseudopotential]) -> Path:
    folders = {pseudo.path.parent for pseudo in pseudos.values()}
    if len(folders) != 1:
        msg = f"Pseudopotentials lie in {len(folders)} folders; QE reads them from one."
        raise EngineError(msg)
    return folders.pop()
