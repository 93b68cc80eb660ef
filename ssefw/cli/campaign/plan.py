"""``ssefw plan``: what a campaign would run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli.numbers import COUNT
from ssefw.cli.options import (
    changed,
    continued,
    core_count,
    json_option,
    opened,
    print_json,
    quiet_option,
    store_option,
    warn_of_missing,
)
from ssefw.cli.say import number_of, say

if TYPE_CHECKING:
    from ssefw.campaigns.planning.cost import Pace
    from ssefw.campaigns.planning.plan import Plan
    from ssefw.documents import CampaignRecord
    from ssefw.makers import CandidateMaker

SHOWN = 40


@click.command(epilog="Example: ssefw plan workflows/quickstart.yaml")
@click.argument("file", type=click.Path(path_type=Path))
@store_option
@quiet_option
@json_option
@click.option(
    "--probe",
    type=COUNT,
    metavar="STEPS",
    help="Run so many steps of the first candidate's dynamics, to know what they cost here.",
)
@click.option("--inputs", is_flag=True, help="Print all input files of the first candidate.")
def command(file: Path, *, quiet: bool, as_json: bool, inputs: bool, probe: int | None) -> None:
    """Show what a campaign would run and what it would cost; nothing is stored.

    If the store holds it with other settings, also what of it stays and what is computed again.
    """
    from ssefw.campaigns.file import read_campaign
    from ssefw.campaigns.planning.plan import make_plan
    from ssefw.campaigns.running.submission import campaign_record
    from ssefw.cli.console import progress

    with progress(quiet=quiet):
        plan = continued(make_plan(read_campaign(file), workers=core_count()))
    if inputs:
        _print_inputs(plan)
        return
    warn_of_missing(plan)
    pace = _probed(plan, probe) if probe else _pace(plan)
    with progress(quiet=quiet):
        record = campaign_record(plan, pace=pace)
    if as_json:
        for candidate in record.candidates:
            print_json(candidate.model_dump(mode="json"))
        return

    _print_table(plan, record)
    _print_basis(plan, pace)
    if change := changed(plan):
        say(str(change))


def _print_inputs(plan: "Plan") -> None:
    """Print the input files of the first candidate that will come to its dynamics."""
    from ssefw.campaigns.planning.refusals import perhaps_too_large
    from ssefw.errors import LaunchError

    found = perhaps_too_large(plan.maker, plan.candidates)
    doubtful = {candidate.id: reason for candidate, reason in found}
    chosen = next((item for item in plan.candidates if item.id not in doubtful), None)
    if chosen is None:
        raise LaunchError(
            f"No candidate may be simulated as it is: {plan.candidates[0].formula} "
            f"{doubtful[plan.candidates[0].id]}."
        )
    for name, text in plan.input_files(chosen).items():
        say(f"==> {name} <==\n{text.rstrip()}\n")


def _probed(plan: "Plan", steps: int) -> "Pace":
    """Return the pace of some steps that are run now."""
    from ssefw.campaigns.planning.probe import probe
    from ssefw.engines.stopping import stopping_on_signals

    with stopping_on_signals():
        return probe(plan, steps=steps)


def _pace(plan: "Plan") -> "Pace | None":
    """Return how long steps of the plan's dynamics took in the store of the settings, if any."""
    from ssefw.campaigns.planning.cost import seen_pace
    from ssefw.errors import StoreError

    if plan.maker.ladder is None:
        return None
    try:
        with opened(read_only=True) as connection:
            return seen_pace(connection, plan.maker.ladder.md.engine)
    except StoreError:
        return None


