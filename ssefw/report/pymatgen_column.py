"""What pymatgen makes of the runs of a campaign, for the report, from their stored frames."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ssefw.analysis.pymatgen_rules import (
    PymatgenArrhenius,
    PymatgenNumbers,
    pymatgen_arrhenius,
    pymatgen_numbers,
)
from ssefw.documents import Outcome
from ssefw.errors import AnalysisError, DataError, StoreError
from ssefw.makers.diffusivity import read_frames
from ssefw.report.frame_files import runs_of
from ssefw.store import Connection
from ssefw.store.frames.trajectories import TrajectoryStore

__all__ = ["PymatgenColumn"]


@dataclass
class PymatgenColumn:
    """The numbers of pymatgen's DiffusionAnalyzer.

    Attributes
    ----------
    runs
        By key of the trajectory. A run that it has no rule for, or whose frames are gone, has none.
    lines
        Its Arrhenius fits by candidate, at the temperature of ours.
    """

    runs: dict[str, PymatgenNumbers] = field(default_factory=dict)
    lines: dict[str, PymatgenArrhenius] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: Connection, outcomes: Sequence[Outcome]) -> "PymatgenColumn":
        """Return what it makes of the runs of outcomes; it reads all their frames."""
        column = cls()
        store = TrajectoryStore(connection.blobs)
        for outcome in outcomes:
            if outcome.diffusivities:
                column._add(outcome, connection, store)
        return column

    def _add(self, outcome: Outcome, connection: Connection, store: TrajectoryStore) -> None:
        ledgers = {ledger.key: ledger for ledger in runs_of(connection, outcome)}
        found = []
        for run in outcome.diffusivities:
            if run.trajectory_key not in ledgers:
                continue
            try:
                frames = read_frames(ledgers[run.trajectory_key], store)
                numbers = pymatgen_numbers(frames, specie=run.specie, temperature=run.temperature)
            except (AnalysisError, DataError, StoreError):
                continue
            self.runs[run.trajectory_key] = numbers
            found.append(numbers)
        ours = outcome.conductivity
        if ours is None or not found:
            return
        line = pymatgen_arrhenius(found, specie=ours.specie, temperature=ours.temperature)
        if line is not None:
            self.lines[outcome.candidate_id] = line
