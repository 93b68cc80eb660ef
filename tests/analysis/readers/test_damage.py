"""Trajectories that are not what they say are refused where they are wrong; a cut tail is not."""

import gzip
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from ssefw.analysis.readers import FORMATS, read_frames
from ssefw.errors import DataError
from tests.analysis.readers.test_readers import (
    TIME,
    cells,
    fractional,
    time_of,
    write_lammps,
    write_xdatcar,
    written,
)

ESPRESSO = Path(__file__).parents[2] / "data" / "espresso_md" / "md.out"


def lines_of(path):
    return path.read_text().splitlines()


def write_lines(path, lines):
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def xdatcar(tmp_path):
    """Twelve frames of five atoms: seven lines of a header, then six lines a frame."""
    written(tmp_path / "XDATCAR", "xdatcar")
    return tmp_path / "XDATCAR"


@pytest.fixture
def dump(tmp_path):
    """Twelve frames of nine lines before five atoms."""
    written(tmp_path / "dump", "lammps")
    return tmp_path / "dump"


def refuse(path, *words, **options):
    given = TIME if path.name in {"dump", "md.out"} else TIME | {"stride": 1}
    with pytest.raises(DataError) as caught:
        read_frames(path, **(given | options))
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_letters_glued_to_a_number_are_no_number(xdatcar):
    lines = lines_of(xdatcar)
    lines[7 + 6 * 4 + 2] = "  abc079725 0.1 0.2"
    write_lines(xdatcar, lines)
    refuse(
        xdatcar, "line 34 (frame 5)", "'abc079725 0.1 0.2' stands amid the rows", "cut it before"
    )


@pytest.mark.parametrize("breathes", [False, True])
def test_a_line_that_is_missing_amid_the_file_is_no_end_of_it(tmp_path, breathes):
    path = tmp_path / "XDATCAR"
    written(path, "xdatcar", breathes=breathes)
    lines = lines_of(path)
    place = 7 + 6 * 4 + 2 if not breathes else 13 * 4 + 9
    del lines[place]
    write_lines(path, lines)
    refuse(path, "frame 5")


@pytest.mark.parametrize("extra", ["0.1 0.2 0.3", "0.1 0.2"])
@pytest.mark.parametrize("frame", [4, 11])
def test_a_line_too_many_is_refused_in_every_frame(xdatcar, frame, extra):
    lines = lines_of(xdatcar)
    lines.insert(7 + 6 * frame + 3, extra)
    write_lines(xdatcar, lines)
    refuse(xdatcar)


def test_a_frame_that_is_missing_is_a_break(tmp_path):
    write_xdatcar(tmp_path / "x", fractional(), cells(), breathes=False)
    lines = lines_of(tmp_path / "x")
    del lines[7 + 6 * 4 : 7 + 6 * 5]
    write_lines(tmp_path / "x", lines)
    assert read_frames(tmp_path / "x", **TIME, stride=1).breaks == (4,)


@pytest.mark.parametrize(
    ("place", "new", "words"),
    [
        (5, "Li Qq S", "'Qq' is no element"),
        (6, "2 1 1000000000000", "which cannot be"),
        (6, "2 1 -2", "which cannot be"),
        (6, "2 1", "3 element symbols for 2"),
        (2, "0 0 0", "volume of 0 A^3"),
        (2, "nan 0 0", "a comment, a scale"),
        (1, "0.0", "volume of 0 A^3"),
        (1, "0.01", "volume of"),
    ],
)
def test_a_header_that_cannot_be_is_refused(xdatcar, place, new, words):
    lines = lines_of(xdatcar)
    lines[place] = new
    write_lines(xdatcar, lines)
    refuse(xdatcar, words)


