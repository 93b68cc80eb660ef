"""Computed conductivities beside measured ones, and how far apart they are.

    ssefw run workflows/scoreboard.yaml --store board
    python benchmarks/scoreboard.py board

It takes many core-hours, so that a table may grow from several stores, on several machines:

    python benchmarks/scoreboard.py board --add ENGINE.json --json > longer.json
    python benchmarks/scoreboard.py --add longer.json --left > left.yaml
    ssefw run left.yaml --store another

The first puts what a store holds beside the compounds of an earlier table, the second writes a
campaign of the compounds that are still missing. With `--json` it prints what ssefw learns from,
the table of an engine in `ssefw/data/labels/scoreboards`: what to expect in experiment of a number
that this engine computed. How good that is stands below the table, each compound judged by the
others.

Measured values are those that `workflows/scoreboard.yaml` states, or another campaign file
(`--campaign`) whose structures state `measured_S_per_cm` among their properties, and perhaps
`measured_E_a_eV`. Outcomes of every campaign of the store count that have the same compound: run it
on what there is so far.

An upper bound agrees with a measurement that lies below it, and says nothing of the ratio: shares
within a factor count values only.
"""

import argparse
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import scipy.stats
import yaml

import ssefw
from ssefw.data import candidate_from_text
from ssefw.data.labels.experiment import Compared, Scoreboard, left_out
from ssefw.documents import Outcome

WORKFLOW = Path(__file__).parents[1] / "workflows/scoreboard.yaml"
FACTORS = (3.0, 10.0)
FEWEST = 4
"""Pairs of which a rank correlation is printed."""


def decades(row: Compared) -> float | None:
    """Return log10 of computed over measured."""
    value = row.computed.value
    return None if value is None else math.log10(value / row.measured)


def agrees(row: Compared) -> bool | None:
    """Return whether the measurement lies in the interval or beyond the bound."""
    if row.computed.kind == "undetermined":
        return None
    return (row.computed.lower or 0.0) <= row.measured <= (row.computed.upper or math.inf)


