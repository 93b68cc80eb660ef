"""The 145 descriptors of a composition of Ward et al. 2016, which Kang et al. 2022 screen with.

Six norms of the stoichiometry, six statistics of each of 22 elemental properties, the mean number
of valence electrons in s, p, d and f orbitals, and three measures of ionic character: names, order
and values are those of matminer's `Stoichiometry`, `ElementProperty("magpie")`,
`ValenceOrbital(["avg"])` and `IonProperty(fast=True)`, computed for many compositions at once.
A property that is not known for an element is not filled in: the composition is refused.

Ward et al., npj Comput. Mater. 2, 16028 (2016), https://doi.org/10.1038/npjcompumats.2016.28
"""

import warnings
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from pymatgen.core import Composition, Element

from ssefw.errors import DataError

__all__ = ["COMPOSITION_FEATURES", "composition_features", "features_where_possible"]

NORMS = (0, 2, 3, 5, 7, 10)
STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
PROPERTIES = (  # noqa: SIM905 - a line of text is easier to read
    "Number MendeleevNumber AtomicWeight MeltingT Column Row CovalentRadius Electronegativity "
    "NsValence NpValence NdValence NfValence NValence NsUnfilled NpUnfilled NdUnfilled "
    "NfUnfilled NUnfilled GSvolume_pa GSbandgap GSmagmom SpaceGroupNumber"
).split()
COMPOSITION_FEATURES: tuple[str, ...] = (
    *(f"{p}-norm" for p in NORMS),
    *(f"MagpieData {stat} {name}" for name in PROPERTIES for stat in STATISTICS),
    *(f"avg {orbital} valence electrons" for orbital in "spdf"),
    "compound possible",
    "max ionic char",
    "avg ionic char",
)
"""Names of the 145 features, in order."""

CHUNK = 2048


@cache
def _table() -> npt.NDArray[np.float64]:
    """Return the elemental properties, shape (104, 22), by atomic number; unknown is NaN."""
    text = files("ssefw.screening.features").joinpath("elements.yaml").read_text(encoding="utf-8")
    content: Any = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if content["properties"] != PROPERTIES:
        raise DataError("elements.yaml does not hold the properties this version computes with.")
    table = np.full((104, len(PROPERTIES)), np.nan)
    for symbol, values in content["elements"].items():
        table[Element(symbol).Z] = [np.nan if value is None else value for value in values]
    return table


@cache
def _electronegativity() -> npt.NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array([np.nan, *(float(Element.from_Z(z).X) for z in range(1, 104))])


@cache
def _oxidation_states(atomic_number: int) -> tuple[int, ...]:
    return Element.from_Z(atomic_number).common_oxidation_states or (0,)


def composition_features(compositions: Sequence[Composition]) -> npt.NDArray[np.float64]:
    """Return the 145 features of each composition, shape (n, 145), as `COMPOSITION_FEATURES`.

    Raises
    ------
    DataError
        If an element's property is not known (noble gases, elements beyond berkelium).
    """
    if not compositions:
        return np.empty((0, len(COMPOSITION_FEATURES)))
    blocks = [
        _block(compositions[start : start + CHUNK]) for start in range(0, len(compositions), CHUNK)
    ]
    return np.vstack(blocks)


