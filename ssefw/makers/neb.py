"""Barriers of a candidate: its hops, the defects they begin and end with, and their bands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Job, Maker, Response, job
from pymatgen.core import Structure

from ssefw.data.defects import (
    crystal_of,
    defect_at,
    distinct_sites,
    hop_cell,
    supercell_size,
)
from ssefw.data.hops import Hop, HopClass
from ssefw.documents import Barrier, Candidate, Convergence, HopRecord, NebPath, RelaxResult
from ssefw.engines import Engine, settings_hash
from ssefw.engines.band import check_ends
from ssefw.engines.migration import MigrationSettings, hop_barrier
from ssefw.engines.migration.cost import band_core_hours
from ssefw.engines.migration.crystal import Hops, HopSearch, find_hops
from ssefw.engines.migration.ends import relax_end
from ssefw.engines.migration.hop_records import hop_label, hop_record, no_band
from ssefw.engines.migration.percolation import percolation_barrier
from ssefw.engines.migration.seeding import HopChoice, prepared_for
from ssefw.engines.stopping import InterruptionError, stop_check
from ssefw.errors import AnalysisError, DataError
from ssefw.makers.failures import LENIENT, WATCHED, failures_recorded
from ssefw.makers.relax import RelaxMaker
from ssefw.makers.replacement import continued_by, replaced_by
from ssefw.makers.site import equip, run_folder

__all__ = ["BandMaker", "EndMaker", "NebMaker"]


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
            equip(self.engine)
            engine = self.engine.charged(self.settings.cell_charge)
            defect = defect_at(structure, site, min_length=self.settings.min_length)
            engine.check_band(defect, n_images=self.settings.n_images)
            try:
                return relax_end(
                    engine,
                    structure,
                    site,
                    min_length=self.settings.min_length,
                    fmax=self.settings.end_fmax,
                    steps=self.settings.end_steps,
                )
            except InterruptionError:
                return continued_by(self.make(structure, site))


@dataclass
class BandMaker(Maker):
    """Relax the band of one hop between relaxed defects.

    A band lies in a folder named by what it is: a job that was killed, or runs out of time,
    continues there from the last complete iteration.

    Attributes
    ----------
    settings
        How; a band that only gives images to another engine does not climb.
    """

    engine: Engine
    settings: MigrationSettings = field(default_factory=MigrationSettings)
    name: str = "neb hop"

    @job(output_schema=NebPath, config=WATCHED)
    def alone(self, structure: Structure, hop: HopRecord) -> NebPath | Response[NebPath]:
        """Return the band of a hop whose ends are relaxed here; one that failed says why."""
        with failures_recorded():
            band = self._band(structure, hop, settings_hash(self, structure, hop))
            if band.status == "interrupted":
                return continued_by(self.alone(structure, hop))
            return band

    @job(output_schema=NebPath, config=LENIENT)
    def make(
        self,
        structure: Structure,
        hop: HopRecord,
        ends: Sequence[RelaxResult | None],
        *,
        sites: Sequence[int],
        stands_for: Sequence[tuple[int, int]],
        bent: NebPath | None = None,
    ) -> NebPath | Response[NebPath]:
        """Return the band.

        Jobs that wait on a launch pad name these parameters, which is why they keep their names.

        Parameters
        ----------
        structure
            The crystal, with marks where interstitial ions hop.
        ends, sites
            Relaxed defects and the sites of the crystal they are at; None where that failed.
        stands_for
            Each site, and the one that represents it: whose defect is relaxed for both.
        bent
            The band of a cheaper engine, which gives the initial images.
        """
        with failures_recorded():
            missing = [site for site, end in zip(sites, ends, strict=True) if end is None]
            if missing:
                reason = f"The defect at site {missing[0]} could not be relaxed."
                return no_band(_class_of(hop), reason).model_copy(update={"hop": hop})
            relaxed = {
                site: end.structure
                for site, end in zip(sites, ends, strict=True)
                if end is not None
            }
            start = bent.structures if bent else None
            equip(self.engine)
            key = settings_hash(self.engine, self.settings, structure, hop, relaxed, start)
            band = self._band(
                structure,
                hop,
                key,
                ends=lambda: relaxed,
                representatives=dict(stands_for),
                initial_band=bent,
            )
            if band.status == "interrupted":
                again = self.make(
                    structure, hop, ends, sites=sites, stands_for=stands_for, bent=bent
                )
                return continued_by(again)
            seconds = band.wall_time + (bent.wall_time if bent else 0.0)
            return band.model_copy(update={"wall_time": seconds})

    def _band(self, structure: Structure, hop: HopRecord, key: str, **how: Any) -> NebPath:
        """Return the band of a hop, or why there is none."""
        kind = _class_of(hop)
        try:
            band = hop_barrier(
                self.engine,
                structure,
                kind,
                run_folder(key),
                settings=self.settings,
                stop=stop_check(),
                **how,
            )
        except DataError as error:  # this hop is none; the others may be
            band = no_band(kind, str(error), provenance=self.engine.provenance(self.settings))
        except InterruptionError as error:
            band = no_band(kind, str(error), status="interrupted")
        return band.model_copy(update={"hop": hop})


def _class_of(hop: HopRecord) -> HopClass:
    """Return the hop of a record, as the only one of its class."""
    via = None if hop.via is None or hop.via_image is None else (hop.via, hop.via_image)
    alone = Hop(hop.start, hop.end, hop.image, hop.length, via)
    return HopClass((alone,), symmetric=hop.symmetric)


@dataclass
class NebMaker(Maker):
    """From a relaxed crystal to the barrier of crossing it.

    Attributes
    ----------
    hops
        Which classes of hops, see `ssefw.engines.migration.seeding.choose_hops`.
    max_hop
        Longest hop, A.
    max_atoms
        Most atoms of the supercell.
    first
        A cheaper engine whose bands give the images; hops whose ends it finds to collapse are not
        computed further.
    max_hops
        Most classes of hops; with more nothing is computed.
    relax
        Relaxes the crystal anew, where another engine relaxed it.
    converge
        Find cutoffs and k-points within this (eV/atom) before, for Quantum ESPRESSO.
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
    converge: float | None = None
    max_barrier: float | None = None
    name: str = "hops"

    def jobs(self, relaxed: RelaxResult, *, candidate: Candidate) -> list[Job]:
        """Return the jobs that give the barrier, the last of them its output."""
        if self.converge is not None:
            # custodian, which every engine of a program needs, is slow to import
            from ssefw.makers.convergence import ConvergenceMaker  # noqa: PLC0415

            engine: Any = self.engine  # the campaign file says that it is this one
            maker = ConvergenceMaker(engine=engine, tolerance=self.converge, name="neb converge")
            found = maker.make(relaxed.structure)
            return [found, self.with_settings(relaxed, found.output, candidate=candidate)]
        if self.relax is None:
            return [self.make(relaxed, candidate=candidate)]
        again = self.relax.make(relaxed.structure)
        return [again, self.make(again.output, candidate=candidate)]

    @job(output_schema=Barrier, config=LENIENT)
    def with_settings(
        self,
        relaxed: RelaxResult | None,
        found: Convergence | None,
        *,
        candidate: Candidate,
    ) -> Response[Barrier]:
        """Go on with the cutoffs and k-points that were found."""
        with failures_recorded():
            if relaxed is None or found is None:
                raise DataError("No cutoffs and k-points were found to compute bands with.")
            names = ("ecutwfc", "ecutrho", "kspacing")
            chosen: Any = {name: getattr(found, name) for name in names}
            engine = replace(self.engine, **chosen)
            again = replace(self.relax, engine=engine) if self.relax else None
            maker = replace(self, engine=engine, relax=again, converge=None)
            *first, last = maker.jobs(relaxed, candidate=candidate)
            return replaced_by(first, last)

    @job(output_schema=Barrier, config=LENIENT)
    def make(
        self, relaxed: RelaxResult | None, *, candidate: Candidate
    ) -> Barrier | Response[Barrier]:
        """Find the hops and compute them; `relaxed` is None where relaxation failed."""
        if relaxed is None:
            raise DataError("There is no relaxed structure to find hops in.")
        with failures_recorded():
            structure = prepared_for(self.settings.mechanism, relaxed.structure, specie=self.specie)
            chosen = self.choose(structure).chosen
            if self.first is None:
                return self._bands(structure, chosen, [None] * len(chosen), candidate=candidate)
            plain = self.settings.band.model_copy(update={"climb": False})
            cheap = BandMaker(
                engine=self.first, settings=self.settings.model_copy(update={"band": plain})
            )
            firsts = [
                replace(cheap, name=f"neb first {_title(hop)}").alone(structure, hop)
                for hop in map(hop_record, chosen)
            ]
            last = self.after_first(
                structure, candidate=candidate, firsts=[band.output for band in firsts]
            )
            return replaced_by(firsts, last)

    @job(output_schema=Barrier, config=LENIENT)
    def after_first(
        self, structure: Structure, *, candidate: Candidate, firsts: Sequence[NebPath | None]
    ) -> Response[Barrier]:
        """Go on with the hops that a cheaper engine did not find impossible."""
        with failures_recorded():
            chosen = self.choose(structure).chosen
            return self._bands(structure, chosen, firsts, candidate=candidate)

    def _bands(
        self,
        structure: Structure,
        chosen: Sequence[HopClass],
        firsts: Sequence[NebPath | None],
        *,
        candidate: Candidate,
    ) -> Response[Barrier]:
        """Return the jobs of all hops but those whose first band came to nothing."""
        known = dict(zip(chosen, firsts, strict=True))
        going = [kind for kind, band in known.items() if band is None or band.structures]
        representatives = distinct_sites(structure, going, min_length=self.settings.min_length)
        ends = {
            site: EndMaker(
                engine=self.engine,
                settings=self.settings,
                name=f"neb end {structure[site].specie.symbol}{site + 1}",
            ).make(structure, site)
            for site in sorted(set(representatives.values()))
        }
        bands = {
            kind: self._band(structure, kind, ends, representatives, initial_band=known[kind])
            for kind in going
        }
        last = self.conclude(
            structure,
            candidate=candidate,
            hops=[hop_record(kind) for kind in chosen],
            bands=[bands[kind].output if kind in bands else known[kind] for kind in chosen],
            ends=[end.output for end in ends.values()],
        )
        return replaced_by([*ends.values(), *bands.values()], last)

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
        """Join the hops to the barrier of the crystal; a band that failed is None.

        Parameters
        ----------
        structure
            The relaxed crystal.
        candidate
            What is studied.
        hops
            One of each class.
        bands
            Of each; None where one failed.
        ends
            Relaxed cells of both ends of hops; None where one failed.
        """
        with failures_recorded():
            hops_of_crystal = self.choose(structure)
            kinds = {hop_label(hop_record(kind)): kind for kind in hops_of_crystal.chosen}
            found = {}
            for hop, band in zip(hops, bands, strict=True):
                kind = kinds[hop_label(hop)]
                found[kind] = band or no_band(kind, "its job failed, see the failures")
            barrier = percolation_barrier(
                structure,
                found,
                specie=self.specie,
                missing=hops_of_crystal.left,
                candidate_id=candidate.id,
                provenance=self.engine.provenance(self.settings),
            )
            seconds = sum(end.wall_time for end in ends if end is not None)
            return barrier.model_copy(update={"wall_time": barrier.wall_time + seconds})

    def core_hours(self, crystal: Structure) -> float | None:
        """Predict what the bands of a crystal cost, from its structure before relaxation.

        None where that cannot be told.
        """
        try:
            structure = prepared_for(self.settings.mechanism, crystal, specie=self.specie)
            chosen = self.choose(structure).chosen
        except (AnalysisError, DataError):
            return None
        ends = distinct_sites(structure, chosen, min_length=self.settings.min_length)
        engines = [self.engine.charged(self.settings.cell_charge)]
        engines += [self.first] if self.first else []
        hours = [
            band_core_hours(
                engine,
                structure,
                n_bands=len(chosen),
                n_ends=len(set(ends.values())),
                settings=self.settings,
            )
            for engine in engines
        ]
        return None if None in hours else sum(hour for hour in hours if hour is not None)

    def choose(self, structure: Structure) -> Hops:
        """Return the classes of hops to compute, and those that are left.

        Parameters
        ----------
        structure
            See `ssefw.engines.migration.seeding.prepared_for`.

        Raises
        ------
        DataError
            If there are none, too many, or the supercell is too large for them.
        """
        search = HopSearch(specie=self.specie, max_length=self.max_hop, choice=self.hops)
        hops = find_hops(structure, search, self.settings)
        size = supercell_size(structure, min_length=self.settings.min_length)
        n_atoms = len(crystal_of(structure)) * math.prod(size)
        if n_atoms > self.max_atoms:
            raise DataError(
                f"The supercell {size} for defects {self.settings.min_length:g} A apart has "
                f"{n_atoms} atoms, more than max_atoms = {self.max_atoms}."
            )
        if (number := len(hops.chosen)) > self.max_hops:
            raise DataError(
                f"{number} distinct hops are more than max_hops = {self.max_hops}. Shorten "
                "max_hop, or allow more."
            )
        for kind in hops.chosen:
            cell = hop_cell(structure, kind.hop, min_length=self.settings.min_length)
            check_ends(cell.start, cell.end)
        return hops

    def _band(
        self,
        structure: Structure,
        kind: HopClass,
        ends: dict[int, Job],
        representatives: dict[int, int],
        *,
        initial_band: NebPath | None,
    ) -> Job:
        sites = sorted({representatives[kind.hop.start], representatives[kind.hop.end]})
        hop = hop_record(kind)
        return BandMaker(
            engine=self.engine,
            settings=self.settings,
            name=f"neb hop {_title(hop)}",
        ).make(
            structure,
            hop,
            [ends[site].output for site in sites],
            sites=sites,
            stands_for=sorted(representatives.items()),
            bent=initial_band,
        )


def _title(hop: HopRecord) -> str:
    return f"{hop_label(hop, first=1)} {hop.length:.2f} A"
