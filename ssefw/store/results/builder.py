"""A maggma builder: conductivities and barriers anew from what jobs have left, without new physics.

A document is one candidate of one campaign (or one barrier) with the version of the analysis and a
hash of its input. What has both already is left alone, so that a run after more trajectories
computes the new ones, a run after a better analysis all of them, and a run after nothing nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from maggma.core import Builder, Store
from maggma.stores import MongoStore

from ssefw import analysis
from ssefw.documents import Barrier, Conductivity, Diffusivity, Estimate, Outcome, Trajectory
from ssefw.errors import SsefwError
from ssefw.store.connection import Connection
from ssefw.store.embedded.database import EmbeddedDatabase
from ssefw.store.embedded.stores import EmbeddedStore
from ssefw.store.results.arrangements import (
    arrangement_of_runs,
    fits_of_arrangements,
    usual_spread,
)
from ssefw.store.results.reanalysis import BARRIERS, CONDUCTIVITIES

__all__ = ["BarrierBuilder", "ConductivityBuilder", "derived_store"]


def derived_store(connection: Connection, name: str) -> Store:
    """Return maggma's store of a collection of derived documents, beside the jobs."""
    if isinstance(connection.database, EmbeddedDatabase):
        store: Store = EmbeddedStore.over(connection.database, name)
        store.key = "key"
    else:
        address = connection.address
        store = MongoStore.from_uri(address.uri, name, database=connection.database.name, key="key")
    store.connect()
    return store


class ConductivityBuilder(Builder):
    """Estimate the diffusivities of stored trajectories again and fit conductivities.

    Parameters
    ----------
    estimate
        From a trajectory's ledger to its diffusivity.
    temperature
        Where the conductivity is given, K.
    prefactor_spread
        Decades of a prior on the prefactor; see `fit_conductivity`.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        campaign: str,
        estimate: Callable[[Trajectory], Diffusivity],
        temperature: float = 300.0,
        prefactor_spread: float | None = None,
        settings: Sequence[Any] = (),
        version: str = analysis.ANALYSIS_VERSION,
    ) -> None:
        self._connection = connection
        self._campaign = campaign
        self._estimate = estimate
        self._temperature = temperature
        self._prefactor_spread = prefactor_spread
        prior = [] if prefactor_spread is None else ["prefactor", prefactor_spread]
        self._settings = [temperature, *prior, *settings]
        self._version = version
        self.skipped = 0
        super().__init__(
            sources=connection.job_store.docs_store,
            targets=derived_store(connection, CONDUCTIVITIES),
            chunk_size=10,
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield the trajectories of each candidate whose document is missing or outdated."""
        longest: dict[str, dict[str, Trajectory]] = {}
        for ledger in self._connection.results.find(Trajectory, campaign=self._campaign):
            runs = longest.setdefault(ledger.candidate_id, {})
            # A run that was continued has put out its ledger several times.
            if ledger.key not in runs or ledger.n_frames > runs[ledger.key].n_frames:
                runs[ledger.key] = ledger
        places = self._arrangements()
        for candidate, runs in longest.items():
            key = f"{self._campaign}/{candidate}"
            content: list[Any] = sorted((run.key, run.n_frames) for run in runs.values())
            if candidate in places:
                content.append(sorted(places[candidate].items()))
            digest = _digest([content, self._settings])
            if _is_there(self.targets[0], key, digest, self._version):
                self.skipped += 1
                continue
            yield {
                "key": key,
                "candidate_id": candidate,
                "input": digest,
                "runs": runs,
                "places": places.get(candidate, {}),
            }

    def _arrangements(self) -> dict[str, dict[str, int]]:
        """Return of each disordered candidate which arrangement its runs are of."""
        outcomes = self._connection.results.find(
            Outcome,
            campaign=self._campaign,
            where={"arrangement_spread.kind": {"$in": ["value", "undetermined"]}},
        )
        return {outcome.candidate_id: arrangement_of_runs(outcome) for outcome in outcomes}

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the document of a candidate; what cannot be analyzed is in it with the reason."""
        found: list[Diffusivity] = []
        problems = []
        for ledger in sorted(item["runs"].values(), key=lambda run: run.temperature):
            try:
                found.append(self._estimate(ledger))
            except SsefwError as error:
                problems.append({"trajectory": ledger.key, "reason": str(error)})
        conductivity: Conductivity | None = None
        arrangements: dict[int, Conductivity] = {}
        spread: Estimate | None = None
        if found:
            try:
                if item["places"]:
                    arrangements = fits_of_arrangements(
                        found,
                        item["places"],
                        temperature=self._temperature,
                        prefactor_spread=self._prefactor_spread,
                    )
                    conductivity, spread = analysis.pool_conductivities(
                        list(arrangements.values()), scale=usual_spread(self._connection.results)
                    )
                else:
                    conductivity = analysis.fit_conductivity(
                        found,
                        temperature=self._temperature,
                        prefactor_spread=self._prefactor_spread,
                    )
            except SsefwError as error:
                problems.append({"trajectory": "", "reason": str(error)})
        ledger = next(iter(item["runs"].values()))
        return {
            "key": item["key"],
            "campaign": self._campaign,
            "candidate_id": item["candidate_id"],
            "formula": ledger.structure.composition.reduced_formula,
            "conductivity": conductivity.as_dict() if conductivity else None,
            "arrangements": {str(index): fit.as_dict() for index, fit in arrangements.items()},
            "arrangement_spread": spread.as_dict() if spread else None,
            "diffusivities": [point.as_dict() for point in found],
            "problems": problems,
            "input": item["input"],
            "analysis_version": self._version,
            "last_updated": datetime.now(UTC).isoformat(),
        }

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Keep documents, each in the place of the one before."""
        if items:
            self.targets[0].update(items, key="key")


