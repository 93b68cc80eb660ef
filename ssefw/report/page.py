"""The report of a campaign: one HTML file with everything in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import jinja2

from ssefw.analysis.line.bend import ENERGY_CHANGE, remark
from ssefw.campaigns.running.watch import Snapshot, latest_record, snapshot
from ssefw.data.labels.experiment import Expectation, expected_in_experiment
from ssefw.documents import (
    OUTCOME_STATUSES,
    CampaignRecord,
    Conductivity,
    Diffusivity,
    Estimate,
    LearnedPotential,
    Outcome,
    Reranking,
)
from ssefw.files import expand_user, replacing
from ssefw.report.attachments import Attachment, campaign_file, relaxed_cell, table_of
from ssefw.report.axis import SigmaAxis
from ssefw.report.feedback import feedback_section
from ssefw.report.figures.arrangements import arrangements_svg
from ssefw.report.figures.campaign import arrhenius_svg, msd_svg
from ssefw.report.figures.lessons import lesson_svg
from ssefw.report.figures.neb import barriers_svg
from ssefw.report.frame_files import FrameFile, write_frame_files
from ssefw.report.lessons import asked_words, lesson_words
from ssefw.report.methods import methods_of
from ssefw.report.rows import rank_outcomes, sigma
from ssefw.report.wording import (
    decades_words,
    estimate_words,
    formula_words,
    number_words,
    remarks_words,
    title_words,
)
from ssefw.settings import Settings
from ssefw.store import Connection
from ssefw.store.results.arrangements import arrangement_of_runs

if TYPE_CHECKING:
    from ssefw.report.pymatgen_column import PymatgenColumn

__all__ = ["render_report", "write_report"]

DEFAULT_LEVEL = 0.95
GROUPS = {
    "indicative": "Indicative: intervals wider than a value may have",
    "bound": "Bounds: what the runs could not resolve, highest first",
    "undetermined": "Undetermined",
    "rejected": "Rejected by a gate",
    "failed": "Failed",
}
"""What follows the determined candidates in the ranking, which alone have a place in it."""


def write_report(
    connection: Connection,
    campaign: str,
    settings: Settings,
    *,
    output: Path | None = None,
    frames: bool = True,
    rules: Literal["pymatgen"] | None = None,
) -> Path:
    """Write the report and return its path: by default ``report.html`` beside the store.

    Parameters
    ----------
    connection
        The store.
    campaign
        Its name.
    settings
        Of this site.
    output
        Where to; else beside the store.
    frames
        Whether frames of the runs are written beside the page, thinned, for a viewer.
    rules
        Whose diffusivities stand beside ours. They are made of the stored frames, which takes a
        second or so for each run.
    """
    record = latest_record(connection, campaign)
    outcomes = rank_outcomes(connection.results.find(Outcome, campaign=campaign))
    potentials = list(connection.results.find(LearnedPotential, campaign=campaign))
    now = snapshot(connection, record, settings.scratch_folder())
    learned = list(connection.results.find(Reranking, campaign=campaign))
    store = connection.address.masked
    if output is None:
        base = Path() if settings.store.startswith("mongodb") else expand_user(settings.store)
        output = base / campaign / "report.html"
    output.parent.mkdir(parents=True, exist_ok=True)
    is_page = not output.exists() or output.is_file()  # and no pipe, beside which nothing lies
    files = write_frame_files(connection, outcomes if frames else (), output) if is_page else {}
    page = render_report(
        record,
        outcomes,
        now,
        learned=learned,
        potentials=potentials,
        store=store,
        frames=files,
        by_pymatgen=_by_pymatgen(connection, outcomes) if rules == "pymatgen" else None,
    )
    with replacing(output) as draft:
        draft.write_text(page, encoding="utf-8")
    return output


def render_report(
    record: CampaignRecord,
    outcomes: list[Outcome],
    now: Snapshot,
    *,
    learned: Sequence[Reranking] = (),
    potentials: Sequence[LearnedPotential] = (),
    store: str = "",
    frames: Mapping[str, Sequence[FrameFile]] = MappingProxyType({}),
    by_pymatgen: "PymatgenColumn | None" = None,
) -> str:
    """Return the page.

    Parameters
    ----------
    outcomes
        In the order of the ranking.
    learned
        Re-rankings of the campaign in order.
    potentials
        Those that its candidates were taught.
    store
        Address of the store, for the commands that the page names.
    frames
        Files beside the page, by candidate.
    by_pymatgen
        What pymatgen makes of the runs, for a column of its own.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "lesson": lesson_svg,
        "rounds": asked_words,
        "number": number_words,
        "estimate": estimate_words,
        "formula": formula_words,
        "remarks": remarks_words,
        "decades": decades_words,
        "percent": lambda share: f"{share:.0%}",
    }
    folder = resources.files("ssefw.report")
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    planned = {candidate.candidate_id: candidate for candidate in record.candidates}
    taught = {potential.potential: potential for potential in potentials}
    sections = [
        _Section.of(outcome, planned.get(outcome.candidate_id), taught) for outcome in outcomes
    ]
    concluded = {outcome.candidate_id for outcome in outcomes}
    return template.render(
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=(folder / "page.js").read_text(encoding="utf-8"),
        table=table_of(record, outcomes),
        file=campaign_file(record),
        store=store,
        frames=frames,
        by_pymatgen=by_pymatgen,
        groups=GROUPS,
        record=record,
        now=now,
        sections=sections,
        open=[c for c in record.candidates if c.candidate_id not in concluded],
        axis=SigmaAxis.around(map(sigma, outcomes)),
        level=_level(outcomes),
        has_bands=any(outcome.barrier for outcome in outcomes),
        longest=max((d.duration for o in outcomes for d in o.diffusivities), default=0.0),
        energy_change=ENERGY_CHANGE,
        cost=_total_cost(outcomes),
        learned=feedback_section(learned),
        saving=_Saving.of(outcomes),
        versions=_versions(outcomes),
        methods=methods_of(record),
        engine=next((o.provenance.engine for o in outcomes if o.provenance.engine), ""),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        counts={
            status: sum(outcome.status == status for outcome in outcomes)
            for status in OUTCOME_STATUSES
        },
    )


