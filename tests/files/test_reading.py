"""Input files: what is none, never ends, is too large or a bomb is refused before it costs."""

import bz2
import gzip
import lzma
import os
import resource
import socket
from pathlib import Path

import pytest

import ssefw
from ssefw.engines.espresso.pseudopotentials import find_pseudopotentials
from ssefw.engines.students import find_potential
from ssefw.errors import ConfigurationError, DataError
from ssefw.files import expand_user, open_input, read_bytes, read_text, reading
from ssefw.files.reading import LONGEST_LINE
from ssefw.settings import Settings


@pytest.fixture
def little_memory():
    """Let this process take 1 GB more than it has: what takes gigabytes fails."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_pipe_is_refused_without_waiting_for_its_other_end(tmp_path):
    os.mkfifo(tmp_path / "POSCAR")
    with pytest.raises(DataError, match="POSCAR: it is a pipe"):
        read_bytes(tmp_path / "POSCAR")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_refused(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(DataError, match=r"it is a device|No such device"):
        read_bytes(tmp_path / "link")


def test_a_folder_and_a_socket_are_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="it is a folder"):
        read_bytes(tmp_path)
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most a hundred characters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(DataError, match="it is a socket"):
            read_bytes(tmp_path / "s")


def test_links_in_a_circle_and_a_path_with_nul_are_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(DataError, match="symbolic links"):
        read_bytes(tmp_path / "a")
    with pytest.raises(DataError, match="null"):
        read_bytes(tmp_path / "a\0b")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_file_is_unpacked_whatever_its_name(tmp_path, pack):
    (tmp_path / "file").write_bytes(pack(b"one\ntwo"))
    with open_input(tmp_path / "file") as file:
        assert list(file.lines()) == [b"one", b"two"]


def test_archives_that_were_appended_to_each_other_are_one_file(tmp_path):
    (tmp_path / "f.gz").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert read_text(tmp_path / "f.gz") == "one\ntwo\n"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_of_short_lines_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr("ssefw.files.reading.BOMB_BYTES", 2**23)
    bomb = pack(b"\n" * 2**24)
    (tmp_path / "bomb").write_bytes(bomb)
    with (
        pytest.raises(DataError, match=r"bomb unpacks to more than 200 times"),
        open_input(tmp_path / "bomb") as file,
    ):
        for _ in file.blocks():
            pass


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, little_memory):
    with (tmp_path / "line").open("wb") as file:
        file.truncate(3 * 2**30)
    with (
        pytest.raises(DataError, match="a line of more than 16 MB"),
        open_input(tmp_path / "line") as file,
    ):
        next(file.lines())


def test_a_file_larger_than_its_kind_is_refused(tmp_path, little_memory):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(ConfigurationError, match="big has more than 64 MB"):
        read_bytes(tmp_path / "big", error=ConfigurationError)


def test_a_damaged_archive_gives_what_it_has_to_the_tolerant_only(tmp_path):
    packed = gzip.compress(os.urandom(2**20).hex().encode())
    (tmp_path / "cut").write_bytes(packed[: len(packed) // 2])
    with open_input(tmp_path / "cut") as file:
        assert sum(len(block) for block in file.blocks(tolerant=True)) > 2**19
        assert "cut off or damaged" in file.damage
    with pytest.raises(DataError, match="copy it again"):
        read_bytes(tmp_path / "cut")


def test_text_that_is_none_names_the_byte(tmp_path):
    (tmp_path / "t").write_bytes(b"abc\xff")
    with pytest.raises(DataError, match=r"not text in UTF-8.*byte 3"):
        read_text(tmp_path / "t")


@pytest.mark.parametrize(
    ("path", "words"),
    [("~nosuchuser/x", "no such user"), ("a\0b", "control character"), ("\ud800", "control")],
)
def test_a_path_that_is_none_is_named(path, words):
    with pytest.raises(DataError, match=words):
        expand_user(path)


def test_lines_longer_than_a_block_are_joined(tmp_path):
    long = b"x" * (LONGEST_LINE - 10)
    (tmp_path / "f").write_bytes(long + b"\nshort\n")
    with open_input(tmp_path / "f") as file:
        assert list(file.lines()) == [long, b"short"]


def test_every_home_folder_is_looked_up_where_a_user_may_be_missing():
    for path in Path(ssefw.__file__).parent.rglob("*.py"):
        if path != Path(reading.__file__):
            assert ".expanduser(" not in path.read_text(), path


def test_a_home_of_nobody_is_one_line(monkeypatch):
    for call in (
        lambda: find_potential("~nosuchuser/student.nep"),
        lambda: Settings(potentials="~nosuchuser/shelf").potentials_folder(),
        lambda: find_pseudopotentials(Path("~nosuchuser"), ["Li"]),
    ):
        with pytest.raises(ConfigurationError, match="there is no such user"):
            call()
