"""A store that is asked from Python."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

from ssefw.api.found import FoundOutcome, FoundTrajectory
from ssefw.api.records import Records, html_table
from ssefw.campaigns.running.watch import campaigns_in
from ssefw.documents import (
    Barrier,
    Diffusivity,
    Document,
    FoundConductivity,
    Label,
    LabelKind,
    Outcome,
    OutcomeStatus,
    PlannedCandidate,
)
from ssefw.mistakes import check_settings
from ssefw.report.whose import Owners, Whose
from ssefw.settings import load_settings
from ssefw.store import connect, outages_reported
from ssefw.store.asking import understood
from ssefw.store.frames.trajectories import TrajectoryStore
from ssefw.store.results.query import Ask, Reading
from ssefw.units import (
    AskedConductivity,
    AskedCount,
    AskedLevelOfEnergy,
    AskedTemperature,
)

D = TypeVar("D", bound=Document)

__all__ = ["Filters", "Store", "open_store"]


class Filters(TypedDict, total=False):
    """What is asked for, as ``ssefw results find`` has it; what is left out does not count.

    Attributes
    ----------
    formula
        However it is written.
    system
        Chemical system such as ``"Li-P-S"``: these elements and no others.
    elements, without
        Elements that must all be in it, and that must not.
    candidate
        Id or its beginning, formula, or name.
    status
        determined, bound, undetermined, rejected or failed.
    engine
        Such as ``"sevennet-l3i5"``.
    temperature
        K.
    min_sigma, max_sigma
        S/cm; what certainly lies in the range: the whole interval, or the bound.
    min_ea, max_ea
        eV, likewise.
    possible
        Also what may lie in a range: what the interval or bound does not exclude.
    gate
        With a gate of this code, such as ``"volume_change"``.
    label_kind, source
        Labels of this kind, and from here: a DOI, a row, a campaign.
    sort, reverse
        By sigma, ea, formula, cost, status, temperature ...; best first, or worst.
    limit
        At most so many; all if it is left out.
    """

    formula: str
    system: str
    elements: Sequence[str]
    without: Sequence[str]
    campaign: str
    candidate: str
    status: OutcomeStatus
    engine: str
    temperature: AskedTemperature
    min_sigma: AskedConductivity
    max_sigma: AskedConductivity
    min_ea: AskedLevelOfEnergy
    max_ea: AskedLevelOfEnergy
    possible: bool
    gate: str
    label_kind: LabelKind
    source: str
    sort: str
    reverse: bool
    limit: AskedCount


class Store:
    """A results store that is open for reading, also while campaigns write to it.

    Each method takes the filters of `Filters` as keywords, and gives what the store holds now.
    """

    def __init__(self, address: str | Path) -> None:
        self._connection = connect(address, read_only=True)
        self._frames = TrajectoryStore(self._connection.blobs)

    def outcomes(self, **filters: Unpack[Filters]) -> Records[FoundOutcome]:
        """Return what became of candidates."""
        items, whose = self._find("outcomes", filters)
        found = (FoundOutcome.of(item, self._frames) for item in items)
        return Records(FoundOutcome, found, name="outcomes", whose=whose)

    def conductivities(self, **filters: Unpack[Filters]) -> Records[FoundConductivity]:
        """Return conductivities of the newest analysis; with a temperature, of the runs at it."""
        return self._records(FoundConductivity, "conductivities", filters)

    def trajectories(self, **filters: Unpack[Filters]) -> Records[FoundTrajectory]:
        """Return runs of molecular dynamics, of one that was continued as it is now."""
        items, whose = self._find("trajectories", filters)
        ledgers = {item.key: (item, its) for item, its in zip(items, whose, strict=True)}
        newest = (self._frames.newest(item) for item, _ in ledgers.values())
        found = (FoundTrajectory.of(item, self._frames) for item in newest)
        whose = [its for _, its in ledgers.values()]
        return Records(FoundTrajectory, found, name="trajectories", whose=whose)

    def diffusivities(self, **filters: Unpack[Filters]) -> Records[Diffusivity]:
        """Return what runs say of diffusion."""
        return self._records(Diffusivity, "diffusivities", filters)

    def barriers(self, **filters: Unpack[Filters]) -> Records[Barrier]:
        """Return barriers of crossing a crystal, from site energies and from bands."""
        return self._records(Barrier, "barriers", filters)

    def candidates(self, **filters: Unpack[Filters]) -> Records[PlannedCandidate]:
        """Return the candidates of campaigns as they were planned."""
        return self._records(PlannedCandidate, "candidates", filters)

    def labels(self, **filters: Unpack[Filters]) -> Records[Label]:
        """Return what is known of materials: measured, or computed and made a label."""
        return self._records(Label, "labels", filters)

    @property
    def campaigns(self) -> tuple[str, ...]:
        """The names of its campaigns, the latest last."""
        with outages_reported(self._connection.address):
            return tuple(campaigns_in(self._connection))

    def _records(self, kind: type[D], name: str, filters: Filters) -> Records[D]:
        items, whose = self._find(name, filters)
        return Records(kind, items, name=name, whose=whose)

    def _find(self, kind: str, filters: Filters) -> tuple[list[Any], list[Whose]]:
        """Return documents, and of each whose it is."""
        asked = check_settings(Filters, filters, of=f"A question for {kind}")
        how = {name: asked.pop(name) for name in ("sort", "reverse", "limit") if name in asked}
        if "label_kind" in asked:
            asked["kind_of_label"] = asked.pop("label_kind")
        reading: Reading = "possible" if asked.pop("possible", False) else "certain"
        with outages_reported(self._connection.address):
            ask = understood(self._connection, kind, Ask(reading=reading, **asked))
            found = self._connection.results.found(kind, ask, **how)
            pairs = list(Owners(self._connection).named(found))
        return [item for item, _ in pairs], [whose for _, whose in pairs]

    def close(self) -> None:
        """Close the store."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self._connection.address!r})"

    def _repr_html_(self) -> str:
        count = self._connection.results.count
        rows = [
            {
                "campaign": name,
                "candidates": len(self.candidates(campaign=name)),
                "outcomes": count(Outcome, campaign=name),
            }
            for name in self.campaigns
        ]
        table = html_table(rows) if rows else "<p>No campaign yet.</p>"
        return f"<p>Store {escape(str(self._connection.address))}</p>{table}"


def open_store(address: str | Path | None = None) -> Store:
    """Open a store for reading: a folder or a mongodb:// address; that of the settings if None.

    Raises
    ------
    StoreError
        If there is no store, or it cannot be used.
    """
    return Store(load_settings().settings.store if address is None else address)
