"""``ssefw feedback``: outcomes become labels, and labels re-rank what is left."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli import complete
from ssefw.cli.numbers import CONDUCTIVITY
from ssefw.cli.options import (
    OUTPUT,
    answer,
    dry_run_option,
    json_option,
    opened,
    pick_campaign,
    print_json,
    store_option,
)
from ssefw.cli.records.labels_table import print_labels
from ssefw.cli.say import say

if TYPE_CHECKING:
    from ssefw.campaigns.file import FeedbackSpec
    from ssefw.documents import CampaignRecord, KindOffset, Reranking
    from ssefw.store import Connection

PATH = click.Path(path_type=Path)
METHOD = click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="ENGINE=KIND",
    help="Kind of label (aimd, mlip) of an engine that is not known; may be repeated.",
)


@click.group(epilog="Example: ssefw feedback rerank quickstart --store demo")
def command() -> None:
    """Learn from what campaigns have computed, and put what is left into a better order."""


@command.command("ingest", epilog="Example: ssefw feedback ingest --store demo -o computed.json")
@click.argument("campaigns", nargs=-1, metavar="[CAMPAIGN]...", shell_complete=complete.campaigns)
@store_option
@click.option("--outcomes", type=PATH, help="First add outcomes from elsewhere (.jsonl).")
@click.option("--specie", default="Li", help="Mobile ion.")
@METHOD
@click.option("-o", "--out", type=OUTPUT, help="Also write the label set (.json[.gz]).")
@dry_run_option
@json_option
def ingest(
    *,
    campaigns: tuple[str, ...],
    outcomes: Path | None,
    specie: str,
    methods: tuple[str, ...],
    out: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make labels of the outcomes of campaigns (all if none is named) and keep them as a set.

    Values keep their interval and bounds are censored. Rejected, failed and undetermined candidates
    make no label; neither does what melted, or has another unit, ion, temperature or an unknown
    method: these are listed with the reason. Doing it again adds nothing.
    """
    from ssefw.campaigns.learning.feedback import import_outcomes
    from ssefw.campaigns.learning.feedback import ingest as make_labels
    from ssefw.data.labels.sets import save_label_set

    if dry_run:
        _say_ingest(campaigns, outcomes, specie, _methods(methods), as_json=as_json)
        return
    with opened(create=outcomes is not None) as connection:
        if outcomes is not None:
            done = import_outcomes(connection, outcomes)
            for source, reason in done.refused:
                say(f"refused {source}: {reason}", err=True)
            say(f"{done.added} outcomes added, {done.present} there before.", err=True)
        found = make_labels(
            connection, campaigns=campaigns, specie=specie, methods=_methods(methods)
        )
    if out is not None:
        save_label_set(found.labels, out)
    for source, reason in found.labels.rejects:
        say(f"refused {source}: {reason}", err=True)
    record = {
        "label_set": found.labels.name,
        "version": found.labels.version,
        "labels": len(found.labels.labels),
        "refused": len(found.labels.rejects),
        "is_new": found.is_new,
        "key": found.key,
    }
    if as_json:
        print_json(record)
        return
    print_labels(found.labels.labels)
    say(
        f"{record['labels']} labels, version {record['version']}"
        f"{'' if found.is_new else ' (there before)'}; {record['refused']} outcomes refused.",
        err=True,
    )


def _say_ingest(
    campaigns: tuple[str, ...],
    outcomes: Path | None,
    specie: str,
    methods: Mapping[str, str],
    *,
    as_json: bool,
) -> None:
    """Say what would become labels; outcomes of a file are read and not looked up."""
    from ssefw.campaigns.learning.feedback import labels_of_outcomes, read_outcomes

    read, refused = ([], []) if outcomes is None else read_outcomes(outcomes)
    with opened(read_only=True) as connection:
        found = labels_of_outcomes(connection, campaigns=campaigns, specie=specie, methods=methods)
    for source, reason in (*refused, *found.rejects):
        say(f"would refuse {source}: {reason}", err=True)
    more = f", and {len(read)} outcomes of {outcomes} would be added" if outcomes else ""
    record = {
        "label_set": found.name,
        "version": found.version,
        "labels": len(found.labels),
        "refused": len(found.rejects),
        "outcomes": len(read),
        "dry_run": True,
    }
    answer(
        record, f"{len(found.labels)} outcomes would be labels of {found.name}{more}.",
        as_json=as_json,
    )  # fmt: skip


