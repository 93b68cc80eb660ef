"""``ssefw results``: what was computed."""

import csv
import sys
from typing import TYPE_CHECKING

import click

from ssefw.cli.options import json_option, opened, print_json, store_option
from ssefw.errors import StoreError

if TYPE_CHECKING:
    from ssefw.documents import Barrier, Outcome

STATUSES = ("determined", "bound", "undetermined", "rejected", "failed")


@click.group(
    invoke_without_command=True, epilog="Example: ssefw results --min-sigma 1e-4 --store demo"
)
@store_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="A table with one row for each candidate.")
@click.option("--campaign", help="Only this campaign.")
@click.option("--status", type=click.Choice(STATUSES), help="Only outcomes of this status.")
@click.option("--formula", help="Only this reduced formula.")
@click.option("--min-sigma", type=float, help="Only conductivities of at least so much (S/cm).")
@click.pass_context
def command(
    context: click.Context,
    *,
    as_json: bool,
    as_csv: bool,
    campaign: str | None,
    status: str | None,
    formula: str | None,
    min_sigma: float | None,
) -> None:
    """List outcomes, best conductor first."""
    if context.invoked_subcommand is not None:
        return
    from ssefw.documents import Outcome
    from ssefw.report.rows import CSV_COLUMNS, flat, rank_outcomes, summary, with_sigma_above

    where = {key: value for key, value in (("status", status), ("formula", formula)) if value}
    with opened(read_only=True) as connection:
        outcomes = list(connection.results.find(Outcome, campaign=campaign, where=where))
    if min_sigma is not None:
        outcomes = list(with_sigma_above(outcomes, min_sigma))
    ranked = rank_outcomes(outcomes)
    if as_json:
        for outcome in ranked:
            print_json(summary(outcome))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, CSV_COLUMNS)
        writer.writeheader()
        writer.writerows(flat(outcome) for outcome in ranked)
    else:
        _print_table(ranked)


def _print_table(outcomes: "list[Outcome]") -> None:
    from rich.table import Table

    from ssefw.cli.console import console, show_estimate

    if not outcomes:
        console().print("No outcome fits. `ssefw status` shows what is still running.")
        return
    table = Table(caption="intervals and bounds at the confidence level of the campaign")
    table.add_column("formula")
    table.add_column("campaign")
    table.add_column("status")
    table.add_column("sigma (S/cm)")
    table.add_column("T (K)", justify="right")
    table.add_column("E_a (eV)")
    has_bands = any(outcome.barrier for outcome in outcomes)
    if has_bands:
        table.add_column("NEB 1D/2D/3D (eV)")
    table.add_column("MD (ps)", justify="right")
    table.add_column("why", overflow="fold")
    for outcome in outcomes:
        fit = outcome.conductivity
        table.add_row(
            outcome.formula,
            outcome.campaign,
            outcome.status,
            show_estimate(fit.conductivity if fit else None),
            f"{fit.temperature:g}" if fit else "",
            show_estimate(fit.activation_energy if fit else None),
            *([_bands(outcome.barrier)] if has_bands else []),
            f"{sum(point.duration for point in outcome.diffusivities):.3g}",
            outcome.reason,
        )
    console().print(table)


def _bands(barrier: "Barrier | None") -> str:
    from ssefw.report.rows import levels

    if barrier is None:
        return "–"
    return " / ".join("–" if x.value is None else f"{x.value:.2f}" for x in levels(barrier))


@command.command("show", epilog="Example: ssefw results show 3f2a --store demo")
@click.argument("candidate")
@store_option
def show(candidate: str) -> None:
    """Show everything that is known of a candidate, by id (or its beginning) or formula."""
    from ssefw.documents import Outcome
    from ssefw.report.rows import summary

    with opened(read_only=True) as connection:
        found = [
            outcome
            for outcome in connection.results.find(Outcome)
            if outcome.candidate_id.startswith(candidate) or outcome.formula == candidate
        ]
    if not found:
        raise StoreError(
            f"There is no outcome for {candidate!r}. `ssefw results` lists those there are."
        )
    for outcome in found:
        print_json(summary(outcome))
