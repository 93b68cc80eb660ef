"""One run of VASP within a dynamics run: its folder, its segment on the ledger, how it ended.

    run.path/vasp-0000    the first run of VASP: inputs, outputs and leg.json
    run.path/vasp-0001    the next one, from where the first ended

A leg whose process was killed is picked up from its folder: everything VASP wrote counts.
"""

import contextlib
import errno
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atomate2.vasp.run import JobType, run_vasp
from custodian.custodian import CustodianError, ErrorHandler, ReturnCodeError
from pymatgen.io.vasp import Incar, Kpoints

from ssefw.documents import EndReason
from ssefw.engines.base import MDSettings
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import StopCheck
from ssefw.engines.vasp import process
from ssefw.engines.vasp.harvest import RunStart, StepCollector
from ssefw.engines.vasp.inputs import VaspCell
from ssefw.engines.vasp.outputs import last_words, pack_outputs
from ssefw.engines.vasp.policy import refused_changes, tag_changes
from ssefw.engines.vasp.watch import EndCheck, Watch
from ssefw.errors import DiskFullError, EngineError, SsefwError
from ssefw.settings import Settings

__all__ = ["POLL", "Leg", "LegPlan", "call_vasp", "latest_legs", "pack_closed_legs"]

logger = logging.getLogger(__name__)

POLL = 1.0
"""Seconds between two looks at a running VASP."""


@dataclass(frozen=True)
class LegPlan:
    """What one run of VASP is to do.

    Attributes
    ----------
    until
        Last step it reaches.
    set_points
        Temperature (K) at its first and at its last step.
    corrections
        INCAR tags that remedies of earlier legs changed.
    """

    start: RunStart
    until: int
    set_points: tuple[float, float]
    corrections: Mapping[str, Any]


