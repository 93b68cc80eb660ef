"""Conductivities and barriers of a store, derived again from its trajectories where need be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ssefw.analysis import ANALYSIS_VERSION
from ssefw.campaigns.file import campaign_of
from ssefw.campaigns.running.watch import campaigns_in, latest_record
from ssefw.data.hops import HopClass, find_hops
from ssefw.documents import Barrier, NebPath, RelaxResult
from ssefw.engines.migration.percolation import percolation_barrier
from ssefw.errors import DataError
from ssefw.makers import DiffusivityMaker
from ssefw.store import Connection
from ssefw.store.frames.trajectories import TrajectoryStore
from ssefw.store.results.builder import BarrierBuilder, ConductivityBuilder

__all__ = ["Derived", "derive", "rebuilt_barrier"]

MAX_HOP = 6.0
"""Longest hop where a campaign does not say, angstrom."""

SAME_LENGTH = 1e-3
"""Hops whose lengths (angstrom) differ less are the same."""


@dataclass(frozen=True)
class Derived:
    """How many documents of a kind were computed, and how many were there already."""

    what: str
    computed: int
    present: int


def derive(
    connection: Connection,
    *,
    campaigns: Sequence[str] = (),
    version: str = ANALYSIS_VERSION,
    dry_run: bool = False,
) -> list[Derived]:
    """Bring the collections ``conductivities`` and ``barriers`` up to date.

    No physics is run: stored frames are analyzed with the settings of their campaign. What was
    analyzed by this version of the analysis from the same frames is left alone.

    Parameters
    ----------
    dry_run
        Only count what would be computed.

    Raises
    ------
    StoreError
        If a campaign that is named is not in the store.
    """
    frames = TrajectoryStore(connection.blobs)
    run = _count if dry_run else _run
    found = []
    for name in campaigns or campaigns_in(connection):
        spec = campaign_of(latest_record(connection, name))
        asked = spec.conductivity
        maker = DiffusivityMaker(specie=spec.specie, level=asked.level)
        builder = ConductivityBuilder(
            connection,
            campaign=name,
            estimate=lambda ledger, maker=maker: maker.estimate(ledger, frames),  # type: ignore[misc]
            temperature=asked.temperature,
            prefactor_spread=asked.prefactor_spread,
            settings=[maker.specie, maker.level],
            version=version,
        )
        found.append(run(builder, f"conductivities of {name}"))
    reaches = {name: _longest_hop(connection, name) for name in campaigns_in(connection)}

    def rebuild(barrier: Barrier) -> Barrier:
        return rebuilt_barrier(connection, barrier, reaches)

    builder_of_barriers = BarrierBuilder(connection, rebuild=rebuild, version=version)
    found.append(run(builder_of_barriers, "barriers"))
    return found


def rebuilt_barrier(
    connection: Connection, barrier: Barrier, reaches: Mapping[str, float]
) -> Barrier:
    """Return a barrier whose bands are joined anew in the crystal in which they were relaxed.

    A barrier that is not of bands stays as it is.

    Parameters
    ----------
    reaches
        Longest hop of each campaign, angstrom.

    Raises
    ------
    DataError
        If no relaxed structure of the candidate has the hops of the bands.
    """
    bands = {
        (band.hop.start, band.hop.end, band.hop.image): band for band in barrier.bands if band.hop
    }
    if barrier.method != "neb" or not bands:
        return barrier
    for campaign, reach in reversed(list(reaches.items())):
        results = connection.results.find(
            RelaxResult, campaign=campaign, candidate=barrier.candidate_id
        )
        for relaxed in results:
            structure = relaxed.structure
            if structure.composition.reduced_formula != barrier.formula:
                continue
            classes = find_hops(structure, specie=barrier.specie, max_length=reach)
            kinds = {(kind.hop.start, kind.hop.end, kind.hop.image): kind for kind in classes}
            if not _are_alike(bands, kinds):
                continue
            again = percolation_barrier(
                structure,
                {kinds[key]: band for key, band in bands.items()},
                specie=barrier.specie,
                missing=[kind for key, kind in kinds.items() if key not in bands],
                candidate_id=barrier.candidate_id,
                provenance=barrier.provenance,
            )
            return again.model_copy(update={"wall_time": barrier.wall_time})
    raise DataError(
        f"No relaxed structure of {barrier.candidate_id} has the {len(bands)} hops of its bands, "
        "so they cannot be joined anew."
    )


def _longest_hop(connection: Connection, campaign: str) -> float:
    bands = campaign_of(latest_record(connection, campaign)).neb
    return MAX_HOP if bands is None else bands.max_hop


def _are_alike(
    bands: Mapping[tuple[int, int, tuple[int, int, int]], NebPath],
    kinds: Mapping[tuple[int, int, tuple[int, int, int]], HopClass],
) -> bool:
    """Return whether the hops of bands are hops of a structure, of the same length."""
    return all(
        key in kinds
        and band.hop is not None
        and abs(band.hop.length - kinds[key].hop.length) < SAME_LENGTH
        for key, band in bands.items()
    )


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


def _count(builder: ConductivityBuilder | BarrierBuilder, what: str) -> Derived:
    return Derived(what, sum(1 for _ in builder.get_items()), builder.skipped)
