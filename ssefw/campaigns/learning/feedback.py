"""Outcomes become labels: what campaigns have found is read, judged and kept as a label set.

The set is a function of the outcomes in the store and of nothing else, and is kept under a hash of
its content. Whoever ingests, how often, at the same time as another or after being killed, the same
outcomes make the same set; a set that was kept is never changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pymatgen.core import Structure

from ssefw.data.compositions import composition_id, parse_formula
from ssefw.data.labels.outcomes import label_from_outcome
from ssefw.data.labels.sets import merge_labels
from ssefw.data.labels.sources import find_label_set
from ssefw.data.reading.structure_files import structure_from_record
from ssefw.documents import CampaignRecord, LabelSet, Outcome
from ssefw.errors import DataError, StoreError
from ssefw.files import check_plain, read_json
from ssefw.files.tables import text_lines
from ssefw.store import Connection
from ssefw.store.candidates import submitted_candidate
from ssefw.store.connection import JOBS
from ssefw.store.results.reanalysis import reanalyzed, version_of

__all__ = [
    "Imported",
    "Ingested",
    "base_labels",
    "import_outcomes",
    "ingest",
    "labels_of_outcomes",
    "read_outcomes",
    "stored_label_set",
    "without_compositions",
]


@dataclass(frozen=True)
class Ingested:
    """A label set made of outcomes.

    Attributes
    ----------
    key
        Under which the store keeps it.
    is_new
        Whether it was not there before.
    """

    labels: LabelSet
    key: str
    is_new: bool


@dataclass(frozen=True)
class Imported:
    """How many outcomes a file added, how many were there, and the lines that are none."""

    added: int
    present: int
    refused: tuple[tuple[str, str], ...]


def ingest(
    connection: Connection,
    *,
    campaigns: Sequence[str] = (),
    specie: str = "Li",
    methods: Mapping[str, str] | None = None,
) -> Ingested:
    """Make the label set of the outcomes of some campaigns, or of all, and keep it.

    See `labels_of_outcomes`; a set that is there already is not kept twice.

    Parameters
    ----------
    methods
        Name of an engine to its kind of label (aimd, mlip), for engines that are not known.
    """
    found = labels_of_outcomes(connection, campaigns=campaigns, specie=specie, methods=methods)
    return _kept(connection, found)


def labels_of_outcomes(
    connection: Connection,
    *,
    campaigns: Sequence[str] = (),
    specie: str = "Li",
    methods: Mapping[str, str] | None = None,
) -> LabelSet:
    """Return the label set of the outcomes of some campaigns, or of all.

    Outcomes that make no label are in the set's `rejects`, each with the reason. Where
    `ssefw results build` has analyzed the frames of an outcome with another version than its
    campaign did, that analysis counts, and the label says so.

    Parameters
    ----------
    methods
        Name of an engine to its kind of label (aimd, mlip), for engines that are not known.

    Raises
    ------
    StoreError
        If a campaign that is named has no outcomes.
    """
    labels, rejects = [], []
    seen = set()
    derived = connection.results.derived()
    names = _names(connection)
    for concluded in connection.results.find(Outcome):
        if campaigns and concluded.campaign not in campaigns:
            continue
        seen.add(concluded.campaign)
        outcome = reanalyzed(concluded, derived)
        try:
            label = label_from_outcome(outcome, specie=specie, methods=methods)
            if outcome is not concluded:
                said = f"{label.reference}, analysis {version_of(outcome)}"
                label = label.model_copy(update={"reference": said})
            own = names.get((outcome.campaign, outcome.candidate_id), ())
            label = label.model_copy(update={"sources": (*label.sources, *own)})
            if outcome.arrangements:
                crystal = _as_submitted(connection, outcome)
                label = label.model_copy(update={"structure": crystal})
            labels.append(label)
        except DataError as error:
            source = f"{outcome.campaign}/{outcome.candidate_id} {outcome.formula}"
            rejects.append((source, str(error)))
    if missing := sorted(set(campaigns) - seen):
        there = f"it has those of {', '.join(sorted(seen))}" if seen else "it has none"
        raise StoreError(
            f"The store {connection.address} has no outcomes of campaign {missing[0]!r}; {there}."
        )
    # The order of the store is that of completion, which a repeated job may change.
    return LabelSet(
        name="+".join(sorted(campaigns)) or "computed",
        labels=tuple(sorted(labels, key=lambda label: (label.row_id, str(label.conductivity)))),
        convention=f"Outcomes of campaigns; sigma of {specie} at 300 K, bounds censored.",
        rejects=tuple(sorted(rejects)),
    )


def _names(connection: Connection) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return what pools call the candidates of campaigns, by campaign and candidate."""
    query = {"output.@class": CampaignRecord.__name__}
    found = {}
    # As plain values: a campaign may have tens of thousands.
    for record in connection.database[JOBS].find(query, {"output": True}):
        campaign = record["output"]["campaign"]
        for item in record["output"]["candidates"]:
            called = filter(None, (item.get("source"), *item.get("aliases", ())))
            found[campaign, item["candidate_id"]] = tuple(called)
    return found


