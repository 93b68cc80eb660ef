"""Labels as a table for people."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ssefw.documents import Label

__all__ = ["print_labels"]


def print_labels(labels: "Sequence[Label]") -> None:
    """Print labels; what was computed stands beside what was moved to the scale of experiment."""
    from ssefw.cli.console import show_estimate
    from ssefw.cli.listing import Heading, Listing

    are_moved = any(label.as_computed is not None for label in labels)
    table = Listing(
        [
            Heading("formula"),
            Heading("kind", 1),
            Heading("level of theory", 3),
            Heading("T (K)", 0, "right"),
            Heading("sigma (S/cm)"),
            *([Heading("as computed (S/cm)", 2)] if are_moved else []),
            Heading("from", 4),
        ]
    )
    for label in labels:
        moved = show_estimate(label.as_computed, digits=3) if label.as_computed else ""
        table.add(
            label.formula,
            label.kind,
            label.level_of_theory,
            f"{label.temperature:g}",
            show_estimate(label.conductivity, digits=3),
            *([moved] if are_moved else []),
            label.row_id or label.reference,
        )
    table.show()
