"""Settings of engines, filters and systems are checked before any work."""

import math
import typing

import pytest

from ssefw.campaigns.file import read_campaign
from ssefw.campaigns.planning.plan import make_plan
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.vasp import VaspEngine
from ssefw.errors import ConfigurationError
from ssefw.screening.base import make_screener, screener_class
from ssefw.units import limits_in

PLAIN = """\
campaign: c
pool: {path: pool}
md: {temperatures: [600, 800], length: 10}
"""

LIF = """\
LiF
1.0
0 2 2
2 0 2
2 2 0
Li F
1 1
direct
0 0 0
0.5 0.5 0.5
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool/POSCAR-LiF").write_text(LIF)

    def plan(text):
        (tmp_path / "c.yaml").write_text(PLAIN + text)
        return make_plan(read_campaign(tmp_path / "c.yaml"))

    return plan


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engine: {options: {nosuch: 1}}", "FastSevenNet has no option 'nosuch'"),
        ("engine: {options: {model: '0'}}", "'model' of this potential is 'l3i5', not '0'"),
        ("engine: {potential: chgnet, options: {nosuch: 1}}", "FastCHGNet has no option 'nosuch'"),
        ("engine: {code: vasp, kpoints: {nosuch: 1}}", "kpoints has no setting 'nosuch'"),
        ("engine: {code: vasp, kpoints: {length: -1}}", "kpoints.length must be a number above 0"),
        ("engine: {code: vasp, incar: {ENCUT: .nan}}", "INCAR tag ENCUT must be a number, got nan"),
        ("engine: {code: vasp, incar: {ENCUT: high}}", "INCAR tag ENCUT must be a number"),
        ("engine: {code: vasp, incar: {MAGMOM: [1, .inf]}}", "INCAR tag MAGMOM must be"),
        ("engine: {code: vasp, potcar: {Qq: Li_sv}}", "'Qq' is no element"),
        ("neb: {engine: {code: espresso, options: {kspacin: 1}}}", "did you mean 'kspacing'"),
        ("neb: {engine: {code: espresso, options: {kspacing: .nan}}}", "kspacing must be a number"),
        ("neb: {engine: {code: espresso, options: {layout: {pool: 2}}}}", "layout"),
        ("neb: {engine: {code: espresso, options: {magmoms: {Fe: up}}}}", "magmoms"),
        (
            "neb: {engine: {code: espresso, options: {options: {sytem: {}}}}}",
            "no namelist 'sytem'; did you mean 'system'",
        ),
        (
            "neb: {engine: {code: espresso, options: {options: {system: {ecutwfcc: 4}}}}}",
            "no keyword 'ecutwfcc'. Did you mean 'ecutwfc'",
        ),
        ("neb: {first: {calculator: os.system}}", "os.system is not an ASE calculator"),
        ("filters: [{stated: {name: 5}}]", "name must be text, got 5"),
        ("filters: [{hull_energy: {below: 0.1}}]", "no setting 'below'; it has: at_most"),
        ("filters: [{hull_energy: {}}]", "needs at_most: hull_energy: {at_most: ...}"),
        ("filters: [{band_gap: {at_least: .nan}}]", "at_least must be a number"),
        ("filters: [{bandgap: {at_least: 1}}]", "did you mean 'band_gap'"),
        ("filters: [{bvse_barrier: {below: 0.5, resolution: 1.0e-9}}]", "resolution must be"),
        ("filters: [{bvse_barrier: {below: 0.5, dimensions: 4}}]", "dimensions must be 1, 2 or 3"),
        ("filters: [{cell_size: {at_most: 0}}]", "at_most must be a whole number at least 1"),
        ("filters: [{novel_composition: {known: [LiF]}}]", "takes its known from the model"),
        ("filters: [{without_elements: {elements: Cu}}]", "elements must be a list"),
        ("feedback: {settings: {n_splits: -3}}", "n_splits must be a whole number at least 1"),
        ("feedback: {settings: {test_share: 2}}", "test_share must be a number above 0 and below"),
    ],
)
def test_it_is_refused_by_the_plan(plan, text, words):
    with pytest.raises(ConfigurationError, match=words):
        plan(text)


@pytest.mark.parametrize(
    "text",
    [
        "filters: [{band_gap: {at_least: 1e-3}}]",
        "filters: [{stated: {name: band_gap_ev, below: 4}}, {no_intermetallic: {}}]",
        "filters: [{novel_composition: {tolerance: 0.1}}]",
        "engine: {code: vasp, incar: {ENCUT: '520', LREAL: auto, LDAUU: {Fe: 4}, LASPH: null}}",
        "engine: {code: vasp, kpoints: {reciprocal_density: 100}}",
        "neb: {engine: {code: espresso, options: {kspacing: '0.5', magmoms: {Fe: 4}}}}",
        "neb: {engine: {code: espresso, options: {options: {system: {hubbard_u(1): 4}}}}}",
    ],
)
def test_what_is_right_is_taken(plan, text):
    try:
        plan(text)
    except Exception as error:  # noqa: BLE001
        assert "No candidate is left" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("n_splits=abc", "n_splits must be a whole number"),
        ("test_share=2", "test_share must be a number above 0 and below 1, got 2"),
        ("test_share=nan", "test_share must be a number"),
        ("test_share=.nan", "test_share must be a number"),
        ("n_splits=1e300", "n_splits must be a whole number"),
        ("members=5", "members must be a list"),
        ("n_split=3", "did you mean 'n_splits'"),
    ],
)
def test_a_setting_of_a_system_is_refused_before_the_fit(ssefw, option, words):
    asked = ("--system", "composition", "--labels", "starter", "--set", option)
    done = ssefw("screen", "train", *asked, "--out", "m.model", check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


COMMANDS = [["neb", "POSCAR", "--engine", "espresso"], ["converge", "POSCAR"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_setting_of_an_engine_is_refused_before_the_work(ssefw, tmp_path, command):
    (tmp_path / "POSCAR").write_text(LIF)
    done = ssefw(*command, "--set", "kspacing=-1", check=False)
    assert done.returncode == 1
    assert "kspacing must be a number at least 0.01" in done.stderr


ABSURD = [math.nan, math.inf, -math.inf, -1000, 1e300, 10**21, True, "ten", {"a": 1}]


def numeric(kind):
    hints = typing.get_type_hints(kind, include_extras=True)
    hints |= typing.get_type_hints(kind.__init__, include_extras=True)
    for name, hint in hints.items():
        if list(limits_in(hint)):
            yield name


@pytest.mark.parametrize(
    "system", ["composition", "atomsets", "clustering", "consensus", "xrdmatch"]
)
def test_every_number_of_every_system_has_limits(system):
    kind = screener_class(system)
    names = list(numeric(kind))
    assert {"seed", "workers"} <= set(names)
    for name in names:
        for value in ABSURD:
            if value == "ten" and name == "wavelength":
                continue
            with pytest.raises(ConfigurationError, match=f"{name}"):
                make_screener(system, {name: value})


@pytest.mark.parametrize("engine", [EspressoEngine, VaspEngine])
def test_every_number_of_every_engine_has_limits(engine):
    for name in numeric(engine):
        for value in ABSURD:
            if name in {"magmoms", "layout"} and value == {"a": 1}:
                continue
            with pytest.raises(ConfigurationError, match=name):
                engine(**{name: value}).check()
