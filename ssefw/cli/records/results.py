"""``ssefw results``: what was computed."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ssefw.cli.numbers import CONDUCTIVITY, COUNT, LEVEL_OF_ENERGY, TEMPERATURE
from ssefw.cli.options import OUTPUT, dry_run_option, json_option, opened, print_json, store_option
from ssefw.cli.records.survivors import table_command
from ssefw.cli.say import say
from ssefw.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ssefw.report.training_frames import Select
    from ssefw.store.results.query import Reading

KINDS = (
    "outcomes", "candidates", "trajectories", "diffusivities", "conductivities", "barriers",
    "labels",
)  # fmt: skip
RECORDS = ("outcomes", "trajectories", "diffusivities", "barriers")
LABEL_KINDS = ("experiment", "aimd", "mlip", "neb")
STATUSES = ("determined", "indicative", "bound", "undetermined", "rejected", "failed")
"""`OUTCOME_STATUSES` of `ssefw.documents`, which takes too long to import for a page of help."""
POSSIBLE = "Also those that may lie in the range: what the interval or bound does not exclude."


@click.group(
    invoke_without_command=True, epilog="Example: ssefw results --min-sigma 1e-4 --store demo"
)
@store_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="A table with one row for each candidate.")
@click.option("-o", "--out", type=OUTPUT, help="Write this table here (.csv).")
@click.option("--campaign", help="Only this campaign.")
@click.option("--status", type=click.Choice(STATUSES), help="Only outcomes of this status.")
@click.option("--formula", help="Only this formula, however it is written.")
@click.option("--min-sigma", type=CONDUCTIVITY, help="Only those certainly so conductive (S/cm).")
@click.option("--possible", is_flag=True, help=POSSIBLE)
@click.pass_context
def command(
    context: click.Context,
    *,
    as_json: bool,
    as_csv: bool,
    out: Path | None,
    campaign: str | None,
    status: str | None,
    formula: str | None,
    min_sigma: float | None,
    possible: bool,
) -> None:
    """List outcomes, best conductor first.

    With --min-sigma those of which it is certain: the lower end of the interval, or the lower
    bound, is at least so much. `results find` reads its ranges in the same way.
    """
    if context.invoked_subcommand is not None:
        return
    if as_json and (as_csv or out is not None):
        raise click.UsageError("give --json, or --csv and --out")
    as_csv = as_csv or out is not None
    from ssefw.cli.records.results_tables import print_outcomes
    from ssefw.documents import Outcome
    from ssefw.report.rows import rank_outcomes, summary
    from ssefw.report.tables import write_csv
    from ssefw.report.whose import Owners
    from ssefw.store.asking import understood, why_nothing
    from ssefw.store.results.query import Ask

    ask = Ask(
        campaign=campaign,
        status=status,
        formula=formula,
        min_sigma=min_sigma,
        reading="possible" if possible else "certain",
    )
    with opened(read_only=True) as connection:
        ask = understood(connection, "outcomes", ask)
        outcomes = list(connection.results.ask("outcomes", ask))
        nothing = "" if outcomes else why_nothing(connection, "outcomes", ask)
        owners = Owners(connection)
        ranked = [
            (item, owners.of(item.campaign, item.candidate_id)) for item in rank_outcomes(outcomes)
        ]
    if as_json:
        for outcome, whose in ranked:
            print_json(summary(outcome) | {"name": whose.name, "source": whose.source})
    elif as_csv:
        with _written(out) as file:
            write_csv(ranked, file, kind=Outcome)
    elif ranked:
        print_outcomes(ranked)
    if nothing:
        say(nothing, err=True)


command.add_command(table_command)


@contextlib.contextmanager
def _written(out: Path | None) -> "Iterator[TextIO]":
    """Give stdout, or a file that is there whole when the block ends."""
    if out is None:
        yield sys.stdout
        return
    with replacing(out) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        yield file


@command.command("show", epilog="Example: ssefw results show 3f2a --store demo")
@click.argument("candidate")
@store_option
@json_option
def show(candidate: str, *, as_json: bool) -> None:
    """Show everything that is known of a candidate: by id or its beginning, formula, or name.

    Gates, segments of its trajectories, figures, cost, provenance, and its places in rankings.
    """
    from ssefw.report.story import candidate_stories
    from ssefw.report.story_text import story_lines

    with opened(read_only=True) as connection:
        for story in candidate_stories(connection, candidate):
            if as_json:
                print_json(story)
            else:
                say("\n".join(story_lines(story)))


@command.command(
    "find",
    epilog="Example: ssefw results find --element S --without Ge --min-sigma 1e-4 --sort sigma",
)
@click.argument("kind", type=click.Choice(KINDS), default="outcomes")
@store_option
@click.option("--formula", help="This formula, however it is written.")
@click.option("--system", metavar="Li-P-S", help="These elements and no others.")
@click.option("--element", "elements", multiple=True, help="Must be in it; may be repeated.")
@click.option("--without", multiple=True, help="Must not be in it; may be repeated.")
@click.option("--campaign", help="Of this campaign.")
@click.option(
    "--candidate",
    metavar="CANDIDATE",
    help="Of this candidate: id or its beginning, formula, or name.",
)
@click.option("--status", type=click.Choice(STATUSES), help="Outcomes of this status.")
@click.option("--engine", help="By this engine, such as sevennet-l3i5.")
@click.option("--temperature", type=TEMPERATURE, help="At this temperature (K).")
@click.option("--min-sigma", type=CONDUCTIVITY, help="At least so conductive (S/cm).")
@click.option("--max-sigma", type=CONDUCTIVITY, help="At most so conductive (S/cm).")
@click.option(
    "--min-ea", type=LEVEL_OF_ENERGY, help="At least this activation energy or barrier (eV)."
)
@click.option(
    "--max-ea", type=LEVEL_OF_ENERGY, help="At most this activation energy or barrier (eV)."
)
@click.option("--possible", is_flag=True, help=POSSIBLE)
@click.option("--certain", is_flag=True, hidden=True)  # the default, and once was not
@click.option("--gate", help="With a gate of this code, such as volume_change.")
@click.option("--label-kind", type=click.Choice(LABEL_KINDS), help="Labels of this kind.")
@click.option("--source", metavar="TEXT", help="Labels from here: a DOI, a row, a campaign.")
@click.option("--sort", help="By sigma, ea, formula, cost, status, temperature ...")
@click.option("--reverse", is_flag=True, help="Worst first.")
@click.option("--limit", type=COUNT, default=50, help="So many; see --all.")
@click.option("--page", type=COUNT, default=1, help="Which so many.")
@click.option("--after", metavar="KEY", help="Go on behind this record, as a page says.")
@click.option("--all", "is_all", is_flag=True, help="All that fit, as they are read.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="A table with one row each.")
@click.option(
    "-o", "--out", type=OUTPUT, help="Write here: .csv, .jsonl or .parquet, as the name ends."
)
@click.option("--parquet", type=OUTPUT, hidden=True)  # --out says it, too
def find(
    *,
    kind: str,
    sort: str | None,
    reverse: bool,
    limit: int,
    page: int,
    after: str | None,
    is_all: bool,
    as_json: bool,
    as_csv: bool,
    out: Path | None,
    parquet: Path | None,
    label_kind: str | None,
    possible: bool,
    certain: bool,
    **asked: Any,
) -> None:
    """Find outcomes, conductivities, candidates, trajectories, diffusivities, barriers or labels.

    A range is for what certainly lies in it: the whole interval, or the bound where there is only
    one; --possible takes what is not excluded. Conductivities are those of the newest
    analysis, at the temperature of the fit or, with --temperature, of the run at that temperature.
    A sorted page ends with the key that --after takes, which is as quick far down as at the top.
    """
    from ssefw.cli.records.results_tables import print_rows
    from ssefw.report.tables import write_csv, write_json_lines, write_parquet
    from ssefw.report.whose import Owners
    from ssefw.store.asking import understood, why_nothing
    from ssefw.store.results.query import ANSWERS, Ask

    reading: Reading = "possible" if possible and not certain else "certain"
    ask = Ask(kind_of_label=label_kind, reading=reading, **asked)
    window = {} if is_all else {"limit": limit, "skip": (page - 1) * limit}
    if sum(map(bool, (as_json, as_csv, parquet))) > 1:
        raise click.UsageError("give one of --json, --csv and --parquet")
    form = _form(out := out or parquet, as_json=as_json, as_csv=as_csv, is_parquet=bool(parquet))
    if after is not None and (sort is None or is_all or page > 1):
        raise click.UsageError("--after needs --sort, and goes without --all and --page")
    with opened(read_only=True) as connection:
        ask = understood(connection, kind, ask)
        is_keyed = kind in RECORDS and sort is not None and page == 1 and not is_all
        if is_keyed or after is not None:
            shown = connection.results.page(
                kind, ask, sort=str(sort), reverse=reverse, after=after, limit=limit
            )
            found = iter(shown.found)
            if shown.last is not None:
                say(f"For more: --after {shown.last}", err=True)
        else:
            found = connection.results.found(kind, ask, sort=sort, reverse=reverse, **window)
        named = Owners(connection).named(found)
        if form == "parquet" and out is not None:
            with replacing(out) as draft:
                count = write_parquet(named, draft)
            say(f"{count} {kind} written to {out}", err=True)
        elif form == "json":
            with _written(out) as file:
                write_json_lines(named, file)
        elif form == "csv":
            with _written(out) as file:
                write_csv(named, file, kind=ANSWERS[kind])
        elif not (rows := list(named)) and page > 1:
            say(f"Page {page} is empty: fewer {kind} fit.", err=True)
        elif not rows:
            say(why_nothing(connection, kind, ask), err=True)
        else:
            print_rows(kind, rows)


ENDS = {".csv": "csv", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
"""How the name of a file says what is written into it."""


def _form(out: Path | None, *, as_json: bool, as_csv: bool, is_parquet: bool) -> str:
    """Return what is written: as an option says, else as the file is called; empty for a table."""
    asked = "json" if as_json else "csv" if as_csv else "parquet" if is_parquet else ""
    named = ENDS.get(out.suffix, "") if out is not None else ""
    if out is not None and not (asked or named):
        raise click.UsageError(f"{out}: end its name with {', '.join(ENDS)}, or give --csv.")
    if named == "parquet" and asked not in {"", "parquet"}:
        raise click.UsageError(f"{out} is called a parquet file: leave out --{asked}.")
    return asked or named


class _HowMany(click.ParamType):  # type: ignore[type-arg]
    """All of something, or a number of it."""

    name = "N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return a number, or ``all``."""
        if value == "all":
            return "all"
        number: int = COUNT.convert(value, param, ctx)
        return number


