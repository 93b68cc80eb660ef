"""`ssefw potential` as a user types it, with EMT as the teacher."""

import json

import pytest
from click.testing import CliRunner

from ssefw.cli import main
from ssefw.nep import read_nep
from tests.engines.students.test_frame_files import images
from tests.engines.students.test_students import CRYSTAL, EMT

QUICK = [
    *("--temperature", "800", "--temperature", "500"),
    *("--specie", "Ag", "--calculator", EMT, "--min-length", "7"),
    *("--set", "teacher_time=0.4", "--set", "frames=30", "--set", "rattled=6"),
    *("--set", "explore_time=1", "--set", "labels=6", "--set", "rounds=1"),
    *("--set", "fit.radial_cutoff=4.5", "--set", "fit.angular_cutoff=3.8"),
    *("--set", "fit.n_radial=4", "--set", "fit.n_angular=3", "--set", "fit.functions=5"),
    *("--set", "fit.neurons=8", "--set", "fit.steps=300", "--set", "refit_steps=60"),
]


class CommandLine:
    """The command line as it is typed: what a command returns is its exit code only here."""

    name = "ssefw"

    def main(self, args, **_):
        main(list(args))


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSEFW_POTENTIALS", str(tmp_path / "potentials"))
    CRYSTAL.to(filename=str(tmp_path / "alloy.cif"))

    def run(*arguments):
        return CliRunner().invoke(CommandLine(), ["potential", *arguments])

    return run


@pytest.mark.slow
def test_a_student_is_trained_listed_shown_and_exported(call, tmp_path):
    trained = call("train", "alloy.cif", *QUICK, "--json", "--folder", "lesson", "-o", "nep.txt")
    assert trained.exception is None or isinstance(trained.exception, SystemExit), trained.output
    card = json.loads(trained.stdout.splitlines()[-1])
    assert trained.exit_code == (0 if card["accepted"] else 1)
    assert card["species"] == ["Ag", "Cu"]
    assert card["checks"]
    assert read_nep(tmp_path / "nep.txt").species == ("Ag", "Cu")

    again = call("train", "alloy.cif", *QUICK, "--json", "--folder", "lesson")
    assert json.loads(again.stdout.splitlines()[-1])["potential"] == card["potential"]

    name = card["potential"][:10]
    assert name in call("list").stdout
    assert "Ag Cu" in call("show", name).stdout
    assert call("export", name, "-o", "copy.nep").exit_code == 0
    added = call("add", "copy.nep")
    assert added.stdout.strip() == card["potential"][:12]


@pytest.mark.slow
def test_frames_that_are_there_are_learned_with_nobody_to_ask(call, tmp_path):
    from ase.io import read, write

    (tmp_path / "runs").mkdir()
    given = images(30)
    given[4].calc.results["forces"][0] = 300.0
    write(tmp_path / "runs" / "md.extxyz", given)
    how = [*QUICK[10:], "--set", "explore_temperatures=[500]", "--json", "--folder", "lesson"]
    trained = call("train", "--frames", "runs", *how, "--specie", "Ag")
    card = json.loads(trained.stdout.splitlines()[-1])
    assert card["n_labels"] == 29
    assert card["structures"] == ["Cu21Ag11"]
    assert not card["accepted"]  # no time, no comparison of motion
    assert "compared with nothing" in card["reason"] or not card["stable"]
    assert "md.extxyz: frame 5: it has exploded" in trained.stderr
    wanted = tmp_path / "lesson" / "wanted.extxyz"
    assert not wanted.stat().st_size or read(wanted, index=0).get_chemical_symbols()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["train", "alloy.cif", "--set", "nosuch=1"], "no setting 'nosuch'"),
        (["train", "alloy.cif", "--set", "rounds=abc"], "must be a whole number"),
        (["train", "alloy.cif", "--set", "explore_time=-1"], "a number above 0"),
        (["train", "alloy.cif", "--calculator", EMT], "None of the structures holds Li"),
        (["train", "alloy.cif", "--calculator", "sevennet-l35"], "did you mean 'sevennet-l3i5'?"),
        (["train", "alloy.cif", "--calculator", "nosuch"], "are chgnet, sevennet-0"),
        (["train"], "Give structures for a teacher, or --frames"),
        (["train", "--frames", "."], "holds no vasprun.xml"),
        (["show", "ffffffff"], "no potential"),
        (["show", "chgnet"], "comes with ssefw's dependencies"),
        (["export", "ffffffff", "-o", "x.txt"], "no potential"),
        (["add", "alloy.cif"], "no nep.txt"),
    ],
)
def test_bad_input_is_said_in_a_line(call, arguments, why):
    result = call(*arguments)
    assert result.exit_code != 0
    told = result.output + str(result.exception)
    assert why in told


def test_frames_are_gathered_and_counted(call, tmp_path):
    from ase.io import read, write

    given = images(12)
    given[3].calc.results["forces"][0, 0] = 400.0
    (tmp_path / "aimd").mkdir()
    write(tmp_path / "aimd" / "run.extxyz", given)
    done = call("frames", "aimd", "-o", "all.extxyz", "--json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["runs"], record["frames"], record["left_out"]) == (1, 11, 1)
    assert "frame 4: it has exploded" in done.stderr
    assert len(read(tmp_path / "all.extxyz", index=":")) == 11


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["alloy.cif", "--base", "sevennet-0"], "--base is tuned to frames"),
        (["--frames", "alloy.cif", "--hold-out", "alloy.cif"], "--hold-out is for --base"),
        (["--frames", "alloy.cif", "--base", "chgnet", "-o", "nep.txt"], "name nep.txt *.tuned"),
        (["--frames", "alloy.cif", "--base", "nothing"], "no potential 'nothing'"),
        (["--frames", "alloy.cif", "--base", "chgnet", "--set", "x=1"], "has no setting 'x'"),
    ],
)
def test_what_makes_no_sense_of_a_base_is_refused_before_anything(call, arguments, why):
    done = call("train", *arguments)
    assert done.exit_code in {1, 2}
    assert why in done.output or why in str(done.exception)


@pytest.mark.slow
def test_a_universal_potential_is_tuned_to_frames(call, tmp_path, monkeypatch):
    from ase.io import write

    write(tmp_path / "run.extxyz", images(20))
    morse = "ase.calculators.morse.MorsePotential"
    form = [argument for argument in QUICK if argument.startswith("fit.")]
    settings = [word for one in [*form, "members=2", "stable=0.1"] for word in ("--set", one)]
    done = call(
        "train", "--frames", "run.extxyz", "--base", morse, "--specie", "Ag", *settings,
        "--json", "-o", "copy.tuned",
    )  # fmt: skip
    assert done.exit_code == 1, done.output  # extended XYZ of others tells no time
    card = json.loads(done.stdout.splitlines()[-1])
    assert card["base"] == "MorsePotential"
    assert card["errors"][0]["force"] < card["first_errors"]["force"]
    assert "no run tells" in card["reason"] or not card["stable"]
    name = card["potential"][:12]
    assert "tuned to" in call("list").stdout
    assert "MorsePotential alone" in call("show", name).stdout
    assert call("add", "copy.tuned").stdout.strip() == name
    assert call("export", name, "-o", "nep.txt").exit_code == 2
