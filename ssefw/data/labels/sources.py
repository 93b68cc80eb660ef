"""Where labels come from: the set that ships, a file, or an optional package.

``starter`` is a small set inside the package; ``obelix`` is read through the package
``obelix-data``; anything else is a path to a set saved by ssefw or to a table of conductivities.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pymatgen.core import Lattice, Structure
from scipy.special import stdtrit

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.labels.sets import load_label_set
from ssefw.data.labels.tables import ROOM_TEMPERATURE, read_label_table
from ssefw.data.structures import content_id
from ssefw.documents import Cell, Estimate, Label, LabelSet
from ssefw.errors import DataError, MissingDependencyError
from ssefw.units import BOLTZMANN_EV_PER_K

__all__ = ["BUILT_IN", "extrapolate_labels", "find_label_set", "starter_labels"]

BUILT_IN = ("obelix", "starter")


def find_label_set(source: str | Path, *, structures: Path | None = None) -> LabelSet:
    """Return a label set by its name or path; a table is read as it stands, without merging.

    Raises
    ------
    DataError
        If there is neither a set nor a file of that name.
    """
    if str(source) == "starter":
        return starter_labels()
    if str(source) == "obelix":
        return _obelix_package()
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"There is no label set {str(source)!r}: no such file, and the sets that come by name "
            f"are {', '.join(BUILT_IN)}."
        )
    if path.name.removesuffix(".gz").endswith(".json"):
        return load_label_set(path)
    return read_label_table(path, structures=structures)


@cache
def starter_labels() -> LabelSet:
    """Return the set that ships with ssefw."""
    text = files("ssefw.data").joinpath("starter_labels.yaml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = yaml.safe_load(text)
    return LabelSet(
        name="starter",
        labels=tuple(_starter_label(row, number) for number, row in enumerate(rows, start=1)),
        convention="Well-known materials, values from the papers cited; one report each.",
    )


def _starter_label(row: dict[str, Any], number: int) -> Label:
    composition = parse_formula(row["formula"])
    sigma = float(row["sigma"])
    structure = _structure(row)
    return Label(
        candidate_id=content_id(structure) if structure else composition_id(composition),
        formula=row["formula"],
        conductivity=Estimate(
            value=sigma, lower=sigma, upper=sigma, unit="S/cm", method="one report"
        ),
        temperature=float(row.get("T", ROOM_TEMPERATURE)),
        kind="experiment",
        reference=row["doi"],
        quantity=row.get("quantity", "unspecified"),
        lowest_temperature=row.get("lowest"),
        cell=_cell(row),
        structure=structure,
        row_id=f"starter-{number:02d}",
        sources=(f"starter:{number}",),
    )


def _cell(row: dict[str, Any]) -> Cell | None:
    if "cell" not in row:
        return None
    names = ("a", "b", "c", "alpha", "beta", "gamma")
    return Cell(
        **{name: float(value) for name, value in zip(names, row["cell"], strict=True)},
        space_group=row["space_group"],
        formula_units=float(row["z"]),
    )


def _structure(row: dict[str, Any]) -> Structure | None:
    if "sites" not in row:
        return None
    return Structure.from_spacegroup(
        row["space_group"],
        Lattice.from_parameters(*row["cell"]),
        [site[0] for site in row["sites"]],
        [site[1:] for site in row["sites"]],
        tol=1e-3,
    )


def _obelix_package() -> LabelSet:
    try:
        package: Any = import_module("obelix")
    except ImportError as error:
        raise MissingDependencyError("obelix-data", purpose="The label set 'obelix'") from error
    data = package.OBELiX(no_cifs=True)
    table = Path(data.data_path) / "all.csv"
    if not table.exists():
        raise DataError(f"The package obelix-data left no {table}. Give its training csv by path.")
    training = set(data.train_dataset.entries)
    labels = read_label_table(table, name="obelix")
    # The test rows stay sealed: nothing here may learn from them.
    kept = tuple(label for label in labels.labels if label.row_id in training)
    return labels.model_copy(update={"labels": kept})


def extrapolate_labels(
    labels: Sequence[Label], *, temperature: float = ROOM_TEMPERATURE
) -> tuple[list[Label], list[tuple[str, str]]]:
    """Bring several temperatures of one material to one: ln(sigma T) against 1/T, extrapolated.

    A material measured within 5 K of `temperature` keeps that value. Else at least three
    temperatures are fitted by least squares; the interval is the 95 % prediction interval, and the
    lowest temperature measured stays on record (McHaffie et al. 2025).

    Returns the labels, and the materials that have fewer than three temperatures or a bound among
    them, each with its first source and the reason.
    """
    by_material: dict[tuple[str, str, str], list[Label]] = defaultdict(list)
    for label in labels:
        key = (composition_id(parse_formula(label.formula)), label.quantity, label.reference)
        by_material[key].append(label)
    found: list[Label] = []
    rejects: list[tuple[str, str]] = []
    for points in by_material.values():
        try:
            found.append(_at(points, temperature))
        except DataError as error:
            rejects.append((points[0].sources[0] if points[0].sources else "", str(error)))
    return found, rejects


def _at(points: list[Label], temperature: float) -> Label:
    near = [point for point in points if abs(point.temperature - temperature) <= 5]
    if near:
        return near[0]
    name = points[0].formula
    values = [point.conductivity.value for point in points]
    kelvin = np.array([point.temperature for point in points])
    if len(set(kelvin.tolist())) < 3:
        raise DataError(
            f"{name} has {len(points)} conductivities, none near {temperature:g} K; extrapolation "
            "needs three temperatures. Add them or leave the material out."
        )
    if any(value is None for value in values):
        raise DataError(f"{name} has a bound among its temperatures, which no line can be put on.")
    x = 1.0 / (BOLTZMANN_EV_PER_K * kelvin)
    y = np.log(np.array(values, dtype=float) * kelvin)
    slope, intercept = np.polyfit(x, y, 1)
    rest = y - (slope * x + intercept)
    here = 1.0 / (BOLTZMANN_EV_PER_K * temperature)
    n = len(x)
    variance = float(rest @ rest) / (n - 2)
    leverage = 1 + 1 / n + (here - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    half = float(stdtrit(n - 2, 0.975)) * float(np.sqrt(variance * leverage))
    middle = slope * here + intercept
    low, value, high = (float(np.exp(middle + d) / temperature) for d in (-half, 0.0, half))
    return points[0].model_copy(
        update={
            "conductivity": Estimate(
                value=value,
                lower=low,
                upper=high,
                unit="S/cm",
                method=f"Arrhenius fit of {n} temperatures, 95 % prediction interval",
            ),
            "temperature": temperature,
            "lowest_temperature": float(kelvin.min()),
            "sources": tuple(source for point in points for source in point.sources),
        }
    )