@command.command("export", epilog="Example: ssefw results export LiCl --store demo -o licl/")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...")
@store_option
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder.")
@click.option("--structures/--no-structures", default=True, help="Relaxed structures as CIF.")
@click.option(
    "--frames", type=_HowMany(), is_flag=False, flag_value="all",
    help="Trajectories as extended XYZ; with a number, so many of each candidate.",
)  # fmt: skip
@click.option("--stride", type=COUNT, help="Every so many frames.")
@click.option("--decorrelated", is_flag=True, help="Frames that have forgotten each other.")
@click.option(
    "--select", type=click.Choice(("uncertain", "diverse")),
    help="Of the decorrelated frames those that a potential would learn most from.  [uncertain]",
)  # fmt: skip
@click.option(
    "--committee", multiple=True, metavar="NAME",
    help="Potentials by short name, or calculators by import path, that disagree where they are "
    "uncertain.  [sevennet-l3i5 and sevennet-0]",
)  # fmt: skip
@click.option(
    "--calculator",
    metavar="NAME",
    help="For forces and stress: short name of a potential, or import path of an ASE calculator.",
)
def export(
    *,
    candidates: tuple[str, ...],
    out: Path,
    structures: bool,
    frames: int | str | None,
    stride: int | None,
    decorrelated: bool,
    select: str | None,
    committee: tuple[str, ...],
    calculator: str | None,
) -> None:
    """Write structures and trajectories of candidates as files that other programs read.

    Frames are those behind equilibration with energy, temperature and level of theory. A store
    keeps no forces; --calculator computes energy, forces and stress anew, for example to train a
    potential on. With a number of frames, energies, forces and stress are always there: of the
    calculator, else of the first of the committee.
    """
    from ssefw.engines.potentials.committee import COMMITTEE, load_calculator, load_committee
    from ssefw.report.export import write_chosen, write_runs, write_structures
    from ssefw.report.frame_files import runs_of
    from ssefw.report.story import find_outcomes
    from ssefw.store.frames.trajectories import TrajectoryStore

    if decorrelated and stride:
        raise click.UsageError("give --stride or --decorrelated, not both")
    is_choice = isinstance(frames, int)
    if (select or committee) and not is_choice:
        raise click.UsageError("--select and --committee need --frames with a number")
    if is_choice and stride:
        raise click.UsageError("a number of frames is chosen of the decorrelated; leave out stride")
    if committee and select == "diverse":
        raise click.UsageError("frames are diverse without a committee")
    how: Select = "diverse" if select == "diverse" else "uncertain"
    with opened(read_only=True) as connection:
        outcomes = [item for word in candidates for item in find_outcomes(connection, word)]
        out.mkdir(parents=True, exist_ok=True)
        written = write_structures(outcomes, out) if structures else []
        store = TrajectoryStore(connection.blobs)
        level = load_calculator(calculator) if calculator is not None else None
        is_asked = is_choice and how == "uncertain"
        members = load_committee(committee or COMMITTEE) if is_asked else []
        level = level or next(iter(members), None)
        if is_choice and level is None:
            level = load_calculator()
        for outcome in outcomes if frames else ():
            runs = runs_of(connection, outcome)
            if isinstance(frames, int):
                path, count = write_chosen(outcome, runs, store, out, n=frames, select=how,
                                           committee=members, level=level)  # fmt: skip
                if count < frames:
                    said = f"{outcome.formula} has {count} decorrelated frames, not {frames}."
                    say(said, err=True)
                written.append(path)
            else:
                step = None if decorrelated else stride or 1
                written += write_runs(outcome, runs, store, out, stride=step, level=level)
    for path in written:
        say(path)


@command.command("build", epilog="Example: ssefw results build quickstart --store demo")
@click.argument("campaigns", nargs=-1, metavar="[CAMPAIGN]...")
@store_option
@dry_run_option
@json_option
def build(*, campaigns: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Derive conductivities and barriers again from stored trajectories, where need be.

    Nothing is simulated. Documents go to the collections 'conductivities' and 'barriers' with the
    version of the analysis; what is up to date stays as it is.
    """
    from ssefw.campaigns.derive import derive

    with opened(read_only=dry_run) as connection:
        for item in derive(connection, campaigns=campaigns, dry_run=dry_run):
            if as_json:
                print_json(vars(item) | {"dry_run": dry_run})
            else:
                would = "would be " if dry_run else ""
                say(f"{item.what}: {item.computed} {would}computed, {item.present} up to date")
