"""Running one program of Quantum ESPRESSO to its end, with corrections and a way to stop."""

import warnings
from pathlib import Path

from custodian.custodian import Custodian, CustodianError

from ssefw.documents import EndReason
from ssefw.engines.espresso.handlers import StopHandler, default_handlers
from ssefw.engines.espresso.job import EspressoJob
from ssefw.engines.stopping import StopCheck
from ssefw.errors import EngineError

__all__ = ["run_program"]

MAX_ERRORS = 6
POLL = 0.5
"""Seconds between looks at the process."""


def run_program(
    command: list[str],
    folder: Path,
    input_file: str,
    output_file: str,
    *,
    stop: StopCheck,
) -> EndReason:
    """Run a program under custodian; what came of it is in its output.

    Parameters
    ----------
    command
        The program and its arguments.
    folder
        Where it runs.
    input_file, output_file
        Their names in the folder.
    stop
        Asked while it runs whether to stop.

    Returns
    -------
    ``complete`` if the program ended by itself, else why it was asked to stop.

    Raises
    ------
    EngineError
        If an error could not be corrected.
    """
    watch = StopHandler(stop)
    job = EspressoJob(command, input_file, output_file)
    custodian = Custodian(
        [*default_handlers(input_file, output_file), watch],
        [job],
        max_errors=MAX_ERRORS,
        polling_time_step=POLL,
        monitor_freq=1,
        terminate_on_nonzero_returncode=False,
        skip_over_errors=False,
        directory=str(folder),
    )
    try:
        with warnings.catch_warnings():
            # The exit code of neb.x means nothing; its output is looked at instead.
            warnings.filterwarnings("ignore", message="subprocess returned a non-zero")
            custodian.run()  # type: ignore[no-untyped-call]
    except CustodianError as error:
        if watch.reason is None:
            words = _last_errors(custodian)
            msg = f"{input_file.removesuffix('.in')}.x failed in {folder}: {words or error}"
            raise EngineError(msg, directory=folder) from error
    return watch.reason or "complete"


def _last_errors(custodian: Custodian) -> str:
    for job in reversed(custodian.run_log):
        for correction in reversed(job.get("corrections", [])):
            return "; ".join(dict.fromkeys(str(word) for word in correction.get("errors", [])))
    return ""
