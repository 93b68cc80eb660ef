"""``ssefw potential``: fast potentials, taught by a slower one."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssefw.cli.numbers import COUNT, LENGTH, SEED, TEMPERATURE
from ssefw.cli.options import (
    OUTPUT,
    answer,
    dry_run_option,
    json_option,
    print_json,
    settings,
    values_of,
)
from ssefw.cli.say import say
from ssefw.mistakes import check_settings

if TYPE_CHECKING:
    from ssefw.documents import LearnedPotential
    from ssefw.engines.students import LearnedStudent, LearnSettings


@click.group()
def command() -> None:
    """Teach fast potentials (students of NEP4 form), and show those there are."""


@command.command("train", epilog="Example: ssefw potential train LGPS.cif --specie Li")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--frames", "frames", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="Learn what is there: a folder of vasprun.xml, OUTCAR, pw.x output or extended XYZ.",
)  # fmt: skip
@click.option(
    "--calculator", metavar="NAME",
    help="The teacher: short name of a potential, or import path of an ASE calculator.  "
    "[sevennet-l3i5]",
)  # fmt: skip
@click.option(
    "--temperature", "temperatures", type=TEMPERATURE, multiple=True,
    help="Of the teacher's runs, several times.  [default: 1000, 700, 400 K]",
)  # fmt: skip
@click.option("--specie", default="Li", show_default=True, help="The mobile ion.")
@click.option(
    "--min-length", type=LENGTH, default=8.0, show_default=True,
    help="Cells are repeated until opposite faces are this far apart (A).",
)  # fmt: skip
@click.option("--max-atoms", type=COUNT, default=200, show_default=True, help="Of such a cell.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of everything drawn.")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE",
    help="A setting of the lesson, for example rounds=4 or fit.neurons=40.",
)  # fmt: skip
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path),
    help="Where the lesson is kept; the same folder goes on.  [default: below the scratch folder]",
)  # fmt: skip
@click.option("-o", "--out", type=OUTPUT, help="Also write the potential as GPUMD's nep.txt.")
@json_option
def train(
    files: tuple[Path, ...],
    *,
    frames: tuple[Path, ...],
    calculator: str | None,
    temperatures: tuple[float, ...],
    specie: str,
    min_length: float,
    max_atoms: int,
    seed: int,
    changes: tuple[str, ...],
    folder: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Teach a student one compound, one file for each of its arrangements.

    The teacher runs dynamics, its frames are learned, and two students explore, ask and learn until
    they no longer leave what they know. The student is then judged by physics: exit code 1 says
    that it was not accepted. Interrupted or killed, the same command goes on.

    With --frames nobody is asked: frames of DFT are learned as they are.
    """
    from ssefw.data import content_id, expand_to_length, read_pool
    from ssefw.engines.ase import AseEngine
    from ssefw.engines.potentials.names import DEFAULT_POTENTIAL
    from ssefw.engines.stopping import install_signal_handlers, stop_check
    from ssefw.engines.students import teach
    from ssefw.errors import DataError

    how = _lesson(changes, temperatures, seed)
    if bool(files) == bool(frames) or (frames and calculator):
        raise click.UsageError(
            "Give structures for a teacher, or --frames of which all is learned that is learned."
        )
    if frames:
        learned, card = _taught_by_frames(frames, how, specie=specie, folder=folder)
        return _kept(learned, card, out=out, as_json=as_json)
    if calculator is not None and not calculator.strip():
        raise click.UsageError("--calculator is empty: leave it out, or name one.")
    engine = AseEngine.named(calculator or DEFAULT_POTENTIAL)
    engine.check()
    found = [candidate for file in files for candidate in read_pool(file, strict=True).candidates]
    crystals = [candidate.structure for candidate in found]
    if specie not in {symbol for crystal in crystals for symbol in crystal.symbol_set}:
        raise DataError(f"None of the structures holds {specie}; name the mobile ion by --specie.")
    cells = [expand_to_length(c, min_length=min_length, max_atoms=max_atoms) for c in crystals]
    folder = folder or (
        settings().scratch_folder() / "lessons" / "-".join(content_id(cell) for cell in cells)
    )
    install_signal_handlers()
    stop = stop_check()
    relaxed = []
    for number, cell in enumerate(cells):
        place = folder / f"relax-{number}"
        place.mkdir(parents=True, exist_ok=True)
        done = engine.relax(
            cell, fmax=0.03, max_steps=300, relax_cell=True, directory=place, stop=stop
        )
        say(
            f"relaxed {cell.composition.reduced_formula}, {len(cell)} atoms: volume "
            f"{100 * done.volume_change:+.1f} %", err=True,
        )  # fmt: skip
        relaxed.append(done.structure)
    learned, card = teach(
        relaxed,
        engine,
        folder / "lesson",
        how,
        specie=specie,
        stop=stop,
        say=lambda text: say(text, err=True),
    )
    return _kept(learned, card, out=out, as_json=as_json)


def _taught_by_frames(
    frames: tuple[Path, ...], how: "LearnSettings", *, specie: str, folder: Path | None
) -> "tuple[LearnedStudent, LearnedPotential]":
    from ssefw.engines.base import settings_hash
    from ssefw.engines.stopping import install_signal_handlers, stop_check
    from ssefw.engines.students import labelled_files, read_together, teach_frames
    from ssefw.errors import DataError

    paths = [path for place in frames for path in labelled_files(place)]
    runs = read_together(paths)
    for run in runs:
        for line in run.refused:
            say(f"left out: {line}", err=True)
        say(f"{run.path}: {len(run.frames)} frames, {run.theory.name}", err=True)
    if not any(specie in run.frames[0].symbols for run in runs):
        raise DataError(f"None of the frames holds {specie}; name the mobile ion by --specie.")
    name = settings_hash([str(path.resolve()) for path in paths])
    install_signal_handlers()
    return teach_frames(
        runs,
        folder or settings().scratch_folder() / "lessons" / f"frames-{name}",
        how,
        specie=specie,
        stop=stop_check(),
        say=lambda text: say(text, err=True),
    )


