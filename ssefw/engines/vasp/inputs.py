"""The input files of a VASP calculation, as a pure function of structure, preset and task."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Element, PeriodicSite, Structure
from pymatgen.io.vasp import Incar, Kpoints, Poscar
from pymatgen.io.vasp.sets import MPRelaxSet, MPScanRelaxSet, MPStaticSet, VaspInputSet

from ssefw.engines.base import MDSettings, NebSettings
from ssefw.engines.vasp.presets import Preset, Task
from ssefw.errors import ConfigurationError, DataError, EngineError
from ssefw.mistakes import shown, unknown_word
from ssefw.units import Limits

__all__ = [
    "VaspCell",
    "band_tags",
    "check_kpoints",
    "check_tags",
    "check_values",
    "dynamics_tags",
    "input_files",
    "input_set",
    "poscar_text",
    "relaxation_tags",
]

FloatArray = npt.NDArray[np.float64]

OPEN_SHELLS = frozenset(
    {
        "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Ru", "Rh", "Re", "Os", "Ir", "Ce", "Pr", "Nd",
        "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "U", "Np", "Pu",
    }
)  # fmt: skip
"""Elements whose usual ions can carry a moment. Ions that are met closed-shell in electrolytes
(Ti, Zr, Nb, Mo, Ta, W, La ...) are left out; set ISPIN to have spin for them."""

RESERVED: dict[Task, frozenset[str]] = {
    "relax": frozenset({"NSW", "EDIFFG", "ISIF"}),
    "static": frozenset({"NSW"}),
    "md": frozenset({"IBRION", "ISIF", "MDALGO", "NBLOCK", "NSW", "POTIM", "TEBEG", "TEEND"}),
}
"""Tags that the task itself decides, from its own settings."""

PER_ELEMENT = frozenset({"LDAUJ", "LDAUL", "LDAUU", "MAGMOM"})
"""Tags whose values pymatgen also takes by element."""

KPOINTS: dict[str, Limits | None] = {
    "added_kpoints": None,
    "explicit": None,
    "grid_density": Limits("per atom", above=0, most=1e7),
    "kpath_kwargs": None,
    "length": Limits("A", above=0, most=1e3),
    "line_density": Limits("per path", above=0, most=1e4),
    "reciprocal_density": Limits("per 1/A^3", above=0, most=1e6),
    "zero_weighted_line_density": Limits("per path", above=0, most=1e4),
    "zero_weighted_reciprocal_density": Limits("per 1/A^3", above=0, most=1e6),
}
"""What pymatgen reads of a set's k-points."""

FIRE = 7
"""VTST's number of the optimizer FIRE."""


@dataclass(frozen=True)
class VaspCell:
    """A structure in VASP's order, one block of sites for each element.

    Attributes
    ----------
    structure
        Plain elements, sorted by electronegativity.
    order
        Site k of VASP is site ``order[k]`` of the structure that was given.
    """

    structure: Structure
    order: npt.NDArray[np.int64]

    @classmethod
    def of(cls, structure: Structure) -> "VaspCell":
        """Sort the sites of a structure.

        Raises
        ------
        DataError
            If sites are partly occupied.
        """
        if not structure.is_ordered:
            raise DataError(
                f"{structure.composition.reduced_formula} has partly occupied sites; VASP needs an "
                "ordered structure."
            )
        elements = [Element(site.specie.symbol) for site in structure]
        order = sorted(range(len(elements)), key=lambda k: (elements[k].X, elements[k].symbol, k))
        sites = [
            PeriodicSite(elements[k], structure[k].frac_coords, structure.lattice) for k in order
        ]
        return cls(Structure.from_sites(sites), np.array(order, dtype=np.int64))

    def to_given_order(self, rows: FloatArray) -> FloatArray:
        """Return an array over VASP's sites in the order of the given structure."""
        out = np.empty_like(rows)
        out[self.order] = rows
        return out

    def to_vasp_order(self, rows: FloatArray) -> FloatArray:
        """Return an array over the given structure's sites in VASP's order."""
        return rows[self.order]

    @property
    def masses(self) -> FloatArray:
        """Masses in amu, VASP's order."""
        return np.array([float(site.specie.atomic_mass) for site in self.structure])


@cache
def _family() -> dict[str, str]:
    """Return element to POTCAR symbol of the PBE_54 family."""
    mapping: dict[str, str] = dict(MPScanRelaxSet.CONFIG["POTCAR"])
    return mapping


