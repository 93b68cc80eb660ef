"""The report of a campaign: one HTML file with everything in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from ssefw.analysis.bend import remark
from ssefw.campaigns.running.watch import Snapshot, latest_record, snapshot
from ssefw.documents import (
    CampaignRecord,
    Conductivity,
    Diffusivity,
    Estimate,
    Outcome,
    Reranking,
)
from ssefw.files import expand_user, replacing
from ssefw.report.feedback import feedback_section
from ssefw.report.figures.arrangements import arrangements_svg
from ssefw.report.figures.campaign import arrhenius_svg, msd_svg
from ssefw.report.figures.neb import barriers_svg
from ssefw.report.methods import methods_of
from ssefw.report.rows import rank_outcomes, sigma
from ssefw.settings import Settings
from ssefw.store import Connection

__all__ = ["render_report", "write_report"]

DEFAULT_LEVEL = 0.95


def write_report(
    connection: Connection, campaign: str, settings: Settings, *, output: Path | None = None
) -> Path:
    """Write the report and return its path: by default ``report.html`` beside the store."""
    record = latest_record(connection, campaign)
    outcomes = rank_outcomes(connection.results.find(Outcome, campaign=campaign))
    now = snapshot(connection, record, settings.scratch_folder())
    learned = list(connection.results.find(Reranking, campaign=campaign))
    page = render_report(record, outcomes, now, learned=learned)
    if output is None:
        base = Path() if settings.store.startswith("mongodb") else expand_user(settings.store)
        output = base / campaign / "report.html"
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as draft:
        draft.write_text(page, encoding="utf-8")
    return output


def render_report(
    record: CampaignRecord,
    outcomes: list[Outcome],
    now: Snapshot,
    *,
    learned: Sequence[Reranking] = (),
) -> str:
    """Return the page; `learned` are the re-rankings of the campaign in order."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "number": _number,
        "estimate": _estimate,
        "formula": _formula,
        "remarks": _remarks,
        "percent": lambda share: f"{share:.0%}",
    }
    folder = resources.files("ssefw.report")
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    planned = {candidate.candidate_id: candidate for candidate in record.candidates}
    sections = [_Section.of(outcome, planned.get(outcome.candidate_id)) for outcome in outcomes]
    concluded = {outcome.candidate_id for outcome in outcomes}
    return template.render(
        style=(folder / "page.css").read_text(encoding="utf-8"),
        record=record,
        now=now,
        sections=sections,
        open=[c for c in record.candidates if c.candidate_id not in concluded],
        axis=_Axis.around(outcomes),
        level=_level(outcomes),
        has_bands=any(outcome.barrier for outcome in outcomes),
        longest=max((d.duration for o in outcomes for d in o.diffusivities), default=0.0),
        cost=_total_cost(outcomes),
        learned=feedback_section(learned),
        saving=_Saving.of(outcomes),
        versions=_versions(outcomes),
        methods=methods_of(record),
        engine=next((o.provenance.engine for o in outcomes if o.provenance.engine), ""),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        counts={
            status: sum(outcome.status == status for outcome in outcomes)
            for status in ("determined", "bound", "undetermined", "rejected", "failed")
        },
    )


def _remarks(run: Diffusivity) -> str:
    """Return what a reader should know of a run before using its number."""
    ended = f"ended: {run.length_reason}" if run.length_reason else ""
    return "; ".join(filter(None, (run.reason, *run.warnings, ended)))


