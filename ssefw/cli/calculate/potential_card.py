"""What ``ssefw potential`` says of a potential, and the files it writes."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

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
    elif card.holds_to is not None:
        say(
            f"not accepted above {card.holds_to:g} K, where it moves otherwise than its teacher. "
            f"Below, engine: {{potential: {card.potential[:12]}}} in a campaign uses it"
        )
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
