"""Sites with stand-ins for VASP and Quantum ESPRESSO."""

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


FAKE_ESPRESSO = Path(__file__).with_name("fake_espresso.py")
UPF_HEADER = (
    '<UPF version="2.0.1">\n<PP_INFO> a < b & c </PP_INFO>\n<PP_HEADER element="{element}"\n'
    'pseudo_type="PAW" functional=" SLA  PW   PBX  PBC" z_valence="{valence}"\n'
    'wfc_cutoff="{cutoff}" rho_cutoff="{rho}"/>\n</UPF>\n'
)


def upf(element, valence, cutoff="40.0", rho="300.0"):
    """Return as much of a pseudopotential as is read."""
    return UPF_HEADER.format(element=element, valence=valence, cutoff=cutoff, rho=rho)


@pytest.fixture
def pseudos(tmp_path, monkeypatch):
    """A folder with headers of pseudopotentials of Li and S, and the setting that names it."""
    folder = tmp_path / "pseudos"
    folder.mkdir()
    (folder / "Li.pbe-s-kjpaw_psl.1.0.0.UPF").write_text(upf("Li", "3.0", "1.02e2", "4.1e2"))
    (folder / "S.pbe-n-kjpaw_psl.1.0.0.UPF").write_text(upf(" S", "6.000000000000e0"))
    monkeypatch.setenv("SSEFW_PSEUDO_DIR", str(folder))
    return folder


@pytest.fixture
def script(tmp_path, monkeypatch, pseudos):
    """Where the stand-in reads what to play."""
    folder = tmp_path / "script"
    folder.mkdir()
    monkeypatch.setenv("FAKE_ESPRESSO", str(folder))
    monkeypatch.setenv("SSEFW_SCRATCH", str(tmp_path / "scratch"))
    for name in ("SSEFW_PW_CMD", "SSEFW_NEB_CMD"):
        monkeypatch.setenv(name, f"{sys.executable} {FAKE_ESPRESSO}")
    return folder
