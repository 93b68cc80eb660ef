"""A site with a stand-in for VASP, and the notes that make it misbehave."""

import json
import sys
from pathlib import Path

import pytest

FAKE_VASP = Path(__file__).parent.parent / "fake_vasp"


class FakeVasp:
    """The stand-in as this site's VASP; `events` says what goes wrong, in order."""

    def __init__(self, note):
        self.note = note
        self.tell()

    def tell(self, *events, **settings):
        """Make it misbehave: one event after the other, each once."""
        self.note.write_text(json.dumps({"events": list(events), **settings}))

    @property
    def left(self):
        """Events that have not happened yet."""
        return json.loads(self.note.read_text())["events"]


@pytest.fixture
def vasp_site(tmp_path, monkeypatch):
    """Settings of a site where VASP is the stand-in, with made-up POTCARs."""
    sys.path.insert(0, str(FAKE_VASP))
    try:
        from potcars import write_potcars
    finally:
        sys.path.remove(str(FAKE_VASP))
    command = f"{sys.executable} {FAKE_VASP / 'vasp_std'}"
    monkeypatch.setenv("SSEFW_VASP_CMD", command)
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("SSEFW_POTCAR_DIR", str(tmp_path / "potcars"))
    monkeypatch.setenv("FAKE_VASP", str(tmp_path / "fake.json"))
    write_potcars(tmp_path / "potcars", ["Li_sv", "Li", "F", "Fe_pv", "O", "Cu_pv"])
    import pymatgen.core

    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", None)
    return FakeVasp(tmp_path / "fake.json")
