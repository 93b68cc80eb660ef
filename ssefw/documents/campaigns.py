"""A campaign as it was submitted, and what became of its candidates."""

from typing import Any, Literal, get_args

from pydantic import Field

from ssefw.documents.bands import Barrier
from ssefw.documents.base import Document, Estimate, Provenance
from ssefw.documents.orderings import Arrangement
from ssefw.documents.potentials import Lesson
from ssefw.documents.rankings import Gate
from ssefw.documents.runs import Cost, Failure, RelaxResult
from ssefw.documents.transport import Conductivity, Confirmation, Diffusivity
from ssefw.units import CoreHours, Temperature

OutcomeStatus = Literal["determined", "indicative", "bound", "undetermined", "rejected", "failed"]
OUTCOME_STATUSES: tuple[OutcomeStatus, ...] = get_args(OutcomeStatus)
"""From the most that can be said of a candidate to the least."""

DETERMINED_WITHIN = 2.0
"""Decades that the interval of a conductivity may be wide, for it to count as determined: known to
a factor of ten either way, which tells a superionic conductor from an insulator."""

LARGE_CHANGE = 0.04
"""Share of the volume from which what relaxation made of it is said. At 300 K SevenNet-l3i5 makes
conductivities ten and twenty times larger where it makes halides grow by 7 and 12 %, three times in
Li6PS5Cl, which grows by 4 %, and LGPS, by 2 %, stays as it was (docs/campaigns.md)."""


class Outcome(Document):
    """What became of a candidate in a campaign.

    Attributes
    ----------
    status
        ``determined`` has a conductivity whose interval is narrow enough (`DETERMINED_WITHIN`, or
        what the campaign says), or the barrier where the campaign asked for nothing else;
        ``indicative`` has a conductivity with a wider interval; ``bound`` has only a bound on it;
        ``undetermined`` ran but the data do not say; ``rejected`` by a gate; ``failed`` to compute.
        Only the first three may become labels: neither a rejection nor a failure is a negative.
    barrier
        From NEB, where the campaign asks for it.
    arrangements
        Of a disordered crystal: its ordered cells, each with its own value; none for an ordered
        crystal.
    arrangement_spread
        Standard deviation of log10 of the conductivity between them.
    lesson
        Of the potential that was taught for its dynamics, if one was.
    confirmations
        Second looks at a hit, where the campaign asks for them.
    """

    candidate_id: str
    formula: str
    campaign: str
    status: OutcomeStatus
    reason: str = ""
    conductivity: Conductivity | None = None
    barrier: Barrier | None = None
    diffusivities: tuple[Diffusivity, ...] = ()
    gates: tuple[Gate, ...] = ()
    failures: tuple[Failure, ...] = ()
    relaxed: RelaxResult | None = None
    trajectory_keys: tuple[str, ...] = ()
    arrangements: tuple[Arrangement, ...] = ()
    arrangement_spread: Estimate | None = None
    lesson: Lesson | None = None
    confirmations: tuple[Confirmation, ...] = ()
    cost: Cost = Field(default_factory=Cost)
    provenance: Provenance = Field(default_factory=Provenance)

    @property
    def lines(self) -> tuple[Conductivity, ...]:
        """Fits that are Arrhenius lines: that of the outcome, or those of its arrangements.

        Points that are means over arrangements hold the spread between these at each temperature,
        which is not an error that one line through them would average out.
        """
        of_arrangements = [a.conductivity for a in self.arrangements if a.conductivity is not None]
        own = [self.conductivity] if self.conductivity is not None else []
        return tuple(of_arrangements or own)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before its conductivity is used: of the fit, and of the cell it is of."""
        if self.conductivity is None:
            return ()
        change = self.relaxed.volume_change if self.relaxed else 0.0
        if abs(change) < LARGE_CHANGE:
            return self.conductivity.warnings
        larger, easier = ("larger", "more") if change > 0 else ("smaller", "less")
        cell = (
            f"the relaxed cell is {abs(change):.1%} {larger} than the one given: if that was "
            f"measured, ions hop {easier} easily here than in the crystal; "
            "volume: {mode: experiment} keeps it"
        )
        return (*self.conductivity.warnings, cell)


class FoundConductivity(Document):
    """Conductivity of a candidate at one temperature, as an answer to a question.

    Attributes
    ----------
    temperature
        Of `conductivity`.
    is_simulated
        Whether it is that of a run at this temperature; else it is read off the Arrhenius fit.
    analysis_version
        Of the analysis that gave it; empty where the outcome does not say.
    fit
        All of the fit, with its other temperatures.
    """

    candidate_id: str
    formula: str
    campaign: str
    engine: str = ""
    temperature: Temperature
    conductivity: Estimate
    activation_energy: Estimate
    is_simulated: bool = False
    is_used: bool = True
    analysis_version: str = ""
    fit: Conductivity


class PlannedCandidate(Document):
    """A candidate of a campaign as it was submitted, in order of priority.

    Attributes
    ----------
    core_hours, core_hours_most
        What it was predicted to use, about and at most, where the engine's speed is known.
    """

    candidate_id: str
    formula: str
    source: str = ""
    aliases: tuple[str, ...] = ()
    reference: str = ""
    n_atoms: int
    md_steps: int
    core_hours: CoreHours | None = None
    core_hours_most: CoreHours | None = None


class ExcludedCandidate(Document):
    """An entry of the pool that a campaign did not submit: unreadable or filtered out."""

    source: str
    formula: str = ""
    candidate_id: str = ""
    code: str
    reason: str


class CampaignRecord(Document):
    """A campaign as it was submitted.

    Attributes
    ----------
    plan_key
        Hash of all settings that change the numbers of a candidate.
    spec
        The campaign file, inline structures left out.
    belongings
        Keys of what the engines need of the store: weights of potentials that were trained.
    """

    campaign: str
    plan_key: str
    spec: dict[str, Any]
    candidates: tuple[PlannedCandidate, ...]
    excluded: tuple[ExcludedCandidate, ...] = ()
    belongings: tuple[str, ...] = ()
