"""A plan imports what is known for calculators, checks options against it, and calls nothing."""

import sys

import pytest

from ssefw.engines.ase import AseEngine
from ssefw.engines.ase.calculators import check_calculator, make_calculator
from ssefw.errors import ConfigurationError
from tests.conftest import CAMPAIGN

EMT = "ase.calculators.emt.EMT"
SPIED = """\
from pathlib import Path
from ase.calculators.emt import EMT
Path("imported").touch()
class Mine(EMT):
    def __init__(self, strength: float = 1.0, **kwargs):
        Path("made").touch()
        super().__init__(**kwargs)
def mine(strength: float = 1.0) -> Mine:
    return Mine(strength)
def anything(strength: float = 1.0):
    Path("called").touch()
class Alike:
    def get_potential_energy(self, atoms=None): ...
    def get_forces(self, atoms=None): ...
    def calculation_required(self, atoms, properties): ...
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of somebody's own on the path, which leaves files when it is run."""
    (tmp_path / "mypotential.py").write_text(SPIED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("mypotential", None)


@pytest.mark.parametrize("command", ["plan", "submit", "run"])
@pytest.mark.parametrize("path", ["os.system", "subprocess.call", "builtins.exec", "sys.exit"])
def test_a_plan_calls_nothing_that_is_no_calculator(ssefw, tmp_path, command, path):
    text = f'{{calculator: {path}, options: {{command: "touch {tmp_path}/pwned"}}}}'
    (tmp_path / "c.yaml").write_text(CAMPAIGN.replace(f"{{calculator: {EMT}}}", text))
    done = ssefw(command, "c.yaml", "--store", "st", check=False)
    assert done.returncode == 1
    assert f"Error: {path} is not an ASE calculator" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "pwned").exists()
    assert not (tmp_path / "st").exists()


@pytest.mark.parametrize("path", ["..x", "", "EMT", "ase..emt", "a b.c", "ase.calculators.emt."])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(ConfigurationError, match="is no import path"):
        check_calculator(path, {})


def test_a_package_that_is_not_known_wants_a_yes(module, monkeypatch):
    with pytest.raises(ConfigurationError, match="SSEFW_CALCULATOR_PACKAGES=mypotential"):
        check_calculator("mypotential.Mine", {})
    assert not (module / "imported").exists()
    monkeypatch.setenv("SSEFW_CALCULATOR_PACKAGES", "other, mypotential")
    check_calculator("mypotential.Mine", {"strength": 2.0})
    assert (module / "imported").exists()
    assert not (module / "made").exists()
    make_calculator("mypotential.Mine", {"strength": 2.0})
    assert (module / "made").exists()


def test_a_worker_asks_the_same(module):
    engine = AseEngine(calculator="mypotential.Mine")
    with pytest.raises(ConfigurationError, match="importing it runs its code"):
        engine.calculator_instance()
    assert not (module / "imported").exists()


@pytest.mark.parametrize(
    ("name", "is_one"), [("Mine", True), ("mine", True), ("Alike", True), ("anything", False)]
)
def test_a_calculator_is_a_class_or_a_function_that_says_so(module, monkeypatch, name, is_one):
    monkeypatch.setenv("SSEFW_CALCULATOR_PACKAGES", "mypotential")
    if is_one:
        check_calculator(f"mypotential.{name}", {})
    else:
        with pytest.raises(ConfigurationError, match="is not an ASE calculator"):
            check_calculator(f"mypotential.{name}", {})
    assert not (module / "called").exists()


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        (EMT, {"nosuch": 1}, "has no option 'nosuch'; it has: asap_cutoff"),
        ("ase.calculators.lj.LennardJones", {"sigm": 1}, "did you mean 'sigma'"),
        ("ssefw.engines.chgnet.FastCHGNet", {"modell": "0.3.0"}, "did you mean 'model'"),
        ("ssefw.engines.chgnet.FastCHGNet", {"skin": "wide"}, "skin must be a number, got 'wide'"),
        ("ssefw.engines.chgnet.FastCHGNet", {"skin": float("nan")}, "skin must be a number"),
        ("ase.calculators.emt.EMM", {}, "Did you mean ase.calculators.emt.EMT"),
        (EMT, {1: 2}, "names that are no text"),
    ],
)
def test_options_are_checked_against_the_class(path, options, words):
    with pytest.raises(ConfigurationError, match=words):
        AseEngine(calculator=path, options=options).check()


@pytest.mark.parametrize(
    ("path", "options"),
    [
        (EMT, {"asap_cutoff": True}),
        ("ase.calculators.lj.LennardJones", {"sigma": 2.5, "epsilon": 0.1, "rc": 8.0}),
        ("ase.calculators.vasp.Vasp", {"xc": "pbe", "ncore": 4}),
        ("ase.calculators.dftb.Dftb", {"Hamiltonian_SCC": "Yes"}),
        ("chgnet.model.dynamics.CHGNetCalculator", {"use_device": "cpu"}),
        ("ssefw.engines.chgnet.FastCHGNet", {"model": "0.2.0", "skin": 1}),
    ],
)
def test_options_that_are_right_are_taken(path, options):
    AseEngine(calculator=path, options=options).check()


def test_options_may_hold_lists():
    with pytest.raises(ConfigurationError, match="no option 'things'"):
        AseEngine(calculator=EMT, options={"things": [1, {"a": 2}]}).calculator_instance()
