"""``ssefw potential train``: students, and universal potentials tuned to DFT."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ssefw.cli.calculate.potential_card import check_output, print_card, write_model
from ssefw.cli.calculate.potential_frames import gathered
from ssefw.cli.numbers import COUNT, LENGTH, SEED, TEMPERATURE
from ssefw.cli.options import OUTPUT, json_option, print_json, settings, values_of
from ssefw.cli.say import say
from ssefw.mistakes import check_settings

if TYPE_CHECKING:
    from ssefw.documents import LearnedPotential
    from ssefw.engines.potentials.tuned import TunedPotential
    from ssefw.engines.students import LearnSettings
    from ssefw.engines.students.frame_files import LabelledRun
    from ssefw.engines.tuning import TuneSettings
    from ssefw.nep import NEP


@click.command("train", epilog="Example: ssefw potential train LGPS.cif --specie Li")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--frames", "frames", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="Learn what is there: a folder of vasprun.xml, OUTCAR, pw.x output or extended XYZ.",
)  # fmt: skip
@click.option(
    "--base", metavar="NAME",
    help="With --frames: tune this universal potential to them, instead of a student that stands "
    "alone.",
)  # fmt: skip
@click.option(
    "--hold-out", "held_out", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="With --base: frames that are not learned; errors and motion are told of these.",
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
def command(
    files: tuple[Path, ...],
    *,
    frames: tuple[Path, ...],
    base: str | None,
    held_out: tuple[Path, ...],
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
    """Teach a student one compound, or tune a universal potential to frames of DFT.

    Give one structure file for each arrangement of the compound.

    The teacher runs dynamics, its frames are learned, and two students explore, ask and learn until
    they no longer leave what they know. The student is then judged by physics: exit code 1 says
    that it was not accepted. Interrupted or killed, the same command goes on.

    With --frames nobody is asked: frames of DFT are learned as they are. With --base as well it is
    learned what that universal potential lacks of them, for which a hundred frames go far.
    """
    from ssefw.data import content_id, expand_to_length, read_pool
    from ssefw.engines.ase import AseEngine
    from ssefw.engines.potentials.names import DEFAULT_POTENTIAL
    from ssefw.engines.stopping import install_signal_handlers, stop_check
    from ssefw.engines.students import teach
    from ssefw.errors import DataError

    if bool(files) == bool(frames) or (frames and calculator):
        raise click.UsageError(
            "Give structures for a teacher, or --frames of which all is learned that is learned."
        )
    if (base is not None or held_out) and not frames:
        raise click.UsageError("--base is tuned to frames: name them by --frames.")
    if held_out and base is None:
        raise click.UsageError("--hold-out is for --base: of other runs the end is held out.")
    check_output(out, is_tuned=base is not None)
    if base is not None:
        how = _tuning(changes, seed)
        tuned, card = _tuned(base, frames, held_out, how, specie=specie, folder=folder)
        return _kept(tuned, card, out=out, as_json=as_json)
    lesson = _lesson(changes, temperatures, seed)
    if frames:
        student, card = _taught_by_frames(frames, lesson, specie=specie, folder=folder)
        return _kept(student, card, out=out, as_json=as_json)
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
        lesson,
        specie=specie,
        stop=stop,
        say=lambda text: say(text, err=True),
    )
    return _kept(learned.student, card, out=out, as_json=as_json)


def _runs(
    frames: tuple[Path, ...], held_out: tuple[Path, ...] = (), *, specie: str
) -> "tuple[list[LabelledRun], list[LabelledRun]]":
    """Return runs of one level of theory, those to learn and those that are held out."""
    from ssefw.errors import DataError

    runs = gathered([*frames, *held_out])
    others = {path.resolve() for path in held_out}
    is_apart = [bool(others & {run.path.resolve(), *run.path.resolve().parents}) for run in runs]
    learned = [run for run, apart in zip(runs, is_apart, strict=True) if not apart]
    if not learned:
        raise DataError("All frames are held out, and none is left to learn.")
    if not any(specie in run.frames[0].symbols for run in runs):
        raise DataError(f"None of the frames holds {specie}; name the mobile ion by --specie.")
    return learned, [run for run, apart in zip(runs, is_apart, strict=True) if apart]


def _folder_of(runs: "list[LabelledRun]", *what: str) -> Path:
    from ssefw.engines.base import settings_hash

    name = settings_hash([str(run.path.resolve()) for run in runs], *what)
    return settings().scratch_folder() / "lessons" / f"frames-{name}"


def _taught_by_frames(
    frames: tuple[Path, ...], how: "LearnSettings", *, specie: str, folder: Path | None
) -> "tuple[NEP, LearnedPotential]":
    from ssefw.engines.stopping import install_signal_handlers, stop_check
    from ssefw.engines.students import teach_frames

    runs, _ = _runs(frames, specie=specie)
    install_signal_handlers()
    learned, card = teach_frames(
        runs,
        folder or _folder_of(runs),
        how,
        specie=specie,
        stop=stop_check(),
        say=lambda text: say(text, err=True),
    )
    return learned.student, card


def _tuned(
    base: str,
    frames: tuple[Path, ...],
    held_out: tuple[Path, ...],
    how: "TuneSettings",
    *,
    specie: str,
    folder: Path | None,
) -> "tuple[TunedPotential, LearnedPotential]":
    from ssefw.engines.ase import AseEngine
    from ssefw.engines.stopping import install_signal_handlers, stop_check
    from ssefw.engines.tuning import tuned_to_frames

    engine = AseEngine.named(base)
    engine.check()
    runs, unseen = _runs(frames, held_out, specie=specie)
    install_signal_handlers()
    tuned, card = tuned_to_frames(
        runs,
        engine,
        folder or _folder_of([*runs, *unseen], engine.name),
        how,
        specie=specie,
        unseen=unseen,
        stop=stop_check(),
        say=lambda text: say(text, err=True),
    )
    return tuned.potential, card


def _kept(
    model: "NEP | TunedPotential", card: "LearnedPotential", *, out: Path | None, as_json: bool
) -> int:
    """Put a potential where workers find it, say what is known of it, and return the exit code."""
    from ssefw.engines.students import add_potential, write_card

    path = add_potential(model)
    write_card(card)
    if out is not None:
        write_model(model, out)
    if as_json:
        print_json(card.model_dump(mode="json") | {"file": str(path)})
    else:
        print_card(card)
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
    return _changed(how, changes, of="A lesson")


def _tuning(changes: tuple[str, ...], seed: int) -> "TuneSettings":
    from ssefw.engines.tuning import TuneSettings

    return _changed(TuneSettings(seed=seed), changes, of="Tuning")


S = TypeVar("S", "LearnSettings", "TuneSettings")


def _changed(how: S, changes: tuple[str, ...], *, of: str) -> S:
    """Return settings with some of them, and of those of their fit, as `--set` says."""
    given = values_of(changes)
    of_fit = {key.removeprefix(FIT): value for key, value in given.items() if key.startswith(FIT)}
    own = {key: value for key, value in given.items() if not key.startswith(FIT)}
    if "fit" in own:
        raise click.UsageError("fit is a block: set a part of it, such as --set fit.neurons=40.")
    names = [f"{FIT}{one.name}" for one in fields(how.fit)]
    own = check_settings(type(how), own, of=of, also=names)
    of_fit = check_settings(type(how.fit), of_fit, of="The fit of a lesson")
    how = replace(how, **own, fit=replace(how.fit, **of_fit))
    if how.fit.angular_cutoff > how.fit.radial_cutoff:
        raise click.UsageError("fit.angular_cutoff must be at most fit.radial_cutoff.")
    return how


FIT = "fit."
"""Begins the name of a setting of the fit."""
