"""The engine for Quantum ESPRESSO, with a stand-in for its programs."""

import dataclasses
import subprocess

import pytest
from ase.io.espresso import read_espresso_in
from pymatgen.core import Lattice, Structure

from ssefw.engines import NebSettings
from ssefw.engines.band import linear_images
from ssefw.engines.espresso import EspressoEngine
from ssefw.engines.espresso.bands.neb_output import parse_path
from ssefw.engines.espresso.command import ParallelLayout
from ssefw.engines.espresso.handlers import (
    BfgsHandler,
    DiagonalizationHandler,
    MixingHandler,
    PathLengthHandler,
    RestartHandler,
    ScfHandler,
    WalltimeHandler,
)
from ssefw.engines.espresso.inputs import (
    PathSettings,
    change_option,
    kpoint_grid,
    neb_input,
    pw_input,
    read_option,
)
from ssefw.engines.espresso.job import end_orphan
from ssefw.engines.espresso.pseudopotentials import (
    electron_count,
    family_hash,
    find_pseudopotentials,
    recommended_cutoffs,
)
from ssefw.engines.ranks import rank_count
from ssefw.errors import ConfigurationError, DataError, EngineError
from tests.engines.conftest import upf


@pytest.fixture
def li2s():
    """The primitive cell of Li2S."""
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.708), ["S", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    return cell.get_primitive_structure()


def pw_text(structure, energy=-100.0, force=0.001, end="   JOB DONE.\n"):
    """What pw.x prints, as far as it matters."""
    n = len(structure)
    rows = "\n".join(
        f"     atom {k:4d} type  1   force = {force:13.8f} {0.0:13.8f} {0.0:13.8f}"
        for k in range(1, n + 1)
    )
    return (
        "     Program PWSCF v.6.7MaX starts on\n"
        f"     number of atoms/cell      = {n:12d}\n"
        f"!    total energy              = {energy:16.8f} Ry\n"
        f"     Forces acting on atoms (cartesian axes, Ry/au):\n\n{rows}\n\n{end}"
    )


NOT_CONVERGED = (
    "     Program PWSCF v.6.7MaX starts on\n"
    "     convergence NOT achieved after 100 iterations: stopping\n   JOB DONE.\n"
)


def test_input_is_what_ase_reads_back(li2s, pseudos):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    text = pw_input(li2s, found, calculation="scf", options={"system": {"ecutwfc": 30}},
                    kpoints=(2, 2, 2))  # fmt: skip
    (pseudos / "pw.in").write_text(text)
    with (pseudos / "pw.in").open() as file:
        atoms = read_espresso_in(file)
    assert atoms.get_chemical_formula() == "Li2S"
    assert atoms.cell.array == pytest.approx(li2s.lattice.matrix)
    assert atoms.positions == pytest.approx(li2s.cart_coords)
    assert "&FCP" not in text
    assert "K_POINTS automatic" in text


def test_path_input_holds_every_image_in_order(li2s, pseudos):
    end = li2s.copy()
    end.translate_sites([0], [0.1, 0, 0])
    images = linear_images(li2s, end, n_images=4)
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    path = PathSettings(fmax=0.05, max_steps=10, climb=True, restart=False)
    text = neb_input(images, found, path=path, options={}, kpoints=(1, 1, 1))
    titles = [line for line in text.splitlines() if line.endswith("_IMAGE")]
    assert titles == ["FIRST_IMAGE", "INTERMEDIATE_IMAGE", "INTERMEDIATE_IMAGE", "LAST_IMAGE"]
    assert read_option(text, "path", "num_of_images") == "4"
    assert read_option(text, "path", "CI_scheme") == "auto"
    assert text.count("CELL_PARAMETERS") == 1
    assert "K_POINTS gamma" in text


def test_an_option_is_changed_in_place(li2s, pseudos):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    text = pw_input(li2s, found, calculation="scf", options={"electrons": {"mixing_beta": 0.7}},
                    kpoints=(1, 1, 1))  # fmt: skip
    changed = change_option(text, "electrons", "mixing_beta", 0.35)
    assert read_option(changed, "electrons", "mixing_beta") == "0.35"
    assert changed.count("mixing_beta") == 1
    with pytest.raises(EngineError, match="no namelist"):
        change_option(text, "path", "ds", 1.0)


@pytest.mark.parametrize(("spacing", "grid"), [(10.0, (1, 1, 1)), (0.3, (7, 4, 3))])
def test_grid_is_dense_enough_along_each_vector(spacing, grid):
    lattice = Lattice.orthorhombic(3.0, 6.0, 9.0)
    assert kpoint_grid(Structure(lattice, ["Li"], [[0, 0, 0]]), spacing=spacing) == grid


def test_cutoffs_are_the_largest_suggestions(pseudos):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    assert recommended_cutoffs(found.values()) == (102.0, 410.0)
    assert found["S"].n_valence == 6.0


def test_charge_is_counted_in_missing_electrons(li2s, pseudos):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    assert electron_count(li2s, found, charge=0) == 12
    assert electron_count(li2s, found, charge=-1) == 13


def test_family_hash_sees_bytes_and_not_names(pseudos):
    before = family_hash(find_pseudopotentials(pseudos, ["S"]).values())
    file = pseudos / "S.pbe-n-kjpaw_psl.1.0.0.UPF"
    renamed = file.rename(pseudos / "S.pbe-other.UPF")
    assert family_hash(find_pseudopotentials(pseudos, ["S"]).values()) == before
    changed = pseudos / "S.pbe-changed.UPF"
    changed.write_text(renamed.read_text() + "\n")
    renamed.unlink()
    # The folder's listing is read once in a process: files by name are looked at again.
    found = find_pseudopotentials(pseudos, ["S"], files={"S": changed.name})
    assert family_hash(found.values()) != before


def test_missing_pseudopotentials_are_named(pseudos):
    with pytest.raises(EngineError, match=r"No pseudopotential of Ge .* it has Li, S"):
        find_pseudopotentials(pseudos, ["Li", "Ge"])
    with pytest.raises(ConfigurationError, match="SSEFW_PSEUDO_DIR"):
        find_pseudopotentials(None, ["Li"])
    with pytest.raises(ConfigurationError, match="Known"):
        find_pseudopotentials(pseudos, ["Li"], family="nonsense")


def test_two_pseudopotentials_of_an_element_need_a_choice(pseudos):
    second = pseudos / "Li.pbe-sl-rrkjus_psl.1.0.0.UPF"
    second.write_text(upf("Li", "3.0"))
    with pytest.raises(EngineError, match="more than one"):
        find_pseudopotentials(pseudos, ["Li"])
    assert find_pseudopotentials(pseudos, ["Li"], family="pslibrary-us")["Li"].path == second
    chosen = find_pseudopotentials(pseudos, ["Li"], files={"Li": second.name})
    assert chosen["Li"].path == second


def test_a_file_that_is_no_pseudopotential_is_refused(pseudos):
    (pseudos / "O.pbe.UPF").write_text("nothing")
    with pytest.raises(EngineError, match="no UPF file"):
        find_pseudopotentials(pseudos, ["O"])


def test_a_pseudopotential_under_a_wrong_name_is_refused(pseudos):
    (pseudos / "F.pbe.UPF").write_text(upf("Cl", "7"))
    with pytest.raises(EngineError, match="of Cl, not of F"):
        find_pseudopotentials(pseudos, ["F"])


def test_static_reads_energy_and_forces(li2s, script):
    (script / "1.out").write_text(pw_text(li2s, energy=-10.0, force=0.1))
    result = EspressoEngine().static(li2s)
    assert result.energy == pytest.approx(-136.05693, abs=1e-4)
    assert result.max_force == pytest.approx(0.1 * 25.71104, abs=1e-4)
    assert result.provenance.versions["quantum-espresso"] == "6.7MaX"


def test_a_finished_calculation_is_not_run_again(li2s, script):
    (script / "1.out").write_text(pw_text(li2s))
    first, second = (EspressoEngine().static(li2s) for _ in range(2))
    assert first.energy == second.energy
    assert (script / "count").read_text() == "1"


def test_self_consistency_is_tried_with_less_mixing(li2s, script):
    (script / "1.out").write_text(NOT_CONVERGED)
    (script / "1.code").write_text("2")
    (script / "2.out").write_text(pw_text(li2s))
    EspressoEngine().static(li2s)
    betas = [
        read_option((script / f"{k}.in").read_text(), "electrons", "mixing_beta") for k in (1, 2)
    ]
    assert betas == ["0.3", "0.15"]


def test_what_cannot_be_mended_is_told_in_the_words_of_the_program(li2s, script):
    frame = f" {'%' * 70}\n"
    block = f"{frame}     Error in routine readpp (1):\n     file ./Li.UPF not found\n{frame}"
    (script / "1.out").write_text(block)
    with pytest.raises(EngineError, match=r"file ./Li.UPF not found"):
        EspressoEngine().static(li2s)
    assert (script / "count").read_text() == "1"


def test_a_full_disk_is_told_with_what_to_do(li2s, script):
    frame = f" {'%' * 70}\n"
    words = "Error in routine write_rhog (3):\n     error writing file ./ssefw.save/charge-density"
    (script / "1.out").write_text(f"{frame}     {words}\n{frame}")
    with pytest.raises(EngineError, match=r"charge-density; free space"):
        EspressoEngine().static(li2s)
    assert (script / "count").read_text() == "1"


def test_self_consistency_that_never_comes_is_given_up(li2s, script):
    for k in range(1, 10):
        (script / f"{k}.out").write_text(NOT_CONVERGED)
    with pytest.raises(EngineError, match="NOT achieved"):
        EspressoEngine().static(li2s)
    assert 3 <= int((script / "count").read_text()) <= 6


def test_odd_electrons_are_refused_before_anything_runs(li2s, script):
    with pytest.raises(EngineError, match="odd number"):
        EspressoEngine(charge=-1).static(li2s)
    assert not (script / "count").exists()


def test_other_pseudopotentials_than_promised_are_refused(li2s, script):
    with pytest.raises(EngineError, match="would not be comparable"):
        EspressoEngine(pseudo_hash="0123456789abcdef").static(li2s)


def test_a_missing_program_is_told_with_its_setting(li2s, script, monkeypatch):
    monkeypatch.setenv("SSEFW_PW_CMD", "no-such-pw.x")
    with pytest.raises(EngineError, match="SSEFW_PW_CMD"):
        EspressoEngine().static(li2s)


def test_disordered_structures_are_refused(li2s, script):
    li2s.replace_species({"Li": {"Li": 0.5, "Na": 0.5}})
    with pytest.raises(DataError, match="partly occupied"):
        EspressoEngine().static(li2s)


def neb_text(energies, error, scheme, end, n=1):
    rows = "\n".join(
        f"{k:10d} {energy:18.7f} {error:18.6f}            {'T' if k in (1, len(energies)) else 'F'}"
        for k, energy in enumerate(energies, start=1)
    )
    climbing = "     climbing image =  2\n" if scheme == "auto" else ""
    return (
        "     Program NEB v.6.7MaX starts on\n"
        f"     num_of_images                 = {len(energies):4d}\n"
        f"     CI_scheme                     =    {scheme}\n"
        "     path_thr                      =    0.0500 eV / A\n\n"
        f"     ------------------------------ iteration {n:3d} ------------------------------\n\n"
        f"{rows}\n\n{climbing}\n{end}"
    )


DONE = "     neb: convergence achieved in   1 iterations\n\n   JOB DONE.\n"


@pytest.fixture
def images(li2s):
    """Three images of a move of one Li."""
    end = li2s.copy()
    end.translate_sites([0], [0.3, 0, 0])
    return linear_images(li2s, end, n_images=3)


def path_text(images, energies, iteration=1):
    """A path file as neb.x writes it, in Hartree and bohr."""
    lines = ["RESTART INFORMATION", f"{iteration:8d}", "      50", "       0", "NUMBER OF IMAGES"]
    lines += [f"{len(images):4d}", "ENERGIES, POSITIONS AND GRADIENTS"]
    for k, (image, energy) in enumerate(zip(images, energies, strict=True), start=1):
        lines += [f"Image: {k:4d}", f"{energy / 27.211386245988:20.10f}"]
        for row in image.cart_coords / 0.529177210903:
            lines.append(" ".join(f"{x:18.12f}" for x in [*row, 0.0, 0.0, 0.0]))
    return "\n".join(lines) + "\n"


def with_path(script, call, images, energies):
    (script / str(call)).mkdir()
    (script / str(call) / "ssefw.path").write_text(path_text(images, energies))


def test_plain_band_is_continued_with_a_climbing_image(images, script, tmp_path):
    (script / "1.out").write_text(neb_text([-10.0, -9.7, -10.0], 0.01, "no-CI", DONE))
    with_path(script, 1, images, [-10.0, -9.7, -10.0])
    (script / "2.out").write_text(neb_text([-10.0, -9.6, -10.0], 0.01, "auto", DONE, n=2))
    with_path(script, 2, images, [-10.0, -9.6, -10.0])
    band = EspressoEngine().neb(images, NebSettings(), tmp_path / "band")
    assert (band.status, band.climbed) == ("converged", True)
    assert band.forward == pytest.approx(0.4)
    assert [h.climbing for h in band.history] == [False, True]
    second = (script / "2.in").read_text()
    assert read_option(second, "path", "restart_mode") == "restart"
    assert read_option(second, "path", "CI_scheme") == "auto"
    again = EspressoEngine().neb(images, NebSettings(), tmp_path / "band")
    assert again.forward == band.forward
    assert (script / "count").read_text() == "2"


def test_a_worker_killed_between_the_stages_still_climbs(images, script, tmp_path):
    folder = tmp_path / "band"
    (script / "1.out").write_text(neb_text([-10.0, -9.7, -10.0], 0.01, "no-CI", DONE))
    with_path(script, 1, images, [-10.0, -9.7, -10.0])
    (script / "2.out").write_text(neb_text([-10.0, -9.6, -10.0], 0.01, "auto", DONE, n=2))
    with_path(script, 2, images, [-10.0, -9.6, -10.0])
    assert EspressoEngine().neb(images, NebSettings(), folder).climbed
    # As it was before the climbing stage ran, but after it was written down.
    (folder / "neb.1.out").rename(folder / "neb.out")
    (script / "count").write_text("1")
    assert (folder / "stage.json").read_text().startswith('{"stage": "climb"')
    band = EspressoEngine().neb(images, NebSettings(), folder)
    assert band.climbed
    assert band.forward == pytest.approx(0.4)


def test_a_killed_run_continues_from_its_path_file(images, script, tmp_path):
    (script / "1.out").write_text(neb_text([-10.0, -9.5, -10.0], 0.4, "no-CI", "     tcpu"))
    with_path(script, 1, images, [-10.0, -9.5, -10.0])
    (script / "1.code").write_text("137")
    (script / "2.out").write_text(neb_text([-10.0, -9.7, -10.0], 0.01, "no-CI", DONE, n=2))
    with_path(script, 2, images, [-10.0, -9.7, -10.0])
    band = EspressoEngine().neb(images, NebSettings(climb=False), tmp_path / "band")
    assert band.forward == pytest.approx(0.3, abs=0.01)
    assert len(band.history) == 2
    assert read_option((script / "2.in").read_text(), "path", "restart_mode") == "restart"


def test_a_stopped_run_is_no_failure_and_goes_on_later(images, script, tmp_path):
    stopped = "     WARNING :  scf convergence NOT achieved on image   2\n\n   JOB DONE.\n"
    (script / "1.wait").touch()
    (script / "1.out").write_text(neb_text([-10.0, -9.5, -10.0], 0.4, "no-CI", stopped))
    (script / "1.code").write_text("1")
    with_path(script, 1, images, [-10.0, -9.5, -10.0])
    image = script / "1" / "ssefw_2"
    image.mkdir()
    (image / "PW.out").write_text("     Program stopped by user request\n")
    engine = EspressoEngine()
    settings = NebSettings(climb=False)
    band = engine.neb(images, settings, tmp_path / "band", stop=lambda: "preempted")
    assert band.status == "interrupted"
    assert band.forward is None
    (script / "2.out").write_text(neb_text([-10.0, -9.7, -10.0], 0.01, "no-CI", DONE, n=2))
    with_path(script, 2, images, [-10.0, -9.7, -10.0])
    (script / "2" / "ssefw_2").mkdir()
    (script / "2" / "ssefw_2" / "PW.out").write_text("     coordinates at iteration   2\n")
    band = engine.neb(images, settings, tmp_path / "band")
    assert band.status == "converged"
    assert read_option((script / "2.in").read_text(), "path", "restart_mode") == "restart"


def test_a_band_out_of_iterations_is_not_converged(images, script, tmp_path):
    end = "     neb: reached the maximum number of steps\n\n   JOB DONE.\n"
    (script / "1.out").write_text(neb_text([-10.0, -9.5, -10.0], 0.4, "no-CI", end))
    band = EspressoEngine().neb(images, NebSettings(), tmp_path / "band")
    assert band.status == "unconverged"
    assert "out of iterations" in band.reason


def test_equal_ends_are_refused_before_anything_runs(images, script, tmp_path):
    with pytest.raises(DataError, match="one structure"):
        EspressoEngine().neb([images[0]] * 3, NebSettings(), tmp_path / "band")
    assert not (script / "count").exists()


def test_our_path_file_is_read_like_that_of_neb_x(images):
    path = parse_path(path_text(images, [-10.0, -9.5, -10.0]))
    assert path.energies == pytest.approx([-10.0, -9.5, -10.0])
    assert path.positions[0] == pytest.approx(images[0].cart_coords, abs=1e-8)


def test_a_program_that_outlived_its_worker_is_ended_first(tmp_path):
    orphan = subprocess.Popen(["sleep", "60"], cwd=tmp_path, start_new_session=True)
    (tmp_path / "program.pid").write_text(str(orphan.pid))
    end_orphan(tmp_path, "ssefw", grace=0.3)
    assert orphan.wait(timeout=5) == -9


def test_a_process_elsewhere_with_the_same_number_is_left_alone(tmp_path):
    other = subprocess.Popen(["sleep", "60"], cwd="/", start_new_session=True)
    (tmp_path / "program.pid").write_text(str(other.pid))
    end_orphan(tmp_path, "ssefw", grace=0.3)
    assert other.poll() is None
    other.kill()
    other.wait()


LADDERS = [
    (ScfHandler, NOT_CONVERGED, 6),
    (DiagonalizationHandler, "     S matrix not positive definite\n", 3),
    (MixingHandler, "     Error in routine broyden (1):\n     error in factorization\n", 3),
    (BfgsHandler, "     history already reset at previous step: stopping\n", 5),
]


@pytest.mark.parametrize(("handler", "words", "most"), LADDERS)
def test_every_ladder_changes_the_input_and_ends(*, li2s, pseudos, tmp_path, handler, words, most):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    text = pw_input(li2s, found, calculation="relax", options={}, kpoints=(1, 1, 1))
    (tmp_path / "pw.in").write_text(text)
    (tmp_path / "pw.out").write_text(words)
    one = handler()
    assert one.check(str(tmp_path))
    seen = {text}
    for _ in range(most):
        answer = one.correct(str(tmp_path))
        if answer["actions"] is None:
            break
        changed = (tmp_path / "pw.in").read_text()
        assert changed not in seen
        seen.add(changed)
    assert one.correct(str(tmp_path))["actions"] is None
    assert len(seen) > 1


def test_broken_restart_files_are_removed(li2s, pseudos, tmp_path, images):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    path = PathSettings(fmax=0.05, max_steps=10, climb=False, restart=True)
    text = neb_input(images, found, path=path, options={}, kpoints=(1, 1, 1))
    (tmp_path / "neb.in").write_text(text)
    (tmp_path / "neb.out").write_text("     RESTART INFORMATION missing\n")
    (tmp_path / "ssefw.path").write_text("RESTART")
    handler = RestartHandler("neb.in", "neb.out")
    assert handler.check(str(tmp_path))
    assert handler.correct(str(tmp_path))["actions"]
    assert not (tmp_path / "ssefw.path").exists()
    assert read_option((tmp_path / "neb.in").read_text(), "path", "restart_mode") == "from_scratch"


def iterations_text(errors):
    """A log out of iterations, with the largest force of each."""
    parts = [
        neb_text([-10.0, -9.5, -10.0], error, "no-CI", "", n=n)
        for n, error in enumerate(errors, start=1)
    ]
    return "".join(parts) + "     neb: reached the maximum number of steps\n"


def test_more_iterations_are_given_once(tmp_path, images, pseudos):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    path = PathSettings(fmax=0.05, max_steps=10, climb=False, restart=False)
    text = neb_input(images, found, path=path, options={}, kpoints=(1, 1, 1))
    (tmp_path / "neb.in").write_text(text)
    (tmp_path / "neb.out").write_text(iterations_text([2.0, 0.5]))
    handler = PathLengthHandler("neb.in", "neb.out")
    assert handler.check(str(tmp_path))
    handler.correct(str(tmp_path))
    assert read_option((tmp_path / "neb.in").read_text(), "path", "nstep_path") == "20"
    assert handler.max_num_corrections == 1


@pytest.mark.parametrize(("errors", "goes_on"), [([2.0, 1.0, 0.2], True), ([0.4, 0.5, 0.4], False)])
def test_more_iterations_are_given_only_where_forces_fall(tmp_path, errors, goes_on):
    (tmp_path / "neb.out").write_text(iterations_text(errors))
    assert PathLengthHandler("neb.in", "neb.out").check(str(tmp_path)) is goes_on


def test_a_band_out_of_iterations_whose_forces_fall_gets_as_many_again(images, script, tmp_path):
    (script / "1.out").write_text(iterations_text([2.0, 0.2]) + "   JOB DONE.\n")
    with_path(script, 1, images, [-10.0, -9.5, -10.0])
    (script / "2.out").write_text(neb_text([-10.0, -9.7, -10.0], 0.01, "no-CI", DONE, n=3))
    with_path(script, 2, images, [-10.0, -9.7, -10.0])
    band = EspressoEngine().neb(images, NebSettings(climb=False, max_steps=2), tmp_path / "band")
    assert band.status == "converged"
    second = (script / "2.in").read_text()
    assert read_option(second, "path", "nstep_path") == "4"
    assert read_option(second, "path", "restart_mode") == "restart"


OUT_OF_TIME = "     Maximum CPU time exceeded\n\n   JOB DONE.\n"


def test_a_relaxation_that_used_up_its_seconds_reads_its_own_files(li2s, pseudos, tmp_path):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    options = {"control": {"max_seconds": 60}}
    text = pw_input(li2s, found, calculation="relax", options=options, kpoints=(1, 1, 1))
    (tmp_path / "pw.in").write_text(text)
    (tmp_path / "pw.out").write_text(OUT_OF_TIME)
    handler = WalltimeHandler()
    assert handler.check(str(tmp_path))
    assert handler.correct(str(tmp_path))["actions"]
    assert read_option((tmp_path / "pw.in").read_text(), "control", "restart_mode") == "restart"


@pytest.mark.parametrize("has_iteration", [True, False])
def test_a_path_that_used_up_its_seconds_goes_on_if_it_gets_anywhere(
    *, images, pseudos, tmp_path, has_iteration
):
    found = find_pseudopotentials(pseudos, ["Li", "S"])
    path = PathSettings(fmax=0.05, max_steps=10, climb=False, restart=False)
    text = neb_input(images, found, path=path, options={}, kpoints=(1, 1, 1))
    (tmp_path / "neb.in").write_text(text)
    log = neb_text([-10.0, -9.5, -10.0], 0.4, "no-CI", "") if has_iteration else ""
    (tmp_path / "neb.out").write_text(log + "\n     WARNING :  scf convergence NOT achieved\n")
    (tmp_path / "ssefw.path").write_text(path_text(images, [-10.0, -9.5, -10.0]))
    (tmp_path / "ssefw_2").mkdir()
    (tmp_path / "ssefw_2" / "PW.out").write_text(OUT_OF_TIME)
    handler = WalltimeHandler("neb.in", "neb.out")
    assert handler.check(str(tmp_path))
    answer = handler.correct(str(tmp_path))
    assert (answer["actions"] is not None) is has_iteration
    if has_iteration:
        assert read_option((tmp_path / "neb.in").read_text(), "path", "restart_mode") == "restart"


@pytest.mark.parametrize(
    ("command", "environment", "ranks"),
    [
        ("pw.x", {"SLURM_NTASKS": "8"}, 1),
        ("mpirun --allow-run-as-root -np 4 pw.x", {}, 4),
        ("srun --ntasks=12 pw.x", {}, 12),
        ("srun pw.x", {"SLURM_NTASKS": "8"}, 8),
    ],
)
def test_ranks_come_from_the_command_or_the_allocation(monkeypatch, command, environment, ranks):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert rank_count(command.split()) == ranks


def test_layouts_that_fit_are_accepted():
    layout = ParallelLayout(image_groups=2, pools=2)
    layout.check(8, n_images=5, n_kpoints=4)
    assert layout.options() == ["-ni", "2", "-nk", "2"]


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (ParallelLayout(image_groups=3), r"Possible: 1, 2, 4"),
        (ParallelLayout(image_groups=8), "leave ranks idle"),
        (ParallelLayout(pools=3), "cannot be divided into 3 pools"),
        (ParallelLayout(pools=8), "k-points would leave ranks idle"),
        (ParallelLayout(pools=0), "at least 1"),
    ],
)
def test_layouts_that_do_not_fit_are_refused_with_those_that_do(layout, message):
    with pytest.raises(EngineError, match=message):
        layout.check(8, n_images=5, n_kpoints=4)


def test_an_engine_is_a_value():
    engine = EspressoEngine(options={"electrons": {"mixing_beta": 0.2}})
    assert EspressoEngine.from_dict(engine.as_dict()) == engine
    assert engine.charged(-1).charge == -1
    assert dataclasses.replace(engine, kspacing=0.5).kspacing == 0.5