def check_tags(tags: Mapping[str, Any], task: Task) -> None:
    """Refuse tags that the task decides, and likely misspellings.

    Raises
    ------
    ConfigurationError
        With the tag and what to do instead.
    """
    for name in tags:
        tag = name.strip().upper()
        if tag in RESERVED[task]:
            raise ConfigurationError(
                f"INCAR tag {tag} of a {task} calculation follows from its own settings (steps, "
                "time step, temperature, force threshold, cell); change it there."
            )
        if tag not in Incar.INCAR_PARAMS:
            near = difflib.get_close_matches(tag, Incar.INCAR_PARAMS, n=1, cutoff=0.75)
            if near:
                raise ConfigurationError(f"Unknown INCAR tag {tag}. Did you mean {near[0]}?")


POSITIVE = {
    "EDIFF", "ENAUG", "ENCUT", "KPAR", "KSPACING", "NBANDS", "NCORE", "NELM", "NELMIN", "NPAR",
    "SIGMA",
}  # fmt: skip
"""Tags of which nothing and less are no values."""


def check_values(tags: Mapping[str, Any]) -> None:
    """Refuse values that a tag of VASP cannot have: numbers that are none, words for numbers.

    Raises
    ------
    ConfigurationError
        With the tag and the value.
    """
    for name, value in tags.items():
        known: Any = Incar.INCAR_PARAMS
        kind = known.get(name.strip().upper(), {}).get("type", "")
        numbers = [x for x in (value if isinstance(value, list) else [value]) if x is not None]
        for number in numbers:
            is_none = isinstance(number, float) and not np.isfinite(number)
            if isinstance(number, str) and kind in {"int", "float"}:
                try:
                    is_none = not np.isfinite(float(number))
                except ValueError:
                    is_none = True
            is_number = not is_none and isinstance(number, int | float | str)
            if name.strip().upper() in POSITIVE and is_number and float(number) <= 0:
                raise ConfigurationError(
                    f"INCAR tag {name} must be a number above 0, got {shown(value)}."
                )
            if is_none or (isinstance(number, dict) and name.strip().upper() not in PER_ELEMENT):
                raise ConfigurationError(
                    f"INCAR tag {name} must be {'a number' if kind else 'a value'}, "
                    f"got {shown(value)}."
                )


def check_kpoints(kpoints: Mapping[str, Any]) -> None:
    """Refuse settings of k-points that pymatgen would not read, and densities that are none.

    Raises
    ------
    ConfigurationError
        With what was probably meant.
    """
    for name, value in kpoints.items():
        if name not in KPOINTS:
            raise ConfigurationError(
                f"The engine vasp: kpoints has no setting {name!r}"
                f"{unknown_word(name, sorted(KPOINTS), name='it has')}"
            )
        if (limits := KPOINTS[name]) is not None:
            try:
                limits.check(value)
            except ValueError as error:
                raise ConfigurationError(
                    f"The engine vasp: kpoints.{name} {error}, got {shown(value)}."
                ) from error


def relaxation_tags(*, fmax: float, max_steps: int, relax_cell: bool) -> dict[str, Any]:
    """Return the tags of a relaxation to `fmax` (eV/A)."""
    return {"EDIFFG": -abs(fmax), "NSW": max_steps, "ISIF": 3 if relax_cell else 2}


def band_tags(settings: NebSettings, *, n_images: int, climb: bool) -> dict[str, Any]:
    """Return the tags that make a relaxation one of a band, by VTST's FIRE.

    Parameters
    ----------
    n_images
        Both ends included.
    """
    return {
        "IMAGES": n_images - 2,
        "ICHAIN": 0,
        "LCLIMB": climb,
        "SPRING": -settings.spring,
        "IBRION": 3,
        "POTIM": 0,
        "IOPT": FIRE,
        "ISYM": 0,
    }


def dynamics_tags(
    settings: MDSettings, cell: VaspCell, *, steps: int, begin: float, end: float
) -> dict[str, Any]:
    """Return the tags of `steps` steps with the set point going from `begin` to `end` (K).

    Nose-Hoover's mass is the preset's SMASS; `settings.damping` is the inverse of Langevin's
    friction.

    Parameters
    ----------
    settings
        Of the dynamics.
    cell
        The atoms as VASP has them.
    steps
        NSW.
    begin, end
        TEBEG and TEEND, K.
    """
    tags: dict[str, Any] = {
        "NSW": steps,
        "POTIM": settings.timestep,
        "TEBEG": begin,
        "TEEND": end,
        "MDALGO": 2,
    }
    if settings.thermostat == "langevin":
        friction = round(1000.0 / settings.damping, 6)
        n_kinds = len({site.specie for site in cell.structure})
        tags |= {
            "MDALGO": 3,
            "LANGEVIN_GAMMA": [friction] * n_kinds,
            "RANDOM_SEED": [settings.seed % 900_000_000, 0, 0],
        }
    return tags


