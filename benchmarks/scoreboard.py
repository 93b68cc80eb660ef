"""Computed conductivities beside measured ones, and how far apart they are.

    ssefw run workflows/scoreboard.yaml --store board
    python benchmarks/scoreboard.py board

Measured values are those that `workflows/scoreboard.yaml` states, or another campaign file
(`--campaign`) whose structures state `measured_S_per_cm` among their properties. Outcomes of every
campaign of the store count that have the same compound: run it on what there is so far.

An upper bound agrees with a measurement that lies below it, and says nothing of the ratio: shares
within a factor count values only.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import scipy.stats
import yaml

import ssefw
from ssefw.data import candidate_from_text
from ssefw.documents import Estimate, Outcome

WORKFLOW = Path(__file__).parents[1] / "workflows/scoreboard.yaml"
FACTORS = (3.0, 10.0)
FEWEST = 4
"""Pairs of which a rank correlation is printed."""


@dataclass(frozen=True)
class Row:
    """A compound, what was measured (S/cm) and what was computed."""

    name: str
    measured: float
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


def measured(campaign: Path) -> dict[str, tuple[str, float]]:
    """Return name and measured conductivity (S/cm) of each candidate that states one."""
    found = {}
    for item in yaml.safe_load(campaign.read_text())["pool"]["structures"]:
        value = item.get("properties", {}).get("measured_S_per_cm")
        if value is not None:
            candidate = candidate_from_text(item["cif"], name=item["name"])
            found[candidate.id] = (item["name"], float(value))
    return found


def line(row: Row) -> str:
    sigma = row.sigma
    computed = str(sigma).removesuffix(" S/cm") if sigma else row.outcome.status
    decades = "" if row.decades is None else f"{row.decades:+.1f}"
    agrees = {True: "yes", False: "no", None: ""}[row.agrees]
    hours = f"{row.outcome.cost.core_hours:.2g}"
    return f"| {row.name} | {row.measured:.2g} | {computed} | {decades} | {agrees} | {hours} |"


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
    arguments = parser.parse_args()
    known = measured(arguments.campaign)
    with ssefw.open(arguments.store) as store:
        outcomes = [o for o in store.outcomes() if o.candidate_id in known]
    rows = [Row(*known[o.candidate_id], o) for o in outcomes]
    rows.sort(key=lambda row: -row.measured)
    engines = ", ".join(sorted({o.provenance.engine for o in outcomes}))
    print(f"engine: {engines or 'none'}; conductivities in S/cm at 300 K\n")
    print("| compound | measured | computed | decades | holds | core-hours |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(line(row))
    print()
    for text in summary(rows):
        print(f"- {text}")


if __name__ == "__main__":
    main()
