"""Rows of decimal numbers out of text, many at a time.

Numbers are separated by blanks, by XML tags or, as Fortran prints them, by nothing but the minus of
the next. A row is one line and holds as many numbers as its caller says: what is anything else
ends the reading, so that a damaged line is found and not passed over. Up to 18 significant digits
are kept in an integer and scaled once by a power of ten: what is written with at most 15 digits is
correctly rounded (Clinger's fast path), the rest to 1 ulp or two. Fortran's exponent letters D and
d are understood; a field of asterisks, a nan and an infinity are numbers that are not there, and
come back as nan.

It takes a third of the time of numpy's own readers of text or less (`benchmarks/own_code.py`), and
reading is most of the time of an analysis (`benchmarks/streaming.py`).
"""

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["parse_rows"]

FloatArray = npt.NDArray[np.float64]

_POWERS = 10.0 ** np.arange(23)


def parse_rows(
    text: bytes, n_rows: int, n_columns: int, *, start: int = 0
) -> tuple[FloatArray, int]:
    """Return up to `n_rows` rows of numbers and where the text behind the last one begins.

    Fewer come back where the text ends before, or where a line is no such row; the place is then
    where that line begins. A number that touches the end of the text counts as complete.

    Parameters
    ----------
    n_rows, n_columns
        Lines and numbers in each.
    start
        Where to begin in the text.
    """
    # Memory is taken for what the text can hold, whatever the caller was told.
    n_rows = min(n_rows, (len(text) - start) // (2 * n_columns) + 1)
    out = np.empty((n_rows, n_columns))
    found, place = _parse(np.frombuffer(text, dtype=np.uint8), start, out, _POWERS)
    return out[:found], int(place)


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _parse(text, place, out, powers):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0912, PLR0915
    # One state machine, kept whole: splitting it costs a call for every number and blank, and
    # with that half of the speed.
    size = len(text)
    n_rows, n_columns = out.shape
    for row in range(n_rows):
        while place < size and (text[place] == 10 or _is_between(text[place])):
            place = _behind(text, place)
        begin = min(place, size)
        for column in range(n_columns):
            while place < size and _is_between(text[place]):
                place = _behind(text, place)
            if place >= size:
                return row, begin
            negative = text[place] == 45
            if negative or text[place] == 43:
                place += 1
            first = place
            mantissa = np.int64(0)
            digits = 0
            scale = 0
            n_seen = 0
            is_fraction = False
            while place < size:
                c = text[place]
                if 48 <= c <= 57:
                    n_seen += 1
                    if digits < 18:
                        mantissa = mantissa * 10 + (c - 48)
                        if mantissa > 0:
                            digits += 1
                        if is_fraction:
                            scale -= 1
                    elif not is_fraction:
                        scale += 1
                elif c == 46 and not is_fraction:
                    is_fraction = True
                else:
                    break
                place += 1
            if n_seen == 0:
                place = _no_number(text, first)
                if place < 0:
                    return row, begin
                out[row, column] = np.nan
                continue
            if place < size and (text[place] | 32) in (100, 101):
                look = place + 1
                minus = False
                if look < size and (text[look] == 43 or text[look] == 45):
                    minus = text[look] == 45
                    look += 1
                if look < size and 48 <= text[look] <= 57:
                    exponent = 0
                    while look < size and 48 <= text[look] <= 57:
                        exponent = min(exponent * 10 + (text[look] - 48), 9999)
                        look += 1
                    scale += -exponent if minus else exponent
                    place = look
            # Behind a number stand a blank, a tag, or the minus of the next number.
            if place < size:
                c = text[place]
                if c != 10 and c != 45 and not _is_between(c):  # noqa: PLR1714 - numba
                    return row, begin
            value = float(mantissa)
            while scale > 22:
                value *= 1e22
                scale -= 22
            while scale < -22:
                value /= 1e22
                scale += 22
            if scale > 0:
                value *= powers[scale]
            elif scale < 0:
                value /= powers[-scale]
            out[row, column] = -value if negative else value
        while place < size and _is_between(text[place]):
            place = _behind(text, place)
        if place < size and text[place] != 10:
            return row, begin
    return n_rows, min(place, size)


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator,unused-ignore]
def _is_between(c):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whether a byte is a blank, or begins a tag."""
    return c == 32 or c == 9 or c == 13 or c == 60  # noqa: PLR1714 - numba


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator,unused-ignore]
def _behind(text, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the place behind a blank or a tag."""
    if text[place] == 60:
        while place < len(text) and text[place] != 62:
            place += 1
    return place + 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _no_number(text, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the place behind a word that programs print for a number that is not there."""
    size = len(text)
    end = place
    while end < size and text[end] > 32 and text[end] != 60:
        end += 1
    length = end - place
    if length == 0:
        return -1
    stars = True
    for k in range(place, end):
        stars = stars and text[k] == 42
    if stars:
        return end
    # "nan", "inf" and "infinity"
    if length != 3 and (length != 8 or (text[end - 1] | 32) != 121):
        return -1
    a, b, c = text[place] | 32, text[place + 1] | 32, text[place + 2] | 32
    is_nan = length == 3 and a == 110 and b == 97 and c == 110
    is_inf = a == 105 and b == 110 and c == 102
    return end if is_nan or is_inf else -1
