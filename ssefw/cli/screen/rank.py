"""``ssefw screen rank``: a pool in the order of a model's scores."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli import complete
from ssefw.cli.numbers import CONDUCTIVITY, COUNT
from ssefw.cli.options import OUTPUT, json_option, print_json, quiet_option, store_option
from ssefw.cli.say import say
from ssefw.cli.screen.inputs import PATH
from ssefw.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ssefw.documents import RankedCandidate, Ranking
    from ssefw.screening.ranking import RankingResult

__all__ = ["rank_command"]


@click.command(
    "rank", epilog="Example: ssefw screen rank pool.jsonl.gz --model m.model --preset kang2022"
)
@click.argument("pool", type=PATH)
@click.option("--model", type=PATH, required=True, help="What `screen train` wrote.")
@click.option(
    "--preset",
    shell_complete=complete.presets,
    help="Filters of a paper: kang2022, laskowski2023, mchaffie2025.",
)
@click.option("--phases", type=PATH, help="Phases with formation energies, for oxidation limits.")
@click.option("--gaps", type=PATH, help="A pool that states band gaps; others are predicted by it.")
@click.option("--top", type=COUNT, default=50, help="Length of the ranking.")
@click.option(
    "--threshold",
    type=CONDUCTIVITY,
    help="Score: the chance of so many S/cm, of models that predict the number.  [default: the "
    "model's]",
)
@click.option(
    "--submit",
    "is_submitted",
    is_flag=True,
    help="As jobs of a thousand rows that workers run; given again, it shows what they found.",
)
@store_option
@click.option("--accepted-only", is_flag=True, help="Only what every member votes for.")
@click.option("-o", "--out", type=OUTPUT, help="Write the ranking (.json).")
@click.option("--pool-out", type=OUTPUT, help="Write the ranked structures as a pool (.jsonl).")
@click.option("--table", type=OUTPUT, help="Write cells, gaps, barriers, scores, ids (.csv).")
@click.option("--trails", type=OUTPUT, help="Write the filter trail of every material (.csv).")
@click.option("--figure", type=OUTPUT, help="Draw scores and distances of all (.svg, .png).")
@quiet_option
@json_option
def rank_command(
    *,
    pool: Path,
    model: Path,
    preset: str | None,
    phases: Path | None,
    gaps: Path | None,
    top: int,
    out: Path | None,
    pool_out: Path | None,
    table: Path | None,
    trails: Path | None,
    figure: Path | None,
    accepted_only: bool,
    threshold: float | None,
    is_submitted: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Order a pool by the model's score, after the filters of a preset.

    The file of --pool-out is a pool that a campaign file names under 'pool', and so is that of
    --out. A material without lithium is no candidate.
    """
    from ssefw.cli.console import progress
    from ssefw.screening.ranking import rank_pool

    asked: dict[str, Any] = {
        "preset": preset,
        "phases": phases,
        "gaps": gaps,
        "top": None if figure else top,
        "accepted_only": accepted_only,
        "threshold": threshold,
    }
    result: RankingResult | None
    with progress(quiet=quiet):
        if is_submitted:
            if trails:
                raise click.UsageError("--trails is of rankings that are made here, not of jobs.")
            result = _by_jobs(pool, model, asked, as_json=as_json)
        else:
            result = rank_pool(pool, model, **asked)
    if result is None:
        return
    if figure:
        _draw_pool(result, figure)
        kept = result.ranking.entries[:top]
        result.ranking = result.ranking.model_copy(update={"entries": kept})
    for write, path in (
        (_write_ranking, out),
        (_write_pool, pool_out),
        (_write_table, table),
        (_write_trails, trails),
    ):
        if path is not None:
            write(result, path)
    _say_counts(result)
    if as_json:
        for entry in result.ranking.entries:
            print_json(entry.model_dump(mode="json"))
    else:
        _print_ranking(result)


def _by_jobs(
    pool: Path, model: Path, asked: dict[str, Any], *, as_json: bool
) -> "RankingResult | None":
    """Return the ranking that jobs have made of a pool; None where they are still at it."""
    from ssefw.campaigns.running.batches import collected, materials_named
    from ssefw.cli.batches import submitted
    from ssefw.cli.options import opened
    from ssefw.data.pools import Reject
    from ssefw.documents import RankedPart
    from ssefw.makers.batches import RankBatchMaker, input_key
    from ssefw.screening.base import load_screener
    from ssefw.screening.filters.cascade import preset_filters
    from ssefw.screening.ranking import merged_ranking

    load_screener(model)  # what is no model is told now, not by every job
    if asked["preset"]:
        preset_filters(asked["preset"])
    files = {"model": model, "phases": asked["phases"], "gaps": asked["gaps"]}
    payloads = {name: path.read_bytes() for name, path in files.items() if path}
    keys = {name: input_key(payload) for name, payload in payloads.items()}
    with opened(create=True) as connection:
        for name, payload in payloads.items():
            connection.blobs.put(keys[name], payload)
        batches = submitted(
            connection, pool, RankBatchMaker(**(asked | {"phases": "", "gaps": ""} | keys)),
            names_differ=True, as_json=as_json,
        )  # fmt: skip
        if batches is None:
            return None
        parts = collected(connection, batches, RankedPart)
    result = merged_ranking(parts, top=asked["top"], read=materials_named(pool))
    result.repeated += batches.repeated
    result.rejects += [Reject(*reject) for reject in batches.unread]
    return result