def stated(campaign: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the structures of a campaign file whose conductivity was measured, by candidate."""
    return {
        candidate_from_text(item["cif"], name=item["name"]).id: item
        for item in campaign["pool"]["structures"]
        if "measured_S_per_cm" in item.get("properties", {})
    }


def compared(outcome: Outcome, item: dict[str, Any]) -> Compared | None:
    """Return an outcome beside its measurement; None where it holds no conductivity."""
    fit = outcome.conductivity
    return fit and Compared(
        item["name"],
        outcome.candidate_id,
        float(item["properties"]["measured_S_per_cm"]),
        fit.conductivity,
        barrier=fit.activation_energy,
        core_hours=round(outcome.cost.core_hours, 3),
        date=outcome.provenance.created.date().isoformat(),
    )


class Blocks(yaml.SafeDumper):
    """YAML in which a crystal structure stays readable."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


Blocks.add_representer(str, _text)


def line(row: Compared, item: dict[str, Any]) -> str:
    computed = str(row.computed).removesuffix(" S/cm")
    far = decades(row)
    holds = {True: "yes", False: "no", None: ""}[agrees(row)]
    slope = "" if row.barrier is None else str(row.barrier).removesuffix(" eV")
    told = item.get("properties", {}).get("measured_E_a_eV", "")
    numbers = f"{row.measured:.2g} | {computed} | {'' if far is None else f'{far:+.1f}'} | {holds}"
    return f"| {row.name} | {numbers} | {told} | {slope} | {row.core_hours:.2g} |"


def together(engine: str, rows: Sequence[Compared], earlier: Scoreboard | None) -> Scoreboard:
    """Return one table of compounds computed now and before; what is newer counts."""
    by_id = {row.candidate_id: row for row in (*(earlier.compounds if earlier else ()), *rows)}
    compounds = sorted(by_id.values(), key=lambda row: -row.measured)
    return Scoreboard(
        engine=engine,
        date=max((row.date for row in compounds), default=datetime.now(UTC).date().isoformat()),
        version=ssefw.__version__,
        core_hours=round(sum(row.core_hours for row in compounds), 3),
        compounds=tuple(compounds),
    )


def expected(table: Scoreboard) -> str:
    """Say how often experiment lies where the other compounds let expect it."""
    found = left_out(table)
    values = [(row, told.conductivity) for row, told in found if told.conductivity.value]
    holds = sum(
        (told.conductivity.lower or 0.0) <= row.measured <= (told.conductivity.upper or math.inf)
        for row, told in found
    )
    within = sum(abs(math.log10(told.value / row.measured)) <= 1.0 for row, told in values)
    return (
        f"expected in experiment, each compound by the others: interval or bound holds "
        f"{holds} of {len(found)}, value within a factor of 10 {within} of {len(values)}"
    )


def summary(rows: Sequence[Compared]) -> list[str]:
    values = [far for far in map(decades, rows) if far is not None]
    found = [f"{len(rows)} compounds, {len(values)} with a value"]
    if values:
        found += [
            f"within a factor of {factor:g}: "
            f"{sum(abs(x) <= math.log10(factor) for x in values)} of {len(values)}"
            for factor in FACTORS
        ]
        found.append(f"mean of log10(computed / measured): {sum(values) / len(values):+.2f}")
    known = [one for one in map(agrees, rows) if one is not None]
    found.append(f"interval or bound holds the measurement: {sum(known)} of {len(known)}")
    # A bound takes part in the order of compounds by its upper end.
    ends = [(row.measured, row.computed.value or row.computed.upper) for row in rows]
    pairs = [(measured, end) for measured, end in ends if end]
    if len(pairs) >= FEWEST:
        rho = scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic
        found.append(f"Spearman correlation, bounds by their upper end: {rho:.2f}")
    return found


def outcomes_in(store: str | None, items: dict[str, dict[str, Any]]) -> list[Outcome]:
    """Return the outcomes of a store of the compounds that are asked for."""
    if store is None:
        return []
    with ssefw.open(store) as opened:
        return [outcome for outcome in opened.outcomes() if outcome.candidate_id in items]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", nargs="?")
    parser.add_argument("--campaign", type=Path, default=WORKFLOW)
    parser.add_argument("--add", type=Path, metavar="TABLE", help="an earlier table")
    parser.add_argument("--json", action="store_true", help="print what ssefw learns from")
    parser.add_argument("--left", action="store_true", help="print a campaign of what is missing")
    arguments = parser.parse_args()
    if not (arguments.store or arguments.add):
        parser.error("give a store, or a table by --add")
    campaign = yaml.safe_load(arguments.campaign.read_text())
    items = stated(campaign)
    earlier = Scoreboard.of(json.loads(arguments.add.read_text())) if arguments.add else None
    outcomes = outcomes_in(arguments.store, items)
    found = [compared(outcome, items[outcome.candidate_id]) for outcome in outcomes]
    rows = [row for row in found if row is not None]
    engines = {outcome.provenance.engine for outcome in outcomes}
    engines |= {earlier.engine} if earlier else set()
    if len(engines) > 1:
        parser.error(f"a table is of one engine, and these are of {', '.join(sorted(engines))}")
    table = together("".join(engines), rows, earlier)
    if arguments.left:
        known = {row.candidate_id for row in table.compounds}
        campaign["pool"]["structures"] = [i for key, i in items.items() if key not in known]
        print(yaml.dump(campaign, Dumper=Blocks, sort_keys=False, allow_unicode=True), end="")
        return
    if arguments.json:
        if not table.compounds:
            parser.error("no compound has a conductivity yet")
        print(json.dumps(table.as_record(), indent=1))
        return
    print(f"engine: {table.engine or 'none'}; conductivities in S/cm at 300 K\n")
    print(
        "| compound | measured | computed | decades | holds | measured E_a, eV | computed E_a, eV "
        "| core-hours |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in table.compounds:
        print(line(row, items.get(row.candidate_id, {})))
    print()
    for outcome, row in zip(outcomes, found, strict=True):
        if row is None:
            print(f"- {items[outcome.candidate_id]['name']}: no conductivity, {outcome.status}")
    for text in [*summary(table.compounds), expected(table)]:
        print(f"- {text}")


if __name__ == "__main__":
    main()
