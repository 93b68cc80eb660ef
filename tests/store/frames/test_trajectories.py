"""Parts of a stored trajectory are read without the rest."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssefw.data import Chunk, frames
from ssefw.documents import Segment, Trajectory
from ssefw.errors import DataError, StoreError
from ssefw.store.frames.blobs import FileBlobs
from ssefw.store.frames.trajectories import TrajectoryStore

LENGTHS = (301, 250, 7, 442)


class CountingBlobs(FileBlobs):
    """Remembers what was read."""

    def __init__(self, folder):
        super().__init__(folder)
        self.read = []

    def get(self, key):
        self.read.append(key)
        return super().get(key)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Three segments of a thousand frames of LiF, in four blobs, and what went into them."""
    from pymatgen.core import Lattice, Structure

    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.026), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    store = TrajectoryStore(CountingBlobs(tmp_path_factory.mktemp("blobs")))
    rng = np.random.default_rng(1)
    total = sum(LENGTHS)
    positions = np.round(rng.normal(size=(total, 8, 3)).cumsum(axis=0), 5)
    energies, temperatures = rng.normal(size=(2, total))
    segments, frame = [], 0
    for pieces in ((301,), (250, 7), (442,)):
        chunks, start = [], frame
        for length in pieces:
            own = slice(frame, frame + length)
            chunks.append(
                Chunk(
                    first_step=max(0, frame - 1),
                    last_step=frame + length - 1,
                    first_frame=frame,
                    positions=positions[own],
                    energies=energies[own],
                    temperatures=temperatures[own],
                    cell=structure.lattice.matrix,
                )
            )
            frame += length
        segment = Segment(
            index=len(segments),
            first_step=chunks[0].first_step,
            last_step=frame - 1,
            first_frame=start,
            n_frames=frame - start,
            velocities="continued",
            end_reason="preempted",
            settings_hash="s",
            wall_time=1.0,
        )
        segments.append(store.put_frames("k", segment, chunks))
    ledger = Trajectory(
        key="k",
        candidate_id="c",
        temperature=300.0,
        timestep=2.0,
        steps_per_frame=1,
        equilibration_steps=0,
        target_steps=total - 1,
        seed=0,
        thermostat="langevin",
        structure=structure,
        segments=tuple(segments),
    )
    return lambda: (store, ledger, positions, energies, temperatures)  # hypothesis prints fixtures


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.integers(0, 1100),
    last=st.none() | st.integers(0, 1100),
    stride=st.integers(1, 700),
    species=st.sampled_from([None, ("Li",), ("F",), ("Li", "F")]),
)
def test_a_part_is_that_part_of_the_whole(stored, first, last, stride, species):
    store, ledger, positions, energies, temperatures = stored()
    part = slice(first, last, stride)
    symbols = [site.specie.symbol for site in ledger.structure]
    atoms = [species is None or symbol in species for symbol in symbols]
    bounds = {"first": first, "last": last, "stride": stride}
    found = store.positions(ledger, species=species, **bounds)
    assert found.shape == positions[part][:, atoms].shape
    assert np.abs(found - positions[part][:, atoms]).max(initial=0.0) < 1e-9
    assert np.array_equal(store.series(ledger, "energies", **bounds), energies[part])
    assert np.array_equal(store.series(ledger, "temperatures", **bounds), temperatures[part])


def test_blobs_without_a_wanted_frame_are_not_read(stored):
    store, ledger, *_ = stored()
    store._blobs.read.clear()
    store.positions(ledger, first=310, last=320)
    assert store._blobs.read == ["trajectories/k/000000301"]
    store._blobs.read.clear()
    store.positions(ledger, stride=600)
    assert store._blobs.read == ["trajectories/k/000000000", "trajectories/k/000000558"]


def test_energies_are_read_without_unpacking_positions(stored, monkeypatch):
    store, ledger, _, energies, _ = stored()
    monkeypatch.setattr(frames, "_unpack", None)
    assert np.array_equal(store.series(ledger, "energies"), energies)


def test_what_is_not_there_is_refused(stored):
    store, ledger, *_ = stored()
    with pytest.raises(StoreError, match="has no Na; it has F, Li"):
        store.positions(ledger, species=["Na"])
    with pytest.raises(ValueError, match="forward"):
        store.positions(ledger, stride=-1)
    with pytest.raises(DataError, match="not the bytes"):
        frames.decode_series(b"torn", "energies")
