"""Materials in the order of their scores, after a cascade of filters."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import islice

from ssefw.data.materials import Material
from ssefw.data.pools import Reject
from ssefw.documents import CascadeStep, Provenance, Ranking
from ssefw.errors import DataError
from ssefw.progress import counted
from ssefw.screening.base import Scores, Screener
from ssefw.screening.conductivity.quantiles import asked_at
from ssefw.screening.filters.cascade import Cascade, CascadeResult
from ssefw.screening.ranking.entries import entry_of, is_accepted
from ssefw.screening.ranking.result import RankingResult
from ssefw.screening.ranking.rows import unique

__all__ = ["rank_materials", "scored_order"]

CHUNK = 4096
"""Materials that are scored at a time."""


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
    result = scored_order(
        rows,
        screener,
        cascade=cascade,
        top=top,
        accepted_only=accepted_only,
        threshold=threshold,
    )
    result.refuse_empty()
    return result


def scored_order(
    rows: Iterable[Material | Reject],
    screener: Screener,
    *,
    cascade: Cascade | None,
    top: int | None,
    accepted_only: bool,
    threshold: float | None,
) -> RankingResult:
    """Return what `rank_materials` does, also where nothing is left.

    Parameters
    ----------
    rows, screener, cascade, top, accepted_only, threshold
        As there.
    """
    rejects: list[Reject] = []
    repeated: list[str] = []
    outcome = (cascade or Cascade(())).run(unique(rows, rejects, repeated))
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
            elif not accepted_only or is_accepted(scores, row):
                lines.append((-scores.probability[row], material.name, material, scores, row))
    lines.sort(key=lambda line: line[:2])
    trained = screener.trained_on
    ranking = Ranking(
        entries=tuple(
            entry_of(material, scores, row, outcome.trails[name])
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


def _chunks(materials: list[Material]) -> Iterator[list[Material]]:
    stream = iter(materials)
    while chunk := list(islice(stream, CHUNK)):
        yield chunk


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
