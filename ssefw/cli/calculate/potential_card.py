<<<<<<< HEAD
"""``ssefw potential card``: how far a potential is from measurements and from DFT."""

=======
"""What ``ssefw potential`` says of a potential, and the files it writes."""

from pathlib import Path
>>>>>>> main
from typing import TYPE_CHECKING

import click

<<<<<<< HEAD
from ssefw.cli.listing import Heading, Listing
from ssefw.cli.options import json_option, print_json
from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.documents import PotentialCard
    from ssefw.engines.ase import AseEngine


@click.command("card", epilog="Example: ssefw potential card sevennet-l3i5")
@click.argument("potential")
@click.option(
    "--measure", is_flag=True, help="Measure it here, in minutes, also where it is known."
)
@click.option(
    "--barriers", is_flag=True, help="Measure barriers of vacancy hops, too: some ten minutes more."
)
@json_option
def card(potential: str, *, measure: bool, barriers: bool, as_json: bool) -> None:
    """Show how true a potential is: volumes, forces and barriers.

    POTENTIAL is a short name (sevennet-l3i5, sevennet-0, chgnet), the import path of an ASE
    calculator, or the hash of a trained potential. What comes with ssefw has a card; of others it
    is measured, and what they do not know is left out.
    """
    from ssefw.engines.cards import measured_card, shipped_card

    found = None if measure or barriers else shipped_card(potential)
    if found is None:
        found = measured_card(_engine(potential), barriers=barriers)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)


def _engine(potential: str) -> "AseEngine":
    from ssefw.engines.ase import AseEngine
    from ssefw.engines.potentials.names import POTENTIALS

    if potential in POTENTIALS or "." in potential:
        engine = AseEngine.named(potential)
    else:
        from ssefw.engines.students import StudentEngine, find_potential

        engine = StudentEngine(potential=find_potential(potential).digest)
    engine.check()
    return engine


def _print(card: "PotentialCard") -> None:
    volumes = Listing(
        [
            Heading("volume"),
            *(Heading(x, side="right") for x in ("A3/atom", "measured", "off (%)")),
        ],
        title=f"{card.potential}, relaxed crystals beside room temperature",
    )
    for item in card.volumes:
        off = f"{100 * item.deviation:+.1f}"
        volumes.add(item.compound, f"{item.computed:.2f}", f"{item.measured:.2f}", off)
    forces = Listing(
        [Heading("forces"), *(Heading(x, side="right") for x in ("slope", "off (meV/A)", "of"))],
        title="Displaced crystals beside PBE; a slope below 1 is too soft",
    )
    for force in card.forces:
        forces.add(
            force.compound,
            f"{force.slope:.2f}",
            f"{1e3 * force.error:.0f}",
            f"{1e3 * force.size:.0f}",
        )
    hops = Listing(
        [Heading("barrier"), *(Heading(x, side="right") for x in ("eV", "PBE", "off"))],
        title="Shortest vacancy hops beside published ones",
    )
    for hop in card.barriers:
        off = f"{hop.computed - hop.published:+.3f}"
        hops.add(hop.compound, f"{hop.computed:.3f}", f"{hop.published:.3f}", off)
    for listing, rows in ((volumes, card.volumes), (forces, card.forces), (hops, card.barriers)):
        if rows:
            listing.show()
            say("")
    say("; ".join(_means(card)) or "Nothing could be compared.")
    for reason in card.left_out:
        say(f"left out: {reason}", err=True)


def _means(card: "PotentialCard") -> list[str]:
    found = []
    if card.volume_deviation is not None:
        found.append(f"volumes {100 * card.volume_deviation:+.1f} %")
    if card.slope is not None:
        found.append(f"forces {card.slope:.2f} of PBE's")
    if card.barrier_error is not None and card.barrier_offset is not None:
        found.append(
            f"barriers off by {1e3 * card.barrier_error:.0f} meV on average "
            f"({1e3 * card.barrier_offset:+.0f})"
        )
    return found
=======
from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.documents import LearnedPotential
    from ssefw.engines.potentials.tuned import TunedPotential
    from ssefw.nep import NEP

__all__ = ["check_output", "print_card", "write_model"]


def print_card(card: "LearnedPotential") -> None:
    """Say what is on record of a potential."""
    error = card.errors[0]
    say(f"potential {card.potential[:12]}")
    say(f"species   {' '.join(card.species)}")
    if card.base:
        say(f"form      {card.form}, tuned in {card.wall_time / 60.0:.1f} min")
    else:
        say(
            f"teacher   {card.teacher}: {card.n_evaluations} evaluations, {card.n_labels} labels, "
            f"{len(card.rounds)} rounds, {card.wall_time / 60.0:.1f} min"
        )
    say(f"frames    {card.training_set[:12]}, by {card.level_of_theory}")
    say(
        f"errors    {1e3 * error.force:.0f} meV/A, {1e3 * error.energy:.1f} meV/atom on held-out "
        "frames"
    )
    if card.base and card.first_errors is not None:
        before = card.first_errors
        say(
            f"  {card.base} alone: {1e3 * before.force:.0f} meV/A, {1e3 * before.energy:.1f} "
            "meV/atom"
        )
    for part in card.errors[1:]:
        elements = ", ".join(f"{symbol} {1e3 * x:.0f}" for symbol, x in part.by_element.items())
        say(f"  {part.temperature:g} K: {1e3 * part.force:.0f} meV/A ({elements})")
    for check in card.checks:
        say(f"{'ok       ' if check.passed else 'FAILS    '} {check.name}: {check.words}")
    if card.accepted:
        say(f"accepted  engine: {{potential: {card.potential[:12]}}} in a campaign uses it")
    elif card.base:
        say(f"not accepted: {card.reason}. Give more frames, and of the temperatures that matter")
    elif not card.stable:
        say("not accepted: a run of the last round was lost. Teach more: --set rounds=12")
    else:
        say("not accepted: it moves otherwise than its teacher. Teach more: --set frames=400")


def check_output(out: Path | None, *, is_tuned: bool) -> None:
    """Refuse a name whose end promises another kind of potential.

    Raises
    ------
    click.UsageError
        Before anything is computed.
    """
    if out is not None and is_tuned and out.suffix != ".tuned":
        raise click.UsageError(
            f"No other program reads a universal potential that was tuned: name {out.name} *.tuned."
        )
    if out is not None and not is_tuned and out.suffix == ".tuned":
        raise click.UsageError(f"A student is no .tuned file: name {out.name} nep.txt, or *.nep.")


def write_model(model: "NEP | TunedPotential", out: Path) -> None:
    """Write a potential in the format that the end of a file's name says.

    Raises
    ------
    click.UsageError
        If that is for another kind of potential.
    """
    from ssefw.engines.potentials.tuned import TunedPotential
    from ssefw.engines.students import write_weights

    check_output(out, is_tuned=isinstance(model, TunedPotential))
    if isinstance(model, TunedPotential) or out.suffix == ".nep":
        write_weights(out, model)
    else:
        out.write_text(model.nep_txt())
>>>>>>> main
