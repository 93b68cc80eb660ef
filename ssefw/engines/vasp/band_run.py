"""A band of VASP with VTST: from its images, over any number of restarts, to its record.

The plain band comes first; where it is converged the highest image climbs. A run that was stopped,
killed or corrected is continued from the geometries it left. Without VTST, VASP would ignore LCLIMB
and the optimizer without a word: that is found when the first image tells who computes it, and ends
the run.
"""

import logging
import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from atomate2.vasp.run import JobType
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar, Kpoints
from pymatgen.io.vasp.sets import VaspInputSet

from ssefw.documents import EndReason, NebPath, NebStatus
from ssefw.engines.band import band_document, path_lengths
from ssefw.engines.base import NebSettings
from ssefw.engines.migration.progress import LATEST_FILE
from ssefw.engines.run_directory import RunDirectory, write_atomically
from ssefw.engines.stopping import InterruptionError, StopCheck
from ssefw.engines.vasp import leg, process
from ssefw.engines.vasp.band_folder import BandFolder
from ssefw.engines.vasp.band_output import BandLog
from ssefw.engines.vasp.inputs import band_tags
from ssefw.engines.vasp.outputs import last_words
from ssefw.engines.vasp.policy import dynamics_handlers, refused_changes, tag_changes
from ssefw.engines.vasp.single import write_inputs
from ssefw.engines.vasp.watch import EndCheck, Watch
from ssefw.errors import EngineError
from ssefw.settings import Settings

__all__ = ["VaspBand"]

logger = logging.getLogger(__name__)

MAX_SETBACKS = 5
"""Corrections and deaths of VASP that one call works through."""

SAME_SLACK = 1.001

SHARE = 20.0
"""The files of a running band are read so seldom that it takes one part of so many of the time."""

JOB = {
    # The backup wants a POTCAR, and auto_gamma a POSCAR, beside the INCAR.
    "backup": False,
    "auto_gamma": False,
    "output_file": "vasp.out",
    "stderr_file": "std_err.txt",
}
"""Arguments for custodian's VaspNEBJob."""


class _Gatherer:
    """Reads a running band: how far it is, and whether it can climb at all."""

    def __init__(self, band: "VaspBand") -> None:
        self._band = band
        self._due = 0.0
        self.seen_step = 0

    def gather(self) -> None:
        """Look, unless the last look was just now.

        Raises
        ------
        EngineError
            If the program has no VTST.
        """
        began = time.monotonic()
        if began < self._due:
            return
        files = self._band.files
        log = files.log()
        self._band.require_vtst(log)
        if log.n_iterations > self.seen_step:
            self.seen_step = log.n_iterations
            latest = files.records(log)[-1].model_dump_json()
            write_atomically(files.path / LATEST_FILE, latest.encode())
        self._due = time.monotonic() + SHARE * (time.monotonic() - began)


