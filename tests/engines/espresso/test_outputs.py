"""Parsers of pw.x and neb.x, on recorded runs that are whole, failed or cut off."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssefw.engines.espresso import neb_result, read_band
from ssefw.engines.espresso.bands.neb_output import parse_log, parse_path, parse_profile
from ssefw.engines.espresso.pw_output import parse_pw
from ssefw.engines.espresso.symptoms import diagnose, diagnose_folder

TESTS = Path(__file__).parents[2]
OWN = TESTS / "data" / "espresso"
PERCENT = range(0, 101, 5)


def copy(folder, target):
    shutil.copytree(folder, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755)
    return target


CASES = [
    ("f_li_f_no_barrier", "converged", 6),
    ("f_li_f_interrupted", "interrupted", 3),
    ("f_li_f_out_of_iterations", "unconverged", 3),
    ("f_li_f_failed", "failed", 2),
]


def band_of(folder):
    return read_band(folder, prefix="ssefw")


@pytest.mark.parametrize(("name", "status", "n_iterations"), CASES)
def test_recorded_run_is_read_as_what_it_is(name, status, n_iterations):
    band = band_of(OWN / name)
    assert band.status == status
    assert len(band.history) == n_iterations
    # Its ion is more stable in the middle than at the ends: there is nothing to cross.
    assert band.forward is None
    assert band.reason


def test_energies_are_those_of_the_last_iteration():
    band = band_of(OWN / "f_li_f_no_barrier")
    assert band.energies == (-1803.3639135, -1803.6183156, -1803.3646849)
    assert band.max_forces[1] == pytest.approx(0.084211)
    assert any("below both ends" in warning for warning in band.warnings)


def test_an_ion_that_is_pushed_past_another_crosses_what_neb_x_says():
    band = band_of(OWN / "f_li_f_with_barrier")
    assert band.status == "converged"
    # neb.x prints what its images say; the saddle lies a little beside the image.
    assert band.energies[1] - band.energies[0] == pytest.approx(0.842596, abs=1e-6)
    assert band.energies[1] - band.energies[2] == pytest.approx(1.158787, abs=1e-6)
    assert 0.0 <= band.forward - 0.842596 < 0.01
    assert band.forward - band.reverse == pytest.approx(0.842596 - 1.158787, abs=2e-6)


def test_an_iteration_whose_force_is_too_large_to_print_is_left_out():
    text = (OWN / "f_li_f_with_barrier" / "neb.out").read_text()
    numbers = [iteration.number for iteration in parse_log(text).iterations]
    assert "******" in text
    assert numbers == list(range(2, 11))


def test_path_file_and_log_agree():
    folder = OWN / "f_li_f_no_barrier"
    path = parse_path((folder / "ssefw.path").read_text())
    log = parse_log((folder / "neb.out").read_text())
    assert path.iteration == 6
    assert path.positions.shape == (3, 3, 3)
    # neb.x and ASE differ in the last digits of Hartree.
    assert path.energies == pytest.approx(log.iterations[-1].energies, rel=2e-8)


def test_profile_holds_what_the_log_says():
    table = parse_profile((OWN / "f_li_f_no_barrier" / "ssefw.dat").read_text())
    assert table[:, 0] == pytest.approx([0.0, 0.5, 1.0], abs=0.01)
    assert table[1, 1] == pytest.approx(-1803.6183156 + 1803.3639135, abs=1e-6)


@pytest.mark.parametrize("percent", PERCENT)
@pytest.mark.parametrize("name", [name for name, _, _ in CASES])
def test_runs_cut_off_anywhere_give_no_barrier_and_no_traceback(tmp_path, name, percent):
    source = copy(OWN / name, tmp_path / "run")
    for file in sorted(source.rglob("*")):
        if not file.is_file():
            continue
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) * percent // 100])
        band = band_of(source)
        assert band is None or band.forward is None
        if band is not None:
            assert neb_result(band).forward_barrier is None
            assert max(abs(np.array(band.energies))) < 1804.0
        file.write_bytes(whole)


OWN_CASES = sorted(path.name for path in OWN.iterdir() if (path / "neb.out").exists())


@pytest.mark.parametrize("name", OWN_CASES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_our_runs_cut_off_anywhere_give_the_true_barrier_or_none(tmp_path_factory, name, data):
    source = copy(OWN / name, tmp_path_factory.mktemp("cut") / "run")
    prefix = next(source.glob("*.path")).stem
    truth = read_band(source, prefix=prefix)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    file = data.draw(st.sampled_from(files))
    whole = file.read_bytes()
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    band = read_band(source, prefix=prefix)
    if band is not None and band.forward is not None:
        assert truth.forward is not None
        # Without the path file the spline has other lengths, but the same images.
        assert band.forward == pytest.approx(truth.forward, abs=0.02)
        assert band.energies == truth.energies


def test_a_run_that_was_asked_to_stop_did_not_fail():
    band = read_band(OWN / "stopped_by_exit", prefix="pwscf")
    assert band.status == "interrupted"
    assert len(band.history) == 7
    assert "scf_not_converged" in {
        s.code for s in diagnose((OWN / "stopped_by_exit/neb.out").read_text())
    }
    assert "asked_to_stop" in {
        s.code for s in diagnose_folder(OWN / "stopped_by_exit", ("neb.out",))
    }


def test_a_number_that_is_cut_off_is_not_read():
    text = (OWN / "f_li_f_no_barrier" / "neb.out").read_text()
    cut = text[: text.rindex("-1803.3646849") + 8]
    assert len(parse_log(cut).iterations) == 5


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("     convergence NOT achieved after 100 iterations: stopping", "scf_not_converged"),
        ("     WARNING :  scf convergence NOT achieved on image   3", "scf_not_converged"),
        ("     S matrix not positive definite", "s_matrix"),
        ("     c_bands: too many bands are not converged", "bands_not_converged"),
        ("     Error in routine  cdiaghg (668):\n problems computing cholesky", "cholesky"),
        ("     Error in routine broyden (1):\n error in factorization", "broyden"),
        ("     Maximum CPU time exceeded", "walltime"),
        ("     Error in routine readpp (2):\n file ./X.UPF not found", "pseudo_missing"),
        ("     history already reset at previous step: stopping", "bfgs_history"),
    ],
)
def test_complaints_are_recognized(text, code):
    assert code in {symptom.code for symptom in diagnose(text)}


def test_a_complaint_that_nobody_knows_keeps_its_words():
    block = f" {'%' * 78}\n     Error in routine xyz (1):\n      something new\n {'%' * 78}\n"
    (symptom,) = diagnose(block)
    assert symptom.code == "unknown_error"
    assert "something new" in symptom.message


def test_an_empty_output_says_nothing():
    run = parse_pw("")
    assert not run.finished
    assert run.energies == ()
    assert parse_log("").end == "interrupted"
    assert parse_path("") is None
    assert parse_profile("") is None


def test_a_symmetric_hop_costs_the_same_both_ways():
    band = read_band(OWN / "li2s_climbing", prefix="ssefw")
    assert (band.status, band.climbed) == ("converged", True)
    # What neb.x itself prints as activation energies.
    assert band.forward == pytest.approx(0.529077, abs=1e-6)
    assert band.reverse == pytest.approx(0.529076, abs=1e-6)
    assert band.unresolved == 0.0


def test_emmet_gets_the_barrier_of_a_converged_band_alone():
    band = read_band(OWN / "li2s_climbing", prefix="ssefw")
    result = neb_result(band)
    assert result.state.name == "SUCCESS"
    assert result.neb_method.name == "CLIMBING_IMAGE"
    assert result.forward_barrier == band.forward
    assert result.energies == list(band.energies)
    stopped = neb_result(read_band(OWN / "stopped_by_exit", prefix="pwscf"))
    assert stopped.state.name == "FAILED"
    assert stopped.energies is None


def test_tables_that_7_x_adds_for_a_constant_potential_are_no_energies():
    """FCP and GCSCF print a second table of images after the first (path_formats.f90 of 7.x)."""
    text = (OWN / "li2s_climbing" / "neb.out").read_text()
    extra = (
        "\n     image     Fermi (eV)    charge (e)     error (V)     DOS (e/V)\n\n"
        "         1      -4.123456     -1.000000      0.000100      1.23E+00\n"
        "         2      -4.223456     -1.000000      0.000200      1.23E+00\n"
        "         3      -4.123456     -1.000000      0.000100      1.23E+00\n"
    )
    newer = text.replace("Program NEB v.6.7MaX", "Program NEB v.7.3").replace(
        "\n     climbing image", extra + "\n     climbing image"
    )
    assert newer.count("Fermi") > 0
    before, after = parse_log(text), parse_log(newer)
    assert after.version == "7.3"
    assert after.iterations == before.iterations
    assert after.end == before.end == "converged"


@pytest.mark.parametrize(
    ("end", "seconds"),
    [
        ("     PWSCF        :      3.01s CPU     12.18s WALL", 12.18),
        ("     PWSCF        :   1m49.45s CPU   7m55.00s WALL", 475.0),
        ("     PWSCF        :   1h 2m CPU   2h 5m WALL", 7500.0),
        ("     PWSCF        :   1d 1h 2m CPU   2d 2h 5m WALL", 180300.0),
        ("     PWSCF        :     12.18s", 5.5),  # cut off
        ("", 5.5),
    ],
)
def test_a_run_says_how_long_it_took(end, seconds):
    told = "     total cpu time spent up to now is        5.5 secs\n"
    assert parse_pw(f"{told}{end}\n").seconds == pytest.approx(seconds)
    assert parse_pw("").seconds == 0.0
