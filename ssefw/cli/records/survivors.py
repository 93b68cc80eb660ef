"""``ssefw results table``: the candidates that are left, as papers tabulate them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli import complete
from ssefw.cli.options import OUTPUT, json_option, opened, pick_campaign, print_json, store_option
from ssefw.files import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ssefw.documents import Estimate
    from ssefw.report.survivors import Survivor

__all__ = ["print_survivors", "table_command", "write_table"]


@click.command("table", epilog="Example: ssefw results table quickstart --store demo -o table2.csv")
@click.argument("campaign", required=False, shell_complete=complete.campaigns)
@store_option
@click.option("--all", "is_all", is_flag=True, help="Also what a gate rejected and what failed.")
@click.option("--csv", "as_csv", is_flag=True, help="The table as CSV.")
@click.option("-o", "--out", type=OUTPUT, help="Write the table here (.csv).")
@json_option
def table_command(
    *, campaign: str | None, is_all: bool, as_csv: bool, out: Path | None, as_json: bool
) -> None:
    """Tabulate the candidates that a campaign leaves, best conductor first.

    Space group, hull energy and gap as the pool states them, barriers from site energies and NEB,
    what a screen predicted, what was computed, and all ids. `screen rank --table` writes the same
    table of a pool before anything is computed.
    """
    from ssefw.campaigns.running.watch import latest_record
    from ssefw.documents import Outcome
    from ssefw.report.rows import rank_outcomes
    from ssefw.report.survivors import survivors_of, write_survivors

    if as_json and (as_csv or out is not None):
        raise click.UsageError("give --json, or --csv and --out")
    with opened(read_only=True) as connection:
        record = latest_record(connection, pick_campaign(connection, campaign))
        outcomes = rank_outcomes(connection.results.find(Outcome, campaign=record.campaign))
        left = [one for one in outcomes if is_all or one.status not in {"rejected", "failed"}]
        rows = list(survivors_of(connection, record, left))
    if out is not None:
        write_table(rows, out)
    elif as_csv:
        write_survivors(rows, sys.stdout)
    elif as_json:
        for row in rows:
            print_json(row.columns())
    else:
        print_survivors(rows)


def write_table(rows: "Sequence[Survivor]", path: Path) -> None:
    """Write the table as a file that is there whole."""
    from ssefw.report.survivors import write_survivors

    with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        write_survivors(rows, file)


def print_survivors(rows: "Sequence[Survivor]") -> None:
    """Print the table; a column that says nothing of any candidate is left out."""
    from ssefw.cli.listing import Heading, Listing

    columns = (
        (Heading("name", 1), [row.name or row.candidate_id[:8] for row in rows]),
        (Heading("formula"), [row.formula for row in rows]),
        (
            Heading("space group", 2),
            [row.space_group[0] if row.space_group else "" for row in rows],
        ),
        (Heading("hull (eV/atom)", 3, "right"), [_number(row.e_hull, 3) for row in rows]),
        (Heading("gap (eV)", 4, "right"), [_gap(row) for row in rows]),
        (Heading("BVSE (eV)", 1, "right"), [_number(row.bvse_barrier, 2) for row in rows]),
        (Heading("NEB (eV)", 0), [_shown(row.neb_barrier) for row in rows]),
        (Heading("score", 5, "right"), [_number(row.score, 2) for row in rows]),
        (Heading("predicted (S/cm)", 3), [_shown(row.predicted) for row in rows]),
        (Heading("sigma (S/cm)", 0), [_shown(row.sigma) for row in rows]),
        (Heading("ids", 6), ["; ".join(row.ids) for row in rows]),
    )
    shown = [(heading, cells) for heading, cells in columns if any(cells)]
    table = Listing(
        [heading for heading, _ in shown],
        caption="gap: * predicted from the gaps of another pool"
        if any(row.gap_from == "predicted" for row in rows)
        else "",
    )
    for cells in zip(*(cells for _, cells in shown), strict=True):
        table.add(*(cell or "–" for cell in cells))
    table.show()


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _gap(row: "Survivor") -> str:
    return _number(row.band_gap, 2) + ("*" if row.gap_from == "predicted" else "")


def _shown(estimate: "Estimate | None") -> str:
    from ssefw.cli.console import show_estimate

    if estimate is None or estimate.kind == "undetermined":
        return ""
    return show_estimate(estimate)
