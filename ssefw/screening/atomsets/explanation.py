"""What moves a score: elements left out of a composition, components of the site vectors shifted.

A composition without one of its elements is seldom one that exists; the change of the score says
what the model makes of the element, not what a substitution would do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ssefw.data.compositions import fractions, parse_formula
from ssefw.data.materials import Material
from ssefw.screening.atomsets.sources import WeightedSet
from ssefw.screening.base import Reason

__all__ = ["component_reasons", "element_importances", "element_reasons"]

Floats = npt.NDArray[np.float64]
MakeSet = Callable[[Material], WeightedSet]
Score = Callable[[list[WeightedSet]], Floats]
IMPORTANCE_LABELS = 200
FEWEST_HOLDING = 5


def element_reasons(
    material: Material, formulas: Sequence[str], make_set: MakeSet, score: Score, *, ion: bool
) -> list[Reason]:
    """Return what each element adds to the score of a composition.

    Parameters
    ----------
    formulas
        Of the labels, for the median share of each element.
    ion
        Whether lithium is among the sites.
    """
    shares = fractions(material.composition)
    others = _without_each(shares, ion=ion)
    values = score([make_set(material), *(make_set(other) for other in others.values())])
    return [
        Reason(f"share of {symbol}", shares[symbol], _typical_share(symbol, formulas), float(gain))
        for symbol, gain in zip(others, values[0] - values[1:], strict=True)
    ]


def component_reasons(
    own: WeightedSet, points: Floats, score: Score, *, source: str
) -> list[Reason]:
    """Return what each component of the mean site vector adds to the score.

    Parameters
    ----------
    points
        Mean site vectors of the labels, shape (n, d); a component is put to their median.
    """
    mean, typical = own.weight @ own.vectors, np.median(points, axis=0)
    trials = [own]
    for k in range(len(mean)):
        shifted = own.vectors.copy()
        shifted[:, k] += typical[k] - mean[k]
        trials.append(replace(own, vectors=shifted))
    values = score(trials)
    return [
        Reason(f"{source} mean[{k}]", float(mean[k]), float(typical[k]), float(gain))
        for k, gain in enumerate(values[0] - values[1:])
    ]


def element_importances(
    formulas: Sequence[str], make_set: MakeSet, score: Score, *, ion: bool
) -> list[tuple[str, float]]:
    """Return elements and the mean size of what they add to a label's score, largest first.

    Over at most 200 of the labels; an element must be in five of them.

    Parameters
    ----------
    formulas
        Of the labels.
    make_set
        From a composition to its set of site vectors.
    score
        From such sets to scores.
    ion
        Whether the mobile ion is among the elements.
    """
    trials: list[WeightedSet] = []
    named: list[tuple[str, int]] = []
    for formula in formulas[:: -(-len(formulas) // IMPORTANCE_LABELS)]:
        shares = fractions(parse_formula(formula))
        first = len(trials)
        trials.append(make_set(Material(name=formula, formula=formula)))
        for symbol, other in _without_each(shares, ion=ion).items():
            named.append((symbol, first))
            trials.append(make_set(other))
    values = score(trials)
    others = np.delete(np.arange(len(trials)), sorted({first for _, first in named}))
    gains: dict[str, list[float]] = {}
    for (symbol, first), row in zip(named, others, strict=True):
        gains.setdefault(symbol, []).append(float(values[first] - values[row]))
    found = [
        (
            f"{symbol} ({'raises' if np.mean(own) > 0 else 'lowers'} {len(own)} labels)",
            float(np.mean(np.abs(own))),
        )
        for symbol, own in gains.items()
        if len(own) >= FEWEST_HOLDING
    ]
    return sorted(found, key=lambda pair: -pair[1])


def _without_each(shares: Mapping[str, float], *, ion: bool) -> dict[str, Material]:
    """Return the composition without each of its elements, where sites are left."""
    result = {}
    for symbol in shares:
        rest = {other: amount for other, amount in shares.items() if other != symbol}
        seen = set(rest) if ion else set(rest) - {"Li"}
        if seen and (ion or symbol != "Li"):
            formula = "".join(f"{key}{value:.6f}" for key, value in rest.items())
            result[symbol] = Material(name=formula, formula=formula)
    return result


def _typical_share(symbol: str, formulas: Sequence[str]) -> float:
    shares = [fractions(parse_formula(formula)).get(symbol, 0.0) for formula in formulas]
    return float(np.median(shares))
