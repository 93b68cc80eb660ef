"""Computed conductivities beside measured ones, and how far apart they are.

    ssefw run workflows/scoreboard.yaml --store board
    python benchmarks/scoreboard.py board
    python benchmarks/scoreboard.py board --json > ssefw/data/labels/scoreboards/ENGINE.json

With `--json` it prints what ssefw learns from: what to expect in experiment of a number that this
engine computed. How good that is stands below the table, each compound judged by the others.

Measured values are those that `workflows/scoreboard.yaml` states, or another campaign file
(`--campaign`) whose structures state `measured_S_per_cm` among their properties, and perhaps
`measured_E_a_eV`. Outcomes of every
campaign of the store count that have the same compound: run it on what there is so far.

An upper bound agrees with a measurement that lies below it, and says nothing of the ratio: shares
within a factor count values only.
"""

import argparse
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import scipy.stats
import yaml

import ssefw
from ssefw.data import candidate_from_text
from ssefw.data.labels.experiment import Compared, Scoreboard, left_out
from ssefw.documents import Estimate, Outcome

WORKFLOW = Path(__file__).parents[1] / "workflows/scoreboard.yaml"
FACTORS = (3.0, 10.0)
FEWEST = 4
"""Pairs of which a rank correlation is printed."""


@dataclass(frozen=True)
class Row:
    """A compound, what was measured (S/cm; eV where it is stated) and what was computed."""

    name: str
    measured: float
    barrier: float | None
    outcome: Outcome

    @property
    def sigma(self) -> Estimate | None:
        """Return the computed conductivity."""
        fit = self.outcome.conductivity
        return fit.conductivity if fit else None

    @property
    def decades(self) -> float | None:
        """Return log10 of computed over measured."""
        if self.sigma is None or self.sigma.value is None:
            return None
        return math.log10(self.sigma.value / self.measured)

    @property
    def agrees(self) -> bool | None:
        """Return whether the measurement lies in the interval or beyond the bound."""
        if self.sigma is None or self.sigma.kind == "undetermined":
            return None
        lower, upper = self.sigma.lower or 0.0, self.sigma.upper or math.inf
        return lower <= self.measured <= upper


def measured(campaign: Path) -> dict[str, tuple[str, float, float | None]]:
    """Return name, measured conductivity (S/cm) and E_a (eV) of candidates that state them."""
    found = {}
    for item in yaml.safe_load(campaign.read_text())["pool"]["structures"]:
        stated = item.get("properties", {})
        value, barrier = (stated.get(f"measured_{what}") for what in ("S_per_cm", "E_a_eV"))
        if value is not None:
            candidate = candidate_from_text(item["cif"], name=item["name"])
            found[candidate.id] = (item["name"], float(value), barrier and float(barrier))
    return found


def line(row: Row) -> str:
    sigma = row.sigma
    computed = str(sigma).removesuffix(" S/cm") if sigma else row.outcome.status
    decades = "" if row.decades is None else f"{row.decades:+.1f}"
    agrees = {True: "yes", False: "no", None: ""}[row.agrees]
    hours = f"{row.outcome.cost.core_hours:.2g}"
    fit = row.outcome.conductivity
    slope = str(fit.activation_energy).removesuffix(" eV") if fit else ""
    told = "" if row.barrier is None else f"{row.barrier:.2f}"
    numbers = f"{row.measured:.2g} | {computed} | {decades} | {agrees} | {told} | {slope}"
    return f"| {row.name} | {numbers} | {hours} |"


def board(rows: list[Row]) -> Scoreboard:
    """Return the table from which expectations are learned."""
    compounds = [
        Compared(row.name, row.outcome.candidate_id, row.measured, row.sigma)
        for row in rows
        if row.sigma is not None
    ]
    return Scoreboard(
        engine=rows[0].outcome.provenance.engine if rows else "",
        date=datetime.now(UTC).date().isoformat(),
        version=ssefw.__version__,
        core_hours=round(sum(row.outcome.cost.core_hours for row in rows), 3),
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


def summary(rows: list[Row]) -> list[str]:
    values = [row.decades for row in rows if row.decades is not None]
    found = [f"{len(rows)} compounds, {len(values)} with a value"]
    if values:
        found += [
            f"within a factor of {factor:g}: "
            f"{sum(abs(x) <= math.log10(factor) for x in values)} of {len(values)}"
            for factor in FACTORS
        ]
        found.append(f"mean of log10(computed / measured): {sum(values) / len(values):+.2f}")
    known = [row.agrees for row in rows if row.agrees is not None]
    found.append(f"interval or bound holds the measurement: {sum(known)} of {len(known)}")
    # A bound takes part in the order of compounds by its upper end.
    pairs = [
        (row.measured, row.sigma.value or row.sigma.upper)
        for row in rows
        if row.sigma is not None and (row.sigma.value or row.sigma.upper)
    ]
    if len(pairs) >= FEWEST:
        rho = scipy.stats.spearmanr(*zip(*pairs, strict=True)).statistic
        found.append(f"Spearman correlation, bounds by their upper end: {rho:.2f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store")
    parser.add_argument("--campaign", type=Path, default=WORKFLOW)
    parser.add_argument("--json", action="store_true", help="print what ssefw learns from")
    arguments = parser.parse_args()
    known = measured(arguments.campaign)
    with ssefw.open(arguments.store) as store:
        outcomes = [o for o in store.outcomes() if o.candidate_id in known]
    rows = [Row(*known[o.candidate_id], o) for o in outcomes]
    rows.sort(key=lambda row: -row.measured)
    if arguments.json:
        if len({row.outcome.provenance.engine for row in rows}) != 1:
            raise SystemExit("--json is for the outcomes of one engine, and there are others")
        print(json.dumps(board(rows).as_record(), indent=1))
        return
    engines = ", ".join(sorted({o.provenance.engine for o in outcomes}))
    print(f"engine: {engines or 'none'}; conductivities in S/cm at 300 K\n")
    print(
        "| compound | measured | computed | decades | holds | measured E_a, eV | computed E_a, eV "
        "| core-hours |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(line(row))
    print()
    for text in [*summary(rows), expected(board(rows))]:
        print(f"- {text}")


if __name__ == "__main__":
    main()