@dataclass
class Leg:
    """One run of VASP, running or taken up from its folder."""

    run: RunDirectory
    folder: Path
    cell: VaspCell
    settings: MDSettings
    segment: int
    first_step: int
    until: int
    hottest: float
    corrections: dict[str, Any]
    closed: bool = False
    events: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls, run: RunDirectory, folder: Path, cell: VaspCell, settings: MDSettings
    ) -> "Leg | None":
        """Take up a leg from its folder; None if it never came to have one.

        Parameters
        ----------
        run
            The run that the leg belongs to.
        folder
            Where VASP ran.
        cell
            The atoms as VASP has them.
        settings
            Of the dynamics.
        """
        try:
            note: dict[str, Any] = json.loads((folder / "leg.json").read_text())
        except (OSError, json.JSONDecodeError):
            return None
        return cls(run=run, folder=folder, cell=cell, settings=settings, **note)

    @classmethod
    def begin(
        cls,
        run: RunDirectory,
        folder: Path,
        cell: VaspCell,
        settings: MDSettings,
        *,
        plan: LegPlan,
        segment: int,
    ) -> "Leg":
        """Start a leg in a folder that holds its input files.

        Parameters
        ----------
        run
            The run that the leg belongs to.
        folder
            Where VASP runs; it holds the input files.
        cell
            The atoms as VASP has them.
        settings
            Of the dynamics.
        plan
            Which steps, and between which set points.
        segment
            Number of the segment in the ledger.
        """
        leg = cls(
            run=run,
            folder=folder,
            cell=cell,
            settings=settings,
            segment=segment,
            first_step=plan.start.step,
            until=plan.until,
            hottest=max(settings.temperature, *plan.set_points),
            corrections=dict(plan.corrections),
        )
        leg.save()
        return leg

    def save(self) -> None:
        """Write the leg's note."""
        names = (
            "segment", "first_step", "until", "hottest", "corrections", "closed", "events",
        )  # fmt: skip
        note = {name: getattr(self, name) for name in names}
        write_atomically(self.folder / "leg.json", json.dumps(note).encode())

    def harvest(self, start: RunStart) -> StepCollector:
        """Return what gathers this leg's steps, from the state `start` of the record."""
        return StepCollector(
            run=self.run,
            folder=self.folder,
            cell=self.cell,
            settings=self.settings,
            start=start,
            first_step=self.first_step,
            segment=self.segment,
            until=self.until,
            hottest=self.hottest,
            max_electronic=int(Incar.from_file(self.folder / "INCAR").get("NELM", 60)),
        )

    def close(self, reason: EndReason, harvest: StepCollector) -> None:
        """Say on the ledger how the leg ended."""
        if harvest.n_unconverged:
            self.events.append(
                f"{harvest.n_unconverged} of {harvest.n_new} ionic steps did not converge within "
                f"{harvest.max_electronic} electronic steps"
            )
        self.run.end_segment(self.segment, reason=reason, events=tuple(self.events))
        self.closed = True
        self.save()

    def abandon(self, why: str) -> None:
        """Leave a leg whose steps cannot be joined to the record."""
        process.end_processes(self.folder)
        self.run.remark(f"{self.folder.name} is left out: {why}")
        self.closed = True
        self.save()

    def recover(self, start: RunStart) -> int:
        """Gather what a leg computed whose process was killed; return the last step recorded."""
        if process.end_processes(self.folder):
            self.events.append("VASP outlived its worker and was stopped")
        harvest = self.harvest(start)
        harvest.finish()
        self.close("killed", harvest)
        return harvest.last_step

    def go(
        self,
        start: RunStart,
        stop: StopCheck,
        settings: Settings,
        handlers: Sequence[ErrorHandler],
    ) -> EndReason:
        """Run VASP to its end, whatever the end is, and return why it ended.

        Parameters
        ----------
        start
            How VASP is started.
        stop
            Asked while it runs whether to stop.
        settings
            Of this site.
        handlers
            custodian's, which correct what goes wrong.

        Raises
        ------
        EngineError
            If going on is pointless: VASP cannot start, the run exploded, a remedy would change
            the physics. What was computed before is recorded.
        """
        harvest = self.harvest(start)
        began = time.monotonic()

        def note(step: int) -> None:
            rate = (step - self.first_step) / max(1e-9, time.monotonic() - began)
            self.run.note_progress(step=step, until=self.until, steps_per_second=rate)

        watch = Watch(handlers, stop=stop, gatherer=harvest, on_progress=note)
        incar = Incar.from_file(self.folder / "INCAR")
        kpoints = _kpoints_text(self.folder)
        failure = None
        try:
            failure = call_vasp(self.folder, watch, settings, max_errors=1)
            if watch.error is not None:
                raise watch.error
            harvest.finish()
        except SsefwError as error:
            self.events += [*watch.events, str(error)]
            if isinstance(error.__cause__, OSError):
                # Little can be written now: the leg stays open, and the next call gathers it.
                with contextlib.suppress(EngineError):
                    self.save()
            else:
                self.close("killed", harvest)
            raise
        if watch.asked is None and failure is not None:
            watch.asked = stop()  # a scheduler's signal may have hit VASP first
        reason: EndReason = "killed"
        self.events += watch.events
        try:
            reason = self._reason(watch, harvest, failure, incar=incar, kpoints=kpoints)
        except SsefwError as error:
            self.events.append(str(error))
            raise
        finally:
            self.close(reason, harvest)
        return reason

    def _reason(
        self,
        watch: Watch,
        harvest: StepCollector,
        failure: Exception | None,
        *,
        incar: Incar,
        kpoints: str | None,
    ) -> EndReason:
        if harvest.last_step >= self.until:
            return "complete"
        if watch.corrections:
            return self._accept(watch, harvest, incar=incar, kpoints=kpoints)
        if watch.asked is not None:
            return watch.asked
        spoken = last_words(self.folder)
        if "No space left on device" in (self.folder / "std_err.txt").read_text(errors="replace"):
            raise _full_disk(self.folder)
        if failure is None:
            self.events.append("VASP stopped by itself, as a STOPCAR makes it")
            return "preempted"
        self.events.append(f"VASP died: {_brief(failure)}; {spoken}")
        if harvest.n_new == 0:
            raise EngineError(
                f"VASP died before its first new step ({_brief(failure)}): {spoken}",
                directory=self.folder,
            )
        return "killed"

    def _accept(
        self, watch: Watch, harvest: StepCollector, *, incar: Incar, kpoints: str | None
    ) -> EndReason:
        """Accept custodian's remedy for the next leg, if it leaves the physics alone."""
        said = "; ".join(map(str, watch.corrections))
        refused = refused_changes(self.folder, incar=incar, kpoints=kpoints)
        if refused:
            raise EngineError(
                f"VASP reported {said}, and the known remedy ({', '.join(refused)}) would change "
                "the physics of the run. Choose other settings in incar, or a smaller time step.",
                directory=self.folder,
            )
        frozen = any(c.handler == "FrozenJobErrorHandler" for c in watch.corrections)
        if harvest.n_new == 0 and not frozen and not any(c.has_remedy for c in watch.corrections):
            raise EngineError(
                f"VASP reported {said} before its first new step, and custodian knows no remedy.",
                directory=self.folder,
            )
        changes = tag_changes(incar, Incar.from_file(self.folder / "INCAR"))
        self.corrections |= changes
        told = ", ".join(f"{name} = {value}" for name, value in changes.items())
        self.events.append(f"corrected {said}: {told or 'started again'}")
        return "corrected"


