"""Decimal numbers out of text, many at a time.

Everything that is no part of a number separates numbers, so that XML tags and tabs need no care.
Up to 18 significant digits are kept in an integer and scaled once by a power of ten: what is
written with at most 15 digits is correctly rounded (Clinger's fast path), the rest to 1 ulp or two.
Fortran's exponent letters D and d are understood; a field of asterisks, a nan and an infinity are
numbers that are not there, and come back as nan.
"""

import numba
import numpy as np
import numpy.typing as npt

__all__ = ["parse_decimals"]

FloatArray = npt.NDArray[np.float64]

_POWERS = 10.0 ** np.arange(23)


def parse_decimals(text: bytes, count: int, *, start: int = 0) -> tuple[FloatArray, int]:
    """Return up to `count` numbers and where the text behind the last one begins.

    Fewer come back where the text ends before; a number that touches the end of the text counts
    as complete.
    """
    out = np.empty(count)
    found, place = _parse(np.frombuffer(text, dtype=np.uint8), start, out, _POWERS)
    return out[:found], int(place)


@numba.njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _parse(text, place, out, powers):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0912, PLR0915
    # One state machine, kept whole: splitting it would cost a call for every character.
    size = len(text)
    found = 0
    while found < len(out):
        negative = False
        while place < size:
            c = text[place]
            if 48 <= c <= 57 or c == 42:
                break
            # "nan", "NaN", "inf": three letters between blanks.
            if (c | 32) in (105, 110) and place + 2 < size:
                b = text[place + 1] | 32
                d = text[place + 2] | 32
                if (b == 97 and d == 110) or (b == 110 and d == 102):
                    break
            place += 1
        if place >= size:
            break
        c = text[place]
        if not 48 <= c <= 57:
            while place < size and text[place] > 32:
                place += 1
            out[found] = np.nan
            found += 1
            continue
        scale = 0
        begin = place
        if begin > 0 and text[begin - 1] == 46:
            scale = -1
            begin -= 1
        if begin > 0 and text[begin - 1] == 45:
            negative = True
        mantissa = np.int64(0)
        digits = 0
        is_fraction = scale == -1
        scale = 0
        while place < size:
            c = text[place]
            if 48 <= c <= 57:
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
        out[found] = -value if negative else value
        found += 1
    return found, place