def test_a_tail_that_was_cut_off_is_left_out_with_a_warning(xdatcar, caplog):
    content = xdatcar.read_bytes()
    xdatcar.write_bytes(content[:-50])
    with caplog.at_level(logging.WARNING):
        assert read_frames(xdatcar, **TIME, stride=1).n_frames == 11
    (record,) = caplog.records
    assert "ends within frame 12 (3 of 5 atoms)" in record.getMessage()


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_warns_of_a_tail_that_was_cut_off(tmp_path, caplog, file_format):
    path = tmp_path / "run"
    if file_format == "espresso":
        lines = lines_of(ESPRESSO)
        last = max(k for k, line in enumerate(lines) if line.startswith("ATOMIC_POSITIONS"))
        write_lines(path, lines[: last + 3])
    else:
        written(path, file_format)
        path.write_bytes(path.read_bytes()[: -60 if file_format != "vasprun" else -900])
    with caplog.at_level(logging.WARNING):
        try:
            given = {} if file_format == "espresso" else time_of(file_format)
            frames = read_frames(path, file_format=file_format, **given)
        except DataError:
            assert file_format == "ase"  # its index stands at the end
            return
    assert frames.n_frames >= 3
    assert "left out" in caplog.text


def test_a_damaged_archive_is_read_as_far_as_it_goes_with_a_warning(tmp_path, caplog):
    rng = np.random.default_rng(0)
    write_xdatcar(tmp_path / "x", rng.random((300, 5, 3)), cells(300), breathes=False)
    packed = gzip.compress((tmp_path / "x").read_bytes())
    (tmp_path / "x.gz").write_bytes(packed[: len(packed) // 2])
    with caplog.at_level(logging.WARNING):
        assert 50 < read_frames(tmp_path / "x.gz", **TIME, stride=1).n_frames < 290
    assert "left out" in caplog.text


def change_row(path, frame, atom, **columns):
    """Change columns (id type x y z) of an atom of a dump."""
    lines = lines_of(path)
    place = 14 * frame + 9 + atom
    words = lines[place].split()
    for name, value in columns.items():
        words[["id", "type", "x", "y", "z"].index(name)] = value
    lines[place] = " ".join(words)
    write_lines(path, lines)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": "1"}, "the id 1 occurs 2 times"),
        ({"id": "-3"}, "-3 is no id"),
        ({"id": "1.5"}, "1.5 is no id"),
        ({"id": "9"}, "other ids than before"),
        ({"type": "-1"}, "-1 is no type"),
        ({"type": "0"}, "0 is no type"),
        ({"type": "1.5"}, "1.5 is no type"),
        ({"type": "nan"}, "no type"),
        ({"type": "7"}, "types up to 7"),
        ({"x": "abc"}, "is no row of 5 numbers"),
        ({"x": "0.1 0.2"}, "is no row of 5 numbers"),
        ({"z": ""}, "is no row of 5 numbers"),
    ],
)
def test_a_row_of_a_dump_that_cannot_be_is_refused(dump, columns, words):
    change_row(dump, 5, 2, **columns)
    refuse(dump, words)


@pytest.mark.parametrize(
    ("place", "new", "words"),
    [
        (14 * 5 + 1, "x", "no number of a step"),
        (14 * 5 + 3, "-5", "no number of atoms"),
        (14 * 5 + 3, "4", "other ids than before"),
        (14 * 5 + 3, "6", "is no row of"),
        (14 * 5 + 3, "1000000000000", "no number of atoms"),
        (14 * 5 + 5, "5 -5 0", "box ends at"),
        (14 * 5 + 5, "nan 5 0", "its box is"),
        (14 * 5 + 5, "", "its box is"),
        (14 * 5 + 4, "", "ITEM: is due"),
        (14 * 5 + 4, "ITEM: BOX BOUNDS abc origin", "triclinic"),
        (14 * 5 + 8, "ITEM: ATOMS id type vx vy vz", "positions need x y z"),
        (14 * 5 + 8, "ITEM: ATOMS id type x y", "positions need x y z"),
    ],
)
def test_a_head_of_a_frame_of_a_dump_that_cannot_be_is_refused(dump, place, new, words):
    lines = lines_of(dump)
    lines[place] = new
    write_lines(dump, lines)
    refuse(dump, words)


def test_types_that_are_no_elements_are_refused(dump):
    refuse(dump, "'Qq' is no element", types=("Li", "Qq", "S"))