def _write_ranking(result: "RankingResult", path: Path) -> None:
    """Write the ranking with the structures of its entries, so that it is a pool again."""
    with replacing(path) as draft:
        whole = result.ranking.model_copy(update={"pool": tuple(_pool_rows(result))})
        draft.write_text(json.dumps(whole.as_dict(), default=float) + "\n")


def _write_table(result: "RankingResult", path: Path) -> None:
    from ssefw.cli.records.survivors import write_table
    from ssefw.report.survivors import ranked_survivors

    write_table(list(ranked_survivors(result.ranking, result.cascade.passed)), path)


def _write_pool(result: "RankingResult", path: Path) -> None:
    """Write a line for each entry that has a structure, in order."""
    with replacing(path) as draft, draft.open("w") as file:
        for record in _pool_rows(result):
            file.write(json.dumps(record, default=float) + "\n")


def _pool_rows(result: "RankingResult") -> "Iterator[dict[str, Any]]":
    from ssefw.screening.ranking import ranked_candidates

    for candidate in ranked_candidates(result):
        record = {"structure": candidate.structure.as_dict(), "name": candidate.source}
        yield record | candidate.properties


def _draw_pool(result: "RankingResult", path: Path) -> None:
    from ssefw.report.figures.screening import draw_pool

    listed = {entry.source for entry in result.ranking.entries}
    disordered = {
        material.name: not material.structure.is_ordered
        for material in result.cascade.passed
        if material.name in listed and material.build is not None
    }
    draw_pool(result.ranking.entries, disordered, path)


def _write_trails(result: "RankingResult", path: Path) -> None:
    from ssefw.files.tables import TableWriter

    with path.open("w", newline="") as file:
        table = TableWriter(file, ["name", "filter", "passed", "code", "message"])
        for name, trail in result.cascade.trails.items():
            for gate in trail:
                table.write([name, gate.name, gate.passed, gate.code, gate.message])


def _say_counts(result: "RankingResult") -> None:
    if result.rejects:
        say(f"{len(result.rejects)} rows of the pool cannot be read", err=True)
    if result.repeated:
        say(
            f"{len(result.repeated)} rows repeat the name of an earlier row, which counts", err=True
        )
    if result.without_ion:
        say(f"{len(result.without_ion)} rows hold no lithium and are no candidates", err=True)
    for step in result.ranking.cascade:
        say(
            f"{step.name}: {step.n_in} -> {step.n_passed}"
            + (f" ({step.n_undetermined} undetermined)" if step.n_undetermined else ""),
            err=True,
        )


def _meaning(ranking: "Ranking") -> str:
    """Return what the columns mean, where two of them seem to contradict each other."""
    if not any(entry.votes is not None for entry in ranking.entries):
        return ranking.meaning
    return (
        f"{ranking.meaning}; votes: members whose own probability, before calibration, is 0.5 or "
        "more. Where few labels are positive or the model is weak, calibration draws scores to the "
        "share of positives, so that most may vote yes at a score below 0.5: the order counts"
    )


def _print_ranking(result: "RankingResult") -> None:
    from ssefw.cli.console import show_estimate
    from ssefw.cli.listing import Heading, Listing

    numbers = any(entry.sigma is not None for entry in result.ranking.entries)
    table = Listing(
        [
            Heading("#", 0, "right"),
            Heading("material", 1),
            Heading("formula"),
            Heading("score", 0, "right"),
            Heading("95 %", 3, "right"),
            Heading("sigma (S/cm), 90 %") if numbers else Heading("votes", 2),
            Heading("distance", 4, "right"),
        ],
        caption=_meaning(result.ranking),
    )
    for number, entry in enumerate(result.ranking.entries, start=1):
        table.add(
            number,
            entry.source,
            entry.formula,
            f"{entry.score:.3f}",
            f"{entry.lower:.2f}–{entry.upper:.2f}" if entry.lower is not None else "–",
            show_estimate(entry.sigma) if numbers else _votes(entry),
            f"{entry.distance:.2f}" if entry.distance is not None else "–",
        )
    table.show()


def _votes(entry: "RankedCandidate") -> str:
    if entry.votes is None:
        return "–"
    apart = ", ".join(f"{kind} {votes}" for kind, votes in entry.votes_by_kind.items())
    return f"{entry.votes}/{entry.n_votes}" + (f" ({apart})" if apart else "")