@dataclass(frozen=True)
class _Section:
    """What the page shows of one candidate."""

    outcome: Outcome
    conductivity: Conductivity | None
    sigma: Estimate | None
    reach: str
    planned: Any
    runs: list[Diffusivity]
    msd: str
    arrhenius: str
    bands: str
    spread: str

    @classmethod
    def of(cls, outcome: Outcome, planned: Any) -> "_Section":
        return cls(
            outcome=outcome,
            conductivity=outcome.conductivity,
            sigma=sigma(outcome),
            reach=remark(outcome.conductivity) if outcome.conductivity else "",
            planned=planned,
            runs=sorted(outcome.diffusivities, key=lambda run: run.temperature),
            msd=msd_svg(outcome.diffusivities) if outcome.diffusivities else "",
            arrhenius=arrhenius_svg(outcome.conductivity) if outcome.conductivity else "",
            bands=barriers_svg(outcome.barrier) if outcome.barrier else "",
            spread=arrangements_svg(outcome) if outcome.arrangements else "",
        )


@dataclass(frozen=True)
class _Axis:
    """The logarithmic axis of the strip that shows all conductivities together.

    Attributes
    ----------
    low, high
        Its ends, log10 of S/cm.
    """

    low: int
    high: int

    @classmethod
    def around(cls, outcomes: list[Outcome]) -> "_Axis":
        numbers = [
            number
            for outcome in outcomes
            if (estimate := sigma(outcome)) is not None
            for number in (estimate.value, estimate.lower, estimate.upper)
            if number
        ]
        if not numbers:
            return cls(-8, 0)
        logs = np.log10(numbers)
        return cls(max(-16, int(np.floor(logs.min())) - 1), max(0, int(np.ceil(logs.max()))))

    def at(self, number: float) -> float:
        """Return the place of a conductivity in percent of the axis."""
        share = (np.log10(number) - self.low) / (self.high - self.low)
        return float(np.clip(100.0 * share, 0.0, 100.0))

    @property
    def ticks(self) -> list[tuple[float, int]]:
        """Place in percent and exponent of each tick."""
        step = max(1, (self.high - self.low) // 5)
        exponents = range(self.low, self.high + 1, step)
        return [(100.0 * (e - self.low) / (self.high - self.low), e) for e in exponents]


@dataclass(frozen=True)
class _Saving:
    """What the candidates whose dynamics ran used, beside a protocol of fixed length.

    Attributes
    ----------
    used, fixed
        Core hours.
    """

    protocol: str
    n: int
    used: float
    fixed: float

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "_Saving | None":
        costs = [o.cost for o in outcomes if o.cost.protocol_core_hours is not None]
        if not costs:
            return None
        return cls(
            protocol=costs[0].protocol,
            n=len(costs),
            used=sum(cost.core_hours for cost in costs),
            fixed=sum(cost.protocol_core_hours or 0.0 for cost in costs),
        )


def _level(outcomes: list[Outcome]) -> float:
    found = (sigma(outcome) for outcome in outcomes)
    return next((e.level for e in found if e is not None), DEFAULT_LEVEL)


def _total_cost(outcomes: list[Outcome]) -> dict[str, float]:
    costs = [outcome.cost for outcome in outcomes]
    return {
        "core_hours": sum(cost.core_hours for cost in costs),
        "md_steps": sum(cost.md_steps for cost in costs),
        "atom_steps": sum(cost.atom_steps for cost in costs),
    }


def _versions(outcomes: list[Outcome]) -> dict[str, str]:
    found: dict[str, str] = {}
    for outcome in outcomes:
        found |= outcome.provenance.versions
    return dict(sorted(found.items()))


def _number(value: float | None, digits: int = 2) -> str:
    """Write a number as a person would: 1.2×10⁻⁴, 0.25, 1200."""
    if value is None:
        return "–"
    if value == 0 or 1e-2 <= abs(value) < 1e5:
        return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}×10{raised}"


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None or estimate.kind == "undetermined":
        return "undetermined" if estimate else "–"
    if estimate.kind == "upper_bound":
        return f"< {_number(estimate.upper)}"
    if estimate.kind == "lower_bound":
        return f"> {_number(estimate.lower)}"
    return f"{_number(estimate.value)} ({_number(estimate.lower)} … {_number(estimate.upper)})"


def _formula(formula: str) -> str:
    """Write a formula with subscripts: Li₁₀GeP₂S₁₂."""
    return formula.translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