@dataclass
class VaspBand:
    """VASP at a band, all settings known.

    Attributes
    ----------
    vasp_set
        Input set of a relaxation of the first image, without the tags of a band.
    key
        Content key of everything; a folder belongs to one.
    versions
        Of VASP and VTST, once they are known.
    """

    files: BandFolder
    vasp_set: VaspInputSet
    settings: NebSettings
    site: Settings
    key: str
    potcar_spec: bool

    def __post_init__(self) -> None:
        self.versions: dict[str, str] = {}
        self._setbacks = 0

    @property
    def folder(self) -> Path:
        """Where the band lies."""
        return self.files.path

    def execute(self, stop: StopCheck) -> NebPath:
        """Run what is left to run and read the result.

        Raises
        ------
        EngineError
            If VASP has no VTST, or fails in a way that cannot be mended.
        InterruptionError
            If it was time to stop before there was an iteration.
        """
        record = RunDirectory(self.folder, key=self.key)
        with record.lock():
            process.end_processes(self.folder, soft=0.0)  # orphans of a killed worker
            self.files.load()
            handlers = dynamics_handlers()  # kept, since they climb ladders of remedies
            asked: EndReason | None = None
            while True:
                log = self.files.log() if self.files.has_unfolded_run else None
                if log is not None and log.n_iterations:
                    self.require_vtst(log)
                    status, reason = self._verdict(log)
                    is_last = self.files.climbs or not self.settings.climb
                    if status == "unconverged" or (status == "converged" and is_last):
                        return self._document(log, status, reason)
                    if status == "converged":
                        self.files.fold(log, next_stage="climb")
                        log = None
                if (asked := asked or stop()) is not None:
                    return self._stopped(log, asked)
                if log is not None and log.n_iterations:
                    self.files.fold(log)
                asked = self._run(stop, handlers)

    def require_vtst(self, log: BandLog) -> None:
        """Refuse a program without VTST.

        Raises
        ------
        EngineError
            If it is one.
        """
        if log.lacks_vtst:
            raise EngineError(
                f"{self.site.vasp_cmd!r} was built without the VTST tools: it has no climbing "
                "image, and ignores LCLIMB and IOPT without a word. Point SSEFW_VASP_CMD to a "
                "VASP with VTST (theory.cm.utexas.edu/vtsttools), or choose another engine.",
                directory=self.folder,
            )

    def _run(self, stop: StopCheck, handlers: list[Any]) -> EndReason | None:
        """Run VASP once and return why it was asked to stop, if it was.

        Raises
        ------
        EngineError
            If it did not come to an iteration, or trying again is pointless.
        """
        incar = self._write_inputs()
        kpoints = str(Kpoints.from_file(self.folder / "KPOINTS"))
        note = self.files.note
        note.runs += 1
        self.files.save()
        watch = Watch(handlers, stop=stop, gatherer=_Gatherer(self))
        began = time.monotonic()
        failure = leg.call_vasp(
            self.folder,
            watch,
            self._with_gamma_program(kpoints),
            max_errors=1,
            validators=[EndCheck(watch)],
            job_type=JobType.NEB,
            job_options=JOB,
        )
        note.seconds += time.monotonic() - began
        self.files.save()
        if watch.error is not None:
            raise watch.error
        if watch.asked is None and failure is not None:
            watch.asked = stop()  # a scheduler's signal may have hit VASP first
        self._judge(watch, failure, incar=incar, kpoints=kpoints)
        return watch.asked

    def _write_inputs(self) -> Incar:
        """Write all inputs of the next run."""
        note = self.files.note
        write_inputs(self.folder, self.vasp_set, potcar_spec=self.potcar_spec)
        self.files.prepare()
        n_images = len(self.files.images)
        tags = band_tags(self.settings, n_images=n_images, climb=self.files.climbs)
        left = self.settings.max_steps - self.files.done(self.files.history())
        incar = Incar(
            Incar.from_file(self.folder / "INCAR") | tags | {"NSW": left} | note.corrections
        )
        for name, value in note.corrections.items():
            if value is None:
                del incar[name]
        incar.write_file(self.folder / "INCAR")
        return Incar.from_file(self.folder / "INCAR")

    def _with_gamma_program(self, kpoints: str) -> Settings:
        """Return the site with the program for Gamma alone, where that does and is there."""
        grid = Kpoints.from_str(kpoints)
        words = shlex.split(self.site.vasp_gamma_cmd)
        is_gamma = tuple(grid.kpts[0]) == (1, 1, 1) and not any(grid.kpts_shift)
        if is_gamma and words and shutil.which(words[-1]) is not None:
            return self.site.model_copy(update={"vasp_cmd": self.site.vasp_gamma_cmd})
        return self.site

    def _judge(
        self, watch: Watch, failure: Exception | None, *, incar: Incar, kpoints: str
    ) -> None:
        """Accept what ended a run, or raise why going on is pointless."""
        log = self.files.log()
        self.require_vtst(log)
        if watch.corrections:
            self._accept(watch, incar=incar, kpoints=kpoints, is_new=log.n_iterations > 0)
        elif watch.asked is not None:
            return
        elif log.n_iterations == 0:
            raise EngineError(
                f"VASP in {self.folder} completed no iteration of the band: "
                f"{last_words(self.folder)}",
                directory=self.folder,
            )
        elif failure is None:
            return
        self._setbacks += 1
        if self._setbacks > MAX_SETBACKS:
            raise EngineError(
                f"VASP failed {self._setbacks} times in {self.folder}: {last_words(self.folder)}",
                directory=self.folder,
            )

    def _accept(self, watch: Watch, *, incar: Incar, kpoints: str, is_new: bool) -> None:
        """Keep custodian's remedy for the next run, if it leaves the physics alone."""
        said = "; ".join(map(str, watch.corrections))
        refused = refused_changes(self.folder, incar=incar, kpoints=kpoints)
        if refused or not (is_new or any(c.has_remedy for c in watch.corrections)):
            remedy = f"the known remedy ({', '.join(refused)}) would change the physics"
            raise EngineError(
                f"VASP reported {said}, and {remedy if refused else 'there is no remedy'}. Choose "
                "other settings in incar.",
                directory=self.folder,
            )
        changes = tag_changes(incar, Incar.from_file(self.folder / "INCAR"))
        self.files.note.corrections |= changes
        self.files.save()
        logger.warning("%s: corrected %s: %s", self.folder, said, changes or "started again")

    def _verdict(self, log: BandLog) -> tuple[NebStatus, str]:
        worst = log.max_force(log.n_iterations - 1)
        electronic = int(self.vasp_set.incar.get("NELM", 60))
        loose = [
            k
            for k, step in enumerate(log.last, start=1)
            if step.n_electronic >= electronic or not step.is_self_consistent
        ]
        if log.is_accurate and worst <= self.settings.fmax * SAME_SLACK:
            if loose:
                return "unconverged", f"the electrons of image {loose[0]:02d} did not converge"
            return "converged", ""
        if self.files.done(self.files.records(log)) >= self.settings.max_steps:
            return "unconverged", (
                f"{self.settings.max_steps} iterations left a force of {worst:.3f} eV/A (asked for "
                f"{self.settings.fmax:g})"
            )
        return "interrupted", f"at iteration {log.n_iterations} with a force of {worst:.3f} eV/A"

    def _stopped(self, log: BandLog | None, asked: EndReason) -> NebPath:
        if log is not None and log.n_iterations:
            _, reason = self._verdict(log)
            return self._document(log, "interrupted", f"{asked} {reason}")
        if not self.files.note.history:
            raise InterruptionError(
                f"VASP in {self.folder} was interrupted ({asked}) before its first iteration; run "
                "it again.",
                directory=self.folder,
            )
        return NebPath(
            energies=(),
            lengths=(),
            max_forces=(),
            status="interrupted",
            climbed=False,
            reason=f"{asked} between two runs of VASP",
            history=tuple(self.files.history()),
            wall_time=self.files.note.seconds,
        )

    def _document(self, log: BandLog, status: NebStatus, reason: str) -> NebPath:
        self.versions = {"vasp": log.images[0].version, "vtst": log.images[0].vtst}
        images, (first, end) = self.files.images, self.files.ends
        structures = [images[0]]
        for image, step in zip(images[1:-1], log.last, strict=True):
            coords = self.files.cell.to_given_order(step.positions)
            structures.append(
                Structure(image.lattice, image.species, coords, coords_are_cartesian=True)
            )
        structures.append(images[-1])
        energies = [first.energy, *(step.energy for step in log.last), end.energy]
        return band_document(
            structures=structures,
            energies=energies,
            lengths=[float(x) for x in path_lengths(structures)],
            forces=[first.max_force, *(step.max_force for step in log.last), end.max_force],
            status=status,
            climbed=status == "converged" and self._has_climbed(log),
            reason=reason,
            history=self.files.records(log),
            wall_time=self.files.note.seconds,
        )

    def _has_climbed(self, log: BandLog) -> bool:
        """Whether the highest image is at the saddle: no force is left along the path either."""
        if not self.files.climbs:
            return False
        top = int(np.argmax([step.energy for step in log.last]))
        along = log.last[top].along
        limit = self.settings.fmax * np.sqrt(len(self.files.cell.structure))
        return along is None or abs(along) <= limit
