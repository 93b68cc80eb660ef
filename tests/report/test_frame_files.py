"""Frames lie beside the report, where its links find them."""

import re
from urllib.parse import unquote

import ase.io
import pytest

from ssefw.report import frame_files


@pytest.fixture
def report(ssefw, finished_campaign, tmp_path):
    """Write the report of a finished campaign, and return the files that its links name."""
    store, _ = finished_campaign

    def write(*options):
        ssefw("report", "--store", store / "st", "-o", "page.html", *options)
        text = (tmp_path / "page.html").read_text()
        return [tmp_path / unquote(link) for link in re.findall(r'href="(page-frames/.*?)"', text)]

    return write


def test_each_run_has_a_file_that_a_viewer_opens(report, tmp_path):
    files = report()
    assert files
    assert sorted(files) == sorted((tmp_path / "page-frames").iterdir())
    for path in files:
        frames = ase.io.read(path, ":")
        assert 1 < len(frames) <= frame_files.MOST_FRAMES
        assert frames[0].info["set_temperature"] in {300, 600}


def test_files_stay_within_their_room_and_leave_nothing_of_before(report, tmp_path, monkeypatch):
    (first, *_) = report()
    monkeypatch.setattr(frame_files, "LARGEST_BYTES", first.stat().st_size // 2)
    assert report() == []
    assert not (tmp_path / "page-frames").exists()


def test_a_folder_keeps_what_is_not_of_the_report(report, tmp_path):
    report()
    (tmp_path / "page-frames/notes.txt").write_text("mine")
    assert report("--no-frames") == []
    assert [path.name for path in (tmp_path / "page-frames").iterdir()] == ["notes.txt"]
