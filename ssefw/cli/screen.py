"""``ssefw screen``: train a screening system, rank a pool, measure it on other labels."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssefw.cli.options import json_option, print_json
from ssefw.cli.screen_clusters import descriptors_command, shortlist_command
from ssefw.cli.screen_patterns import patterns, readable_rows, votes_command
from ssefw.errors import DataError

if TYPE_CHECKING:
    from ssefw.data.materials import Material
    from ssefw.documents import Evaluation
    from ssefw.screening.ranking import RankingResult

PATH = click.Path(path_type=Path)
THRESHOLD = click.option(
    "--threshold", type=float, default=1e-4, help="S/cm from which a material is superionic."
)
STRUCTURES = click.option(
    "--structures", type=PATH, help="Zip or folder of CIFs named by the labels' ids."
)


@click.group()
def command() -> None:
    """Learn from known conductivities and order a pool by what was learned."""


command.add_command(descriptors_command)
command.add_command(shortlist_command)
command.add_command(patterns)
command.add_command(votes_command)


@command.command(
    "train", epilog="Example: ssefw screen train --labels starter --out composition.model"
)
@click.option("--system", default="composition", help="Screening system; see `screen systems`.")
@click.option("--labels", "label_set", required=True, metavar="SET", help="Labels: file or name.")
@STRUCTURES
@click.option("--pool", type=PATH, help="Materials without labels, for systems that learn of them.")
@click.option("--out", type=PATH, required=True, help="Where to write the model.")
@click.option("--keep-duplicates", is_flag=True, help="Learn from every report of one material.")
@click.option("--set", "options", multiple=True, metavar="KEY=VALUE", help="Setting of the system.")
@click.option("--tune", type=int, default=0, help="Trials of a search of hyper-parameters.")
@click.option("--seed", type=int, default=0, help="Seed of everything random.")
@click.option("--workers", type=int, default=1, help="Processes that fit at the same time.")
@THRESHOLD
@json_option
def train(
    *,
    system: str,
    label_set: str,
    structures: Path | None,
    pool: Path | None,
    out: Path,
    options: tuple[str, ...],
    tune: int,
    seed: int,
    workers: int,
    threshold: float,
    keep_duplicates: bool,
    as_json: bool,
) -> None:
    """Fit a screening system to labels and save it.

    Settings are given as --set n_splits=100 --set members='["gb","lgbm"]'; values are YAML.
    """
    from ssefw.data.dataset import dataset_of
    from ssefw.data.label_sources import find_label_set
    from ssefw.data.labels import merge_labels
    from ssefw.screening.base import make_screener, save_screener, usable_rows

    labels = find_label_set(label_set, structures=structures)
    for source, reason in labels.rejects:
        click.echo(f"rejected {source}: {reason}", err=True)
    unlabeled = readable_rows(pool) if pool else []
    if unlabeled:
        from ssefw.screening.clustering.matching import with_structures

        labels = with_structures(labels, unlabeled)
    if not keep_duplicates:
        labels = labels.model_copy(update={"labels": tuple(merge_labels(labels.labels))})
    data = dataset_of(labels, threshold=threshold)
    settings = _settings(options) | {"seed": seed, "workers": workers}
    screener = make_screener(system, settings)
    data, left_out = usable_rows(screener, data)
    if left_out:
        click.echo(f"{left_out} labels have no structure and are left out", err=True)
    if tune:
        screener = screener.tuned_on(data, trials=tune)
    screener.fit(data, pool=unlabeled)
    save_screener(screener, out)
    record = {
        "model": str(out),
        "system": system,
        "labels": len(data),
        "superionic": int(data.y.sum()),
        "label_set": data.name,
        "label_version": data.version,
        "settings": screener.settings(),
    }
    if as_json:
        print_json(record)
    else:
        click.echo(
            f"{system} learned from {record['labels']} labels of {data.name} "
            f"({record['superionic']} superionic), written to {out}"
        )


@command.command(
    "rank", epilog="Example: ssefw screen rank pool.jsonl.gz --model m.model --preset kang2022"
)
@click.argument("pool", type=PATH)
@click.option("--model", type=PATH, required=True, help="What `screen train` wrote.")
@click.option("--preset", help="Filters of a paper: kang2022, laskowski2023, mchaffie2025.")
@click.option("--phases", type=PATH, help="Phases with formation energies, for oxidation limits.")
@click.option("--top", type=int, default=50, help="Length of the ranking.")
@click.option("--accepted-only", is_flag=True, help="Only what every member votes for.")
@click.option("--out", type=PATH, help="Write the ranking (.json).")
@click.option("--pool-out", type=PATH, help="Write the ranked structures as a pool (.jsonl).")
@click.option("--trails", type=PATH, help="Write the filter trail of every material (.csv).")
@click.option("--figure", type=PATH, help="Draw scores and distances of all (.svg, .png).")
@json_option
def rank(
    *,
    pool: Path,
    model: Path,
    preset: str | None,
    phases: Path | None,
    top: int,
    out: Path | None,
    pool_out: Path | None,
    trails: Path | None,
    figure: Path | None,
    accepted_only: bool,
    as_json: bool,
) -> None:
    """Order a pool by the model's score, after the filters of a preset.

    The file of --pool-out is a pool that a campaign file names under 'pool'.
    """
    from ssefw.data.materials import read_materials
    from ssefw.screening.base import load_screener
    from ssefw.screening.cascade import preset_filters
    from ssefw.screening.phases import read_phases
    from ssefw.screening.ranking import rank_materials

    screener = load_screener(model)
    cascade = None
    if preset:
        table = read_phases(phases) if phases else None
        cascade = preset_filters(preset, phases=table, known=screener.trained_on["formulas"])
    result = rank_materials(
        read_materials(pool),
        screener,
        cascade=cascade,
        top=None if figure else top,
        accepted_only=accepted_only,
    )
    if figure:
        _draw_pool(result, figure)
        kept = result.ranking.entries[:top]
        result.ranking = result.ranking.model_copy(update={"entries": kept})
    if out:
        out.write_text(json.dumps(result.ranking.as_dict()) + "\n")
    if pool_out:
        _write_pool(result, pool_out)
    if trails:
        _write_trails(result, trails)
    _say_counts(result)
    if as_json:
        for entry in result.ranking.entries:
            print_json(entry.model_dump(mode="json"))
    else:
        _print_ranking(result)


@command.command(
    "evaluate",
    epilog="Example: ssefw screen evaluate m.model --labels test.csv --json result.json",
)
@click.argument("model", type=PATH)
@click.option("--labels", "label_set", required=True, metavar="SET", help="Labels: file or name.")
@STRUCTURES
@click.option("--pool", type=PATH, help="Labels without a structure take that of their row here.")
@click.option("--json", "json_file", type=PATH, help="Write the measures as JSON; - is stdout.")
@click.option("--figure", type=PATH, help="Draw precision-recall and reliability (.svg, .png).")
@click.option("--scatter", type=PATH, help="Draw scores against conductivities (.svg, .png).")
@click.option("--seed", type=int, default=0, help="Seed of the intervals.")
@click.option("--threshold", type=float, help="S/cm.  [default: the model's]")
def evaluate(
    *,
    model: Path,
    label_set: str,
    structures: Path | None,
    pool: Path | None,
    json_file: Path | None,
    figure: Path | None,
    scatter: Path | None,
    seed: int,
    threshold: float | None,
) -> None:
    """Measure a trained model on labels, beside what chance would give.

    Every row of a table counts, duplicates too. Says how many rows are near-duplicates of what
    the model was trained on.
    """
    from ssefw.data.dataset import dataset_of
    from ssefw.data.label_sources import find_label_set
    from ssefw.screening.base import load_screener, usable_rows
    from ssefw.screening.evaluate import evaluate_model, similar_to

    screener = load_screener(model)
    labels = find_label_set(label_set, structures=structures)
    for source, reason in labels.rejects:
        click.echo(f"rejected {source}: {reason}", err=True)
    if pool:
        from ssefw.screening.clustering.matching import with_structures

        labels = with_structures(labels, readable_rows(pool))
    limit = threshold if threshold is not None else screener.trained_on["threshold"]
    data = dataset_of(labels, threshold=limit)
    left_out = len(labels.labels) - len(data)
    if left_out:
        click.echo(f"{left_out} bounds do not decide the class and are left out", err=True)
    data, left_out = usable_rows(screener, data)
    result = evaluate_model(screener, data, seed=seed)
    if left_out:
        share = len(data) / (len(data) + left_out)
        click.echo(
            f"{left_out} labels have no structure and are left out: the measures are of "
            f"{share:.0%} of the labels",
            err=True,
        )
        record = result.record | {"without_structure": left_out, "coverage": round(share, 4)}
        result = result.model_copy(update={"record": record})
    if json_file:
        record = _measures(result)
        if str(json_file) == "-":
            print_json(record)
        else:
            json_file.write_text(json.dumps(record, indent=1) + "\n")
    if figure:
        from ssefw.report.evaluation_figure import draw_evaluation

        draw_evaluation(result, figure)
    if scatter:
        from ssefw.report.screening_figures import draw_conductivities

        scores = screener.score(data.materials)
        draw_conductivities(
            scores.probability,
            data.labels,
            scatter,
            threshold=limit,
            spread=scores.spread,
            similar=similar_to(data, screener.trained_on["formulas"]),
        )
    if str(json_file) != "-":
        _print_evaluation(result)


@command.command("explain", epilog="Example: ssefw screen explain m.model Li6PS5Cl")
@click.argument("model", type=PATH)
@click.argument("formula", required=False)
@click.option("--structure", type=PATH, help="Structure file, for systems that ask for one.")
@click.option("--top", type=int, default=10, help="So many properties.")
@json_option
def explain(
    *, model: Path, formula: str | None, structure: Path | None, top: int, as_json: bool
) -> None:
    """Say which properties move the score of a material most, or of all labels without one."""
    from ssefw.screening.base import load_screener

    screener = load_screener(model)
    if formula is None and structure is None:
        found = screener.importances(top=2 * top)[:top]
        if not found:
            raise DataError(
                f"A model of {screener.name!r} like this one has no importances over all labels. "
                f"Give a formula: ssefw screen explain {model} Li6PS5Cl"
            )
        for name, weight in found:
            if as_json:
                print_json({"feature": name, "importance": weight})
            else:
                click.echo(f"{weight:.4f}  {name}")
        return
    material = _asked(formula, structure)
    scores = screener.score([material])
    if scores.problems:
        raise DataError(scores.problems[0])
    reasons = screener.explain(material, top=top)
    if as_json:
        for reason in reasons:
            print_json(vars(reason))
        return

    from rich.table import Table

    from ssefw.cli.console import console

    table = Table(title=f"{material.formula}: score {scores.probability[0]:.2f}")
    for title in ("property", "value", "median of labels", "adds to score"):
        table.add_column(title)
    for item in reasons:
        table.add_row(
            item.feature, f"{item.value:.4g}", f"{item.typical:.4g}", f"{item.effect:+.3f}"
        )
    console().print(table)


def _asked(formula: str | None, structure: Path | None) -> "Material":
    from ssefw.data.materials import Material, material_from_candidate
    from ssefw.data.pools import read_pool

    if structure is None:
        return Material(name=str(formula), formula=str(formula))
    if formula is not None:
        raise click.UsageError("Give a formula or --structure, not both.")
    return material_from_candidate(read_pool(structure, strict=True).candidates[0])


@command.command("systems", epilog="Example: ssefw screen systems")
def systems() -> None:
    """List the screening systems that are installed."""
    from ssefw.screening.base import screener_names

    for name in screener_names():
        click.echo(name)


def _settings(options: tuple[str, ...]) -> dict[str, Any]:
    import yaml

    result: dict[str, Any] = {}
    for option in options:
        key, sign, value = option.partition("=")
        if not sign:
            raise click.UsageError(f"--set takes KEY=VALUE, got {option!r}")
        try:
            result[key.strip().replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise click.UsageError(f"--set {option!r}: the value is no YAML") from error
    return result


def _write_pool(result: "RankingResult", path: Path) -> None:
    """Write a line for each entry that has a structure, in order."""
    from ssefw.screening.ranking import ranked_candidates

    with path.open("w") as file:
        for candidate in ranked_candidates(result):
            record = {"structure": candidate.structure.as_dict(), "name": candidate.source}
            file.write(json.dumps(record | candidate.properties, default=float) + "\n")


def _draw_pool(result: "RankingResult", path: Path) -> None:
    from ssefw.report.screening_figures import draw_pool

    listed = {entry.source for entry in result.ranking.entries}
    disordered = {
        material.name: not material.structure.is_ordered
        for material in result.cascade.passed
        if material.name in listed and material.build is not None
    }
    draw_pool(result.ranking.entries, disordered, path)


def _write_trails(result: "RankingResult", path: Path) -> None:
    import csv

    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "filter", "passed", "code", "message"])
        for name, trail in result.cascade.trails.items():
            for gate in trail:
                table.writerow([name, gate.name, gate.passed, gate.code, gate.message])


def _say_counts(result: "RankingResult") -> None:
    if result.rejects:
        click.echo(f"{len(result.rejects)} rows of the pool cannot be read", err=True)
    if result.repeated:
        click.echo(
            f"{len(result.repeated)} rows repeat the name of an earlier row, which counts", err=True
        )
    for step in result.ranking.cascade:
        click.echo(
            f"{step.name}: {step.n_in} -> {step.n_passed}"
            + (f" ({step.n_undetermined} undetermined)" if step.n_undetermined else ""),
            err=True,
        )


def _print_ranking(result: "RankingResult") -> None:
    from rich.table import Table

    from ssefw.cli.console import console

    table = Table(caption=result.ranking.meaning)
    for title in ("#", "material", "formula", "score", "95 %", "votes", "distance"):
        table.add_column(title)
    for number, entry in enumerate(result.ranking.entries, start=1):
        table.add_row(
            str(number),
            entry.source,
            entry.formula,
            f"{entry.score:.3f}",
            f"{entry.lower:.2f}–{entry.upper:.2f}" if entry.lower is not None else "–",
            f"{entry.votes}/{entry.n_votes}" if entry.votes is not None else "–",
            f"{entry.distance:.2f}" if entry.distance is not None else "–",
        )
    console().print(table)


def _measures(result: "Evaluation") -> dict[str, Any]:
    def line(estimate: Any) -> dict[str, Any]:
        return {"value": estimate.value, "lower": estimate.lower, "upper": estimate.upper}

    record = result.model_dump(mode="json", exclude={"metrics", "controls"})
    measures = {name: line(value) for name, value in result.metrics.items()}
    controls = {
        kind: {name: line(value) for name, value in values.items()}
        for kind, values in result.controls.items()
    }
    return {**measures, **record, "controls": controls}


def _print_evaluation(result: "Evaluation") -> None:
    from rich.table import Table

    from ssefw.cli.console import console, show_estimate

    table = Table(
        title=f"{result.screener} on {result.label_set}: {result.n} labels, "
        f"{result.n_positive} superionic at {result.threshold:g} S/cm"
    )
    for title in ("measure", "value [95 %]", "constant score", "shuffled scores"):
        table.add_column(title)
    for name, value in result.metrics.items():
        controls = [result.controls[kind][name] for kind in ("mean", "shuffled")]
        table.add_row(
            name, show_estimate(value, digits=3), *(show_estimate(c, digits=2) for c in controls)
        )
    console().print(table)
    seen = result.record.get("similar_to_training", 0)
    if seen:
        unseen = result.record.get("without_similar", {}).get("mcc")
        click.echo(
            f"{seen} of {result.n} labels are within 5 % of a composition the model was trained on"
            + (f"; without them mcc is {unseen:.3f}" if unseen is not None else ""),
            err=True,
        )