def latest_legs(run: RunDirectory) -> list[Path]:
    """Return the folders of all legs, first to last."""
    return sorted(run.path.glob("vasp-[0-9][0-9][0-9][0-9]"))


def pack_closed_legs(run: RunDirectory) -> None:
    """Compress the files of all legs that are over; their steps are in the chunks.

    Not done when a leg ends, since the end of the allocation may be near.
    """
    for folder in latest_legs(run):
        try:
            note: dict[str, Any] = json.loads((folder / "leg.json").read_text())
            if note["closed"]:
                pack_outputs(folder)
        except (OSError, json.JSONDecodeError) as error:
            logger.warning("%s was not compressed: %s", folder, error)


def call_vasp(
    folder: Path,
    watch: Watch,
    settings: Settings,
    *,
    max_errors: int,
    handlers: list[Any] | None = None,
    validators: list[Any] | None = None,
    job_type: JobType = JobType.NORMAL,
    job_options: Mapping[str, Any] | None = None,
) -> Exception | None:
    """Run VASP in a folder under custodian; return the error that ended it, if one did.

    Parameters
    ----------
    job_type, job_options
        Which of custodian's jobs, and arguments for it.

    Raises
    ------
    EngineError
        If the program cannot be started at all.
    """
    try:
        run_vasp(
            vasp_cmd=settings.vasp_cmd,
            vasp_gamma_cmd=settings.vasp_gamma_cmd,
            max_errors=max_errors,
            scratch_dir=None,  # type: ignore[arg-type]
            handlers=[watch, *(handlers or [])],
            validators=validators or [EndCheck(watch)],
            job_type=job_type,
            vasp_job_kwargs={"terminate_timeout": process.HARD, **(job_options or {})},
            custodian_kwargs={
                "directory": str(folder),
                "polling_time_step": POLL,
                "monitor_freq": 1,
            },
        )
    except CustodianError as error:
        return error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _full_disk(folder) from error
        raise EngineError(
            f"Cannot run {settings.vasp_cmd!r} in {folder}: {error.strerror or error}. Set "
            "SSEFW_VASP_CMD to the command that runs VASP here.",
            directory=folder,
        ) from error
    finally:
        # Whatever happened, no VASP is left behind.
        process.end_processes(folder, soft=0.0)
    return None


def _full_disk(folder: Path) -> DiskFullError:
    return DiskFullError(
        f"The disk below {folder} is full. Free space or point SSEFW_SCRATCH elsewhere; the run "
        "continues from its last complete step."
    )


def _brief(failure: Exception) -> str:
    if isinstance(failure, ReturnCodeError):
        code = str(failure).removeprefix("Job return code is ").split(".")[0]
        return f"exit code {code}"
    return str(failure).split("\n", maxsplit=1)[0][:200]


def _kpoints_text(folder: Path) -> str | None:
    file = folder / "KPOINTS"
    return str(Kpoints.from_file(file)) if file.exists() else None
