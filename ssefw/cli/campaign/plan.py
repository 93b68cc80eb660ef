"""``ssefw plan``: what a campaign would run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli.options import changed, json_option, print_json, store_option, warn_of_missing

if TYPE_CHECKING:
    from ssefw.campaigns.planning.plan import Plan
    from ssefw.documents import CampaignRecord
    from ssefw.makers import CandidateMaker

SHOWN = 40


@click.command(epilog="Example: ssefw plan workflows/quickstart.yaml")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@json_option
@click.option("--inputs", is_flag=True, help="Print all input files of the first candidate.")
def command(file: Path, *, as_json: bool, inputs: bool) -> None:
    """Show what a campaign would run and what it would cost; nothing is written.

    If the store holds it with other settings, also what of it stays and what is computed again.
    """
    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.running.launch import campaign_record

    plan = make_plan(read_campaign(file))
    if inputs:
        for name, text in plan.input_files(plan.candidates[0]).items():
            click.echo(f"==> {name} <==\n{text.rstrip()}\n")
        return
    warn_of_missing(plan)
    record = campaign_record(plan)
    if as_json:
        for candidate in record.candidates:
            print_json(candidate.model_dump(mode="json"))
        return

    _print_table(plan, record)
    if change := changed(plan):
        click.echo(str(change))


def _print_table(plan: "Plan", record: "CampaignRecord") -> None:
    from rich.table import Table

    from ssefw.cli.console import console

    table = Table(title=f"Campaign {record.campaign}", caption=_stages(plan.maker))
    for name in ("#", "formula", "source"):
        table.add_column(name)
    for name in ("atoms", "MD steps", "core hours"):
        table.add_column(name, justify="right")
    for number, planned in enumerate(record.candidates[:SHOWN], start=1):
        hours = "?" if planned.core_hours is None else f"{planned.core_hours:.3g}"
        table.add_row(
            str(number),
            planned.formula,
            planned.source,
            str(planned.n_atoms),
            str(planned.md_steps),
            hours,
        )
    if len(record.candidates) > SHOWN:
        table.add_row("...", f"{len(record.candidates) - SHOWN} more", "", "", "", "")
    known = [planned.core_hours for planned in record.candidates if planned.core_hours is not None]
    total = f"{sum(known):.3g}" if len(known) == len(record.candidates) else "?"
    steps = sum(planned.md_steps for planned in record.candidates)
    table.add_section()
    table.add_row("", f"{len(record.candidates)} candidates", "", "", str(steps), total)
    console().print(table)
    for step in plan.steps:
        console().print(f"  {step.name}: {step.n_in} -> {step.n_passed}")
    for item in record.excluded[:SHOWN]:
        console().print(f"  left out: {item.formula or item.source}: {item.reason}", soft_wrap=True)
    for duplicate, kept in plan.merged:
        console().print(f"  duplicate: {duplicate} is {kept}", soft_wrap=True)


def _stages(maker: "CandidateMaker") -> str:
    stages = [] if maker.bvse is None else [f"BVSE at most {maker.bvse.max_barrier:g} eV"]
    stages.append("static" if maker.relax.skip else "relax")
    if (bands := maker.neb) is not None:
        limit = "" if bands.max_barrier is None else f", at most {bands.max_barrier:g} eV"
        first = f" after {bands.first.name}" if bands.first else ""
        if bands.converge is not None:
            stages.append(f"cutoffs and k-points to {1e3 * bands.converge:g} meV/atom")
        images = bands.settings.n_images
        stages.append(
            f"NEB of {bands.hops} {bands.settings.mechanism} hops, {images} images, "
            f"{bands.engine.name}{first}{limit}"
        )
    if (ladder := maker.ladder) is None:
        return " > ".join(stages)
    temperatures = ", ".join(f"{t:g}" for t in sorted(ladder.temperatures))
    at_most = f" at most {ladder.adaptive.max_runs} of" if ladder.adaptive else ""
    if ladder.triage is not None:
        at = f"{ladder.triage.length:g} ps at {ladder.triage.temperature:g} K"
        stages.append(f"triage {at}, {ladder.triage.min_hops:g} hops or more")
    stages.append(f"MD {ladder.length:g} ps at{at_most} {temperatures} K")
    stages += ["diffusivity", f"Arrhenius, sigma({ladder.conductivity_temperature:g} K)"]
    return " > ".join(stages) + f"; engine {ladder.md.engine.name}"