def input_set(
    preset: Preset,
    task: Task,
    cell: VaspCell,
    *,
    tags: Mapping[str, Any],
    incar: Mapping[str, Any],
    kpoints: Mapping[str, Any] | None = None,
    potcar: Mapping[str, str] | None = None,
) -> VaspInputSet:
    """Return pymatgen's input set for a task.

    Parameters
    ----------
    tags
        What the task decides.
    incar, kpoints, potcar
        What the user overrides.
    """
    check_tags(incar, task)
    if preset.input_sets == "materials-project":
        return _materials_project_set(preset, task, cell, incar, potcar)
    symbols = _family() | preset.potcar | dict(potcar or {})
    settings: dict[str, Any] = {**preset.incar(task), **tags}
    settings |= _spin_tags(preset, cell, incar, symbols)
    settings |= {name.strip().upper(): value for name, value in incar.items()}
    settings = {name: value for name, value in settings.items() if value is not None}
    chosen = dict(kpoints) if kpoints else preset.kpoints(task)
    config = {
        "INCAR": settings,
        "KPOINTS": {} if chosen == "gamma" else chosen,
        "POTCAR": symbols,
        "POTCAR_FUNCTIONAL": preset.functional,
    }
    gamma = Kpoints.gamma_automatic((1, 1, 1))
    return VaspInputGenerator(
        structure=cell.structure,
        config_dict=config,
        # pymatgen's annotations are narrower than what it takes.
        user_kpoints_settings=gamma if chosen == "gamma" else {},  # type: ignore[arg-type]
        user_potcar_functional=preset.functional,  # type: ignore[arg-type]
        sort_structure=False,
        auto_ismear=False,
        auto_metal_kpoints=False,
        inherit_incar=False,
        validate_magmom=False,
    )


def poscar_text(
    cell: VaspCell, *, frac_coords: FloatArray, velocities: FloatArray | None = None
) -> str:
    """Return a POSCAR, with velocities (A/fs) if given; arrays in VASP's order."""
    structure = Structure(cell.structure.lattice, cell.structure.species, frac_coords)
    # Poscar takes the truth value of its velocities, which an array does not have.
    rows = None if velocities is None else velocities.tolist()
    return Poscar(structure, velocities=rows).get_str(significant_figures=16)


def input_files(
    vasp_set: VaspInputSet, cell: VaspCell, *, poscar: str | None = None
) -> dict[str, str]:
    """Return the text of each input file; a POTCAR is named in ``POTCAR.spec`` only.

    No POTCAR is read.
    """
    files = {
        "INCAR": str(vasp_set.incar),
        "POSCAR": poscar or poscar_text(cell, frac_coords=cell.structure.frac_coords),
        "POTCAR.spec": "\n".join(vasp_set.potcar_symbols) + "\n",
    }
    if (kpoints := vasp_set.kpoints) is not None:
        files["KPOINTS"] = str(kpoints)
    return dict(sorted(files.items()))


def _spin_tags(
    preset: Preset, cell: VaspCell, incar: Mapping[str, Any], symbols: Mapping[str, str]
) -> dict[str, Any]:
    """Return ISPIN, and MAGMOM where an element can carry a moment."""
    if "ISPIN" in {name.strip().upper() for name in incar}:
        return {}
    elements = {site.specie.symbol for site in cell.structure}
    # A trivalent lanthanide potential holds its f electrons, and their moment, in the core.
    magnetic = sorted(
        e for e in elements & OPEN_SHELLS if not symbols.get(e, e).endswith(("_3", "_2"))
    )
    if not magnetic:
        return {"ISPIN": 1}
    if preset.spin == "off":
        raise EngineError(
            f"{cell.structure.composition.reduced_formula} holds {', '.join(magnetic)}, which can "
            f"carry a magnetic moment, and preset {preset.name!r} runs without spin. Set ISPIN "
            "(1 or 2) in incar."
        )
    return {"ISPIN": 2, "MAGMOM": MPRelaxSet.CONFIG["INCAR"]["MAGMOM"]}


def _materials_project_set(
    preset: Preset,
    task: Task,
    cell: VaspCell,
    incar: Mapping[str, Any],
    potcar: Mapping[str, str] | None,
) -> VaspInputSet:
    if task not in preset.tasks:
        raise ConfigurationError(
            f"Preset {preset.name!r} is for energies and has no dynamics; use another for md."
        )
    make = MPRelaxSet if task == "relax" else MPStaticSet
    result: VaspInputSet = make(
        structure=cell.structure,
        user_incar_settings=dict(incar),
        user_potcar_settings=dict(potcar or {}),
        sort_structure=False,
    )
    return result
