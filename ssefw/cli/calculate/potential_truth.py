"""``ssefw potential card``: how far a potential is from measurements and from DFT."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.listing import Heading, Listing
from ssefw.cli.options import json_option, print_json, set_option, values_of
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
@set_option("calculator", "modality=R2SCAN")
@json_option
def command(
    potential: str, *, measure: bool, barriers: bool, options: tuple[str, ...], as_json: bool
) -> None:
    """Show how true a potential is: volumes, forces and barriers.

    POTENTIAL is a short name (sevennet-l3i5, sevennet-0, chgnet), the import path of an ASE
    calculator, or the hash of a trained potential. What comes with ssefw has a card; of others it
    is measured, and what they do not know is left out.
    """
    from ssefw.engines.cards import measured_card, shipped_card

    settings = values_of(options)
    found = None if measure or barriers or settings else shipped_card(potential)
    if found is None:
        found = measured_card(_engine(potential, settings), barriers=barriers)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)


def _engine(potential: str, settings: dict[str, Any]) -> "AseEngine":
    from ssefw.campaigns.file import EngineSpec
    from ssefw.campaigns.planning.engines import engine_of
    from ssefw.engines.ase import AseEngine

    if "." in potential and not Path(potential).is_file():
        engine = AseEngine(calculator=potential, options=settings)
    else:
        trained = engine_of(EngineSpec(potential=potential, options=settings))
        assert isinstance(trained, AseEngine)  # of a potential
        engine = trained
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
