"""The pool in a file, ranked by the model in another."""

from pathlib import Path

from ssefw.data.materials import read_materials
from ssefw.data.pools import entries_in
from ssefw.progress import counted
from ssefw.screening.base import load_screener
from ssefw.screening.filters.cascade import preset_filters
from ssefw.screening.filters.gaps import read_gaps
from ssefw.screening.filters.phases import read_phases
from ssefw.screening.ranking.order import rank_materials
from ssefw.screening.ranking.result import RankingResult
from ssefw.screening.ranking.rows import holding_lithium

__all__ = ["rank_pool"]


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
        holding_lithium(rows, without_ion),
        screener,
        cascade=cascade,
        top=top,
        accepted_only=accepted_only,
        threshold=threshold,
    )
    result.without_ion = without_ion
    return result
