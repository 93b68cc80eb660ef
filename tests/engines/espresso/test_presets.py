"""What pw.x is told by each preset, and what stands above it."""

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.engines import settings_hash
from ssefw.engines.espresso import EspressoEngine, known_presets
from ssefw.engines.espresso.inputs import read_option
from ssefw.errors import ConfigurationError, EngineError
from tests.engines.conftest import upf


@pytest.fixture
def li2s():
    """The conventional cell of Li2S."""
    sites = [[0, 0, 0], [0.25, 0.25, 0.25]]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.708), ["S", "Li"], sites)


def options(text, *names):
    return [read_option(text, *name.split(".")) for name in names]


def test_presets_are_those_of_the_papers_and_one_for_energies():
    assert known_presets() == ["default", "hull", "kang2022", "xrdmatch"]
    with pytest.raises(ConfigurationError, match="Did you mean 'kang2022'"):
        EspressoEngine(preset="kang2021").check()


@pytest.mark.parametrize("preset", [None, "kang2022", "xrdmatch"])
def test_dynamics_are_at_gamma_with_everything_extrapolated(preset, li2s, pseudos):
    text = EspressoEngine(preset=preset).input_files(li2s, "md")["pw.in"]
    assert "K_POINTS gamma" in text
    names = ("control.calculation", "ions.pot_extrapolation", "ions.wfc_extrapolation")
    assert options(text, *names) == ["md", "second_order", "second_order"]
    names = ("system.ecutwfc", "system.ecutrho", "system.occupations", "system.nosym")
    assert options(text, *names) == ["102.0", "410.0", "fixed", ".true."]
    assert float(read_option(text, "electrons", "conv_thr")) == pytest.approx(12 * 5e-12)


def test_relaxations_go_to_the_thresholds_that_are_asked_for(li2s, pseudos):
    engine = EspressoEngine(preset="xrdmatch")
    text = engine.input_files(li2s, "relax", fmax=0.01, max_steps=77)["pw.in"]
    names = ("control.calculation", "control.nstep", "control.etot_conv_thr")
    assert options(text, *names) == ["vc-relax", "77", "7.35e-07"]
    assert "K_POINTS automatic" in text
    force = float(read_option(text, "control", "forc_conv_thr"))
    assert force * 25.711 * 3**0.5 == pytest.approx(0.01, rel=1e-4)
    fixed = engine.input_files(li2s, "relax", relax_cell=False)["pw.in"]
    assert read_option(fixed, "control", "calculation") == "relax"


def test_energies_for_a_hull_take_metals_too(li2s, pseudos):
    text = EspressoEngine(preset="hull").input_files(li2s, "static")["pw.in"]
    assert options(text, "system.occupations", "system.degauss") == ["smearing", "0.01"]
    assert float(read_option(text, "electrons", "conv_thr")) == pytest.approx(12e-10)
    assert "8 8 8" in text
    li2s.remove_sites([0])  # an odd number of electrons in a metal is none of our business
    assert EspressoEngine(preset="hull").input_files(li2s, "static")


def test_the_user_has_the_last_word_and_none_removes_a_keyword(li2s, pseudos):
    own = {"system": {"ecutwfc": 44, "nosym": None}, "electrons": {"mixing_beta": 0.6}}
    engine = EspressoEngine(preset="kang2022", kspacing=0.5, options=own)
    text = engine.input_files(li2s, "md")["pw.in"]
    names = ("system.ecutwfc", "system.nosym", "electrons.mixing_beta")
    assert options(text, *names) == ["44", None, "0.6"]
    assert "3 3 3" in engine.input_files(li2s, "static")["pw.in"]
    with pytest.raises(ConfigurationError, match=r"control\.calculation follows from the task"):
        EspressoEngine(options={"control": {"calculation": "nscf"}}).check()


def test_a_pseudopotential_of_another_functional_is_refused(li2s, pseudos):
    other = upf("S", "6.0").replace("SLA  PW   PBX  PBC", "SLA PZ NOGX NOGC")
    (pseudos / "S.pbe-n-kjpaw_psl.1.0.0.UPF").unlink()
    (pseudos / "S.pz.UPF").write_text(other)
    (pseudos / "Li.pbe-s-kjpaw_psl.1.0.0.UPF").unlink()
    (pseudos / "Li.pz.UPF").write_text(other.replace('"S"', '"Li"'))
    engine = EspressoEngine(preset="kang2022")
    with pytest.raises(EngineError, match=r"Li\.pz\.UPF was made with .* SLA PZ .* PBE"):
        engine.input_files(li2s, "static")
    assert EspressoEngine().input_files(li2s, "static")


def test_an_engine_without_a_preset_is_on_record_as_before_there_were_presets():
    known = {"ecutwfc", "ecutrho", "kspacing", "charge", "smearing", "magmoms", "options", "family",
             "pseudo_files", "pseudo_hash", "layout"}  # fmt: skip
    content = EspressoEngine().as_dict()
    assert {key for key in content if not key.startswith("@")} == known
    assert content["kspacing"] == 0.3
    engine = EspressoEngine(preset="kang2022")
    assert EspressoEngine.from_dict(engine.as_dict()) == engine
    assert settings_hash(engine) != settings_hash(EspressoEngine())
