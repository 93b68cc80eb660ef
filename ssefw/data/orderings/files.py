"""Ordered cells as files: a CIF for each, and a table of all."""

import io
from collections.abc import Iterable
from pathlib import Path

from ssefw.documents import Candidate, Orderings
from ssefw.files import replacing
from ssefw.files.tables import TableWriter

__all__ = ["write_orderings"]


def write_orderings(found: Iterable[tuple[Candidate, Orderings]], folder: Path) -> int:
    """Write each cell as CIF and all of them into ``orderings.csv``; return the number of cells."""
    folder.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    rows = TableWriter(
        table,
        ["file", "source", "formula", "atoms", "above_lowest_meV_per_atom", "composition_error"],
    )
    n_cells = 0
    for candidate, orderings in found:
        stem = Path(candidate.source).name.split(".")[0] or candidate.id
        for ordering in orderings.orderings:
            name = f"{stem}_{candidate.id[:6]}_{ordering.index}.cif"
            _write(folder / name, ordering.structure.to(fmt="cif"))
            above = f"{1000.0 * ordering.above_lowest:.3f}"
            error = f"{orderings.error:.5f}"
            rows.write([name, candidate.source, orderings.formula, orderings.n_atoms, above, error])
            n_cells += 1
    _write(folder / "orderings.csv", table.getvalue())
    return n_cells


def _write(path: Path, text: str) -> None:
    with replacing(path) as draft:
        draft.write_text(text)
