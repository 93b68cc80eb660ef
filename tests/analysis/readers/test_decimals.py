"""Numbers read from text are the numbers that were written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.analysis.readers.decimals import parse_decimals


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
@settings(deadline=None)
def test_what_has_fifteen_digits_is_read_exactly(values):
    text = " ".join(f"{value:.8f}" for value in values).encode()
    found, _ = parse_decimals(text, len(values))
    assert found.tolist() == [float(f"{value:.8f}") for value in values]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
@settings(deadline=None)
def test_any_float_is_read_to_the_last_digits(values):
    found, _ = parse_decimals(" ".join(map(repr, values)).encode(), len(values))
    np.testing.assert_allclose(found, values, rtol=2e-15, atol=1e-307)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (b"<v>  0.5 -0.25\t1 </v>", [0.5, -0.25, 1.0]),
        (b"-.5 .5 +.5", [-0.5, 0.5, 0.5]),
        (b"1.5-2.5", [1.5, -2.5]),
        (b"1.0D-03 2d2 3E1", [1e-3, 200.0, 30.0]),
        (b"0.00000000000000000001", [1e-20]),
        (b"123456789012345678901", [1.2345678901234568e20]),
        (b"", []),
        (b"no number", []),
    ],
)
def test_the_spellings_of_numbers(text, numbers):
    found, _ = parse_decimals(text, 9)
    assert found.tolist() == pytest.approx(numbers, rel=1e-15)


@pytest.mark.parametrize("text", [b"****** 1", b"NaN 1", b"nan 1", b"inf 1", b"-Infinity 1"])
def test_what_is_no_number_comes_back_as_nan(text):
    found, _ = parse_decimals(text, 2)
    assert np.isnan(found[0])
    assert found[1] == 1.0


def test_reading_goes_on_where_it_ended():
    text = b"1 2 3 4 rest"
    first, place = parse_decimals(text, 2)
    second, end = parse_decimals(text, 2, start=place)
    assert [*first, *second] == [1, 2, 3, 4]
    assert text[end:] == b" rest"
