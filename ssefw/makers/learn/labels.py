"""Energies and forces of frames by an engine that is dear, several frames to a job."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobflow import Maker, Response, job
from pymatgen.core import Structure

from ssefw.documents import Labels, StaticResult
from ssefw.engines import Engine, settings_hash
from ssefw.engines.ranks import cores_held
from ssefw.engines.stopping import InterruptionError, StopCheck, stop_check
from ssefw.errors import EngineError
from ssefw.makers.failures import WATCHED, failures_recorded, note_failure
from ssefw.makers.replacement import continued_by
from ssefw.makers.site import computed_once, equip, stored

__all__ = ["LabelMaker", "labels_of"]


@dataclass
class LabelMaker(Maker):
    """Compute energies and forces of structures as they are, one after the other.

    Each is kept in the store as soon as it is there: a job that was killed or ran out of time goes
    on with the next one.
    """

    engine: Engine
    name: str = "label"

    def key(self, structure: Structure) -> str:
        """Return the key of the label of a structure; one that exists is not computed again."""
        return settings_hash("label", structure, self.engine)

    @job(output_schema=Labels, config=WATCHED)
    def make(self, structures: Sequence[Structure]) -> Labels | Response[Labels]:
        """Return where the labels lie; a job for the rest where time ran out first.

        A frame that fails leaves the others alone. Where all of them do, so does the job.
        """
        with failures_recorded():
            equip(self.engine)
            stop = stop_check()
            keys: list[str] = []
            errors: list[EngineError] = []
            hours = 0.0
            for number, structure in enumerate(structures, 1):
                try:
                    label = self._labelled(structure, stop)
                except InterruptionError:
                    return continued_by(self.make(structures))
                except EngineError as error:
                    errors.append(
                        EngineError(f"frame {number}: {error}", directory=error.directory)
                    )
                    keys.append("")
                    continue
                keys.append(self.key(structure))
                hours += label.wall_time * (label.cores or cores_held()) / 3600.0
            if len(errors) == len(structures):
                raise errors[0]
            for failed in errors:
                note_failure(failed)
            return Labels(keys=tuple(keys), core_hours=hours)

    def _labelled(self, structure: Structure, stop: StopCheck) -> StaticResult:
        def compute() -> StaticResult:
            if (reason := stop()) is not None:
                raise InterruptionError(f"The labels were stopped ({reason}).", directory=None)
            return self.engine.static(structure)

        return computed_once(self.key(structure), StaticResult, compute)


def labels_of(keys: Sequence[str]) -> list[StaticResult]:
    """Return the labels under keys of the store, those left out that have none since they failed.

    Raises
    ------
    StoreError
        If one is no longer there.
    """
    return [stored(key, StaticResult) for key in keys if key]
