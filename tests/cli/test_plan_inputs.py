"""`ssefw plan --inputs` prints what VASP will get, which is what the papers say."""

import re
import shutil

import numpy as np
import pytest
from pymatgen.io.vasp import Incar, Poscar

from tests.conftest import REPOSITORY

pytestmark = [
    pytest.mark.filterwarnings("ignore:POTCAR data with symbol"),
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING"),
]

ELECTRONS = {
    "ALGO": "Fast",
    "GGA": "Pe",
    "ISMEAR": 0,
    "SIGMA": 0.05,
    "ISPIN": 1,
    "LASPH": True,
    "LCHARG": False,
    "LWAVE": False,
    "NELM": 100,
}
RELAXATION = ELECTRONS | {
    "EDIFF": 1e-5,
    "EDIFFG": -0.01,
    "IBRION": 2,
    "ISIF": 3,
    "LREAL": False,
    "NSW": 500,
    "PREC": "Accurate",
}
STATIC = ELECTRONS | {"EDIFF": 1e-6, "LREAL": False, "NSW": 0, "PREC": "Accurate"}
DYNAMICS = ELECTRONS | {
    "EDIFF": 1e-5,
    "IBRION": 0,
    "ISIF": 2,
    "ISYM": 0,
    "LREAL": "Auto",
    "MAXMIX": 40,
    "MDALGO": 2,
    "NBLOCK": 1,
    "NELMIN": 4,
    "POTIM": 2.0,
    "PREC": "Normal",
    "SMASS": 0,
}


@pytest.fixture
def inputs(ssefw, tmp_path, lif, monkeypatch):
    """What the command prints for a campaign of `workflows` on LiF, by name of the file."""
    import pymatgen.core

    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", None)
    (tmp_path / "candidates").mkdir()
    lif.to(tmp_path / "candidates/lif.cif")

    def plan(name):
        shutil.copy(REPOSITORY / "workflows" / name, tmp_path)
        text = ssefw("plan", name, "--inputs").stdout
        parts = re.split(r"^==> (.*) <==\n", text, flags=re.MULTILINE)[1:]
        return dict(zip(parts[::2], parts[1::2], strict=True))

    return plan


def incars(files):
    return {name: dict(Incar.from_str(text)) for name, text in files.items() if "INCAR" in name}


def lengths(pairs):
    return [dict(zip(("NSW", "TEBEG", "TEEND"), p, strict=True)) for p in pairs]


def test_xrdmatch_is_relaxed_heated_over_2_ps_and_run_for_30_ps_at_four_temperatures(inputs):
    files = inputs("xrdmatch_aimd.yaml")
    found = incars(files)
    assert found.pop("relax/INCAR") == RELAXATION | {"ENCUT": 520}
    runs = ["", " of steps 1000 to 6000", " of steps 6000 to 11000", " of steps 11000 to 16000"]
    for temperature in (600, 900, 1200, 1500):
        held = [(5001, temperature, temperature)] * 3
        for name, own in zip(runs, lengths([(1001, 100, temperature), *held]), strict=True):
            tags = found.pop(f"md {temperature} K/INCAR{name}")
            assert tags == DYNAMICS | {"ENCUT": 520} | own
        assert files[f"md {temperature} K/KPOINTS"].splitlines()[2:4] == ["Gamma", "1 1 1"]
        assert files[f"md {temperature} K/POTCAR.spec"].split() == ["Li_sv", "F"]
    assert found == {}


def test_kang2022_takes_the_structure_of_the_database_and_runs_6_and_20_ps(inputs):
    files = inputs("kang2022_aimd.yaml")
    found = incars(files)
    assert found.pop("static/INCAR") == STATIC | {"ENCUT": 400}
    for temperature in (600, 800, 1000, 1200):
        steps = lengths((n, temperature, temperature) for n in (5001, 5001, 3001))
        names = ["", " of steps 5000 to 10000", " of steps 10000 to 13000"]
        for name, own in zip(names, steps, strict=True):
            tags = found.pop(f"md {temperature} K/INCAR{name}")
            assert tags == DYNAMICS | {"ENCUT": 400} | own
        assert files[f"md {temperature} K/POTCAR.spec"].split() == ["Li", "F"]
    assert found == {}


def test_each_temperature_starts_with_velocities_of_its_own_and_10_angstrom(inputs):
    files = inputs("kang2022_aimd.yaml")
    drawn = []
    for temperature in (600, 800, 1000, 1200):
        poscar = Poscar.from_str(files[f"md {temperature} K/POSCAR"])
        assert min(poscar.structure.lattice.abc) >= 10.0
        masses = np.array([float(site.specie.atomic_mass) for site in poscar.structure])
        velocities = np.array(poscar.velocities)
        twice_kinetic = (masses[:, None] * velocities**2).sum() / 9.648533e-3
        kelvin = twice_kinetic / (3 * len(masses) - 3) / 8.617333e-5
        assert kelvin == pytest.approx(temperature, rel=1e-5)
        drawn.append(velocities / np.sqrt(temperature))
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