def _as_submitted(connection: Connection, outcome: Outcome) -> Structure | None:
    """Return the disordered crystal of an outcome, of which its cells are arrangements."""
    try:
        return submitted_candidate(connection, outcome.campaign, outcome.candidate_id).structure
    except DataError:
        return None


def _kept(connection: Connection, labels: LabelSet) -> Ingested:
    before = connection.results.count(LabelSet)
    key = connection.results.add(labels, candidate="", campaign="")
    return Ingested(labels, key, connection.results.count(LabelSet) > before)


def import_outcomes(connection: Connection, path: Path) -> Imported:
    """Put outcomes that were computed elsewhere into the store; see `read_outcomes`.

    Importing a file again adds nothing.
    """
    outcomes, refused = read_outcomes(path)
    before = connection.results.count(Outcome)
    for outcome in outcomes:
        connection.results.add(outcome, candidate=outcome.candidate_id, campaign=outcome.campaign)
    added = connection.results.count(Outcome) - before
    return Imported(added, len(outcomes) - added, tuple(refused))


def read_outcomes(path: Path) -> tuple[list[Outcome], list[tuple[str, str]]]:
    """Return the outcomes in a file, one JSON object a line, and why lines are refused.

    A line is what `Outcome.as_dict` writes.

    Raises
    ------
    DataError
        If the file cannot be read or holds no outcome at all.
    """
    refused: list[tuple[str, str]] = []
    outcomes: list[Outcome] = []
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            outcomes.append(_outcome(line))
        except DataError as error:
            refused.append((f"{path.name}:{number}", str(error)))
    if not outcomes:
        why = f" The first line: {refused[0][1]}" if refused else ""
        raise DataError(f"{path} holds no outcome, one JSON object a line.{why}")
    return outcomes, refused


def _outcome(line: str) -> Outcome:
    try:
        record = read_json(line)
        check_plain(record)
        relaxed = record.get("relaxed")
        if isinstance(relaxed, dict) and isinstance(relaxed.get("structure"), dict):
            relaxed["structure"] = structure_from_record(relaxed["structure"], source="relaxed")
        return Outcome.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{where or 'the line'}: {first['msg']}.") from error
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"It is no outcome ({type(error).__name__}: {error}).") from error


def base_labels(sources: Sequence[str]) -> LabelSet:
    """Return the labels of sets or files, reports of one material merged, as one set.

    Raises
    ------
    DataError
        If one cannot be found or read.
    """
    sets = [find_label_set(source) for source in sources]
    if not sets:
        raise DataError("No label set is named; give one, such as starter.")
    return LabelSet(
        name="+".join(item.name for item in sets),
        labels=tuple(merge_labels(label for item in sets for label in item.labels)),
        convention=" ".join(dict.fromkeys(item.convention for item in sets if item.convention)),
    )


def without_compositions(labels: LabelSet, formulas: Iterable[str]) -> LabelSet:
    """Return a set without the labels of some compositions."""
    known = {composition_id(parse_formula(formula)) for formula in formulas}
    kept = tuple(
        label
        for label in labels.labels
        if composition_id(parse_formula(label.formula)) not in known
    )
    if len(kept) == len(labels.labels):
        return labels
    return labels.model_copy(update={"name": f"{labels.name}-blind", "labels": kept})


def stored_label_set(connection: Connection, name_and_version: str) -> LabelSet:
    """Return a kept label set by its name and version, as rankings state them.

    Raises
    ------
    StoreError
        If there is none.
    """
    name, _, version = name_and_version.rpartition(" ")
    for labels in connection.results.find(LabelSet, where={"name": name}):
        if labels.version == version:
            return labels
    raise StoreError(
        f"The store {connection.address} has no label set {name_and_version!r}; "
        "`ssefw feedback history` lists those that rankings were made with."
    )
