"""Which disordered candidates a campaign can order, and how large their cells are."""

from collections.abc import Sequence

from ssefw.campaigns.file import CampaignSpec
from ssefw.campaigns.planning.selection import Excluded
from ssefw.data import HeldCandidate
from ssefw.documents import OrderingSettings
from ssefw.errors import DataError
from ssefw.progress import counted

__all__ = ["ordering_settings", "with_cells"]

ONLY_BANDS = (
    "{} is disordered, and bands are computed of ordered crystals: give its cells from "
    "`ssefw pool order`."
)


def with_cells(
    candidates: Sequence[HeldCandidate], spec: CampaignSpec
) -> tuple[tuple[HeldCandidate, ...], dict[str, int], tuple[Excluded, ...]]:
    """Return candidates up to the pool's limit, and without those that cannot be ordered.

    Returns them, the atoms in the cells of each disordered one by its id, and who was left out.
    """
    kept: list[HeldCandidate] = []
    cells: dict[str, int] = {}
    refused: list[Excluded] = []
    for candidate in counted(candidates, "preparing cells"):
        if spec.pool.limit is not None and len(kept) == spec.pool.limit:
            break
        size = 0 if candidate.is_ordered else _size(candidate, spec)
        if isinstance(size, str):
            refused.append(
                Excluded(
                    candidate_id=candidate.id,
                    formula=candidate.formula,
                    source=candidate.source,
                    code="orderings",
                    reason=size,
                )
            )
            continue
        if size:
            cells[candidate.id] = size
        kept.append(candidate)
    return tuple(kept), cells, tuple(refused)


def ordering_settings(spec: CampaignSpec) -> OrderingSettings:
    """Return how disordered candidates are ordered: in the cell that is simulated.

    Where a potential is taught it is that of the lesson, which is repeated for its dynamics.
    """
    cell = spec.supercell if spec.learn is None else spec.learn.cell
    return OrderingSettings(
        **spec.orderings.model_dump(exclude={"relax"}),
        min_length=cell.min_length,
        max_atoms=cell.max_atoms,
        mobile=spec.specie,
    )


def _size(candidate: HeldCandidate, spec: CampaignSpec) -> int | str:
    """Return the atoms in a cell, or why there is none."""
    if spec.md is None:
        return ONLY_BANDS.format(candidate.formula)
    # Compiled kernels, which a plan of ordered crystals does not need.
    from ssefw.data.orderings import cell_size  # noqa: PLC0415

    try:
        return cell_size(candidate.structure, ordering_settings(spec))
    except DataError as error:
        return str(error)
