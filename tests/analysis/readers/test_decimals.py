"""Numbers read from text are the numbers that were written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssefw.analysis.readers.decimals import parse_rows


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
@settings(deadline=None)
def test_what_has_fifteen_digits_is_read_exactly(values):
    text = " ".join(f"{value:.8f}" for value in values).encode()
    found, _ = parse_rows(text, 1, len(values))
    assert found[0].tolist() == [float(f"{value:.8f}") for value in values]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
@settings(deadline=None)
def test_any_float_is_read_to_the_last_digits(values):
    found, _ = parse_rows(" ".join(map(repr, values)).encode(), 1, len(values))
    np.testing.assert_allclose(found[0], values, rtol=2e-15, atol=1e-307)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (b"<v>  0.5 -0.25\t1 </v>", [0.5, -0.25, 1.0]),
        (b"-.5 .5 +.5", [-0.5, 0.5, 0.5]),
        (b"1.5-2.5", [1.5, -2.5]),
        (b"1.0D-03 2d2 3E1", [1e-3, 200.0, 30.0]),
        (b"0.00000000000000000001", [1e-20]),
        (b"123456789012345678901", [1.2345678901234568e20]),
    ],
)
def test_the_spellings_of_numbers(text, numbers):
    found, _ = parse_rows(text, 1, len(numbers))
    assert found[0].tolist() == pytest.approx(numbers, rel=1e-15)


@pytest.mark.parametrize("text", [b"****** 1", b"NaN 1", b"nan 1", b"inf 1", b"-Infinity 1"])
def test_what_is_no_number_comes_back_as_nan(text):
    found, _ = parse_rows(text, 1, 2)
    assert np.isnan(found[0, 0])
    assert found[0, 1] == 1.0


@pytest.mark.parametrize(
    "row",
    [
        b"abc079725 1",
        b"0.5abc 1",
        b"1 2 3",
        b"1",
        b"",
        b"1.2.3 1",
        b"1..2 1",
        b"1e 1",
        b"nano 1",
        b"*1 1",
        b". 1",
        b"- 1",
        b"1,2",
        b"0x10 1",
        b"1_0 1",
        b"\x00 1",
        b"infinite 1",
    ],
)
def test_a_row_that_is_none_ends_the_reading_where_it_begins(row):
    found, place = parse_rows(b"1 2\n" + row + b"\n5 6\n", 3, 2)
    if row == b"":  # blank lines are none
        assert found.tolist() == [[1, 2], [5, 6]]
        return
    assert found.tolist() == [[1, 2]]
    assert (b"1 2\n" + row)[place:] == row


def test_reading_goes_on_where_it_ended():
    text = b"1 2\n3 4\nrest"
    first, place = parse_rows(text, 1, 2)
    second, end = parse_rows(text, 1, 2, start=place)
    assert [*first[0], *second[0]] == [1, 2, 3, 4]
    assert text[end:] == b"\nrest"


@given(st.binary(max_size=200), st.integers(1, 4), st.integers(1, 10**12))
@settings(deadline=None)
def test_any_bytes_end_within_the_text(text, n_columns, n_rows):
    found, place = parse_rows(text, n_rows, n_columns)
    assert 0 <= place <= len(text)
    assert found.shape[1] == n_columns
    assert len(found) <= len(text)
