"""ASE calculators by import path: which may be imported, and what they take, before one is made.

A campaign file names the class, so that a plan must be safe to make from a file of somebody else:
importing a module and calling what is in it both run code. Only packages that are known for
calculators are imported unasked, and nothing is called but a class of a calculator, or a function
that says it returns one; that is left to the job.
"""

import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

import numpy as np
from ase.calculators.calculator import BaseCalculator, Calculator
from ase.calculators.genericfileio import GenericFileIOCalculator

from ssefw.errors import ConfigurationError
from ssefw.mistakes import check_settings, unknown_word
from ssefw.settings import load_settings

__all__ = ["BREAKDOWNS", "KNOWN_PACKAGES", "check_calculator", "make_calculator"]

KNOWN_PACKAGES = frozenset(
    {
        "alignn", "asap3", "ase", "chgnet", "deepmd", "dftd3", "dftd4", "fairchem", "gpaw",
        "m3gnet", "mace", "matgl", "mattersim", "metatomic", "nequip", "orb_models", "pyace",
        "quippy", "sevenn", "ssefw", "tblite", "tensorpotential", "torch_dftd", "torchani",
        "upet", "xtb",
    }
)  # fmt: skip
"""Packages whose calculators are imported unasked."""

EXAMPLE = "Give the import path of an ASE calculator, for example ase.calculators.emt.EMT."
INTERFACE = ("get_potential_energy", "get_forces", "calculation_required")
"""What ASE asks of a calculator that derives from no class of its own."""

BREAKDOWNS = (ValueError, ArithmeticError, np.linalg.LinAlgError, LookupError, NotImplementedError)
"""What calculators raise of structures that they cannot compute: atoms that are too close, elements
that they do not know, properties that they have not."""

_made: dict[str, Calculator] = {}


def make_calculator(path: str, options: Mapping[str, Any]) -> Calculator:
    """Return a calculator, made once in a process.

    Raises
    ------
    ConfigurationError
        If there is none at the import path, its package is not to be imported, or it does not take
        the options.
    """
    key = json.dumps([path, options], sort_keys=True, default=repr)
    if key not in _made:
        make = check_calculator(path, options)
        try:
            calculator = make(**options)
        except TypeError as error:
            raise ConfigurationError(f"{path} does not accept {dict(options)}: {error}") from error
        if not isinstance(calculator, Calculator | BaseCalculator) and not _is_like(calculator):
            raise ConfigurationError(f"{path} is not an ASE calculator. {EXAMPLE}")
        _made[key] = calculator
    return _made[key]


def check_calculator(path: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what makes a calculator; it is imported and not called.

    Raises
    ------
    ConfigurationError
        As `make_calculator`.
    """
    make: Callable[..., Any] = _imported(path)
    if not _makes_calculators(make):
        raise ConfigurationError(f"{path} is not an ASE calculator. {EXAMPLE}")
    _check_options(path, make, options)
    return make


def _imported(path: str) -> Any:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", path):
        raise ConfigurationError(f"{path!r} is no import path. {EXAMPLE}")
    package = path.partition(".")[0]
    if package in sys.stdlib_module_names:
        raise ConfigurationError(f"{path} is not an ASE calculator. {EXAMPLE}")
    own = re.split(r"[\s,]+", load_settings().settings.calculator_packages)
    if package not in KNOWN_PACKAGES and package not in own:
        raise ConfigurationError(
            f"The calculator {path} is in the package {package!r}, and importing it runs its code. "
            f"If you trust it, say so: export SSEFW_CALCULATOR_PACKAGES={package}"
            + "".join(f",{name}" for name in own if name)
            + ", or calculator_packages in the settings file."
        )
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        hint = ""
        if module in sys.modules:
            close = get_close_matches(name, dir(sys.modules[module]), n=1)
            hint = f" Did you mean {module}.{close[0]}?" if close else ""
        raise ConfigurationError(
            f"Cannot import the calculator {path!r}: {error}.{hint} {EXAMPLE}"
        ) from error


def _makes_calculators(make: Any) -> bool:
    """Whether it is the class of a calculator, or a function that says it returns one."""
    if isinstance(make, type):
        return issubclass(make, BaseCalculator) or _is_like(make)
    if not inspect.isfunction(make):
        return False
    try:
        returned = get_type_hints(make).get("return")
    except (NameError, TypeError):
        returned = None
    if isinstance(returned, type):
        return issubclass(returned, BaseCalculator) or _is_like(returned)
    return str(make.__annotations__.get("return", "")).strip("'\"").endswith("Calculator")


def _is_like(thing: Any) -> bool:
    return all(callable(getattr(thing, name, None)) for name in INTERFACE)


def _check_options(path: str, make: Any, options: Mapping[str, Any]) -> None:
    if not all(isinstance(name, str) for name in options):
        raise ConfigurationError(f"The options of {path} have names that are no text.")
    parameters = inspect.signature(make).parameters.values()
    names, extra = _names(make), []
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        extra = [name for name in options if name not in names]
    for name in () if _takes_anything(make) else extra:
        if _is_known_whole(path) or get_close_matches(name, names, n=1, cutoff=0.8):
            known = sorted(names - {"self"})
            raise ConfigurationError(
                f"{path} has no option {name!r}{unknown_word(name, known, name='it has')}"
            )
    try:
        check_settings(make, options, of=path, also=[*names, *extra])
    except NameError:  # an annotation that only a type checker can read
        check_settings(_untyped(make), options, of=path, also=[*names, *extra])
    needed = [
        name
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}
        and name not in options
    ]
    if needed:
        raise ConfigurationError(
            f"{path} needs the option {needed[0]!r}: engine: {{options: {{{needed[0]}: ...}}}}."
        )


def _names(make: Any) -> set[str]:
    """Return the names of options: of the function, or of the class and those it hands them to."""
    names = set(getattr(make, "default_parameters", None) or {})
    for kind in make.__mro__ if isinstance(make, type) else (make,):
        if isinstance(make, type) and "__init__" not in vars(kind):
            continue
        parameters = inspect.signature(kind).parameters.values()
        names |= {p.name for p in parameters if p.kind not in {p.VAR_KEYWORD, p.VAR_POSITIONAL}}
        if kind is Calculator or not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


def _takes_anything(make: Any) -> bool:
    """Whether the options become the input file of a program, which knows more than ASE."""
    is_program = isinstance(make, type) and (
        issubclass(make, GenericFileIOCalculator) or hasattr(make, "write_input")
    )
    return is_program or not isinstance(make, type)


def _is_known_whole(path: str) -> bool:
    """Whether no class of the package hands options to a place where they would not be found."""
    return path.partition(".")[0] in {"ase", "chgnet", "ssefw"}


def _untyped(make: Any) -> Callable[..., Any]:
    """Return something with the same parameters without their types."""

    def stand_in(**options: Any) -> None:
        """Never called."""

    plain = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(make).parameters.values()
    ]
    stand_in.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    return stand_in
