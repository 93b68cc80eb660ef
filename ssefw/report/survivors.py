"""Candidates as papers tabulate what survived: cell, stability, barriers, prediction, outcome.

A number is taken where it was computed, else where the pool states it; where neither, it is left
open. The bond-valence barrier is that of the gate or filter that computed it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from pymatgen.symmetry.groups import sg_symbol_from_int_number

from ssefw.data.materials import Material, material_from_candidate
from ssefw.data.pools import stated_names
from ssefw.documents import CampaignRecord, Estimate, Gate, Outcome, RankedCandidate, Ranking
from ssefw.errors import DataError
from ssefw.files.tables import TableWriter
from ssefw.report.wording import name_words
from ssefw.screening.conductivity.quantiles import INTERVAL
from ssefw.store import Connection
from ssefw.store.candidates import submitted_candidates
from ssefw.store.results.first_ranking import first_ranking

__all__ = ["COLUMNS", "Survivor", "ranked_survivors", "survivors_of", "write_survivors"]

COLUMNS = (
    "name",
    "formula",
    "space_group",
    "space_group_number",
    "e_hull_ev_atom",
    "band_gap_ev",
    "band_gap_from",
    "bvse_barrier_ev",
    "neb_barrier_ev",
    "score",
    "predicted_sigma_s_per_cm",
    "predicted_sigma_lower_s_per_cm",
    "predicted_sigma_upper_s_per_cm",
    "status",
    "sigma_kind",
    "sigma_s_per_cm",
    "sigma_lower_s_per_cm",
    "sigma_upper_s_per_cm",
    "campaign",
    "candidate_id",
    "ids",
)
"""Columns of the table as a file; names of numbers carry the unit."""


@dataclass(frozen=True)
class Survivor:
    """One line of the table.

    Attributes
    ----------
    space_group
        Symbol and number of the crystal as the pool has it; None without a structure.
    band_gap, gap_from
        eV, and whence: ``relaxation``, ``pool``, or ``predicted``.
    neb_barrier
        Of the easiest way.
    score, predicted
        What a screen said: probability of the threshold, and conductivity with its interval.
    sigma
        Conductivity that was computed.
    ids
        All names and ids of its entries in the pool.
    """

    name: str
    formula: str
    candidate_id: str
    ids: tuple[str, ...]
    space_group: tuple[str, int] | None = None
    e_hull: float | None = None
    band_gap: float | None = None
    gap_from: str = ""
    bvse_barrier: float | None = None
    neb_barrier: Estimate | None = None
    score: float | None = None
    predicted: Estimate | None = None
    campaign: str = ""
    status: str = ""
    sigma: Estimate | None = None

    def columns(self) -> dict[str, Any]:
        """Return plain values by the names of `COLUMNS`."""
        symbol, number = self.space_group or (None, None)
        values = (
            self.name,
            self.formula,
            symbol,
            number,
            self.e_hull,
            self.band_gap,
            self.gap_from,
            self.bvse_barrier,
            self.neb_barrier.value if self.neb_barrier else None,
            self.score,
            *_ends(self.predicted),
            self.status,
            self.sigma.kind if self.sigma else None,
            *_ends(self.sigma),
            self.campaign,
            self.candidate_id,
            "; ".join(self.ids),
        )
        return dict(zip(COLUMNS, values, strict=True))


def survivors_of(
    connection: Connection, record: CampaignRecord, outcomes: Sequence[Outcome]
) -> Iterator[Survivor]:
    """Yield a line for each candidate of a campaign that has an outcome, in their order.

    What a screen said of it is what stood before there were outcomes.
    """
    crystals = {one.id: one for one in submitted_candidates(connection, record)}
    planned = {item.candidate_id: item for item in record.candidates}
    first = first_ranking(connection.results, record.campaign)
    entries = {entry.candidate_id: entry for entry in (first.entries if first else ())}
    for outcome in outcomes:
        item, crystal = planned.get(outcome.candidate_id), crystals.get(outcome.candidate_id)
        ids = tuple(filter(None, (item.source, *item.aliases))) if item else ()
        material = material_from_candidate(crystal) if crystal else None
        relaxed = outcome.relaxed
        gap = relaxed.band_gap if relaxed is not None else None
        yield Survivor(
            name=next(filter(None, (name_words(outcome.formula, one) for one in ids)), ""),
            formula=outcome.formula,
            candidate_id=outcome.candidate_id,
            ids=ids,
            neb_barrier=outcome.barrier.barrier_1d if outcome.barrier else None,
            campaign=record.campaign,
            status=outcome.status,
            sigma=outcome.conductivity.conductivity if outcome.conductivity else None,
            **_said(entries.get(outcome.candidate_id), material.properties if material else {}),
            **_known(material, outcome.gates, relaxed_gap=gap),
        )


def ranked_survivors(ranking: Ranking, materials: Iterable[Material]) -> Iterator[Survivor]:
    """Yield a line for each entry of a ranking, best first.

    Parameters
    ----------
    materials
        Among them all that the ranking holds.
    """
    by_name = {material.name: material for material in materials}
    for entry in ranking.entries:
        material = by_name.get(entry.source)
        stated = material.properties if material else {}
        ids = dict.fromkeys((entry.source, *stated_names(stated)))
        yield Survivor(
            name=entry.source,
            formula=entry.formula,
            candidate_id=entry.candidate_id,
            ids=tuple(ids),
            **_said(entry, stated),
            **_known(material, entry.trail),
        )


def write_survivors(survivors: Iterable[Survivor], file: TextIO) -> None:
    """Write a table as CSV."""
    table = TableWriter(file, list(COLUMNS))
    for one in survivors:
        table.write(one.columns())


def _known(
    material: Material | None, gates: Sequence[Gate], *, relaxed_gap: float | None = None
) -> dict[str, Any]:
    """Return what is known of a crystal by gates, relaxation and pool."""
    stated = material.properties if material is not None else {}
    numbers = {key: value for gate in gates for key, value in gate.numbers.items()}
    of_gate = next((g.numbers.get("barrier_1d_ev") for g in gates if g.name == "bvse"), None)
    gaps = (
        (relaxed_gap, "relaxation"),
        (stated.get("band_gap_ev"), "pool"),
        (numbers.get("predicted_band_gap_ev"), "predicted"),
    )
    gap, whence = next(((x, said) for x, said in gaps if x is not None), (None, ""))
    barriers = (of_gate, numbers.get("bvse_barrier_ev"), stated.get("bvse_barrier_ev"))
    return {
        "space_group": _space_group(material),
        "e_hull": stated.get("e_hull_ev_atom"),
        "band_gap": gap,
        "gap_from": whence,
        "bvse_barrier": next((x for x in barriers if x is not None), None),
    }


def _space_group(material: Material | None) -> tuple[str, int] | None:
    try:
        cell = None if material is None else material.cell
    except DataError:
        return None
    return None if cell is None else (sg_symbol_from_int_number(cell.space_group), cell.space_group)


def _said(entry: RankedCandidate | None, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return score and prediction, of a ranking or as they travelled with the pool."""
    if entry is not None:
        return {"score": float(entry.score), "predicted": entry.sigma}
    ends = [properties.get(f"screen_sigma{end}") for end in ("", "_lower", "_upper")]
    predicted = None
    if all(ends):
        value, lower, upper = map(float, filter(None, ends))
        predicted = Estimate(value=value, lower=lower, upper=upper, unit="S/cm", level=INTERVAL)
    return {"score": properties.get("screen_score"), "predicted": predicted}


def _ends(estimate: Estimate | None) -> tuple[float | None, float | None, float | None]:
    return (None,) * 3 if estimate is None else (estimate.value, estimate.lower, estimate.upper)
