"""Conductivities and barriers of a store, derived again from its trajectories where need be."""

from collections.abc import Sequence
from dataclasses import dataclass

from ssefw.analysis import ANALYSIS_VERSION
from ssefw.campaigns.watch import campaigns_in, latest_record
from ssefw.makers import DiffusivityMaker
from ssefw.store import Connection
from ssefw.store.builder import BarrierBuilder, ConductivityBuilder
from ssefw.store.trajectories import TrajectoryStore

__all__ = ["Derived", "derive"]


@dataclass(frozen=True)
class Derived:
    """How many documents of a kind were computed, and how many were there already."""

    what: str
    computed: int
    present: int


def derive(
    connection: Connection, *, campaigns: Sequence[str] = (), version: str = ANALYSIS_VERSION
) -> list[Derived]:
    """Bring the collections ``conductivities`` and ``barriers`` up to date.

    No physics is run: stored frames are analyzed with the settings of their campaign. What was
    analyzed by this version of the analysis from the same frames is left alone.

    Raises
    ------
    StoreError
        If a campaign that is named is not in the store.
    """
    frames = TrajectoryStore(connection.blobs)
    found = []
    for name in campaigns or campaigns_in(connection):
        spec = latest_record(connection, name).spec
        asked = spec.get("conductivity") or {}
        maker = DiffusivityMaker(specie=spec.get("specie", "Li"), level=asked.get("level", 0.95))
        builder = ConductivityBuilder(
            connection,
            campaign=name,
            estimate=lambda ledger, maker=maker: maker.estimate(ledger, frames),  # type: ignore[misc]
            temperature=asked.get("temperature", 300.0),
            settings=[maker.specie, maker.level],
            version=version,
        )
        found.append(_run(builder, f"conductivities of {name}"))
    found.append(_run(BarrierBuilder(connection, version=version), "barriers"))
    return found


def _run(builder: ConductivityBuilder | BarrierBuilder, what: str) -> Derived:
    count, batch = 0, []
    for item in builder.get_items():
        batch.append(builder.process_item(item))
        count += 1
        # Kept as they come: who is interrupted goes on from here.
        if len(batch) >= builder.chunk_size:
            builder.update_targets(batch)
            batch = []
    builder.update_targets(batch)
    return Derived(what, count, builder.skipped)
