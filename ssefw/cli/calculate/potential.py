"""``ssefw potential``: fast potentials taught by a slower one, and universal ones tuned to DFT."""

from pathlib import Path

import click

from ssefw.cli.calculate.potential_card import print_card, write_model
from ssefw.cli.calculate.potential_train import command as train
from ssefw.cli.calculate.potential_truth import command as card
from ssefw.cli.options import OUTPUT, answer, dry_run_option, json_option, print_json
from ssefw.cli.say import say


@click.group()
def command() -> None:
    """Teach fast potentials, tune universal ones to DFT, and show those there are."""


command.add_command(train)
command.add_command(card)


@command.command("frames", epilog="Example: ssefw potential frames aimd/ -o frames.extxyz")
@click.argument("places", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--out", type=OUTPUT, required=True, help="A file of extended XYZ.")
@json_option
def frames(places: tuple[Path, ...], *, out: Path, as_json: bool) -> None:
    """Gather the frames of AIMD runs of one level of theory in one file, checked.

    PLACES are folders with vasprun.xml, OUTCAR, pw.x output or extended XYZ below them, or such
    files. Frames that are not converged or have exploded are left out and named. What is written
    says of each frame its run and level of theory; `ssefw potential train` reads it, and so do
    the trainers of other potentials.
    """
    from ssefw.cli.calculate.potential_frames import gathered
    from ssefw.engines.students.frame_files import write_runs

    runs = gathered(places)
    write_runs(out, runs)
    record = {
        "file": str(out),
        "runs": len(runs),
        "frames": sum(len(run.frames) for run in runs),
        "left_out": sum(len(run.refused) for run in runs),
        "level_of_theory": runs[0].theory.name,
    }
    words = f"{record['frames']} frames of {len(runs)} runs in {out}, {record['left_out']} left out"
    answer(record, words, as_json=as_json)


@command.command("list", epilog="Example: ssefw potential list")
@json_option
def list_all(*, as_json: bool) -> None:
    """List the potentials of this site, the newest first."""
    from ssefw.engines.students import potential_files, read_card

    for path in potential_files():
        digest = path.name.partition(".")[0]
        card = read_card(digest)
        if as_json:
            keys = {"species", "form", "teacher", "accepted", "holds_to", "n_labels"}
            known = card.model_dump(mode="json", include=keys) if card else dict.fromkeys(keys)
            print_json({"potential": digest} | known)
        elif card is None:
            say(f"{digest[:12]}  no record")
        else:
            accepted = "accepted" if card.accepted else "not accepted"
            if card.holds_to is not None:
                accepted = f"to {card.holds_to:g} K"
            formulas = ", ".join(dict.fromkeys(card.structures))
            base = f"{card.base} tuned to " if card.base else ""
            say(f"{digest[:12]}  {accepted:12}  {formulas}  {base or 'by '}{card.teacher}")


@command.command("show", epilog="Example: ssefw potential show 3f2a91")
@click.argument("potential")
@json_option
def show(potential: str, *, as_json: bool) -> None:
    """Show what is on record of a potential."""
    from ssefw.engines.students import find_potential, read_card
    from ssefw.errors import DataError

    model = find_potential(potential)
    card = read_card(model.digest)
    if card is None:
        raise DataError(
            f"Nothing is on record of the potential {model.digest[:12]} "
            f"({' '.join(model.species)}): it was added as a file without a card."
        )
    if as_json:
        print_json(card.model_dump(mode="json"))
    else:
        print_card(card)


@command.command("add", epilog="Example: ssefw potential add nep.txt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@dry_run_option
@json_option
def add(file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Put a potential where campaigns find it: a .nep or .tuned file, or a nep.txt of GPUMD."""
    from ssefw.engines.students import add_potential, read_weights
    from ssefw.nep import read_nep

    model = read_weights(file) if file.suffix in {".nep", ".tuned"} else read_nep(file)
    if not dry_run:
        add_potential(model)
    record = {"potential": model.digest, "dry_run": dry_run}
    answer(record, model.digest[:12], as_json=as_json)
    if not model.knows_its_range:
        say(
            "It does not know what it was trained on: dynamics cannot tell when they leave it.",
            err=True,
        )


@command.command("export", epilog="Example: ssefw potential export 3f2a91 -o nep.txt")
@click.argument("potential")
@click.option(
    "-o", "--out", type=OUTPUT, required=True, help="nep.txt of GPUMD, or a .nep or .tuned file."
)
@json_option
def export(potential: str, out: Path, *, as_json: bool) -> None:
    """Write a student as GPUMD's nep.txt, or a potential with its range of training.

    A student is whole in a .nep file; a universal potential that was tuned in a .tuned file.
    """
    from ssefw.engines.students import find_potential

    model = find_potential(potential)
    write_model(model, out)
    if as_json:
        print_json({"potential": model.digest, "file": str(out)})