def _kept(
    learned: "LearnedStudent", card: "LearnedPotential", *, out: Path | None, as_json: bool
) -> int:
    """Put a student where workers find it, say what is known of it, and return the exit code."""
    from ssefw.engines.students import add_potential, write_card

    path = add_potential(learned.student)
    write_card(card)
    if out is not None:
        out.write_text(learned.student.nep_txt())
    if as_json:
        print_json(card.model_dump(mode="json") | {"file": str(path)})
    else:
        _print_card(card)
    return int(not card.accepted)


def _lesson(
    changes: tuple[str, ...], temperatures: tuple[float, ...], seed: int
) -> "LearnSettings":
    from ssefw.engines.students import LearnSettings

    how = LearnSettings(seed=seed)
    if temperatures:
        ordered = tuple(sorted(temperatures, reverse=True))
        how = replace(
            how,
            temperatures=ordered,
            explore_temperatures=(1.1 * ordered[0], *ordered[1:]),
        )
    given = values_of(changes)
    of_fit = {key.removeprefix(FIT): value for key, value in given.items() if key.startswith(FIT)}
    own = {key: value for key, value in given.items() if not key.startswith(FIT)}
    if "fit" in own:
        raise click.UsageError("fit is a block: set a part of it, such as --set fit.neurons=40.")
    names = [f"{FIT}{one.name}" for one in fields(how.fit)]
    own = check_settings(LearnSettings, own, of="A lesson", also=names)
    of_fit = check_settings(type(how.fit), of_fit, of="The fit of a lesson")
    how = replace(how, **own, fit=replace(how.fit, **of_fit))
    if how.fit.angular_cutoff > how.fit.radial_cutoff:
        raise click.UsageError("fit.angular_cutoff must be at most fit.radial_cutoff.")
    return how


FIT = "fit."
"""Begins the name of a setting of the fit."""


def _print_card(card: "LearnedPotential") -> None:
    error = card.errors[0]
    say(f"potential {card.potential[:12]}")
    say(f"species   {' '.join(card.species)}")
    say(
        f"teacher   {card.teacher}: {card.n_evaluations} evaluations, {card.n_labels} labels, "
        f"{len(card.rounds)} rounds, {card.wall_time / 60.0:.1f} min"
    )
    say(f"frames    {card.training_set[:12]}, by {card.level_of_theory}")
    say(
        f"errors    {1e3 * error.force:.0f} meV/A, {1e3 * error.energy:.1f} meV/atom on held-out "
        "frames"
    )
    for part in card.errors[1:]:
        elements = ", ".join(f"{symbol} {1e3 * x:.0f}" for symbol, x in part.by_element.items())
        say(f"  {part.temperature:g} K: {1e3 * part.force:.0f} meV/A ({elements})")
    for check in card.checks:
        say(f"{'ok       ' if check.passed else 'FAILS    '} {check.name}: {check.words}")
    if card.accepted:
        say(f"accepted  engine: {{potential: {card.potential[:12]}}} in a campaign uses it")
    elif not card.stable:
        say("not accepted: a run of the last round was lost. Teach more: --set rounds=12")
    else:
        say("not accepted: it moves otherwise than its teacher. Teach more: --set frames=400")


@command.command("list", epilog="Example: ssefw potential list")
@json_option
def list_all(*, as_json: bool) -> None:
    """List the potentials of this site, the newest first."""
    from ssefw.engines.students import potential_files, read_card

    for path in potential_files():
        digest = path.name.partition(".")[0]
        card = read_card(digest)
        if as_json:
            keys = {"species", "teacher", "accepted", "n_labels"}
            known = card.model_dump(mode="json", include=keys) if card else dict.fromkeys(keys)
            print_json({"potential": digest} | known)
        elif card is None:
            say(f"{digest[:12]}  no record")
        else:
            accepted = "accepted" if card.accepted else "not accepted"
            formulas = ", ".join(dict.fromkeys(card.structures))
            say(f"{digest[:12]}  {accepted:12}  {formulas}  by {card.teacher}")


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
        _print_card(card)


@command.command("add", epilog="Example: ssefw potential add nep.txt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@dry_run_option
@json_option
def add(file: Path, *, dry_run: bool, as_json: bool) -> None:
    """Put a potential where campaigns find it: a .nep file of ssefw, or a nep.txt of GPUMD."""
    from ssefw.engines.students import add_potential, read_student
    from ssefw.nep import read_nep

    model = read_student(file) if file.suffix == ".nep" else read_nep(file)
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
@click.option("-o", "--out", type=OUTPUT, required=True, help="nep.txt of GPUMD, or a .nep file.")
@json_option
def export(potential: str, out: Path, *, as_json: bool) -> None:
    """Write a potential as GPUMD's nep.txt, or with its range of training as .nep."""
    from ssefw.engines.students import find_potential, write_student

    model = find_potential(potential)
    if out.suffix == ".nep":
        write_student(out, model)
    else:
        out.write_text(model.nep_txt())
    if as_json:
        print_json({"potential": model.digest, "file": str(out)})
