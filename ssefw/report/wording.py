"""Numbers, estimates and formulas as people write them, for pages."""

import math
import re

from ssefw.documents import Diffusivity, Estimate

__all__ = [
    "decades_words",
    "estimate_words",
    "formula_words",
    "name_words",
    "number_words",
    "remarks_words",
    "title_words",
]


PLAIN_FROM, PLAIN_TO = 1e-2, 1e5
"""Numbers between these are written without a power of ten."""


def number_words(value: float | None, digits: int = 2) -> str:
    """Write a number as a person would: 1.2×10⁻⁴, 0.25, 1200."""
    if value is None:
        return "–"
    return _plain(value, digits) if _is_plain(value) else _power(value, digits)


def estimate_words(estimate: Estimate | None) -> str:
    """Write a value with its interval, a bound, or that there is neither.

    Value and ends are written in one way, so that they can be compared at a glance.
    """
    if estimate is None or estimate.kind == "undetermined":
        return "undetermined" if estimate else "–"
    if estimate.kind == "upper_bound":
        return f"< {number_words(estimate.upper)}"
    if estimate.kind == "lower_bound":
        return f"> {number_words(estimate.lower)}"
    numbers = [x for x in (estimate.value, estimate.lower, estimate.upper) if x is not None]
    if min(numbers) < 0 < max(numbers):  # of a scale that is not one of powers
        decimals = max(0, 1 - math.floor(math.log10(max(map(abs, numbers)))))
        value, lower, upper = (f"{number:.{decimals}f}" for number in numbers)
    else:
        write = _even if all(map(_is_plain, numbers)) else _power
        value, lower, upper = (write(number, 2) for number in numbers)
    return f"{value} ({lower} … {upper})"


def decades_words(estimate: Estimate | None) -> str:
    """Say how wide the interval of a value is, in powers of ten; nothing of what has none.

    It is the grade of a result: 0.3 decades are a factor of two from end to end.
    """
    if estimate is None or estimate.kind != "value":
        return ""
    if not estimate.lower or not estimate.upper or estimate.lower <= 0:
        return ""
    return f"{math.log10(estimate.upper / estimate.lower):.1f} decades"


def _is_plain(value: float) -> bool:
    return value == 0 or PLAIN_FROM <= abs(value) < PLAIN_TO


def _plain(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"  # 99.7 is rounded to three digits, for which g has a power of ten
    return f"{value:.0f}" if abs(value) >= 10**digits or "e" in text else text


def _even(value: float, digits: int) -> str:
    """Write a number with all its digits: 0.50 beside 0.45."""
    text = f"{value:#.{digits}g}".rstrip(".")
    return f"{value:.0f}" if abs(value) >= 10**digits or "e" in text else text


def _power(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if int(exponent) == 0:
        return mantissa
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}×10{raised}"


def formula_words(formula: str) -> str:
    """Write a formula with subscripts: Li₁₀GeP₂S₁₂."""
    return formula.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def remarks_words(run: Diffusivity) -> str:
    """Return what a reader should know of a run before using its number."""
    ended = f"ended: {run.length_reason}" if run.length_reason else ""
    return "; ".join(filter(None, (run.reason, *run.warnings, ended)))


NAMED = re.compile(r"[^/()]+ \(([^/()]+)\)")
"""A formula with a name behind it."""


def title_words(formula: str, source: str) -> str:
    """Return what people call a candidate: its formula, with the name that its source gives it.

    ``Li10GeP2S12 (LGPS)`` stays as it is written, ``pool/mp-30406.cif`` of LiGaS2 is
    LiGaS2 (mp-30406); the number of an entry in a table is no name.
    """
    if NAMED.fullmatch(source):
        return source
    name = name_words(formula, source)
    return f"{formula} ({name})" if name else formula


def name_words(formula: str, source: str) -> str:
    """Return the name that a source gives a candidate beside its formula, if any."""
    if (found := NAMED.fullmatch(source)) is not None:
        return found[1]
    stem = source.rstrip("/").rpartition("/")[2].partition(".")[0]
    is_name = re.fullmatch(r"\w[\w -]*[A-Za-z][\w -]*|mp-\d+", stem)
    is_entry = ":" in source or "#" in source
    return stem if is_name and not is_entry and stem.casefold() != formula.casefold() else ""
