"""OUTCARs of a band, whole and cut off anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssefw.engines.vasp.band_output import BandLog, parse_image

HEAD = """\
 vasp.6.4.2 20Jul23 (build Jun  3 2025 15:36:07) complex

 VTST: version 4.2, (05/19/21)

 CHAIN: initializing optimizer
 CHAIN: Read ICHAIN            0
 CHAIN: Running the NEB
"""
ELECTRONIC = """
{rule} Iteration {n:6d}({k:4d})  {rule}

  free energy    TOTEN  =       -10.10000000 eV
  energy without entropy =      -10.10000000  energy(sigma->0) =      -10.10000000
"""
IONIC = """
 POSITION                                       TOTAL-FORCE (eV/Angst)
 -----------------------------------------------------------------------------------
      0.00000      0.00000      0.00000         0.010000     -0.020000      0.000000
      1.00000      2.00000      {n:.5f}         0.010000      0.020000      0.000000
 -----------------------------------------------------------------------------------
  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)
  free  energy   TOTEN  =       {energy:.8f} eV

  energy  without entropy=      {energy:.8f}  energy(sigma->0) =      {energy:.8f}

 NEB: projections on to tangent (spring, REAL)     0.001000    0.{n}00000

  FORCES: max atom, RMS     0.{force:02d}0000    0.010000
"""
ACCURATE = " reached required accuracy - stopping structural energy minimisation\n"
LOOP = "     LOOP+:  cpu time   37.4: real time   37.6\n"
FINAL = """

 General timing and accounting informations for this job:
"""
N_STEPS = 4


def outcar(*, vtst=True):
    """Return the text of four ionic steps with falling forces."""
    text = HEAD if vtst else HEAD.split("\n", maxsplit=1)[0] + "\n"
    for n in range(1, N_STEPS + 1):
        text += "".join(ELECTRONIC.format(n=n, k=k, rule="-" * 39) for k in range(1, 4))
        text += IONIC.format(n=n, energy=-10.0 - n, force=50 - 12 * n)
        text += (ACCURATE if n == N_STEPS else "") + LOOP
    return text + FINAL


WHOLE = parse_image(outcar(), n_atoms=2)


def test_energies_forces_and_positions_are_those_of_each_ionic_step():
    assert (WHOLE.version, WHOLE.vtst) == ("6.4.2", "4.2")
    assert [step.energy for step in WHOLE.steps] == [-11.0, -12.0, -13.0, -14.0]
    assert [step.max_force for step in WHOLE.steps] == pytest.approx([0.38, 0.26, 0.14, 0.02])
    assert [step.along for step in WHOLE.steps] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert WHOLE.steps[2].positions[1].tolist() == [1.0, 2.0, 3.0]
    assert {step.n_electronic for step in WHOLE.steps} == {3}
    assert WHOLE.is_accurate


def test_a_program_without_vtst_is_recognized_once_it_computes():
    log = parse_image(outcar(vtst=False), n_atoms=2)
    assert BandLog((log,)).lacks_vtst
    assert not BandLog((parse_image("", n_atoms=2),)).lacks_vtst
    assert not BandLog((parse_image(HEAD, n_atoms=2),)).lacks_vtst


@given(st.integers(0, len(outcar())))
def test_an_outcar_cut_off_anywhere_says_nothing_wrong(length):
    log = parse_image(outcar()[:length], n_atoms=2)
    assert len(log.steps) <= N_STEPS
    for step, true in zip(log.steps, WHOLE.steps, strict=False):
        assert (step.energy, step.max_force, step.along) == (
            true.energy, true.max_force, true.along,
        )  # fmt: skip
        assert (step.positions == true.positions).all()
    assert not log.is_accurate or len(log.steps) == N_STEPS


@given(st.lists(st.integers(0, len(outcar())), min_size=2, max_size=3))
def test_a_band_is_as_far_as_its_slowest_image(lengths):
    log = BandLog(tuple(parse_image(outcar()[:n], n_atoms=2) for n in lengths))
    assert log.n_iterations == min(len(image.steps) for image in log.images)
    if log.n_iterations:
        assert len({step.energy for step in log.last}) == 1
    if log.is_accurate:
        assert log.n_iterations == N_STEPS


def test_asterisks_end_what_can_be_read():
    text = outcar().replace("1.00000      2.00000      3.00000", "1.00000      2.00000 ********")
    assert len(parse_image(text, n_atoms=2).steps) == 2
    assert not parse_image(text, n_atoms=2).is_accurate