def test_elements_of_a_dump_that_are_none_are_refused(tmp_path):
    write_lammps(tmp_path / "dump", fractional(), cells(), columns="id element x y z")
    text = (tmp_path / "dump").read_text()
    (tmp_path / "dump").write_text(text.replace(" P ", " Pq "))
    refuse(tmp_path / "dump", "'Pq' is no element")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Properties=species:S:1:pos:R:3", "Properties=species:S:1:pos:R:2", "do not tell where"),
        ("Properties=species:S:1:pos:R:3", "Properties=pos:R:3:species:S:1", "is no row of 4"),
        ("Properties=species:S:1:pos:R:3", "Properties=species:S:1:pos:R", "do not tell where"),
        ("Properties=species:S:1:pos:R:3", "Properties=Z:I:1:pos:R:3", "do not tell where"),
        ("Properties=species:S:1:pos:R:3", "Properties=species:S:1:momenta:R:3", "do not tell"),
        (
            "Properties=species:S:1:pos:R:3",
            "Properties=species:S:1:pos:R:3:forces:R:3",
            "7 columns",
        ),
        ("Properties=species:S:1:pos:R:3", "Properties=species:S:-1:pos:R:3", "do not tell where"),
        ('Lattice="6.0', 'Lattice="x', "not nine numbers"),
        ('Lattice="6.0', 'Lattice="6.0 6.0', "not nine numbers"),
        ('Lattice="6.0', 'Lattice="nan', "not nine numbers"),
        ('Lattice="6.0 0.0 0.0 1.0 5.0', 'Lattice="6.0 0.0 0.0 6.0 0.0', "volume of 0"),
        ("\nP ", "\nPq ", "'Pq' is no element"),
        ("\nP ", "\nP x", "is no row"),
        ("\n5\n", "\n6\n", "is no row"),
        ("\n5\n", "\n-5\n", "where a number of atoms is due"),
        ("\n5\n", "\n4\n", "where a number of atoms is due"),
        ("\n5\n", "\n99999999999999\n", "where a number of atoms is due"),
    ],
)
def test_extended_xyz_that_is_not_what_it_says_is_refused(tmp_path, old, new, words):
    path = tmp_path / "run.xyz"
    written(path, "extxyz")
    text = "\n" + path.read_text()
    assert old in text
    path.write_text(text.replace(old, new).lstrip("\n"))
    refuse(path, words)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("</calculation>", "", "2 calculations begin before one ends"),
        ('name="positions"', 'name="position"', "no cell or no positions"),
        ("<v> ", "<v> x", "rows of three numbers"),
        ("</v>\n", "0.5 </v>\n", "rows of three numbers"),
    ],
)
def test_a_vasprun_that_is_damaged_amid_is_refused(tmp_path, old, new, words):
    path = tmp_path / "vasprun.xml"
    written(path, "vasprun")
    text = path.read_text()
    parts = text.split("<calculation>")
    parts[5] = parts[5].replace(old, new)
    path.write_text("<calculation>".join(parts))
    refuse(path, words, "frame 5")


@pytest.mark.parametrize(
    ("new", "words"),
    [("Li x 0.1 0.2", "no atom with a position"), ("Li 0.1 0.2", "no atom with a position"),
     ("", "no atom with a position"), ("Qq 0.1 0.2 0.3", "atoms change")],
)  # fmt: skip
def test_output_of_pw_that_is_damaged_amid_is_refused(tmp_path, new, words):
    lines = lines_of(ESPRESSO)
    third = [k for k, line in enumerate(lines) if line.startswith("ATOMIC_POSITIONS")][2]
    lines[third + 2] = new
    path = tmp_path / "md.out"
    write_lines(path, lines)
    refuse(path, words, timestep=None)


def test_frames_of_ase_that_are_damaged_amid_are_refused(tmp_path):
    path = tmp_path / "run.traj"
    written(path, "ase")
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 400):
        content[place] = 0xFF
    path.write_bytes(content)
    refuse(path)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "XDATCAR")
    refuse(tmp_path / "XDATCAR", "it is a pipe")


def test_gigabytes_without_a_frame_are_not_held(tmp_path):
    path = tmp_path / "XDATCAR"
    written(path, "xdatcar")
    with path.open("ab") as file:
        file.truncate(3 * 2**30)
    refuse(path, "without 'Direct configuration='")
