"""A universal potential tuned to the real pw.x, in a cell and with cutoffs far below any use."""

import os
import shutil
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from ssefw.documents import Labels, LearnedPotential, Outcome, StaticResult
from ssefw.store import connect
from ssefw.store.frames.stages import StageStore
from tests.conftest import work_here

PSEUDOS = (
    Path(os.environ.get("SSEFW_SHARED_DATA", Path(__file__).parents[2] / "../shared/data"))
    / "pseudos"
).resolve()

pytestmark = [
    pytest.mark.qe,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not installed"),
    pytest.mark.skipif(not PSEUDOS.is_dir(), reason=f"no pseudopotentials at {PSEUDOS}"),
]

CAMPAIGN = """
campaign: real
pool: {path: LiF.cif}
engine:
  code: espresso
  options:
    {ecutwfc: 25, ecutrho: 200, kspacing: 2.0,
     options: {electrons: {mixing_beta: 0.2, conv_thr: 1.0e-6}}}
relax: {skip: true}
supercell: {min_length: 4}
learn:
  base: sevennet-0
  temperatures: [900]
  length: 0.2
  frames: 12
  rattled: 3
  cell: {min_length: 4}
  explore: {temperatures: [900], labels: 4, rounds: 2}
  budget: 16
  student:
    {radial_cutoff: 4.5, angular_cutoff: 3.8, n_radial: 4, n_angular: 3, functions: 5,
     neurons: 8, steps: 300, refit_steps: 60}
  accept: {stable: 0.1}
md: {temperatures: [900], length: 0.2, equilibration: 0.02}
"""


def test_single_points_of_pw_x_teach_a_universal_potential(tmp_path):
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.06), ["Li", "F"], [[0] * 3, [0.5] * 3]
    )
    cell.to(filename=str(tmp_path / "LiF.cif"))
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    environment = {
        "SSEFW_PSEUDO_DIR": str(PSEUDOS),
        "SSEFW_SCRATCH": str(tmp_path / "scratch"),
        "SSEFW_POTENTIALS": str(tmp_path / "potentials"),
    }
    work_here(submit="c.yaml", folder=tmp_path, env=environment)
    with connect(tmp_path / "st", read_only=True) as connection:
        (outcome,) = connection.results.find(Outcome)
        (potential,) = connection.results.find(LearnedPotential)
        packs = list(connection.results.find(Labels))
        stages = StageStore(connection.blobs)
        labels = [stages.get(key, StaticResult) for pack in packs for key in pack.keys if key]
    assert 12 <= sum(len(pack.keys) for pack in packs) == potential.n_evaluations <= 16
    assert {label.provenance.engine for label in labels} == {potential.teacher}
    # Forces of 25 Ry are wrong by as much as anything, and learned all the same.
    assert potential.errors[0].force < potential.first_errors.force
    gate = next(gate for gate in outcome.gates if gate.name == "learn")
    assert gate.numbers["dynamics_core_hours"] > 0
    print(gate.message)  # noqa: T201 - told where the test fails
