"""Barriers of a candidate: its hops, the defects they begin and end with, and their bands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobflow import CURRENT_JOB, Job, Maker, Response, job
from pymatgen.core import Structure

from ssefw.data.defects import (
    crystal_of,
    distinct_sites,
    find_hops_of,
    hop_cell,
    supercell_size,
)
from ssefw.data.hops import Hop, HopClass
from ssefw.documents import Barrier, Candidate, HopRecord, NebPath, RelaxResult
from ssefw.engines import Engine, settings_hash
from ssefw.engines.ends import relax_end
from ssefw.engines.migration import (
    MigrationSettings,
    hop_barrier,
    hop_label,
    hop_record,
    no_band,
    percolation_barrier,
)
from ssefw.engines.seeding import HopChoice, choose_hops, prepared_for
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.errors import DataError
from ssefw.makers.failures import LENIENT, WATCHED, failures_recorded
from ssefw.makers.relax import RelaxMaker
from ssefw.makers.replacement import replaced_by
from ssefw.makers.site import run_folder
from ssefw.store import ResultStore

__all__ = ["BandMaker", "EndMaker", "NebMaker", "recorded_barrier"]


@dataclass
class EndMaker(Maker):
    """Relax the supercell with one defect, at a fixed cell."""

    engine: Engine
    settings: MigrationSettings = field(default_factory=MigrationSettings)
    name: str = "neb end"

    @job(output_schema=RelaxResult, config=WATCHED)
    def make(self, structure: Structure, site: int) -> RelaxResult | Response[RelaxResult]:
        """Return the defect at a site of the crystal; a job for the rest if time ran out."""
        with failures_recorded():
            try:
                return relax_end(
                    self.engine.charged(self.settings.cell_charge),
                    structure,
                    site,
                    min_length=self.settings.min_length,
                    fmax=self.settings.end_fmax,
                    steps=self.settings.end_steps,
                )
            except InterruptionError:
                return Response(replace=self.make(structure, site))


@dataclass
class BandMaker(Maker):
    """Relax the band of one hop between relaxed defects.

    A band lies in a folder named by what it is: a job that was killed, or runs out of time,
    continues there from the last complete iteration.

    Attributes
    ----------
    first
        A cheaper engine whose band gives the images.
    """

    engine: Engine
    settings: MigrationSettings = field(default_factory=MigrationSettings)
    first: Engine | None = None
    name: str = "neb hop"

    @job(output_schema=NebPath, config=LENIENT)
    def make(
        self,
        structure: Structure,
        hop: HopRecord,
        ends: Sequence[RelaxResult | None],
        *,
        sites: Sequence[int],
        stands_for: Sequence[tuple[int, int]],
    ) -> NebPath | Response[NebPath]:
        """Return the band.

        Parameters
        ----------
        structure
            The crystal, with marks where interstitial ions hop.
        ends, sites
            Relaxed defects and the sites of the crystal they are at; None where that failed.
        stands_for
            Each site, and the one whose defect stands for it.
        """
        with failures_recorded():
            via = None if hop.via is None or hop.via_image is None else (hop.via, hop.via_image)
            alone = Hop(hop.start, hop.end, hop.image, hop.length, via)
            kind = HopClass((alone,), symmetric=hop.symmetric)
            missing = [site for site, end in zip(sites, ends, strict=True) if end is None]
            if missing:
                reason = f"The defect at site {missing[0]} could not be relaxed."
                return no_band(kind, reason).model_copy(update={"hop": hop})
            relaxed = {
                site: end.structure
                for site, end in zip(sites, ends, strict=True)
                if end is not None
            }
            key = settings_hash(self.engine, self.first, self.settings, structure, hop, relaxed)
            try:
                band = hop_barrier(
                    self.engine,
                    structure,
                    kind,
                    run_folder(key),
                    settings=self.settings,
                    ends=relaxed,
                    stands_for=dict(stands_for),
                    first=self.first,
                    stop=stop_check(),
                )
            except DataError as error:  # this hop is none; the others may be
                band = no_band(kind, str(error), provenance=self.engine.provenance(self.settings))
            except InterruptionError as error:
                band = no_band(kind, str(error), status="interrupted")
            if band.status == "interrupted":
                again = self.make(structure, hop, ends, sites=sites, stands_for=stands_for)
                return Response(replace=again)
            return band.model_copy(update={"hop": hop})


@dataclass
class NebMaker(Maker):
    """From a relaxed crystal to the barrier of crossing it.

    Attributes
    ----------
    hops
        Which classes of hops, see `ssefw.engines.seeding.choose_hops`.
    max_hop
        Longest hop, A.
    max_atoms
        Most atoms of the supercell.
    max_hops
        Most classes of hops; with more nothing is computed.
    relax
        Relaxes the crystal anew, where another engine relaxed it.
    max_barrier
        Highest barrier (eV) of the easiest way with which a candidate goes on to dynamics.
    """

    engine: Engine
    settings: MigrationSettings = field(default_factory=MigrationSettings)
    specie: str = "Li"
    hops: HopChoice = "shortest"
    max_hop: float = 6.0
    max_atoms: int = 400
    max_hops: int = 20
    first: Engine | None = None
    relax: RelaxMaker | None = None
    max_barrier: float | None = None
    name: str = "hops"

    def jobs(self, relaxed: RelaxResult, *, candidate: Candidate) -> list[Job]:
        """Return the jobs that give the barrier, the last of them its output."""
        if self.relax is None:
            return [self.make(relaxed, candidate=candidate)]
        again = self.relax.make(relaxed.structure)
        return [again, self.make(again.output, candidate=candidate)]

    @job(output_schema=Barrier, config=LENIENT)
    def make(
        self, relaxed: RelaxResult | None, *, candidate: Candidate
    ) -> Barrier | Response[Barrier]:
        """Find the hops and compute them; `relaxed` is None where relaxation failed."""
        if relaxed is None:
            raise DataError("There is no relaxed structure to find hops in.")
        with failures_recorded():
            structure = prepared_for(self.settings.mechanism, relaxed.structure, specie=self.specie)
            chosen, _ = self.choose(structure)
            stands_for = distinct_sites(structure, chosen, min_length=self.settings.min_length)
            ends = {
                site: EndMaker(
                    engine=self.engine,
                    settings=self.settings,
                    name=f"neb end {structure[site].specie.symbol}{site + 1}",
                ).make(structure, site)
                for site in sorted(set(stands_for.values()))
            }
            bands = [self._band(structure, kind, ends, stands_for) for kind in chosen]
            last = self.conclude(
                structure,
                candidate=candidate,
                hops=[hop_record(kind) for kind in chosen],
                bands=[band.output for band in bands],
                ends=[end.output for end in ends.values()],
            )
            return replaced_by([*ends.values(), *bands], last)

    @job(output_schema=Barrier, config=LENIENT)
    def conclude(
        self,
        structure: Structure,
        *,
        candidate: Candidate,
        hops: Sequence[HopRecord],
        bands: Sequence[NebPath | None],
        ends: Sequence[RelaxResult | None],
    ) -> Barrier:
        """Join the hops to the barrier of the crystal; a band that failed is None."""
        with failures_recorded():
            chosen, left = self.choose(structure)
            kinds = {hop_label(hop_record(kind)): kind for kind in chosen}
            found = {}
            for hop, band in zip(hops, bands, strict=True):
                kind = kinds[hop_label(hop)]
                found[kind] = band or no_band(kind, "its job failed, see the failures")
            barrier = percolation_barrier(
                structure,
                found,
                specie=self.specie,
                missing=left,
                candidate_id=candidate.id,
                provenance=self.engine.provenance(self.settings),
            )
            seconds = sum(end.wall_time for end in ends if end is not None)
            return barrier.model_copy(update={"wall_time": barrier.wall_time + seconds})

    def choose(self, structure: Structure) -> tuple[list[HopClass], list[HopClass]]:
        """Return the classes of hops to compute, and those that are left.

        Parameters
        ----------
        structure
            See `ssefw.engines.seeding.prepared_for`.

        Raises
        ------
        DataError
            If there are none, too many, or the supercell is too large for them.
        """
        classes = find_hops_of(
            structure, self.settings.mechanism, specie=self.specie, max_length=self.max_hop
        )
        chosen = list(choose_hops(structure, classes, self.hops))
        size = supercell_size(structure, min_length=self.settings.min_length)
        n_atoms = len(crystal_of(structure)) * math.prod(size)
        if n_atoms > self.max_atoms:
            raise DataError(
                f"The supercell {size} for defects {self.settings.min_length:g} A apart has "
                f"{n_atoms} atoms, more than max_atoms = {self.max_atoms}."
            )
        if len(chosen) > self.max_hops:
            raise DataError(
                f"{len(chosen)} distinct hops are more than max_hops = {self.max_hops}. Shorten "
                "max_hop, or allow more."
            )
        for kind in chosen:
            hop_cell(structure, kind.hop, min_length=self.settings.min_length)
        return chosen, [kind for kind in classes if kind not in chosen]

    def _band(
        self,
        structure: Structure,
        kind: HopClass,
        ends: dict[int, Job],
        stands_for: dict[int, int],
    ) -> Job:
        sites = sorted({stands_for[kind.hop.start], stands_for[kind.hop.end]})
        hop = hop_record(kind)
        return BandMaker(
            engine=self.engine,
            settings=self.settings,
            first=self.first,
            name=f"neb hop {hop_label(hop, first=1)} {hop.length:.2f} A",
        ).make(
            structure,
            hop,
            [ends[site].output for site in sites],
            sites=sites,
            stands_for=sorted(stands_for.items()),
        )


def recorded_barrier(*, candidate: str, campaign: str) -> Barrier | None:
    """Return the barrier that NEB gave a candidate, if it did."""
    found = ResultStore(CURRENT_JOB.store).find(
        Barrier, candidate=candidate, campaign=campaign, where={"method": "neb"}
    )
    return next(iter(found), None)
