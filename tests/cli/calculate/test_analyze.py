"""`ssefw analyze` from files to a table, JSON and figures."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from ssefw.analysis.synthetic import LatticeWalk
from ssefw.cli.calculate.analyze import command
from ssefw.errors import DataError

WALKS = {
    temperature: LatticeWalk(
        rate=40 * np.exp(-0.3 / (8.617333e-5 * temperature)), n_frames=400, n_cells=4, n_ions=48
    )
    for temperature in (700, 900, 1200)
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for temperature, walk in WALKS.items():
        frames = walk.frames(1)
        rows = ["run\n1.0\n12.8 0 0\n0 12.8 0\n0 0 12.8\nLi S\n48 64\n"]
        for k, positions in enumerate(frames.positions / 12.8):
            rows.append(f"Direct configuration= {k + 1}\n")
            rows += ["".join(f"{x:12.8f}" for x in row) + "\n" for row in positions]
        (folder / f"{temperature}").write_text("".join(rows))
    return folder


def run(*arguments):
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def analyze(files, *arguments, temperatures=(900,)):
    options = [word for t in temperatures for word in ("--temperature", t)]
    names = [files / str(t) for t in temperatures]
    return run(*names, *options, "--timestep", 2, "--stride", 10, "--hop-distance", 3.2, *arguments)


def test_one_run_gives_its_diffusivity_as_json(files):
    result = analyze(files, "--json")
    record = json.loads(result.stdout)
    found = record["diffusivity_cm2_per_s"]
    assert found["lower"] < WALKS[900].tracer < found["upper"]
    assert found["lower"] < found["value"] < found["upper"]
    assert found["level"] == 0.95
    assert record["regime"] == "diffusive"
    assert record["runs"][0]["temperature_K"] == 900.0
    assert record["arrhenius"]["conductivity_S_per_cm"]["kind"] == "upper_bound"


def test_several_temperatures_give_an_arrhenius_fit_a_table_and_figures(files, tmp_path):
    result = analyze(
        files,
        "--figure",
        tmp_path / "plots",
        "--density",
        "--out",
        tmp_path / "all.json",
        temperatures=(900, 1200),
    )
    record = json.loads((tmp_path / "all.json").read_text())
    energy = record["arrhenius"]["activation_energy_eV"]
    assert energy["lower"] < 0.3 < energy["upper"]
    assert [r["temperature_K"] for r in record["runs"]] == [900.0, 1200.0]
    assert "E_a" in result.stdout
    assert "σ(300 K)" in result.stdout
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    stems = {
        "arrhenius",
        *(f"{kind}_{t}K" for kind in ("msd", "van_hove", "density") for t in (900, 1200)),
    }
    assert {f"{stem}.{end}" for stem in stems for end in ("svg", "png")} <= drawn
    assert "CHGCAR_900K" in drawn


def test_one_temperature_for_several_files_makes_them_one_run(files):
    record = json.loads(
        run(
            files / "900",
            files / "700",
            "--temperature",
            900,
            "--timestep",
            20,
            "--stride",
            1,
            "--json",
        ).stdout
    )
    assert len(record["runs"]) == 1
    assert record["n_frames"] == 800


def test_a_file_that_does_not_tell_its_time_step_asks_for_it(files):
    with pytest.raises(DataError, match="give the time step"):
        run(files / "900", "--temperature", 900)


def test_a_file_that_does_not_tell_its_stride_asks_for_it(files):
    """Of a time step alone, a diffusivity would come out too high by the number of steps."""
    with pytest.raises(DataError, match="how many steps lie between its frames"):
        run(files / "900", "--temperature", 900, "--timestep", 2)


def test_a_file_that_does_not_tell_its_temperature_asks_for_it(files):
    with pytest.raises(DataError, match="does not tell the temperature"):
        run(files / "900", "--timestep", 2, "--stride", 10)


def test_temperatures_must_match_the_files(files):
    with pytest.raises(DataError, match="2 temperatures for 1 files"):
        run(files / "900", "--temperature", 900, "--temperature", 700, "--timestep", 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing"),
        (["nowhere", "--temperature", "900"], "does not exist"),
        (["--temperature", "-5"], "-5"),
    ],
)
def test_wrong_use_exits_with_two_and_says_why(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_density_needs_a_folder(files):
    result = analyze(files, "--density")
    assert result.exit_code == 2
    assert "--figure" in result.output


def test_a_time_step_in_ps_is_not_taken_for_fs(files):
    with pytest.raises(DataError, match=r"if it was in ps .*, give 2\."):
        run(files / "900", "--temperature", 900, "--timestep", 0.002)


@pytest.mark.parametrize("temperatures", [(900, 900), (700, 900, 900)])
def test_a_file_that_is_given_twice_is_no_second_run(files, temperatures):
    with pytest.raises(DataError, match="given twice"):
        analyze(files, temperatures=temperatures)


def test_a_bound_is_printed_as_one(files):
    result = analyze(files)
    assert "σ(300 K) < " in result.stdout


def test_the_numbers_of_pymatgen_stand_beside_ours(files):
    both = ("--rules", "pymatgen", "--json")
    record = json.loads(analyze(files, *both, temperatures=WALKS).stdout)
    theirs = {run["temperature_K"]: run for run in record["pymatgen"]["runs"]}
    for temperature, walk in WALKS.items():
        # Without an error of its own; the truth is that of the walk.
        assert theirs[temperature]["diffusivity_cm2_per_s"] == pytest.approx(walk.tracer, rel=0.6)
    energy = record["pymatgen"]["arrhenius"]["activation_energy_eV"]
    assert energy == pytest.approx(0.3, abs=0.1)
    shown = analyze(files, "--rules", "pymatgen", temperatures=WALKS).stdout
    assert "DiffusionAnalyzer" in shown
    assert "DiffusionAnalyzer" not in analyze(files, temperatures=WALKS).stdout
