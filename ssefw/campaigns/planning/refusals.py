"""Candidates that a campaign would refuse after relaxing them, found before it is submitted."""

import math
from collections.abc import Iterable, Iterator

from ssefw.campaigns.planning.selection import Excluded
from ssefw.data import HeldCandidate
from ssefw.data.defects import supercell_size
from ssefw.makers import CandidateMaker, LadderMaker

__all__ = ["certainly_too_large", "perhaps_too_large"]


def certainly_too_large(
    maker: CandidateMaker, candidates: Iterable[HeldCandidate]
) -> Iterator[Excluded]:
    """Yield the candidates whose cells exceed ``max_atoms`` however they relax.

    A cell that grows in relaxation needs fewer repeats. Where bands are asked for beside dynamics,
    a candidate is of use without these and stays.
    """
    ladder = maker.ladder
    if ladder is None or maker.neb is not None:
        return
    growth = 1.0
    if maker.relax.relax_cell and not maker.relax.skip:
        # Beyond this change of volume the candidate is refused as well.
        growth = (1.0 + maker.max_volume_change) ** (1.0 / 3.0)
    for candidate in candidates:
        if not candidate.is_ordered:
            continue  # it is ordered in a cell of its own
        if _atoms(ladder, candidate, growth) > ladder.max_atoms:
            yield Excluded(
                candidate.id,
                candidate.formula,
                candidate.source,
                "too_large",
                _reason(ladder, candidate),
            )


def perhaps_too_large(
    maker: CandidateMaker, candidates: Iterable[HeldCandidate]
) -> Iterator[tuple[HeldCandidate, str]]:
    """Yield the candidates whose cells exceed ``max_atoms`` unless they grow, and why."""
    ladder = maker.ladder
    if ladder is not None:
        for candidate in candidates:
            if not candidate.is_ordered:
                continue
            if _atoms(ladder, candidate, 1.0) > ladder.max_atoms:
                yield candidate, _reason(ladder, candidate)


def _atoms(ladder: LadderMaker, candidate: HeldCandidate, growth: float) -> int:
    """Return the atoms of the cell that an ordered structure would have."""
    repeats = supercell_size(candidate, min_length=ladder.min_length / growth)
    return candidate.num_sites * math.prod(repeats)


def _reason(ladder: LadderMaker, candidate: HeldCandidate) -> str:
    return (
        f"needs {_atoms(ladder, candidate, 1.0)} atoms for {ladder.min_length:g} A between faces, "
        f"more than supercell.max_atoms = {ladder.max_atoms}; lower supercell.min_length or raise "
        "max_atoms"
    )