def features_where_possible(
    compositions: Sequence[Composition],
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Return the 145 features of each composition, and why a row has none.

    Shape (n, 145), NaN where there is a reason; reasons are empty where there is none.
    """
    features = np.full((len(compositions), len(COMPOSITION_FEATURES)), np.nan)
    problems = [""] * len(compositions)
    for row, composition in enumerate(compositions):
        if not _is_known(composition):
            try:
                composition_features([composition])
            except DataError as error:
                problems[row] = str(error)
    good = [row for row, problem in enumerate(problems) if not problem]
    features[good] = composition_features([compositions[row] for row in good])
    return features, tuple(problems)


def _is_known(composition: Composition) -> bool:
    return all(element.Z in _known_elements() for element in composition.element_composition)


@cache
def _known_elements() -> frozenset[int]:
    return frozenset(np.flatnonzero(np.isfinite(_table()).all(axis=1)).tolist())


def _block(compositions: Sequence[Composition]) -> npt.NDArray[np.float64]:
    numbers, amounts = _padded(compositions)
    present = numbers > 0
    shares = amounts / amounts.sum(axis=1, keepdims=True)
    values = _table()[numbers]
    _refuse_unknown(values, present, numbers, compositions)
    features = np.hstack(
        [
            _norms(shares, present),
            _statistics(values, shares, present),
            _valence(values, shares),
            _ionic(numbers, amounts, shares, present),
        ]
    )
    return np.asarray(features, dtype=np.float64)


def _padded(
    compositions: Sequence[Composition],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return atomic numbers and amounts, shape (n, most elements), zero where there is none."""
    widest = max(len(composition) for composition in compositions)
    numbers = np.zeros((len(compositions), widest), dtype=np.int64)
    amounts = np.zeros((len(compositions), widest))
    for row, composition in enumerate(compositions):
        for column, (element, amount) in enumerate(composition.element_composition.items()):
            numbers[row, column] = element.Z
            amounts[row, column] = amount
    return numbers, amounts


def _refuse_unknown(
    values: npt.NDArray[np.float64],
    present: npt.NDArray[np.bool_],
    numbers: npt.NDArray[np.int64],
    compositions: Sequence[Composition],
) -> None:
    unknown = np.isnan(values) & present[:, :, None]
    if unknown.any():
        row, column, prop = np.argwhere(unknown)[0]
        raise DataError(
            f"No {PROPERTIES[prop]} is known for {Element.from_Z(int(numbers[row, column]))} in "
            f"{compositions[row].reduced_formula}, so its composition descriptors do not exist. "
            "Leave it out."
        )


def _norms(
    shares: npt.NDArray[np.float64], present: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    columns = [
        present.sum(axis=1).astype(float) if p == 0 else (shares**p).sum(axis=1) ** (1 / p)
        for p in NORMS
    ]
    return np.column_stack(columns)


def _statistics(
    values: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    present: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Return the six statistics of each property; the mode of a tie is the smallest value."""
    here = present[:, :, None]
    weight = shares[:, :, None]
    known = np.where(here, values, 0.0)
    low = np.where(here, values, np.inf).min(axis=1)
    high = np.where(here, values, -np.inf).max(axis=1)
    mean = (weight * known).sum(axis=1)
    deviation = (weight * np.abs(known - mean[:, None])).sum(axis=1)
    most = np.isclose(shares, shares.max(axis=1, keepdims=True)) & present
    mode = np.where(most[:, :, None], values, np.inf).min(axis=1)
    stacked = np.stack([low, high, high - low, mean, deviation, mode], axis=2)
    return stacked.reshape(len(values), -1)


def _valence(
    values: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    first = PROPERTIES.index("NsValence")
    electrons = np.nan_to_num(values[:, :, first : first + 4])
    result: npt.NDArray[np.float64] = (shares[:, :, None] * electrons).sum(axis=1)
    return result


def _ionic(
    numbers: npt.NDArray[np.int64],
    amounts: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64],
    present: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Return whether one oxidation state each makes it neutral, and Pauling's ionic character.

    Pairs of elements count as 1 - exp(-(X_a - X_b)^2 / 4): the largest, and the mean weighted with
    the product of the two fractions.
    """
    x = np.where(present, _electronegativity()[numbers], 0.0)
    if np.isnan(x).any():
        row = int(np.argwhere(np.isnan(x))[0][0])
        raise DataError(f"No electronegativity is known for an element of row {row}. Leave it out.")
    character = 1.0 - np.exp(-0.25 * (x[:, :, None] - x[:, None, :]) ** 2)
    character *= present[:, :, None] & present[:, None, :]
    upper = np.triu(np.ones(character.shape[1:]), k=1)
    mean = (character * upper * shares[:, :, None] * shares[:, None, :]).sum(axis=(1, 2))
    neutral = [
        _can_be_neutral(numbers[row][present[row]], amounts[row][present[row]])
        for row in range(len(numbers))
    ]
    return np.column_stack([neutral, character.max(axis=(1, 2)), mean])


def _can_be_neutral(numbers: npt.NDArray[np.int64], amounts: npt.NDArray[np.float64]) -> bool:
    if len(numbers) == 1:
        return True
    charges = {0.0}
    for number, amount in zip(numbers.tolist(), amounts.tolist(), strict=True):
        charges = {
            round(charge + state * amount, 9)
            for charge in charges
            for state in _oxidation_states(number)
        }
    return any(abs(charge) <= 1e-8 for charge in charges)
