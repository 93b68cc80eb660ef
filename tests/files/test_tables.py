"""Tables: rows that are none are named, and cells survive a spreadsheet and come back."""

import csv
import io
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.errors import DataError
from ssefw.files.tables import TableWriter, guarded, table_rows, text_lines, unguarded


def rows_of(path, text):
    path.write_text(text, newline="")
    return list(table_rows(path)[1])


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-x", "@SUM(A1)", "'=1", "\t=1", "\r=1"])
def test_a_formula_is_written_as_text_and_read_back(cell):
    assert guarded(cell).startswith("'")
    assert unguarded(guarded(cell)) == cell


@pytest.mark.parametrize("cell", ["-0.5", "+1e-3", "-inf", "Li3YCl6", "", "'quoted", -0.5, None, 3])
def test_numbers_and_other_texts_stay_as_they_are(cell):
    assert guarded(cell) == cell


cells = st.text(st.sampled_from("=+-@'\t\r\n,;\"|" + string.ascii_letters + string.digits))


@given(st.lists(cells, min_size=2, max_size=2))
def test_a_row_comes_back_as_it_was_written(tmp_path_factory, row):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    with path.open("w", newline="") as file:
        TableWriter(file, ["a", "b"]).write(row)
    columns, rows = table_rows(path)
    assert columns == ["a", "b"]
    found = list(rows)
    if any(row):
        assert [list(item.cells.values()) for item in found] == [row]


@given(cells)
def test_no_written_cell_is_a_formula(text):
    file = io.StringIO()
    TableWriter(file, ["a", "b"]).write({"a": text, "b": "end"})
    file.seek(0)
    cell = list(csv.reader(file))[1][0]
    assert not cell.startswith(("=", "@", "\t", "\r"))
    if cell[:1] in {"+", "-"}:
        float(cell)


def test_a_row_with_more_cells_than_columns_is_named_and_the_next_is_read(tmp_path):
    found = rows_of(tmp_path / "t.csv", "a,b\n1,2,3\n4,5\n6\n7,8,,\n")
    assert "3 cells under 2 columns" in found[0].problem
    assert found[1].cells == {"a": "4", "b": "5"}
    assert found[2].cells == {"a": "6", "b": ""}
    assert found[3].cells == {"a": "7", "b": "8"}
    assert [row.number for row in found] == [2, 3, 4, 5]


def test_a_quote_that_never_closes_is_named_with_the_lines_it_took(tmp_path):
    found = rows_of(tmp_path / "t.csv", 'a,b\n1,2\n"3,4\n5,6\n')
    assert found[0].cells == {"a": "1", "b": "2"}
    assert "lines 3 to 4" in found[1].problem


def test_headers_that_are_none_are_refused(tmp_path):
    for text, words in (("", "empty"), ("\n", "empty"), ("a,a\n", "two columns 'a'")):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(DataError, match=words):
            table_rows(tmp_path / "t.csv")


def test_a_line_in_another_code_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("a\nb\né\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text in line 3"):
        list(text_lines(tmp_path / "t.csv"))
