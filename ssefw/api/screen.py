"""A pool that is put in order from Python."""

from pathlib import Path

from ssefw.api.checked import checked
from ssefw.api.records import Records
from ssefw.documents import RankedCandidate
from ssefw.screening.ranking import rank_pool
from ssefw.units import AskedCount

__all__ = ["rank"]


@checked
def rank(
    pool: str | Path,
    model: str | Path,
    *,
    preset: str | None = None,
    phases: str | Path | None = None,
    top: AskedCount | None = None,
    accepted_only: bool = False,
) -> Records[RankedCandidate]:
    """Order a pool by the score of a trained model, best first, after the filters of a preset.

    What ``ssefw screen rank`` does.

    Parameters
    ----------
    pool
        A folder, or a file such as ``pool.jsonl.gz``.
    model
        What ``ssefw screen train`` wrote.
    preset
        Filters of a paper: kang2022, laskowski2023 or mchaffie2025.
    phases
        Phases with formation energies, for oxidation limits.
    top
        Length of the ranking; all that could be scored if None.
    accepted_only
        Only what every member votes for.

    Raises
    ------
    DataError
        If nothing is left to rank; the message says what stopped the pool.
    """
    found = rank_pool(
        Path(pool),
        Path(model),
        preset=preset,
        phases=None if phases is None else Path(phases),
        top=top,
        accepted_only=accepted_only,
    )
    return Records(RankedCandidate, found.ranking.entries, name="candidates")