@command.command("rerank", epilog="Example: ssefw feedback rerank quickstart --store demo")
@click.argument("campaign", required=False, shell_complete=complete.campaigns)
@store_option
@click.option("--labels", multiple=True, metavar="SET", help="Sets to begin with.  [campaign's]")
@click.option("--system", help="Screening system.  [campaign's, else composition]")
@click.option("--threshold", type=CONDUCTIVITY, help="S/cm from which it is superionic.")
@METHOD
@click.option("--no-queue", is_flag=True, help="Leave the priorities of waiting jobs alone.")
@dry_run_option
@json_option
def rerank(
    *,
    campaign: str | None,
    labels: tuple[str, ...],
    system: str | None,
    threshold: float | None,
    methods: tuple[str, ...],
    no_queue: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Ingest outcomes, refit the model, rank the candidates, and re-order those that wait.

    Prints the ranking before and after with what moved each candidate. Label sets, models and
    rankings are kept under hashes; `ssefw feedback history` lists them.
    """
    from ssefw.campaigns.learning.loop import is_loop
    from ssefw.campaigns.learning.models import feedback_of
    from ssefw.campaigns.learning.rerank import rerank as rerank_campaign
    from ssefw.campaigns.learning.rerank import steps_of, update_priorities
    from ssefw.campaigns.learning.tested import prediction_test
    from ssefw.campaigns.running.watch import latest_record

    with opened(read_only=dry_run) as connection:
        record = latest_record(connection, pick_campaign(connection, campaign))
        feedback = feedback_of(record)
        given: dict[str, Any] = {"labels": labels, "system": system, "threshold": threshold}
        if system not in {None, feedback.system}:
            # Settings of the campaign are of another system.
            feedback = feedback.model_copy(update={"settings": {}})
        feedback = feedback.model_copy(update={k: v for k, v in given.items() if v})
        if dry_run:
            _say_rerank(connection, record, feedback, _methods(methods), as_json=as_json)
            return
        done = rerank_campaign(connection, record, feedback=feedback, methods=_methods(methods))
        test = prediction_test(steps_of(connection, done.record))
        choices = []
        if not no_queue and not is_loop(record):
            choices = update_priorities(connection, record, done.ranking, feedback=feedback)
    if as_json:
        tested = None if test is None else asdict(test)
        print_json(done.record.model_dump(mode="json") | {"prediction_test": tested})
    else:
        print_reranking(done.record)
    if test is not None:
        say(f"{test}.", err=True)
    if choices:
        say(f"{len(choices)} waiting candidates re-ordered, first {choices[0]}.", err=True)


def _say_rerank(
    connection: "Connection",
    record: "CampaignRecord",
    feedback: "FeedbackSpec",
    methods: Mapping[str, str],
    *,
    as_json: bool,
) -> None:
    """Say what a model would be fitted to, and what it would order."""
    from ssefw.campaigns.file import campaign_of
    from ssefw.campaigns.learning.feedback import base_labels, labels_of_outcomes

    specie = campaign_of(record).specie
    computed = labels_of_outcomes(connection, specie=specie, methods=methods)
    base = base_labels(feedback.labels)
    told = {
        "campaign": record.campaign,
        "system": feedback.system,
        "labels": len(base.labels),
        "computed_labels": len(computed.labels),
        "refused": len(computed.rejects),
        "candidates": len(record.candidates),
        "dry_run": True,
    }
    said = (
        f"{feedback.system} would be fitted to {len(base.labels)} labels and "
        f"{len(computed.labels)} outcomes ({len(computed.rejects)} refused), and order "
        f"{len(record.candidates)} candidates of {record.campaign}."
    )
    answer(told, said, as_json=as_json)


@command.command("next", epilog="Example: ssefw feedback next closed --store demo")
@click.argument("campaign", required=False, shell_complete=complete.campaigns)
@store_option
@dry_run_option
@json_option
def next_(*, campaign: str | None, dry_run: bool, as_json: bool) -> None:
    """Let the next batch of a closed loop run, if the one before is done.

    `ssefw run` and `ssefw resume` do this by themselves; on a cluster put it into cron.
    """
    from ssefw.campaigns.learning.loop import advance, outlook
    from ssefw.campaigns.running.watch import latest_record

    with opened(read_only=dry_run) as connection:
        record = latest_record(connection, pick_campaign(connection, campaign))
        if dry_run:
            said = outlook(connection, record)
            answer({"reason": said, "dry_run": True}, said, as_json=as_json)
            return
        turn = advance(connection, record)
    if as_json:
        print_json(
            {
                "reason": turn.reason,
                "is_over": turn.is_over,
                "hits": turn.hits,
                "released": [choice.candidate_id for choice in turn.released],
            }
        )
    else:
        say(turn.reason)


@command.command("history", epilog="Example: ssefw feedback history quickstart --store demo")
@click.argument("campaign", required=False, shell_complete=complete.campaigns)
@store_option
@json_option
def history(*, campaign: str | None, as_json: bool) -> None:
    """List the rankings of a campaign with the labels and the model that made each."""
    from ssefw.documents import Ranking, Reranking

    with opened(read_only=True) as connection:
        name = pick_campaign(connection, campaign)
        steps = list(connection.results.find(Reranking, campaign=name))
        keys = list(dict.fromkeys(k for s in steps for k in (s.ranking_before, s.ranking_after)))
        rankings = [(key, connection.results.get(key)) for key in keys]
    for key, ranking in rankings:
        if not isinstance(ranking, Ranking):
            continue
        first = ranking.entries[0].formula if ranking.entries else ""
        row = {
            "ranking": key,
            "labels": ranking.label_set,
            "model": ranking.model,
            "system": ranking.screener,
            "candidates": len(ranking.entries),
            "first": first,
        }
        if as_json:
            print_json(row)
        else:
            say(
                f"{key}  {row['system']} model {row['model']} from {row['labels']}: "
                f"{row['candidates']} candidates, first {first}"
            )
    if not rankings:
        say(f"Campaign {name} has not been re-ranked yet.", err=True)


@command.command("check", epilog="Example: ssefw feedback check record-1f0c2d --store demo")
@click.argument("ranking", metavar="RANKING")
@click.option("--campaign", help="Campaign of the ranking.  [default: the only one]")
@store_option
@json_option
def check(*, ranking: str, campaign: str | None, as_json: bool) -> None:
    """Fit the model of a stored ranking again from its labels, and compare the scores.

    RANKING is a key of `ssefw feedback history`, or its beginning.
    """
    from ssefw.campaigns.learning.models import reproduce
    from ssefw.campaigns.running.watch import latest_record

    with opened(read_only=True) as connection:
        record = latest_record(connection, pick_campaign(connection, campaign))
        found = reproduce(connection, record, ranking)
    said = f"{found.n_entries} scores made again; the largest difference is {found.largest:g}."
    told = {"ranking": ranking, "scores": found.n_entries, "largest_difference": found.largest}
    answer(told, said, as_json=as_json)


def print_reranking(record: "Reranking") -> None:
    """Print the ranking before and after, and what is to be said of the labels."""
    from ssefw.campaigns.learning.tested import has_predictions
    from ssefw.cli.console import show_estimate
    from ssefw.cli.listing import Heading, Listing

    numbers = has_predictions(record.changes)
    table = Listing(
        [
            Heading("rank", 0, "right"),
            Heading("before", 0, "right"),
            Heading("compound"),
            *([Heading("sigma (S/cm)"), Heading("sigma before", 1)] if numbers else []),
            Heading("score", 0, "right"),
            Heading("score before", 2, "right"),
        ],
        title=f"{record.campaign}: {record.screener} from {record.labels_before} "
        f"to {record.labels_after}",
    )
    for change in record.changes:
        table.add(
            change.after or "–",
            change.before or "–",
            change.formula,
            *(map(show_estimate, (change.sigma_after, change.sigma_before)) if numbers else ()),
            "–" if change.score_after is None else f"{change.score_after:.3f}",
            "–" if change.score_before is None else f"{change.score_before:.3f}",
            notes=[change.why],
        )
    table.show()
    for conflict in record.conflicts:
        say(
            f"conflict {conflict.formula}: {conflict.kept_kind} "
            f"{show_estimate(conflict.kept_conductivity)} ({conflict.kept}), "
            f"{conflict.other_kind} {show_estimate(conflict.other_conductivity)} "
            f"({conflict.other}): {conflict.reason}; {conflict.action}",
            err=True,
        )
    for offset in record.offsets:
        say(_of_kind(offset), err=True)
    for source, reason in record.refused:
        say(f"refused {source}: {reason}", err=True)
    say(
        f"{len(record.new_labels)} new labels, {len(record.refused)} outcomes refused, "
        f"{len(record.conflicts)} conflicts.",
        err=True,
    )


def _methods(options: tuple[str, ...]) -> Mapping[str, str]:
    result = {}
    for option in options:
        engine, sign, kind = option.partition("=")
        if not sign or not engine or not kind:
            raise click.UsageError(f"--method takes ENGINE=KIND, got {option!r}")
        result[engine.strip()] = kind.strip()
    return result


def _of_kind(offset: "KindOffset") -> str:
    """Return how far a kind of computed labels lies from experiment, in words."""
    name = f"{offset.kind} ({offset.level_of_theory})"
    if offset.offset.value is None:
        return f"{name} stays as computed: {offset.offset.reason}."
    return (
        f"{name} against experiment, {len(offset.pairs)} compounds: offset {offset.offset}, "
        f"spread {offset.spread}"
    )
