"""Results as tables for people."""

from collections.abc import Sequence
from typing import Any

from ssefw.cli.console import show_estimate
from ssefw.cli.listing import Heading, Listing
from ssefw.cli.records.labels_table import print_labels
from ssefw.documents import Barrier, FoundConductivity
from ssefw.report.readable import LONG, column_words, readable, unit_end
from ssefw.report.rows import levels
from ssefw.report.tables import row
from ssefw.report.whose import Whose

__all__ = ["print_outcomes", "print_rows"]

ID_SHOWN = 8
"""Characters of an id that tell candidates apart, and that `show` takes."""
LEVELS = "intervals and bounds at the confidence level of the campaign"
SPARE = {"candidate_id": 2, "campaign": 3, "name": 1, "formula": 0, "temperature_k": 0}
"""Which columns go first where there is no room, those with the highest; results stay."""
OTHERS = 5

Row = tuple[Any, Whose]


def print_rows(kind: str, found: Sequence[Row]) -> None:
    """Print results of a kind, each with whose it is."""
    if kind == "outcomes":
        print_outcomes(found)
    elif kind == "conductivities":
        _print_conductivities(found)
    elif kind == "labels":
        print_labels([label for label, _ in found])
    else:
        _print_columns(found)


def print_outcomes(found: Sequence[Row]) -> None:
    """Print outcomes, the reason of each below it."""
    has_bands = any(outcome.barrier for outcome, _ in found)
    has_names = any(whose.name for _, whose in found)
    table = Listing(
        [
            Heading("formula"),
            *([Heading("name", 2)] if has_names else []),
            Heading("id", 3),
            Heading("campaign", 5),
            Heading("status"),
            Heading("sigma (S/cm)"),
            Heading("T (K)", 1, "right"),
            Heading("E_a (eV)", 4),
            *([Heading("NEB 1D/2D/3D (eV)", 1)] if has_bands else []),
            Heading("MD (ps)", 6, "right"),
        ],
        caption=LEVELS,
    )
    for outcome, whose in found:
        fit = outcome.conductivity
        table.add(
            outcome.formula,
            *([whose.name] if has_names else []),
            outcome.candidate_id[:ID_SHOWN],
            outcome.campaign,
            outcome.status,
            show_estimate(fit.conductivity if fit else None),
            f"{fit.temperature:g}" if fit else "",
            show_estimate(fit.activation_energy if fit else None),
            *([_bands(outcome.barrier)] if has_bands else []),
            f"{sum(point.duration for point in outcome.diffusivities):.3g}",
            notes=[outcome.reason],
        )
    table.show()


def _bands(barrier: Barrier | None) -> str:
    if barrier is None:
        return "–"
    return " / ".join("–" if x.value is None else f"{x.value:.2f}" for x in levels(barrier))


def _print_conductivities(found: Sequence[tuple[FoundConductivity, Whose]]) -> None:
    table = Listing(
        [
            Heading("formula"),
            Heading("name", 3),
            Heading("campaign", 4),
            Heading("T (K)", 0, "right"),
            Heading("sigma (S/cm)"),
            Heading("E_a (eV)", 1),
            Heading("from", 2),
            Heading("analysis", 5),
        ],
        caption=LEVELS,
    )
    for item, whose in found:
        used = ", ".join(f"{p.temperature:g}" for p in item.fit.points if p.is_used)
        table.add(
            item.formula,
            whose.name,
            item.campaign,
            f"{item.temperature:g}",
            show_estimate(item.conductivity),
            show_estimate(item.activation_energy),
            "run" if item.is_simulated else f"fit of {used or 'no'} K",
            item.analysis_version,
        )
    table.show()


def _print_columns(found: Sequence[Row]) -> None:
    """Print all columns of a table, estimates as one with their interval."""
    columns_of = row(*found[0])
    rows = [readable(row(document, whose), show_estimate) for document, whose in found]
    names = [name for name in rows[0] if any(line[name] not in {None, ""} for line in rows)]
    shown = [name for name in names if name not in LONG]
    headings = []
    for name in shown:
        is_number = all(not isinstance(line[name], str) for line in rows)
        is_estimate = f"{name.removesuffix(unit_end(name))}_kind" in columns_of
        spare = 0 if is_estimate else SPARE.get(name, OTHERS)
        headings.append(Heading(column_words(name), spare, "right" if is_number else "left"))
    table = Listing(headings)
    for line in rows:
        notes = [
            f"{name}: {line[name]}"
            for name in LONG
            if name in names and line[name] not in {None, "", line["name"]}
        ]
        table.add(*(_cell(name, line[name]) for name in shown), notes=notes)
    table.show()


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return "–"
    if name.endswith(("candidate_id", "key")):
        return str(value)[:ID_SHOWN]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
