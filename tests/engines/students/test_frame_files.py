"""Frames of AIMD runs as a group has them: what they say of themselves, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from ssefw.engines.students.frame_files import (
    coarse_sampling,
    labelled_files,
    read_labelled,
    read_runs,
    read_together,
    write_runs,
)
from ssefw.engines.students.theory import Theory, compare_theories, read_theory
from ssefw.errors import DataError
from tests.nep.conftest import alloy

PW_OUTPUT = Path(__file__).parents[2] / "data" / "espresso_md" / "md.out"

VASPRUN = """<?xml version="1.0"?>
<modeling>
 <array name="atomtypes" ><set>
  <rc><c>   4</c><c>Li</c><c>  7.01</c><c>  3.0</c><c>  PAW_PBE Li_sv 10Sep2004  </c></rc>
 </set></array>
 <kpoints><varray name="kpointlist" ><v> 0.0 0.0 0.0 </v></varray></kpoints>
 <parameters>
  <i type="int" name="NELM"> 3</i><i name="ENMAX">  400.00000000</i>
  <i type="string" name="GGA">PE</i>
  <i type="int" name="IBRION"> 0</i><i name="POTIM"> 2.0</i>
  <i name="TEBEG"> 900.0</i><i name="TEEND"> 900.0</i>
 </parameters>
 <calculation><scstep></scstep><scstep></scstep></calculation>
 <calculation><scstep></scstep><scstep></scstep><scstep></scstep></calculation>