def _print_basis(plan: "Plan", pace: "Pace | None") -> None:
    """Say what the core-hours rest on, and who may be refused."""
    from ssefw.campaigns.planning.refusals import perhaps_too_large

    ladder = plan.maker.ladder
    engine = ladder.md.engine if ladder else plan.maker.relax.engine
    if pace is not None and pace.n_steps:
        said = f"at the pace of {pace.n_steps} steps of {engine.name} on this machine"
    elif pace is not None:
        said = f"at the pace of {pace.n_runs} runs of {engine.name} in the store"
    else:
        said = (
            f"by a rough model of {engine.name}: a step may take {engine.doubt:g} times as long "
            "on your machine"
        )
    say(
        f"Core-hours {said}. At most: all runs go to their longest, relaxations too. What gates "
        "and triage end early costs less."
    )
    for candidate, reason in perhaps_too_large(plan.maker, plan.candidates):
        say(f"  perhaps refused after relaxation: {candidate.formula} {reason}")


def _print_table(plan: "Plan", record: "CampaignRecord") -> None:
    from ssefw.campaigns.planning.cost import known_total
    from ssefw.cli.console import console
    from ssefw.cli.listing import Heading, Listing

    table = Listing(
        [
            Heading("#"),
            Heading("formula"),
            Heading("source", 2),
            Heading("atoms", 0, "right"),
            Heading("MD steps", 1, "right"),
            Heading("core-hours, about", 0, "right"),
            Heading("at most", 0, "right"),
        ],
        title=f"Campaign {record.campaign}",
        caption=_stages(plan.maker),
    )
    for number, planned in enumerate(record.candidates[:SHOWN], start=1):
        table.add(
            number,
            planned.formula,
            planned.source,
            planned.n_atoms,
            planned.md_steps,
            _hours(planned.core_hours),
            _hours(planned.core_hours_most),
        )
    if len(record.candidates) > SHOWN:
        table.add("...", f"{len(record.candidates) - SHOWN} more", "", "", "", "", "")
    about = known_total(planned.core_hours for planned in record.candidates)
    most = known_total(planned.core_hours_most for planned in record.candidates)
    steps = sum(planned.md_steps for planned in record.candidates)
    count = number_of(len(record.candidates), "candidate")
    table.add("", count, "", "", steps, _hours(about), _hours(most))
    table.show()
    for step in plan.steps:
        console().print(f"  {step.name}: {step.n_in} -> {step.n_passed}")
    for item in record.excluded[:SHOWN]:
        verb = "refused" if item.code == "too_large" else "left out"
        console().print(f"  {verb}: {item.formula or item.source}: {item.reason}", soft_wrap=True)
    for duplicate, kept in plan.merged:
        console().print(f"  duplicate: {duplicate} is {kept}", soft_wrap=True)


def _hours(hours: float | None) -> str:
    """Return hours to two digits, those of thousands in full."""
    return "unknown" if hours is None else f"{float(f'{hours:.2g}'):g}"


def _stages(maker: "CandidateMaker") -> str:
    from ssefw.campaigns.planning.lesson_cost import lessons_of

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
    stages += [lesson.words for lesson in lessons_of(ladder)]
    if (volume := ladder.volume) is not None:
        stages.append(
            f"volume at {volume.temperature:g} K, up to {volume.max_rounds} x {volume.length:g} ps"
        )
    temperatures = ", ".join(f"{t:g}" for t in sorted(ladder.temperatures))
    at_most = f" at most {ladder.adaptive.max_runs} of" if ladder.adaptive else ""
    if ladder.triage is not None:
        at = f"{ladder.triage.length:g} ps at {ladder.triage.temperature:g} K"
        stages.append(f"triage {at}, {ladder.triage.min_hops:g} hops or more")
    stages.append(f"MD {ladder.length:g} ps at{at_most} {temperatures} K")
    stages += ["diffusivity", f"Arrhenius, sigma({ladder.conductivity_temperature:g} K)"]
    if (second := ladder.confirm) is not None:
        cell = "in a cell twice as large" if second.size else "again"
        other = f" with {second.engine.name}" if second.engine is not None else ""
        stages.append(f"hits above {second.above:g} S/cm {cell}{other}")
    return " > ".join(stages) + f"; engine {ladder.md.engine.name}"
