"""Labels as a table for people."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ssefw.documents import Label

__all__ = ["print_labels"]


def print_labels(labels: "Sequence[Label]") -> None:
    """Print labels; what was computed stands beside what was moved to the scale of experiment."""
    from rich.table import Table

    from ssefw.cli.console import console, show_estimate

    are_moved = any(label.as_computed is not None for label in labels)
    columns = ["formula", "kind", "level of theory", "T (K)", "sigma (S/cm)"]
    columns += ["as computed"] if are_moved else []
    table = Table()
    for title in (*columns, "from"):
        table.add_column(title, overflow="fold")
    for label in labels:
        moved = show_estimate(label.as_computed, digits=3) if label.as_computed else ""
        table.add_row(
            label.formula,
            label.kind,
            label.level_of_theory,
            f"{label.temperature:g}",
            show_estimate(label.conductivity, digits=3),
            *([moved] if are_moved else []),
            label.row_id or label.reference,
        )
    console().print(table)