def _by_pymatgen(connection: Connection, outcomes: list[Outcome]) -> "PymatgenColumn | None":
    """Return pymatgen's numbers; nothing where it has none of any run."""
    # The package takes half a second to import, and few reports ask for it.
    from ssefw.report.pymatgen_column import PymatgenColumn  # noqa: PLC0415

    column = PymatgenColumn.of(connection, outcomes)
    return column if column.runs else None


@dataclass(frozen=True)
class _Section:
    """What the page shows of one candidate."""

    outcome: Outcome
    conductivity: Conductivity | None
    sigma: Estimate | None
    expected: Expectation | None
    reach: str
    taught: str
    potentials: list[LearnedPotential]
    planned: Any
    title: str
    places: dict[str, int]
    runs: list[Diffusivity]
    msd: str
    arrhenius: str
    bands: str
    spread: str
    cell: Attachment | None

    @classmethod
    def of(
        cls, outcome: Outcome, planned: Any, taught: Mapping[str, LearnedPotential]
    ) -> "_Section":
        lessons = [outcome.lesson.first, outcome.lesson] if outcome.lesson else []
        potentials = [taught.get(lesson.potential) for lesson in lessons if lesson is not None]
        return cls(
            outcome=outcome,
            conductivity=outcome.conductivity,
            sigma=sigma(outcome),
            expected=expected_in_experiment(outcome),
            reach=remark(outcome.conductivity) if outcome.conductivity else "",
            taught=lesson_words(outcome.lesson, md_steps=outcome.cost.md_steps),
            potentials=[potential for potential in potentials if potential is not None],
            planned=planned,
            title=title_words(outcome.formula, planned.source if planned else ""),
            places=arrangement_of_runs(outcome),
            runs=sorted(outcome.diffusivities, key=lambda run: run.temperature),
            msd=msd_svg(outcome.diffusivities)
            if any(run.msd for run in outcome.diffusivities)
            else "",
            arrhenius=arrhenius_svg(outcome.conductivity, outcome.lines)
            if outcome.conductivity and _has_points(outcome.conductivity)
            else "",
            bands=barriers_svg(outcome.barrier)
            if outcome.barrier and outcome.barrier.bands
            else "",
            spread=arrangements_svg(outcome) if outcome.arrangements else "",
            cell=relaxed_cell(outcome),
        )


def _has_points(fit: Conductivity) -> bool:
    """Whether there is anything to draw of a fit: an empty figure says nothing."""
    return any(point.conductivity.kind != "undetermined" for point in fit.points)


UNKNOWN_DECADES = 10.0
"""From insulators to the best conductors: the interval of who knows nothing."""


@dataclass(frozen=True)
class _Saving:
    """What the candidates whose dynamics ran used, beside a protocol of fixed length.

    Attributes
    ----------
    used, fixed
        Core hours.
    each, per_decade
        Core hours used for each determined conductivity, and for each decade that an interval is
        narrower than `UNKNOWN_DECADES`; None where nothing has one.
    """

    protocol: str
    n: int
    used: float
    fixed: float
    each: float | None = None
    per_decade: float | None = None

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "_Saving | None":
        costs = [o.cost for o in outcomes if o.cost.protocol_core_hours is not None]
        if not costs:
            return None
        used = sum(cost.core_hours for cost in costs)
        n_determined = sum(outcome.status == "determined" for outcome in outcomes)
        widths = [found.decades for o in outcomes if (found := sigma(o)) is not None]
        known = sum(max(0.0, UNKNOWN_DECADES - width) for width in widths if width is not None)
        return cls(
            protocol=costs[0].protocol,
            n=len(costs),
            used=used,
            each=used / n_determined if n_determined else None,
            per_decade=used / known if known else None,
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