"""


def images(number=12, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        atoms = alloy()
        atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
        atoms.calc = EMT()
        forces, energy = atoms.get_forces(), atoms.get_potential_energy()
        atoms.calc = SinglePointCalculator(
            atoms, energy=energy, forces=forces, stress=atoms.get_stress()
        )
        found.append(atoms)
    return found


def test_energies_forces_and_stress_are_read_with_their_signs(tmp_path):
    given = images(3)
    write(tmp_path / "run.extxyz", given)
    run = read_labelled(tmp_path / "run.extxyz")
    assert not run.refused
    for frame, atoms in zip(run.frames, given, strict=True):
        assert frame.energy == pytest.approx(atoms.get_potential_energy())
        assert frame.forces == pytest.approx(atoms.get_forces(), abs=1e-7)
        assert frame.stress == pytest.approx(atoms.get_stress(voigt=False), abs=1e-9)


def test_frames_that_have_exploded_are_left_out_and_named(tmp_path):
    given = images(6)
    given[1].calc.results["forces"][0, 0] = 400.0
    given[2].calc.results["energy"] += 1000.0
    given[3].positions[1] = given[3].positions[0] + 0.1
    del given[4].calc.results["forces"]
    write(tmp_path / "run.extxyz", given)
    run = read_labelled(tmp_path / "run.extxyz")
    assert len(run.frames) == 2
    place = tmp_path / "run.extxyz"
    assert [line.split(": ", 1)[1].split(":")[0] for line in run.refused] == [
        f"frame {n}" for n in (2, 3, 4, 5)
    ]
    assert all(line.startswith(str(place)) for line in run.refused)
    reasons = ("a force of 400 eV/A", "from the median", "A apart", "no forces")
    for line, reason in zip(run.refused, reasons, strict=True):
        assert reason in line


def test_a_vasprun_says_its_level_of_theory_and_what_is_not_converged(tmp_path):
    (tmp_path / "vasprun.xml").write_text(VASPRUN)
    theory = read_theory(tmp_path / "vasprun.xml", "vasp-xml")
    assert theory.settings == {"program": "VASP", "GGA": "PE", "ENMAX": "400"}
    assert theory.pseudopotentials == {"Li": "PAW_PBE Li_sv 10Sep2004"}
    assert theory.n_kpoints == 1
    assert theory.unconverged == {2}  # as many electronic steps as NELM
    assert (theory.timestep, theory.temperature) == (2.0, 900.0)


def test_an_output_of_pw_says_its_level_of_theory():
    theory = read_theory(PW_OUTPUT, "espresso-out")
    assert theory.settings == {
        "program": "Quantum ESPRESSO",
        "ecutwfc": "14",
        "ecutrho": "80",
        "functional": "SLA PW PBX PBC",
    }
    assert theory.pseudopotentials["F"].startswith("F.pbe-n-kjpaw_psl.1.0.0.UPF 48ea186a")
    assert theory.timestep == pytest.approx(1.9351, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"settings": {"program": "VASP", "GGA": "PS"}}, "GGA is PS, and PE"),
        ({"settings": {"program": "Quantum ESPRESSO"}}, "program is Quantum ESPRESSO, and VASP"),
        ({"pseudopotentials": {"Li": "PAW_PBE Li"}}, "pseudopotential of Li is PAW_PBE Li, and"),
        ({"pseudopotentials": {"S": "PAW_PBE S"}}, ""),  # other elements may be in other files
    ],
)
def test_two_levels_of_theory_are_told_apart(change, why):
    theory = Theory({"program": "VASP", "GGA": "PE"}, {"Li": "PAW_PBE Li_sv"})
    found = compare_theories(theory, replace(theory, **change))
    assert (why in found) if why else not found


def test_files_of_two_levels_are_not_learned_together(tmp_path, monkeypatch):
    for name in ("a.extxyz", "b.extxyz"):
        write(tmp_path / name, images(2))
    from ssefw.engines.students import frame_files

    monkeypatch.setattr(frame_files, "read_theory", lambda path, _: Theory({"GGA": path.name}, {}))
    with pytest.raises(DataError, match=r"b\.extxyz and .*a\.extxyz are of two levels of theory"):
        read_together(labelled_files(tmp_path))


def test_what_holds_no_forces_is_refused_in_a_line(tmp_path):
    (tmp_path / "notes.out").write_text("nothing\n")
    with pytest.raises(DataError, match="is no vasprun"):
        read_labelled(tmp_path / "notes.out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no vasprun"):
        labelled_files(tmp_path / "empty")
    (tmp_path / "OUTCAR").write_text(" vasp.6.4.2 20Jul23 (build) complex\nhalf a file\n")
    with pytest.raises(DataError, match="OUTCAR"):
        read_labelled(tmp_path / "OUTCAR")


def test_runs_are_gathered_in_one_file_and_read_back_as_they_were(tmp_path):
    write(tmp_path / "a.extxyz", images(4))
    theory = Theory(
        {"program": "VASP", "GGA": 'PE "quoted"'}, {"Cu": "PAW_PBE Cu"}, timestep=2.0,
        temperature=900.0, n_kpoints=4,
    )  # fmt: skip
    run = replace(read_labelled(tmp_path / "a.extxyz"), theory=theory)
    other = replace(run, theory=replace(theory, temperature=600.0), refused=("one",))
    write_runs(tmp_path / "all.extxyz", [run, other, run])
    first, second, third = read_runs(tmp_path / "all.extxyz")
    assert first.theory == third.theory == theory
    # of a run with a frame missing nobody knows the time between frames
    assert second.theory == replace(other.theory, timestep=None)
    for one, back in zip(run.frames, first.frames, strict=True):
        assert back.symbols == one.symbols
        assert back.energy == pytest.approx(one.energy, abs=1e-6)
        assert back.forces == pytest.approx(one.forces, abs=1e-6)
        assert back.stress == pytest.approx(one.stress, abs=1e-8)
    wrong = replace(theory, settings={"program": "VASP", "GGA": "PS"})
    write_runs(tmp_path / "b.extxyz", [replace(run, theory=wrong)])
    with pytest.raises(DataError, match="two levels of theory"):
        read_together([tmp_path / "all.extxyz", tmp_path / "b.extxyz"])


def test_one_k_point_in_a_small_cell_is_told(tmp_path):
    write(tmp_path / "a.extxyz", images(1))
    run = read_labelled(tmp_path / "a.extxyz")
    assert not coarse_sampling(run)
    gamma = replace(run, theory=Theory({}, {}, n_kpoints=1))
    assert "one k-point in a cell 7.5 A wide" in coarse_sampling(gamma)
    frame = run.frames[0]
    wide = replace(gamma, frames=(replace(frame, cell=2 * frame.cell),))
    assert not coarse_sampling(wide)


def test_a_dump_of_lammps_is_refused_with_the_reason(tmp_path):
    (tmp_path / "dump.xyz").write_text("ITEM: TIMESTEP\n0\n")
    with pytest.raises(DataError, match="holds no energies"):
        read_labelled(tmp_path / "dump.xyz")
