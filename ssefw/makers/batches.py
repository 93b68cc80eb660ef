"""Jobs that go through a thousand rows of a large pool each.

A job works through its rows a hundred at a time, and each such part is a stage of the store: one
that was killed goes on after the last part that was done, and rows that were asked the same before
are not computed again. The rows and what a model needs lie in the store, which workers reach.
"""

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from jobflow import Maker, job

from ssefw import bvse
from ssefw.data.materials import materials_of
from ssefw.data.pools import read_entry
from ssefw.documents import Barrier, BarrierPart, Batch, Document, RankedPart
from ssefw.engines import settings_hash
from ssefw.errors import DataError, SsefwError
from ssefw.files import printable
from ssefw.makers.failures import WATCHED, failures_recorded
from ssefw.makers.site import computed_once, fetch_blob

__all__ = ["BarrierBatchMaker", "RankBatchMaker", "Rows", "input_key", "part_keys"]

PART = 100
"""Rows between two results that are kept: half a minute of site energies."""

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Rows:
    """Lines of JSON of a pool.

    Attributes
    ----------
    file
        Of which they are; with the number of a line it names a row without a name.
    lines
        Number and text.
    """

    file: str
    lines: tuple[tuple[int, str], ...]

    def payload(self) -> bytes:
        """Return the rows as bytes, the same for the same rows."""
        text = json.dumps([self.file, self.lines])
        return gzip.compress(text.encode(), compresslevel=6, mtime=0)

    @classmethod
    def of(cls, payload: bytes) -> "Rows":
        """Take over what `payload` returned."""
        file, lines = json.loads(gzip.decompress(payload))
        return cls(file, tuple((int(number), str(text)) for number, text in lines))

    def parts(self) -> list["Rows"]:
        """Return the rows a hundred at a time."""
        starts = range(0, len(self.lines), PART)
        return [Rows(self.file, self.lines[start : start + PART]) for start in starts]


def input_key(payload: bytes) -> str:
    """Return the key under which a store keeps what jobs of batches read."""
    return f"batches/{hashlib.sha256(payload).hexdigest()[:32]}"


@dataclass
class RankBatchMaker(Maker):
    """Filter and score rows of a pool by a trained model.

    Attributes
    ----------
    model, phases, gaps
        Keys of files in the store, empty without; see `input_key`.
    preset
        Filters of a paper.
    top, accepted_only, threshold
        As for `ssefw.screening.ranking.rank_materials`.
    """

    model: str
    preset: str | None = None
    phases: str = ""
    gaps: str = ""
    top: int | None = 50
    accepted_only: bool = False
    threshold: float | None = None
    name: str = "rank"

    @job(output_schema=Batch, config=WATCHED)
    def make(self, rows: str) -> Batch:
        """Score the rows under a key of the store."""
        with failures_recorded(), TemporaryDirectory() as folder:
            scorer = _Scorer(self, Path(folder))
            return _worked_through(self, rows, RankedPart, scorer.score)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Keys of what must be in the store beside the rows."""
        return tuple(filter(None, (self.model, self.phases, self.gaps)))


class _Scorer:
    """The model and the filters of a job, read when the first part is not there yet."""

    def __init__(self, asked: RankBatchMaker, folder: Path) -> None:
        self._asked, self._folder = asked, folder

    def score(self, rows: Rows) -> RankedPart:
        from ssefw.screening.ranking import rank_part  # noqa: PLC0415  see `_model`

        return rank_part(
            materials_of(rows.lines, file=rows.file),
            self._model,
            cascade=self._cascade,
            top=self._asked.top,
            accepted_only=self._asked.accepted_only,
            threshold=self._asked.threshold,
        )

    @cached_property
    def _model(self) -> Any:
        # Models need torch or scikit-learn, which other jobs do not.
        from ssefw.screening.base import load_screener  # noqa: PLC0415

        return load_screener(self._file("model", self._asked.model))

    @cached_property
    def _cascade(self) -> Any:
        from ssefw.screening.filters.cascade import preset_filters  # noqa: PLC0415  see `_model`
        from ssefw.screening.filters.gaps import read_gaps  # noqa: PLC0415
        from ssefw.screening.filters.phases import read_phases  # noqa: PLC0415

        asked = self._asked
        if asked.preset is None:
            return None
        return preset_filters(
            asked.preset,
            phases=read_phases(self._file("phases.jsonl", asked.phases)) if asked.phases else None,
            gaps=read_gaps(self._file("gaps.jsonl", asked.gaps)) if asked.gaps else None,
            known=self._model.trained_on["formulas"],
        )

    def _file(self, name: str, key: str) -> Path:
        payload = fetch_blob(key)
        packed = payload.startswith(b"\x1f\x8b") and not name.startswith("model")
        path = self._folder / (f"{name}.gz" if packed else name)
        path.write_bytes(payload)
        return path


@dataclass
class BarrierBatchMaker(Maker):
    """Find the bond-valence barriers of rows of a pool.

    Attributes
    ----------
    specie, resolution, radii, mode
        As for `ssefw.bvse.site_energy_barrier`.
    """

    specie: str = "Li"
    resolution: float = 0.1
    radii: str = "softbv"
    mode: str = "exact"
    name: str = "bvse"

    @job(output_schema=Batch, config=WATCHED)
    def make(self, rows: str) -> Batch:
        """Compute the barriers of the rows under a key of the store."""
        with failures_recorded():
            return _worked_through(self, rows, BarrierPart, self._barriers)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Keys of what must be in the store beside the rows."""
        return ()

    def _barriers(self, rows: Rows) -> BarrierPart:
        found = [self._one(printable(f"{rows.file}:{number}"), text) for number, text in rows.lines]
        return BarrierPart(
            rows=tuple((name, formula) for name, formula, _, _ in found),
            barriers=tuple(barrier for _, _, barrier, _ in found),
            reasons=tuple(reason for _, _, _, reason in found),
        )

    def _one(self, source: str, text: str) -> tuple[str, str, Barrier | None, str]:
        settings: dict[str, Any] = {
            "ion": self.specie,
            "resolution": self.resolution,
            "radii": self.radii,
            "mode": self.mode,
        }
        try:
            candidate = read_entry(source, text)
        except DataError as error:
            return source, "", None, str(error)
        try:
            barrier = bvse.site_energy_barrier(candidate.structure, **settings)
        except SsefwError as error:
            return candidate.source, candidate.formula, None, str(error)
        named = barrier.model_copy(update={"candidate_id": candidate.id})
        return candidate.source, candidate.formula, named, ""


def part_keys(maker: Any, rows: Rows) -> list[str]:
    """Return the keys of the stages that hold what a maker says of rows, a hundred each."""
    return [
        settings_hash("batch", maker, part.file, [list(line) for line in part.lines])
        for part in rows.parts()
    ]


def _worked_through(maker: Maker, key: str, kind: type[D], compute: Callable[[Rows], D]) -> Batch:
    rows = Rows.of(fetch_blob(key))
    keys = part_keys(maker, rows)
    for part_key, part in zip(keys, rows.parts(), strict=True):
        computed_once(part_key, kind, lambda part=part: compute(part))  # type: ignore[misc]
    return Batch(n_rows=len(rows.lines), parts=tuple(keys))
