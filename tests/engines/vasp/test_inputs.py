"""The input files of each preset, tag by tag, against what the papers say."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Incar, Poscar
from pymatgen.io.vasp.sets import MPRelaxSet, MPStaticSet

from ssefw.engines import MDSettings
from ssefw.engines.vasp import VaspEngine, known_presets, load_preset
from ssefw.engines.vasp.inputs import VaspCell, input_set
from ssefw.engines.vasp.process import site_settings
from ssefw.errors import ConfigurationError, DataError, EngineError

pytestmark = [
    pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING"),
    pytest.mark.filterwarnings("ignore:POTCAR data with symbol"),
]

HOT = MDSettings(temperature=900.0, seed=1)

DYNAMICS = {
    "IBRION": 0,
    "ISIF": 2,
    "ISYM": 0,
    "MDALGO": 2,
    "SMASS": 0,
    "POTIM": 2.0,
    "NBLOCK": 1,
    "ALGO": "Fast",
    "PREC": "Normal",
    "EDIFF": 1e-5,
    "NELM": 100,
    "NELMIN": 4,
    "MAXMIX": 40,
    "ISMEAR": 0,
    "SIGMA": 0.05,
    "ISPIN": 1,
    "LREAL": "Auto",
    "LASPH": True,
    "LWAVE": False,
    "LCHARG": False,
    "GGA": "Pe",
}
RELAXATION = {
    "IBRION": 2,
    "ISIF": 3,
    "NSW": 200,
    "EDIFF": 1e-5,
    "EDIFFG": -0.01,
    "ALGO": "Fast",
    "PREC": "Accurate",
    "NELM": 100,
    "ISMEAR": 0,
    "SIGMA": 0.05,
    "ISPIN": 1,
    "LREAL": False,
    "LASPH": True,
    "LWAVE": False,
    "LCHARG": False,
    "GGA": "Pe",
}


def tags(files):
    return dict(Incar.from_str(files["INCAR"]))


@pytest.fixture
def fluoride(lif):
    return lif * (2, 2, 2)


def test_xrdmatch_relaxes_to_the_papers_thresholds(lif):
    files = VaspEngine(preset="xrdmatch").input_files(lif, "relax")
    assert tags(files) == RELAXATION | {"ENCUT": 520}
    assert files["POTCAR.spec"].split() == ["Li_sv", "F"]


def test_xrdmatch_heats_from_100_k_over_2_ps_then_holds(fluoride):
    paper = load_preset("xrdmatch").protocol
    ramp = MDSettings(
        temperature=1500.0,
        timestep=paper.timestep,
        heat_from=paper.heat_from,
        heating_steps=paper.heating_steps,
    )
    files = VaspEngine(preset="xrdmatch").input_files(
        fluoride, "md", settings=ramp, steps=paper.total_steps
    )
    heating = {"ENCUT": 520, "TEBEG": 100, "TEEND": 1500, "NSW": 1001}
    assert tags(files) == DYNAMICS | heating
    assert files["KPOINTS"].splitlines()[2:4] == ["Gamma", "1 1 1"]
    assert paper.heating_steps * paper.timestep == 2000
    assert paper.production_steps * paper.timestep == 30_000
    assert paper.temperatures == (600, 900, 1200, 1500)


def test_kang2022_runs_at_400_ev_gamma_only(fluoride):
    paper = load_preset("kang2022").protocol
    engine = VaspEngine(preset="kang2022")
    files = engine.input_files(fluoride, "md", settings=HOT, steps=paper.production_steps)
    length = {"NSW": 5001, "TEBEG": 900, "TEEND": 900}
    assert tags(files) == DYNAMICS | length | {"ENCUT": 400}
    assert files["KPOINTS"].splitlines()[2:4] == ["Gamma", "1 1 1"]
    assert files["POTCAR.spec"].split() == ["Li", "F"]
    assert (paper.equilibration_steps, paper.production_steps) == (3000, 10_000)
    assert paper.temperatures == (600, 800, 1000, 1200)
    assert paper.heat_from is None


def test_hull_is_the_materials_projects_own_set(lif):
    engine = VaspEngine(preset="hull")
    ours, theirs = engine.input_files(lif, "relax"), MPRelaxSet(lif)
    assert tags(ours) == dict(Incar.from_str(str(theirs.incar)))
    assert ours["KPOINTS"] == str(theirs.kpoints)
    static = MPStaticSet(lif)
    assert tags(engine.input_files(lif, "static")) == dict(Incar.from_str(str(static.incar)))
    with pytest.raises(ConfigurationError, match="no dynamics"):
        engine.input_files(lif, "md", settings=HOT, steps=10)


def test_velocities_are_drawn_at_the_start_of_the_ramp(fluoride):
    ramp = HOT.model_copy(update={"heat_from": 100.0, "heating_steps": 100})
    files = VaspEngine().input_files(fluoride, "md", settings=ramp, steps=200)
    poscar = Poscar.from_str(files["POSCAR"])
    masses = np.array([float(s.specie.atomic_mass) for s in poscar.structure])
    twice_kinetic = (masses[:, None] * np.array(poscar.velocities) ** 2).sum() / 9.648533e-3
    assert twice_kinetic / (3 * len(masses) - 3) / 8.617333e-5 == pytest.approx(100.0, rel=1e-5)


def test_any_tag_can_be_overridden_or_removed(lif):
    engine = VaspEngine(incar={"encut": 450, "NCORE": 8, "LASPH": None})
    found = tags(engine.input_files(lif, "static"))
    assert (found["ENCUT"], found["NCORE"]) == (450, 8)
    assert "LASPH" not in found


def test_k_points_and_potcars_can_be_overridden(lif):
    engine = VaspEngine(kpoints={"reciprocal_density": 8}, potcar={"Li": "Li"})
    files = engine.input_files(lif, "relax")
    assert files["POTCAR.spec"].split() == ["Li", "F"]
    assert files["KPOINTS"].splitlines()[3] == "3 3 3"


@pytest.mark.parametrize(("tag", "task"), [("NSW", "md"), ("potim", "md"), ("EDIFFG", "relax")])
def test_tags_that_follow_from_the_campaign_are_refused(lif, tag, task):
    with pytest.raises(ConfigurationError, match="follows from its own settings"):
        VaspEngine(incar={tag: 3}).input_files(lif, task, settings=HOT, steps=10)


@pytest.mark.parametrize("tag", ["ENCUT", "EDIFF", "sigma", "NCORE"])
@pytest.mark.parametrize("number", [-5, 0, "-1.0"])
def test_tags_that_must_be_positive_are(tag, number):
    with pytest.raises(ConfigurationError, match=f"{tag} must be a number above 0"):
        VaspEngine(incar={tag: number}).check()


def test_a_misspelled_tag_is_refused_with_the_right_one(lif):
    with pytest.raises(ConfigurationError, match="Did you mean ENCUT"):
        VaspEngine(incar={"ENCUTT": 450}).input_files(lif, "static")


@pytest.mark.parametrize(
    "wrong", [{"preset": "x"}, {"incar": {"ENCUTT": 1}}, {"incar": {"NSW": 1}}]
)
def test_a_senseless_engine_is_found_before_a_campaign_starts(wrong):
    with pytest.raises(ConfigurationError):
        VaspEngine(**wrong).check()
    VaspEngine(preset="hull", incar={"NCORE": 4}).check()


def test_langevin_friction_is_the_inverse_of_the_damping(lif):
    noisy = HOT.model_copy(update={"thermostat": "langevin", "damping": 100.0, "seed": 7})
    found = tags(VaspEngine().input_files(lif, "md", settings=noisy, steps=10))
    assert found["MDALGO"] == 3
    assert found["LANGEVIN_GAMMA"] == [10.0, 10.0]
    assert found["RANDOM_SEED"] == [7, 0, 0]


def test_spin_is_on_where_an_element_can_carry_a_moment():
    oxide = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.33), ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    found = tags(VaspEngine().input_files(oxide, "md", settings=HOT, steps=10))
    assert found["ISPIN"] == 2
    assert found["MAGMOM"] == [5.0] * 4 + [0.6] * 4
    assert tags(VaspEngine(incar={"ISPIN": 1}).input_files(oxide, "static"))["ISPIN"] == 1


def test_a_preset_without_spin_refuses_elements_that_may_need_it(lif):
    lif.replace_species({"Li": "Fe"})
    dull = load_preset("kang2022").model_copy(update={"spin": "off"})
    with pytest.raises(EngineError, match=r"FeF holds Fe, which can carry .* Set ISPIN"):
        input_set(dull, "static", VaspCell.of(lif), tags={}, incar={})
    assert input_set(dull, "static", VaspCell.of(lif), tags={}, incar={"ISPIN": 2}).incar


def test_sites_are_sorted_for_vasp_and_put_back():
    mixed = Structure(Lattice.cubic(5), ["F", "Li", "F", "Li"], np.eye(4)[:, :3] / 2)
    cell = VaspCell.of(mixed)
    assert [s.specie.symbol for s in cell.structure] == ["Li", "Li", "F", "F"]
    rows = cell.structure.frac_coords
    assert np.array_equal(cell.to_given_order(rows), mixed.frac_coords)
    assert np.array_equal(cell.to_vasp_order(mixed.frac_coords), rows)


def test_disordered_structures_are_refused(lif):
    lif.replace_species({"Li": {"Li": 0.5, "Na": 0.5}})
    with pytest.raises(DataError, match="partly occupied"):
        VaspEngine().input_files(lif, "relax")


def test_unknown_presets_are_refused_with_the_known_ones(lif):
    with pytest.raises(ConfigurationError, match=r"Did you mean 'kang2022'.*hull, kang2022, xrd"):
        VaspEngine(preset="kang2023").input_files(lif, "relax")
    assert known_presets() == ["hull", "kang2022", "xrdmatch"]


@pytest.mark.parametrize("preset", known_presets())
@pytest.mark.parametrize("task", ["relax", "static", "md"])
def test_no_potcar_is_needed_to_see_the_input_files(lif, preset, task, monkeypatch):
    if (preset, task) == ("hull", "md"):
        return
    import pymatgen.core

    monkeypatch.setitem(pymatgen.core.SETTINGS, "PMG_VASP_PSP_DIR", None)
    files = VaspEngine(preset=preset).input_files(lif, task, settings=HOT, steps=10)
    assert sorted(files) == ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]


def test_a_missing_potcar_is_one_clear_line(vasp_site, lif):
    lif.replace_species({"F": "Cl"})
    with pytest.raises(EngineError, match=r"No POTCAR of Cl in the family PBE_54\. Set SSEFW_PO"):
        VaspEngine().static(lif)


def test_a_missing_program_is_one_clear_line(vasp_site, lif, monkeypatch):
    monkeypatch.setenv("SSEFW_VASP_CMD", "mpirun-nowhere -n 4 vasp_std")
    with pytest.raises(EngineError, match=r"Cannot find the program 'mpirun-nowhere'.*SSEFW_VASP"):
        VaspEngine().static(lif)


def test_an_odd_number_of_electrons_is_one_clear_line(vasp_site, lif):
    lif.remove_sites([0])
    with pytest.raises(EngineError, match=r"odd number of electrons \(31\).*set ISPIN"):
        VaspEngine().static(lif)


@pytest.mark.parametrize(
    ("command", "twin"),
    [
        ("srun -n 64 vasp_std", "srun -n 64 vasp_gam"),
        ("mpirun /opt/vasp/bin/vasp_std > out", "mpirun /opt/vasp/bin/vasp_gam > out"),
        ("run-my-vasp", "run-my-vasp"),
    ],
)
def test_the_gamma_only_program_is_started_as_the_other(monkeypatch, command, twin):
    monkeypatch.setenv("SSEFW_VASP_CMD", command)
    assert site_settings().vasp_gamma_cmd == twin
    monkeypatch.setenv("SSEFW_VASP_GAMMA_CMD", "mine")
    assert site_settings().vasp_gamma_cmd == "mine"
