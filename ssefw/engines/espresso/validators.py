"""custodian's validators: whether a run of pw.x or neb.x can be believed."""

from pathlib import Path

from custodian.custodian import Validator

from ssefw.engines.espresso.bands.neb_output import parse_log
from ssefw.engines.espresso.job import NEB_OUTPUT, PW_OUTPUT
from ssefw.engines.espresso.pw_output import parse_pw
from ssefw.engines.espresso.symptoms import diagnose_folder, read_text

__all__ = ["NebValidator", "PwValidator"]


class PwValidator(Validator):
    """pw.x came to its end and its last geometry is self-consistent."""

    def __init__(self, output_file: str = PW_OUTPUT) -> None:
        self.output_file = output_file

    def check(self, directory: str = "./") -> bool:
        """Whether something is wrong."""
        run = parse_pw(read_text(Path(directory) / self.output_file))
        return not run.finished or not run.energies or bool(run.codes - {"nstep_exceeded"})


class NebValidator(Validator):
    """neb.x says how its path ended, and no image complains."""

    def __init__(self, output_file: str = NEB_OUTPUT) -> None:
        self.output_file = output_file

    def check(self, directory: str = "./") -> bool:
        """Whether something is wrong: JOB DONE and the exit code say nothing."""
        folder = Path(directory)
        log = parse_log(read_text(folder / self.output_file), symptoms=diagnose_folder(folder, ()))
        return log.end not in ("converged", "nstep") or not log.iterations
