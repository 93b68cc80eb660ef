"""The heating ramp of the settings, and of the ASE engine."""

import numpy as np
import pytest
from pydantic import ValidationError

from ssefw.data import join_chunks
from ssefw.engines import MDSettings, RunDirectory
from ssefw.engines.ase import AseEngine

EMT = AseEngine(calculator="ase.calculators.emt.EMT")
RAMP = MDSettings(
    temperature=900.0,
    heat_from=100.0,
    heating_steps=200,
    steps_per_frame=5,
    frames_per_chunk=8,
    damping=20.0,
    seed=2,
)


def test_the_set_point_rises_linearly_and_stays():
    assert [RAMP.set_point(step) for step in (0, 50, 200, 4000)] == [100, 300, 900, 900]
    assert MDSettings(temperature=600.0).set_point(0) == 600


@pytest.mark.parametrize("half", [{"heat_from": 100.0}, {"heating_steps": 10}])
def test_half_a_ramp_is_refused(half):
    with pytest.raises(ValidationError, match="both heat_from and heating_steps"):
        MDSettings(temperature=600.0, **half)


def test_the_ase_engine_heats_and_continues_bit_by_bit(copper, tmp_path):
    cell = copper * (2, 1, 1)
    whole, parts = (RunDirectory(tmp_path / name, key="k") for name in ("whole", "parts"))
    EMT.md(cell, RAMP, whole, until=320)
    for until in (120, 240, 320):
        EMT.md(cell, RAMP, parts, until=until)
    one, other = (
        join_chunks(c for s in run.segments() for c in run.chunks_of(s)) for run in (whole, parts)
    )
    assert np.array_equal(one.positions, other.positions)
    assert one.temperatures[0] == pytest.approx(100.0)
    assert np.mean(one.temperatures[-30:]) == pytest.approx(900.0, rel=0.5)
