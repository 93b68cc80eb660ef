"""From a pool to an ordered list: the cascade, the scores, the order.

A ranking holds the materials that passed every filter, best score first, each with its interval,
votes, distance to the labels and filter trail; what was stopped is counted by filter.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ssefw.data.materials import Material, read_materials
from ssefw.data.pools import Reject, entries_in
from ssefw.documents import (
    Candidate,
    CascadeStep,
    Estimate,
    Gate,
    Provenance,
    RankedCandidate,
    RankedPart,
    Ranking,
)
from ssefw.errors import DataError
from ssefw.progress import counted
from ssefw.screening.base import Scores, Screener, load_screener
from ssefw.screening.conductivity.quantiles import INTERVAL, PREDICTED, asked_at, interval
from ssefw.screening.filters.cascade import Cascade, CascadeResult, preset_filters
from ssefw.screening.filters.gaps import read_gaps
from ssefw.screening.filters.phases import read_phases

__all__ = [
    "RankingResult",
    "merged_ranking",
    "rank_materials",
    "rank_part",
    "rank_pool",
    "ranked_candidates",
    "screen_properties",
]

CHUNK = 4096


class RankingResult:
    """A ranking, and what happened on the way to it.

    Attributes
    ----------
    ranking
        The document that is stored and fed to a campaign.
    cascade
        Counts and the trail of every material, also of those that were stopped.
    rejects
        Rows of the pool that could not be read.
    unscored
        Name of a material that passed the filters, and why it could not be scored.
    repeated
        Names of the rows that were left out because an earlier row has the same name.
    without_ion
        Names of the rows that hold no lithium; of a pool in a file, which is ranked as candidates.
    """

    def __init__(
        self,
        ranking: Ranking,
        cascade: CascadeResult,
        rejects: list[Reject],
        unscored: list[tuple[str, str]],
        repeated: list[str],
    ) -> None:
        self.ranking = ranking
        self.cascade = cascade
        self.rejects = rejects
        self.unscored = unscored
        self.repeated = repeated
        self.without_ion: list[str] = []


def rank_pool(
    pool: Path,
    model: Path,
    *,
    preset: str | None = None,
    phases: Path | None = None,
    gaps: Path | None = None,
    top: int | None = None,
    accepted_only: bool = False,
    threshold: float | None = None,
) -> RankingResult:
    """Rank the pool in a file by the model in another.

    Parameters
    ----------
    preset
        Filters of a paper that a material must pass, see `ssefw.screening.filters.cascade`.
    phases
        File of phases with formation energies, for oxidation limits.
    gaps
        Pool that states band gaps, from which those are predicted that `pool` does not state.
    top, accepted_only, threshold
        As for `rank_materials`.
    """
    screener = load_screener(model)
    cascade = None
    if preset:
        cascade = preset_filters(
            preset,
            phases=read_phases(phases) if phases else None,
            gaps=read_gaps(gaps) if gaps else None,
            known=screener.trained_on["formulas"],
        )
    without_ion: list[str] = []
    rows = counted(read_materials(pool), "reading the pool", total=lambda: entries_in(pool))
    result = rank_materials(
        _holding_lithium(rows, without_ion),
        screener,
        cascade=cascade,
        top=top,
        accepted_only=accepted_only,
        threshold=threshold,
    )
    result.without_ion = without_ion
    return result


def _holding_lithium(
    rows: Iterable[Material | Reject], without: list[str]
) -> Iterator[Material | Reject]:
    """Yield rows but those without lithium, since all labels are of lithium conductors."""
    for row in rows:
        if isinstance(row, Material) and "Li" not in row.composition:
            without.append(row.name)
        else:
            yield row


def rank_materials(
    rows: Iterable[Material | Reject],
    screener: Screener,
    *,
    cascade: Cascade | None = None,
    top: int | None = None,
    accepted_only: bool = False,
    threshold: float | None = None,
) -> RankingResult:
    """Rank the materials of a pool that pass a cascade.

    Rows that share a name are one material; the first counts.

    Parameters
    ----------
    top
        Length of the ranking; all that could be scored if None.
    accepted_only
        Keep only materials for which every member votes superionic (the rule of Kang et al. 2022).
    threshold
        S/cm whose probability is the score, of systems that predict the conductivity; that of the
        training if None.

    Raises
    ------
    DataError
        If nothing is left to rank; the message says what stopped the pool.
    """
    result = _ranked(
        rows,
        screener,
        cascade=cascade,
        top=top,
        accepted_only=accepted_only,
        threshold=threshold,
    )
    if not result.ranking.entries:
        raise DataError(_why_empty(result.cascade, result.rejects, result.unscored))
    return result


def rank_part(
    rows: Iterable[Material | Reject],
    screener: Screener,
    *,
    cascade: Cascade | None = None,
    top: int | None = None,
    accepted_only: bool = False,
    threshold: float | None = None,
) -> RankedPart:
    """Rank some rows of a large pool; see `rank_materials` for what is asked.

    Of these rows none may be left. `merged_ranking` joins the parts.

    Parameters
    ----------
    top
        So many of these rows are kept, since no more can be among the best of all.
    accepted_only, threshold
        As for `rank_materials`.
    """
    without_ion: list[str] = []
    result = _ranked(
        _holding_lithium(rows, without_ion),
        screener,
        cascade=cascade,
        top=top,
        accepted_only=accepted_only,
        threshold=threshold,
    )
    ranking = result.ranking
    return RankedPart(
        entries=ranking.entries,
        screener=ranking.screener,
        meaning=ranking.meaning,
        label_set=ranking.label_set,
        cascade=ranking.cascade,
        rejects=tuple((reject.source, reject.reason) for reject in result.rejects),
        unscored=tuple(result.unscored),
        without_ion=tuple(without_ion),
        provenance=ranking.provenance,
    )


def merged_ranking(
    parts: Sequence[RankedPart],
    *,
    top: int | None,
    read: Callable[[Collection[str]], list[Material]],
) -> RankingResult:
    """Join the parts of a pool to what `rank_pool` gives of the whole; names must differ.

    Parameters
    ----------
    read
        Returns the materials of some names.

    Raises
    ------
    DataError
        If nothing is left to rank.
    """
    entries = sorted(
        (entry for part in parts for entry in part.entries),
        key=lambda entry: (-entry.score, entry.source),
    )[:top]
    steps = [_sum_of(steps) for steps in zip(*(part.cascade for part in parts), strict=True)]
    outcome = CascadeResult(steps=steps)
    rejects = [Reject(*reject) for part in parts for reject in part.rejects]
    unscored = [pair for part in parts for pair in part.unscored]
    if not entries:
        raise DataError(_why_empty(outcome, rejects, unscored))
    outcome.passed = read({entry.source for entry in entries})
    ranking = Ranking(
        entries=tuple(entries),
        screener=parts[0].screener,
        # A part of which nothing was left to score has no meaning to tell.
        meaning=next((part.meaning for part in parts if part.meaning), ""),
        label_set=parts[0].label_set,
        cascade=tuple(steps),
        provenance=parts[0].provenance,
    )
    result = RankingResult(ranking, outcome, rejects, unscored, [])
    result.without_ion = [name for part in parts for name in part.without_ion]
    return result


def _sum_of(steps: Sequence[CascadeStep]) -> CascadeStep:
    return CascadeStep(
        name=steps[0].name,
        n_in=sum(step.n_in for step in steps),
        n_passed=sum(step.n_passed for step in steps),
        n_undetermined=sum(step.n_undetermined for step in steps),
    )


def _ranked(
    rows: Iterable[Material | Reject],
    screener: Screener,
    *,
    cascade: Cascade | None,
    top: int | None,
    accepted_only: bool,
    threshold: float | None,
) -> RankingResult:
    rejects: list[Reject] = []
    repeated: list[str] = []
    outcome = (cascade or Cascade(())).run(_unique(rows, rejects, repeated))
    lines: list[tuple[float, str, Material, Scores, int]] = []
    unscored: list[tuple[str, str]] = []
    meaning = ""
    for chunk in counted(list(_chunks(outcome.passed)), "scoring"):
        scores = screener.score(chunk)
        if accepted_only and scores.votes is None:
            raise DataError(
                f"A model of {screener.name!r} has no members that vote, so that none can accept. "
                "Train the system composition for the rule of Kang et al., or rank by the score."
            )
        if threshold is not None:
            scores = asked_at(scores, threshold)
        meaning = scores.meaning
        for row, material in enumerate(chunk):
            if row in scores.problems:
                unscored.append((material.name, scores.problems[row]))
            elif not accepted_only or _is_accepted(scores, row):
                lines.append((-scores.probability[row], material.name, material, scores, row))
    lines.sort(key=lambda line: line[:2])
    trained = screener.trained_on
    ranking = Ranking(
        entries=tuple(
            _entry(material, scores, row, outcome.trails[name])
            for _, name, material, scores, row in lines[:top]
        ),
        screener=screener.name,
        meaning=meaning,
        label_set=f"{trained['label_set']} {trained['label_version']}",
        cascade=(*outcome.steps, *_scored_steps(outcome, unscored, len(lines))),
        provenance=Provenance(
            engine=f"screen:{screener.name}", versions={"ssefw": version("ssefw")}
        ),
    )
    return RankingResult(ranking, outcome, rejects, unscored, repeated)


def ranked_candidates(result: RankingResult) -> list[Candidate]:
    """Return the entries that have a structure as candidates of a campaign, best first.

    What the pool states and the score, votes, distance and predicted conductivity (S/cm, with the
    ends of its interval) travel as properties.
    """
    materials = {material.name: material for material in result.cascade.passed}
    candidates = []
    for entry in result.ranking.entries:
        material = materials[entry.source]
        if material.build is None:
            continue
        properties = {**material.properties, **screen_properties(entry)}
        candidates.append(
            Candidate(
                id=entry.candidate_id,
                formula=material.structure.composition.reduced_formula,
                structure=material.structure,
                source=entry.source,
                properties=properties,
            )
        )
    return candidates


def screen_properties(entry: RankedCandidate) -> dict[str, Any]:
    """Return what a screen says of a material, as properties that travel with its crystal."""
    said: dict[str, Any] = {
        "screen_score": entry.score,
        "screen_votes": entry.votes,
        "screen_distance": entry.distance,
    }
    sigma = entry.sigma
    if sigma is None:
        return said
    names = ("screen_sigma", "screen_sigma_lower", "screen_sigma_upper")
    return said | dict(zip(names, (sigma.value, sigma.lower, sigma.upper), strict=True))


def _unique(
    rows: Iterable[Material | Reject], rejects: list[Reject], repeated: list[str]
) -> Iterator[Material]:
    seen: set[str] = set()
    for row in rows:
        if isinstance(row, Reject):
            rejects.append(row)
        elif row.name in seen:
            repeated.append(row.name)
        else:
            seen.add(row.name)
            yield row


def _chunks(materials: list[Material]) -> Iterator[list[Material]]:
    stream = iter(materials)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


def _is_accepted(scores: Scores, row: int) -> bool:
    return scores.votes is not None and int(scores.votes[row]) == scores.n_votes


def _scored_steps(
    outcome: CascadeResult, unscored: list[tuple[str, str]], n_lines: int
) -> list[CascadeStep]:
    return [
        CascadeStep(
            name="score",
            n_in=len(outcome.passed),
            n_passed=n_lines,
            n_undetermined=len(unscored),
        )
    ]


def _entry(
    material: Material, scores: Scores, row: int, trail: tuple[Gate, ...]
) -> RankedCandidate:
    return RankedCandidate(
        candidate_id=material.candidate_id,
        formula=material.formula,
        score=float(scores.probability[row]),
        spread=float(scores.spread[row]),
        source=material.name,
        lower=float(scores.lower[row]),
        upper=float(scores.upper[row]),
        votes=None if scores.votes is None else int(scores.votes[row]),
        n_votes=scores.n_votes,
        distance=None if scores.distance is None else float(scores.distance[row]),
        trail=trail,
        sigma=_conductivity(scores, row),
        votes_by_kind={
            name.removeprefix("votes_"): int(values[row])
            for name, values in scores.details.items()
            if name.startswith("votes_")
        },
    )


def _conductivity(scores: Scores, row: int) -> Estimate | None:
    if scores.quantiles is None or scores.log_sigma is None:
        return None
    if not np.isfinite(scores.log_sigma[row]):
        return None
    low, high = interval(scores.quantiles[row : row + 1])
    return Estimate(
        value=float(10 ** scores.log_sigma[row]),
        lower=float(10 ** low[0]),
        upper=float(10 ** high[0]),
        unit="S/cm",
        level=INTERVAL,
        method=PREDICTED,
    )


def _why_empty(
    outcome: CascadeResult, rejects: list[Reject], unscored: list[tuple[str, str]]
) -> str:
    counts = ", ".join(
        f"{step.name} {step.n_in} -> {step.n_passed} ({step.n_undetermined} undetermined)"
        for step in outcome.steps
    )
    reasons = [f"{reject.source}: {reject.reason}" for reject in rejects[:1]]
    reasons += [f"{name}: {reason}" for name, reason in unscored[:1]]
    return (
        "Nothing of the pool is left to rank. "
        + (f"Filters: {counts}. " if counts else "")
        + (f"First problem: {reasons[0]} " if reasons else "")
        + "Loosen the filters or give a pool that states what they ask for; --gaps and --phases "
        "let gaps and oxidation limits be predicted."
    )
