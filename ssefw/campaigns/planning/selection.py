"""Which candidates of a pool a campaign takes and in what order: filters, and a trained screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ssefw.campaigns.file import CampaignSpec
from ssefw.data import HeldCandidate
from ssefw.data.materials import Material, material_from_candidate
from ssefw.documents import Barrier, CascadeStep, Gate, Ranking
from ssefw.screening.filters.cascade import Cascade, CascadeResult, preset_filters

__all__ = ["Excluded", "Selection", "select"]


@dataclass(frozen=True)
class Excluded:
    """A candidate that was left out.

    Attributes
    ----------
    code
        Which filter, for tables; `reason` has the value.
    """

    candidate_id: str
    formula: str
    source: str
    code: str
    reason: str


@dataclass(frozen=True)
class Selection:
    """What a campaign takes of its pool, best first, what it leaves out, and the counts.

    Attributes
    ----------
    barriers
        By candidate, of those that filters computed as the campaign's own gate would.
    """

    candidates: tuple[HeldCandidate, ...]
    excluded: tuple[Excluded, ...]
    steps: tuple[CascadeStep, ...]
    ranking: Ranking | None = None
    barriers: Mapping[str, Barrier] = field(default_factory=dict)


def select(candidates: Sequence[HeldCandidate], spec: CampaignSpec) -> Selection:
    """Filter candidates and, where the campaign names a model, rank them.

    Raises
    ------
    ConfigurationError
        If a filter or the model is not known.
    DataError
        If the screen leaves nothing.
    """
    by_id = {candidate.id: candidate for candidate in candidates}
    materials = [material_from_candidate(candidate) for candidate in candidates]
    cascade = preset_filters([{"holds_element": {"element": spec.specie}}])
    if spec.screen is None:
        filters = preset_filters(spec.filters, ion=spec.specie)
        result = Cascade((*cascade.filters, *filters.filters)).run(materials)
        return Selection(
            candidates=tuple(by_id[material.name] for material in result.passed),
            excluded=_excluded(result, by_id),
            steps=tuple(result.steps),
            barriers=_barriers(materials, spec),
        )
    return replace(_ranked(spec, materials, by_id, cascade), barriers=_barriers(materials, spec))


def _barriers(materials: Sequence[Material], spec: CampaignSpec) -> dict[str, Barrier]:
    """Return by candidate the barriers that filters computed with the settings of the gate."""
    if spec.bvse is None:
        return {}
    settings = (spec.specie, spec.bvse.resolution)
    return {m.name: m.barriers[settings] for m in materials if settings in m.barriers}


def _ranked(
    spec: CampaignSpec,
    materials: Sequence[Material],
    by_id: dict[str, HeldCandidate],
    cascade: Cascade,
) -> Selection:
    # Models need torch or scikit-learn, which campaigns without a screen do not.
    from ssefw.screening.base import load_screener  # noqa: PLC0415
    from ssefw.screening.filters.gaps import read_gaps  # noqa: PLC0415
    from ssefw.screening.filters.phases import read_phases  # noqa: PLC0415
    from ssefw.screening.ranking import rank_materials, screen_properties  # noqa: PLC0415

    screen = spec.screen
    if screen is None:
        raise ValueError("the campaign has no screen")
    screener = load_screener(screen.model)
    filters = preset_filters(
        spec.filters,
        phases=read_phases(screen.phases) if screen.phases else None,
        gaps=read_gaps(screen.gaps) if screen.gaps else None,
        known=screener.trained_on["formulas"],
        ion=spec.specie,
    )
    found = rank_materials(
        materials,
        screener,
        cascade=Cascade((*cascade.filters, *filters.filters)),
        top=screen.top,
        accepted_only=screen.accepted_only,
        threshold=screen.threshold,
    )
    taken = {entry.source: screen_properties(entry) for entry in found.ranking.entries}
    unscored = dict(found.unscored)
    beaten = f"not among the best {len(taken)} by {screener.name}"
    not_taken = [
        Excluded(
            candidate.id, candidate.formula, candidate.source, "unscored", unscored[candidate.id]
        )
        if candidate.id in unscored
        else Excluded(candidate.id, candidate.formula, candidate.source, "rank", beaten)
        for candidate in (by_id[material.name] for material in found.cascade.passed)
        if candidate.id not in taken
    ]
    return Selection(
        candidates=tuple(
            replace(by_id[name], properties={**by_id[name].properties, **said})
            for name, said in taken.items()
        ),
        excluded=(*_excluded(found.cascade, by_id), *not_taken),
        steps=found.ranking.cascade,
        ranking=found.ranking,
    )


def _excluded(result: CascadeResult, by_id: dict[str, HeldCandidate]) -> tuple[Excluded, ...]:
    stopped = ((name, trail[-1]) for name, trail in result.trails.items() if trail)
    return tuple(_why(by_id[name], gate) for name, gate in stopped if not gate.passed)


def _why(candidate: HeldCandidate, gate: Gate) -> Excluded:
    return Excluded(
        candidate.id, candidate.formula, candidate.source, gate.code, f"{gate.name}: {gate.message}"
    )
