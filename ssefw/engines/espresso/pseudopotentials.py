"""Pseudopotentials as a family: one UPF file for each element, from a folder.

Energies of two calculations can be compared only if they used the very same files, hence a family
has a hash over the bytes of what is used, which goes into a result's provenance and can be asked
for beforehand.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

from pymatgen.core import Structure

from ssefw.errors import ConfigurationError, EngineError
from ssefw.files import expand_user

__all__ = [
    "FAMILIES",
    "Pseudopotential",
    "electron_count",
    "family_hash",
    "find_pseudopotentials",
    "recommended_cutoffs",
]

FAMILIES = {
    "pslibrary": r"\.pbe-.*kjpaw_psl",
    "pslibrary-us": r"\.pbe-.*rrkjus_psl",
    "gbrv": r"_pbe_v.*\.uspp",
    "sssp": r"",
    "dojo": r"",
    "any": r"",
}
"""What file names of a family of PBE pseudopotentials hold. A folder of SSSP or PseudoDojo has one
file for each element and needs no sieve."""

DUAL = 4.0
"""Cutoff of the density over that of wavefunctions, where a norm-conserving header has none."""


@dataclass(frozen=True)
class Pseudopotential:
    """What the header of a UPF file says.

    Attributes
    ----------
    wfc_cutoff, rho_cutoff
        Suggested minimal cutoffs for wavefunctions and density, in Ry; None where not given.
    n_valence
        Electrons of the neutral atom.
    sha256
        Of the file's bytes.
    """

    element: str
    path: Path
    kind: str
    functional: str
    n_valence: float
    wfc_cutoff: float | None
    rho_cutoff: float | None
    sha256: str


def find_pseudopotentials(
    folder: Path | None,
    elements: Iterable[str],
    *,
    family: str = "any",
    files: Mapping[str, str] | None = None,
) -> dict[str, Pseudopotential]:
    """Choose the file of each element from a folder.

    Parameters
    ----------
    folder
        Where the UPF files lie; the setting ``pseudo_dir``.
    family
        One of `FAMILIES`, to choose between files of one element.
    files
        File names that are chosen by hand, by element.

    Raises
    ------
    ConfigurationError
        If there is no folder or the family is unknown.
    EngineError
        If an element has no file, or more than one.
    """
    if folder is None:
        msg = "No folder of pseudopotentials. Set SSEFW_PSEUDO_DIR to one with a UPF file for each"
        raise ConfigurationError(f"{msg} element, for example of pslibrary or SSSP.")
    if family not in FAMILIES:
        msg = (
            f"Unknown family {family!r} of pseudopotentials. Known: {', '.join(sorted(FAMILIES))}."
        )
        raise ConfigurationError(msg)
    folder = expand_user(folder, error=ConfigurationError).resolve()
    found = _by_element(folder, FAMILIES[family])
    chosen = {}
    for element in sorted(set(elements)):
        if files and element in files:
            candidates = [folder / files[element]]
            if not candidates[0].is_file():
                msg = f"The pseudopotential {files[element]!r} of {element} is not in {folder}."
                raise EngineError(msg)
        else:
            candidates = found.get(element, [])
        if not candidates:
            msg = (
                f"No pseudopotential of {element} in {folder} (family {family!r}; it has "
                f"{', '.join(sorted(found)) or 'no UPF files'}). Add its UPF file to the folder."
            )
            raise EngineError(msg)
        if len(candidates) > 1:
            names = ", ".join(sorted(path.name for path in candidates))
            msg = f"{folder} has more than one pseudopotential of {element}: {names}. Choose a "
            raise EngineError(f"{msg}family, or one by name with pseudo_files.")
        header = read_header(candidates[0])
        if header.element != element:
            msg = f"{candidates[0]} is a pseudopotential of {header.element}, not of {element}."
            raise EngineError(msg)
        chosen[element] = header
    functionals = {p.functional for p in chosen.values()}
    if len(functionals) > 1:
        listing = "; ".join(f"{p.path.name}: {p.functional}" for p in chosen.values())
        msg = f"Pseudopotentials of different functionals cannot be mixed ({listing})."
        raise EngineError(msg)
    return chosen


def recommended_cutoffs(pseudos: Iterable[Pseudopotential]) -> tuple[float, float]:
    """Return the largest suggested cutoffs of wavefunctions and density, in Ry.

    Raises
    ------
    EngineError
        If a header suggests none.
    """
    waves, densities = [], []
    for pseudo in pseudos:
        if pseudo.wfc_cutoff is None:
            msg = f"{pseudo.path.name} suggests no cutoff. Give ecutwfc and ecutrho, in Ry."
            raise EngineError(msg)
        waves.append(pseudo.wfc_cutoff)
        densities.append(pseudo.rho_cutoff or DUAL * pseudo.wfc_cutoff)
    return max(waves), max(*densities, DUAL * max(waves))


def electron_count(
    structure: Structure, pseudos: Mapping[str, Pseudopotential], *, charge: float
) -> float:
    """Return the number of electrons of a cell with a charge in units of e."""
    return sum(pseudos[site.specie.symbol].n_valence for site in structure) - charge


def family_hash(pseudos: Iterable[Pseudopotential]) -> str:
    """Return a short hash over elements and files, whatever their names and order."""
    text = "\n".join(sorted(f"{pseudo.element} {pseudo.sha256}" for pseudo in pseudos))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def read_header(path: Path) -> Pseudopotential:
    """Read what a UPF file (version 2) says of itself.

    Raises
    ------
    EngineError
        If it is no such file.
    """
    content = path.read_bytes()
    text = content.decode(errors="replace")
    match = re.search(r"<PP_HEADER\b(.*?)/?>", text, re.DOTALL)
    # Some files hold unescaped "<" and "&" in their comments: only the header is taken as XML.
    inside = match.group(1).rstrip("/") if match else ""
    try:
        header = ET.fromstring(f"<PP_HEADER {inside}/>").attrib
        return Pseudopotential(
            element=header["element"].strip(),
            path=path,
            kind=header["pseudo_type"].strip(),
            functional=" ".join(header["functional"].split()),
            n_valence=_number(header["z_valence"]) or 0.0,
            wfc_cutoff=_number(header.get("wfc_cutoff")),
            rho_cutoff=_number(header.get("rho_cutoff")),
            sha256=hashlib.sha256(content).hexdigest(),
        )
    except (ET.ParseError, KeyError, ValueError) as error:
        msg = f"{path} is no UPF file of version 2 ({error}). Convert it with QE's upfconv.x."
        raise EngineError(msg) from error


@cache
def _by_element(folder: Path, pattern: str) -> dict[str, list[Path]]:
    if not folder.is_dir():
        msg = f"The folder of pseudopotentials {folder} does not exist. Set SSEFW_PSEUDO_DIR."
        raise ConfigurationError(msg)
    found = defaultdict(list)
    for path in sorted(folder.iterdir()):
        name = re.match(r"([A-Za-z]{1,2})[._-]", path.name)
        if path.suffix.lower() == ".upf" and name and re.search(pattern, path.name):
            found[name.group(1).capitalize()].append(path)
    return dict(found)


def _number(text: str | None) -> float | None:
    """Read a Fortran number; a cutoff of zero means that there is none."""
    if text is None:
        return None
    return float(text.strip().lower().replace("d", "e")) or None