class BarrierBuilder(Builder):
    """Collect the barriers of all campaigns: the last of each candidate, ion and method.

    Parameters
    ----------
    rebuild
        Joins the bands of a barrier anew; it may return the barrier as it is.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        rebuild: Callable[[Barrier], Barrier] | None = None,
        version: str = analysis.ANALYSIS_VERSION,
    ) -> None:
        self._connection = connection
        self._rebuild = rebuild or (lambda barrier: barrier)
        self._version = version
        self.skipped = 0
        super().__init__(
            sources=connection.job_store.docs_store,
            targets=derived_store(connection, BARRIERS),
            chunk_size=1000,
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield the barriers whose document is missing or outdated."""
        last: dict[str, Barrier] = {}
        for barrier in self._connection.results.find(Barrier):
            last[f"{barrier.candidate_id}/{barrier.specie}/{barrier.method}"] = barrier
        for key, barrier in last.items():
            record = barrier.as_dict()
            digest = _digest([{**record, "provenance": None, "wall_time": None}])
            if _is_there(self.targets[0], key, digest, self._version):
                self.skipped += 1
            else:
                yield {"key": key, "input": digest, "found": barrier, "formula": barrier.formula}

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the document of a barrier; one that cannot be joined stays, with the reason."""
        found, problems = item["found"], []
        try:
            found = self._rebuild(found)
        except SsefwError as error:
            problems.append({"trajectory": "", "reason": str(error)})
        return {
            "key": item["key"],
            "input": item["input"],
            "formula": item["formula"],
            "barrier": found.as_dict(),
            "problems": problems,
            "analysis_version": self._version,
            "last_updated": datetime.now(UTC).isoformat(),
        }

    def update_targets(self, items: list[dict[str, Any]]) -> None:
        """Keep documents, each in the place of the one before."""
        if items:
            self.targets[0].update(items, key="key")


def _is_there(store: Store, key: str, digest: str, version: str) -> bool:
    wanted = {"key": key, "input": digest, "analysis_version": version}
    return store.query_one(wanted, properties=["key"]) is not None


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
